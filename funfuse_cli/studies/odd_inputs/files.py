"""Files that something is wrong with; each function makes one of a volume, and returns its path."""

import struct
from pathlib import Path
from typing import Callable, Dict, Optional

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk

from .pairs import coarse, phantom

_CLASSES = {"MR": "1.2.840.10008.5.1.4.1.1.4", "PT": "1.2.840.10008.5.1.4.1.1.128"}
_ROOT = "1.2.826.0.1.3680043.8.498.7"
_ENORMOUS = (
    b"NRRD0004\ntype: float\ndimension: 3\nsizes: 100000 100000 100000\nencoding: raw\nendian: little\n\n"
)


def good(volume: Volume, path: Path) -> Path:
    """A compressed file (.nii is plain) with nothing wrong."""
    sitk.WriteImage(volume_to_sitk(volume), str(path), useCompression=True)
    return path


def cut(volume: Volume, path: Path) -> Path:
    """The first half of a file."""
    content = good(volume, path).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def turn_over(volume: Volume, path: Path) -> Path:
    """A file with one byte in its compressed part turned over."""
    content = bytearray(good(volume, path).read_bytes())
    content[int(0.6 * len(content))] ^= 0xFF
    path.write_bytes(content)
    return path


def sheared_nifti(volume: Volume, path: Path) -> Path:
    """A NIfTI-1 file with a sheared sform, and no qform."""
    content = bytearray(good(volume, path).read_bytes())
    struct.pack_into("<2h", content, 252, 0, 1)
    row = struct.unpack_from("<4f", content, 280)
    struct.pack_into("<f", content, 280 + 8, row[2] + 0.3 * abs(row[0]))
    path.write_bytes(content)
    return path


def text(volume: Volume, path: Path, content: bytes = b"Not an image.\n") -> Path:
    """Something else under the name of an image."""
    path.write_bytes(content)
    return path


def enormous(volume: Volume, path: Path) -> Path:
    """A small file whose header announces more voxels than any memory holds."""
    return text(volume, path, _ENORMOUS + bytes(4096))


def text_folder(volume: Volume, path: Path) -> Path:
    """A folder with a text file."""
    path.mkdir()
    return text(volume, path / "notes.txt").parent


def picture(volume: Volume, path: Path) -> Path:
    """A PNG picture of the middle slice, under any name."""
    middle, png = volume.array[len(volume.array) // 2], path.with_name("picture.png")
    sitk.WriteImage(sitk.GetImageFromArray((255 * middle / middle.max()).astype(np.uint8)), str(png))
    return png.replace(path)


def colors(volume: Volume, path: Path) -> Path:
    """An RGB volume."""
    gray = (255 * volume.array / volume.array.max()).astype(np.uint8)
    rgb = np.stack([gray, gray // 2, 255 - gray], axis=-1)
    sitk.WriteImage(sitk.GetImageFromArray(rgb, isVector=True), str(path))
    return path


def complex_numbers(volume: Volume, path: Path) -> Path:
    """A volume of complex numbers."""
    sitk.WriteImage(sitk.Cast(volume_to_sitk(volume), sitk.sitkComplexFloat32), str(path))
    return path


def frames(volume: Volume, path: Path, count: int = 3) -> Path:
    """A 4-D file of frames that grow."""
    frames = [volume_to_sitk(volume.with_array(volume.array * (1 + n))) for n in range(count)]
    sitk.WriteImage(sitk.JoinSeries(frames), str(path))
    return path


def dicom_series(
    volume: Volume,
    folder: Path,
    modality: str = "PT",
    series: int = 1,
    frame: int = 1,
    frames: int = 1,
    slopes: bool = False,
    change: Optional[Callable[[Path], None]] = None,
    patient: Optional[Dict[str, str]] = None,
    facts: Callable[[int, int], Dict[str, object]] = lambda time, k: {},
    name: str = "{letter}{time}{k:03d}.dcm",
) -> Path:
    """A folder with one 16-bit file for each slice of a volume with LPS axes.

    :param frame: number of the frame of reference.
    :param frames: how many images of each slice there are.
    :param slopes: scale every slice by itself, as PET scanners do.
    :param change: something done to the folder at the end.
    :param patient: what the headers say of the patient, by DICOM keyword.
    :param facts: what the header of each image says besides or otherwise, by keyword; None for nothing.
    :param name: of the files.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset

    folder.mkdir(exist_ok=True)
    lps, spacing = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ijk_to_ras, volume.spacing
    for time, (k, voxels) in ((time, item) for time in range(frames) for item in enumerate(volume.array)):
        path = folder / name.format(letter="_AB"[series], time=time, k=k)
        uid = f"{_ROOT}.{series}.{modality == 'MR':d}"
        slope = max(float(voxels.max()), 1.0) / 60000 if slopes else 1.0
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        meta.MediaStorageSOPClassUID = _CLASSES[modality]
        meta.MediaStorageSOPInstanceUID = f"{uid}.{time + 1}.{k + 1}"
        header = {
            "SOPClassUID": meta.MediaStorageSOPClassUID,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "Modality": modality,
            "StudyInstanceUID": f"{_ROOT}.9",
            "SeriesInstanceUID": uid,
            "FrameOfReferenceUID": f"{_ROOT}.8.{frame}",
            "InstanceNumber": k + 1,
            **(patient or {"PatientName": "Phantom", "PatientID": "0"}),
            "ImagePositionPatient": [round(float(x), 4) for x in lps[:3, 3] + k * lps[:3, 2]],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [spacing[1], spacing[0]],
            "SliceThickness": spacing[2],
            "Rows": voxels.shape[0],
            "Columns": voxels.shape[1],
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "PixelRepresentation": 0,
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "RescaleSlope": f"{slope:.8g}",
            "RescaleIntercept": "0",
            "PixelData": np.rint(voxels / slope).astype("<u2").tobytes(),
            **facts(time, k),
        }
        item = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
        for keyword, value in header.items():
            if value is not None:
                setattr(item, keyword, value)
        item.save_as(str(path), enforce_file_format=True)
    if change is not None:
        change(folder)
    return folder


def two_series(volume: Volume, path: Path) -> Path:
    """Two series in one folder."""
    return dicom_series(volume, dicom_series(volume, path), series=2)


def dicom_pair(folder: Path, **options) -> Dict[str, Path]:
    """The phantom as an MR series, and as a PT series with the options of :func:`dicom_series`."""
    mri = dicom_series(phantom().mri, folder / "T1", modality="MR")
    return {"mri": mri, "pet": dicom_series(phantom().pet, folder / "FDG", **options)}


def with_coarse_mri(mri: Path, pet: Path, folder: Path) -> Dict[str, Path]:
    """A PET as it is, with the MRI of a file made coarse."""
    return {"mri": good(coarse(mri), folder / "T1.nrrd"), "pet": pet}


def cut_a_slice(folder: Path) -> None:
    """The last file of a series is cut: those that are left are evenly spaced."""
    path = sorted(folder.iterdir())[-1]
    path.write_bytes(path.read_bytes()[:400])


def lose_a_slice(folder: Path) -> None:
    """The fifth file of a series is gone."""
    sorted(folder.iterdir())[4].unlink()
