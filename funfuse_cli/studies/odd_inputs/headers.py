"""NIfTI and NRRD files whose headers say odd things, or say something only few readers know."""

import gzip
import json
from pathlib import Path
from typing import Optional, Sequence, Tuple

import numpy as np

from FunFuseSlicer.Logic.volumes.geometry import Volume

# A code of NIfTI, and voxel index to RAS millimeters.
Form = Optional[Tuple[int, np.ndarray]]

MOVED = np.eye(4)
MOVED[:3, 3] = 12.0, -9.0, 20.0


def nifti(volume: Volume, path: Path, sform: Form = None, qform: Form = None, **fields) -> Path:
    """A compressed NIfTI-1 file with these forms and header fields, as no library would write it."""
    import nibabel

    header = nibabel.Nifti1Header()
    data = np.ascontiguousarray(volume.array.T.astype("<f4"))
    header.set_data_dtype("<f4")
    header.set_data_shape(data.shape)
    header.set_zooms([*volume.spacing, *[1.0] * (data.ndim - 3)])
    if qform is not None:
        header.set_qform(qform[1], code=qform[0])
    if sform is not None:
        header.set_sform(sform[1], code=sform[0])
    header["magic"], header["vox_offset"], header["xyzt_units"], header["scl_slope"] = b"n+1", 352, 10, 1
    header["scl_inter"] = 0
    for name, value in fields.items():
        header[name] = value
    with gzip.open(path, "wb") as file:
        file.write(header.binaryblock + bytes(4) + data.tobytes(order="F"))
    return path


def dynamic(
    volume: Volume, path: Path, weights: Sequence[float], seconds: Sequence[float] = (), **fields
) -> Path:
    """A 4-D file, frame n the volume times ``weights[n]``; its side car, if it has one, tells the lengths."""
    array = np.stack([volume.array * weight for weight in weights])
    if seconds:
        side_car = path.with_name(path.name.replace(".nii.gz", ".json"))
        side_car.write_text(json.dumps({"FrameDuration": list(seconds)}), encoding="utf-8")
    return nifti(volume.with_array(array), path, (1, volume.ijk_to_ras), **fields)


def sequence(
    volume: Volume, path: Path, weights: Sequence[float], kinds: str = "list domain domain domain"
) -> Path:
    """As Slicer saves a volume sequence, the frames first or last."""
    frames = np.stack([volume.array * weight for weight in weights], -1).astype("<f4")
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ijk_to_ras
    directions = ["(" + ",".join(f"{x:g}" for x in lps[:3, axis]) + ")" for axis in range(3)]
    sizes = [str(n) for n in volume.dimensions]
    if kinds.startswith("domain"):
        frames, directions, sizes = (
            np.moveaxis(frames, -1, 0),
            [*directions, "none"],
            [*sizes, str(len(weights))],
        )
    else:
        directions, sizes = ["none", *directions], [str(len(weights)), *sizes]
    origin = ",".join(f"{x:.6g}" for x in lps[:3, 3])
    header = (
        f"NRRD0004\ntype: float\ndimension: 4\nspace: left-posterior-superior\nsizes: {' '.join(sizes)}\n"
        f"space directions: {' '.join(directions)}\nkinds: {kinds}\nendian: little\nencoding: gzip\n"
        f"space origin: ({origin})\n\n"
    )
    path.write_bytes(header.encode() + gzip.compress(np.ascontiguousarray(frames).tobytes()))
    return path
