"""Files that something is wrong with, for the study "robustness"; each function returns what it wrote."""

import struct
from pathlib import Path
from typing import Callable, Dict, Optional

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk


def written(volume: Volume, path: Path) -> bytes:
    """The bytes of a good compressed file (.nii is plain)."""
    sitk.WriteImage(volume_to_sitk(volume), str(path), useCompression=True)
    return path.read_bytes()


def cut(volume: Volume, path: Path) -> Path:
    """The first half of a file."""
    content = written(volume, path)
    path.write_bytes(content[: len(content) // 2])
    return path


def turn_over(volume: Volume, path: Path) -> Path:
    """A file with one byte in its compressed part turned over."""
    content = bytearray(written(volume, path))
    content[int(0.6 * len(content))] ^= 0xFF
    path.write_bytes(content)
    return path


def text(path: Path, content: str = "Not an image.\n", result: Optional[Path] = None) -> Dict[str, Path]:
    """A text file in place of the PET."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return {"pet": result or path}


def picture(volume: Volume, path: Path) -> Path:
    """A PNG picture of the middle slice, under any name."""
    middle = volume.array[len(volume.array) // 2]
    png = path.with_name("picture.png")
    sitk.WriteImage(sitk.GetImageFromArray((255 * middle / middle.max()).astype(np.uint8)), str(png))
    path.write_bytes(png.read_bytes())
    png.unlink()
    return path


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


def frames(volume: Volume, path: Path, count: int) -> Path:
    """A 4-D file of frames that grow."""
    frames = [volume_to_sitk(volume.with_array(volume.array * (1 + n))) for n in range(count)]
    sitk.WriteImage(sitk.JoinSeries(frames), str(path))
    return path


def enormous(path: Path) -> Path:
    """A small file whose header announces more voxels than any memory holds."""
    header = (
        "NRRD0004\ntype: float\ndimension: 3\nsizes: 100000 100000 100000\nencoding: raw\nendian: little\n"
    )
    path.write_bytes(header.encode() + b"\n" + bytes(4096))
    return path


def sheared_nifti(paths: Dict[str, Path]) -> Dict[str, Path]:
    """The NIfTI-1 file of the PET gets an sform that is sheared, and no qform."""
    content = bytearray(paths["pet"].read_bytes())
    struct.pack_into("<2h", content, 252, 0, 1)
    row = list(struct.unpack_from("<4f", content, 280))
    struct.pack_into("<f", content, 280 + 8, row[2] + 0.3 * abs(row[0]))
    paths["pet"].write_bytes(content)
    return paths


# --- DICOM ------------------------------------------------------------------------------------------------

_CLASSES = {"MR": "1.2.840.10008.5.1.4.1.1.4", "PT": "1.2.840.10008.5.1.4.1.1.128"}
_ROOT = "1.2.826.0.1.3680043.8.498.7"


def dicom_series(
    volume: Volume,
    folder: Path,
    modality: str = "PT",
    series: int = 1,
    frame: int = 1,
    frames: int = 1,
    slopes: bool = False,
    prefix: str = "A",
    change: Optional[Callable[[Path], None]] = None,
    patient: Optional[Dict[str, str]] = None,
) -> Path:
    """A folder with one 16-bit file for each slice of a volume with LPS axes.

    :param frame: number of the frame of reference.
    :param frames: how many images of each slice there are.
    :param slopes: scale every slice by itself, as PET scanners do.
    :param change: something done to the folder at the end.
    :param patient: what the headers say of the patient, by DICOM keyword.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset

    folder.mkdir(exist_ok=True)
    patient = patient or {"PatientName": "Phantom", "PatientID": "0"}
    for time in range(frames):
        for k, slice_ in enumerate(volume.array):
            uid = f"{_ROOT}.{series}.{modality == 'MR':d}.{time + 1}.{k + 1}"
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = _CLASSES[modality], uid
            meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
            path = folder / f"{prefix}{time}{k:03d}.dcm"
            item = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
            item.SOPClassUID, item.SOPInstanceUID, item.Modality = _CLASSES[modality], uid, modality
            item.StudyInstanceUID = f"{_ROOT}.9"
            item.SeriesInstanceUID = f"{_ROOT}.{series}.{modality == 'MR':d}"
            item.FrameOfReferenceUID = f"{_ROOT}.8.{frame}"
            item.InstanceNumber = k + 1
            for keyword, value in patient.items():
                setattr(item, keyword, value)
            lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ijk_to_ras
            item.ImagePositionPatient = [round(float(x), 4) for x in lps[:3, 3] + k * lps[:3, 2]]
            item.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            spacing = volume.spacing
            item.PixelSpacing, item.SliceThickness = [spacing[1], spacing[0]], spacing[2]
            item.Rows, item.Columns, item.SamplesPerPixel = *slice_.shape, 1
            item.PhotometricInterpretation, item.PixelRepresentation = "MONOCHROME2", 0
            item.BitsAllocated, item.BitsStored, item.HighBit = 16, 16, 15
            slope = max(float(slice_.max()), 1.0) / 60000 if slopes else 1.0
            item.RescaleSlope, item.RescaleIntercept = f"{slope:.8g}", "0"
            item.PixelData = np.rint(slice_ / slope).astype("<u2").tobytes()
            item.save_as(str(path), enforce_file_format=True)
    if change is not None:
        change(folder)
    return folder


def cut_a_slice(folder: Path) -> None:
    """The last file of a series is cut: those that are left are evenly spaced."""
    path = sorted(folder.iterdir())[-1]
    path.write_bytes(path.read_bytes()[:400])


def lose_a_slice(folder: Path) -> None:
    """The fifth file of a series is gone."""
    sorted(folder.iterdir())[4].unlink()
