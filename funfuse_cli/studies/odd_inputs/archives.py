"""DICOM as archives, scanners and de-identifiers leave it; each function writes it, and returns its path."""

from pathlib import Path
from typing import Callable, Dict, Sequence

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS, Volume

from .files import dicom_series

ROOT = "1.2.826.0.1.3680043.8.498.8"
ENHANCED = {"PT": "1.2.840.10008.5.1.4.1.1.130", "MR": "1.2.840.10008.5.1.4.1.1.4.1"}
NUCLEAR_MEDICINE = "1.2.840.10008.5.1.4.1.1.20"
_LOCALIZER = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
# What archives put among the images of a study: UID of the class, modality, whether it has pixels.
BESIDES = {
    "report": ("1.2.840.10008.5.1.4.1.1.88.11", "SR", {}),
    "values": ("1.2.840.10008.5.1.4.1.1.67", "RWV", {}),
    "capture": ("1.2.840.10008.5.1.4.1.1.7", "PT", {"Rows": 8, "Columns": 8}),
    "localizer": (
        "1.2.840.10008.5.1.4.1.1.4",
        "MR",
        {"Rows": 8, "Columns": 8, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    ),
}


def with_besides(volume: Volume, folder: Path, kinds: Sequence[str] = tuple(BESIDES), **options) -> Path:
    """A series with other objects of its study, and a file of macOS, in its folder."""
    dicom_series(volume, folder, **options)
    for number, kind in enumerate(kinds):
        uid, modality, facts = BESIDES[kind]
        _save(folder / f"{kind}.dcm", uid, f"{ROOT}.1.{number}", Modality=modality, **facts)
    (folder / "._A0000.dcm").write_bytes(b"\x00\x05\x16\x07" + bytes(160))
    return folder


def dynamic(volume: Volume, folder: Path, seconds: Sequence[float], weights: Sequence[float]) -> Path:
    """A series of several times: frame n is the volume times ``weights[n]`` and took ``seconds[n]``."""
    starts = np.cumsum([0, *seconds[:-1]])
    for n, weight in enumerate(weights):
        times = {
            "FrameReferenceTime": str(1000 * starts[n]),
            "ActualFrameDuration": str(int(1000 * seconds[n])),
        }
        part = volume.with_array(volume.array * weight)
        facts = _of_time(times, f"{ROOT}.4.{n}")
        dicom_series(part, folder, facts=facts, name=f"{n}_{{k:03d}}.dcm")
    return folder


def _of_time(times: Dict[str, object], uid: str) -> Callable[[int, int], Dict[str, object]]:
    return lambda time, k: {**times, "SOPInstanceUID": f"{uid}.{k + 1}"}


def enhanced(
    volumes: Sequence[Volume],
    path: Path,
    modality: str = "PT",
    seconds: Sequence[float] = (),
    facts: Callable[[int, int], Dict[str, object]] = lambda time, k: {},
) -> Path:
    """One file of many frames, each with a rescale slope of its own, in a shuffled order.

    :param volumes: of each time.
    :param seconds: how long each took.
    :param facts: what the functional groups of a frame say otherwise, by keyword.
    """
    first = volumes[0]
    lps, spacing = RAS_TO_LPS @ first.ijk_to_ras, first.spacing
    shared = _item(
        PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[
            _item(
                PixelSpacing=[spacing[1], spacing[0]],
                SliceThickness=spacing[2],
                SpacingBetweenSlices=spacing[2],
            )
        ],
    )
    groups, pixels = [], []
    frames = [(t, k) for t in range(len(volumes)) for k in range(len(first.array))]
    for t, k in (frames[n] for n in np.random.default_rng(0).permutation(len(frames))):
        voxels = volumes[t].array[k]
        slope = float(f"{max(float(voxels.max()), 1.0) / 60000:.8g}")
        place = [round(float(x), 4) for x in lps[:3, 3] + k * lps[:3, 2]]
        content = {"StackID": "1", "InStackPositionNumber": k + 1, "TemporalPositionIndex": t + 1}
        if seconds:
            content["FrameAcquisitionDuration"] = 1000.0 * seconds[t]
        values = {"RescaleSlope": f"{slope:.8g}", "RescaleIntercept": "0", "RescaleType": "US", **facts(t, k)}
        groups.append(
            _item(
                PlanePositionSequence=[_item(ImagePositionPatient=place)],
                FrameContentSequence=[_item(**content)],
                PixelValueTransformationSequence=[_item(**values)],
            )
        )
        pixels.append(np.rint(voxels / slope).astype("<u2").tobytes())
    path.parent.mkdir(exist_ok=True)
    return _save(
        path,
        ENHANCED[modality],
        f"{ROOT}.5",
        Modality=modality,
        Rows=first.array.shape[1],
        Columns=first.array.shape[2],
        NumberOfFrames=len(frames),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
        PixelData=b"".join(pixels),
        **_PIXELS,
    )


def spect(volume: Volume, path: Path, kind: str = "RECON TOMO") -> Path:
    """A reconstruction of a SPECT, which gives the place of its first slice only."""
    lps, spacing = RAS_TO_LPS @ volume.ijk_to_ras, volume.spacing
    place = [round(float(x), 4) for x in lps[:3, 3]]
    return _save(
        path,
        NUCLEAR_MEDICINE,
        f"{ROOT}.6",
        Modality="NM",
        ImageType=["DERIVED", "PRIMARY", kind, "EMISSION"],
        Rows=volume.array.shape[1],
        Columns=volume.array.shape[2],
        NumberOfFrames=len(volume.array),
        SliceVector=list(range(1, len(volume.array) + 1)),
        PixelSpacing=[spacing[1], spacing[0]],
        SpacingBetweenSlices=spacing[2],
        DetectorInformationSequence=[
            _item(ImagePositionPatient=place, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
        ],
        PixelData=np.rint(volume.array).astype("<u2").tobytes(),
        **_PIXELS,
    )


def compressed(volume: Volume, folder: Path, kind: str) -> Path:
    """A series whose pixels are compressed, as "RLE", "JPEG2000", "JPEGLS" or "JPEG" (without loss)."""
    dicom_series(volume, folder)
    for path in sorted(folder.iterdir()):
        image = sitk.ReadImage(str(path))
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.KeepOriginalImageUIDOn()
        writer.UseCompressionOn()
        writer.SetCompressor(kind)
        writer.SetFileName(str(path))
        writer.Execute(image)
        _forget(path, "SpacingBetweenSlices")  # of one slice it writes 1
    return folder


_PIXELS = {
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelRepresentation": 0,
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
}


def _forget(path: Path, keyword: str) -> None:
    import pydicom

    item = pydicom.dcmread(path)
    if keyword in item:
        delattr(item, keyword)
        item.save_as(path)


def _item(**values):
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _save(path: Path, sop_class: str, uid: str, **values) -> Path:
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = "1.2.840.10008.1.2.1", sop_class
    meta.MediaStorageSOPInstanceUID = f"{uid}.1"
    item = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    values = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": f"{uid}.1",
        "StudyInstanceUID": f"{ROOT}.9",
        "SeriesInstanceUID": uid,
        "FrameOfReferenceUID": f"{ROOT}.8",
        "PatientName": "Phantom",
        "PatientID": "0",
        **values,
    }
    for keyword, value in values.items():
        setattr(item, keyword, value)
    item.save_as(str(path), enforce_file_format=True)
    return path
