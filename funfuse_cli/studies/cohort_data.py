"""A BIDS data set of patients who are few people: each in another place, some broken on purpose.

Coarse enough that many are done in minutes.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample, volume_to_sitk

from ..reading.reader import read_volume
from ..workflow.demo_data import T1, fetch

MRI_MM, PET_MM = 3.0, 4.0
TURN_DEGREES, SHIFT_MM, SIZE = 10.0, 15.0, 0.04
NOISE_MRI, NOISE_PET = 0.02, 0.05
# By how much the transform that is wrong on purpose misses.
WRONG_DEGREES, WRONG_MM = 12.0, (15.0, 12.0, 0.0)


@dataclass(frozen=True)
class Source:
    """A head: its MRI, its PET, and how BIDS calls both."""

    mri: Path
    pet: Path
    anatomy: str
    tracer: str


def sources(volumes: Path) -> List[Source]:
    """The patients, and the template of FDG with that of the MRI."""
    spect = sorted((volumes / "patients_spect").glob("*_T2.nii.gz"))
    found = [
        Source(volumes / "patient_fdg" / "T1.nii.gz", volumes / "patient_fdg" / "FDG.nii.gz", "T1w", "FDG")
    ]
    found += [Source(mri, mri.with_name(mri.name.replace("_T2", "_SPECT")), "T2w", "HMPAO") for mri in spect]
    return [*found, Source(fetch(T1), volumes / "templates" / "CN_FDG.nii.gz", "T1w", "FDG")]


# --- What is broken -----------------------------------------------------------------------------------

Files = Tuple[Path, Path]


def _no_mri(mri: Path, pet: Path) -> None:
    mri.unlink()


def _no_uptake(mri: Path, pet: Path) -> None:
    image = sitk.ReadImage(str(pet))
    sitk.WriteImage(image * 0.0, str(pet))


def _cut_short(mri: Path, pet: Path) -> None:
    pet.write_bytes(pet.read_bytes()[: pet.stat().st_size // 2])


def _far_away(mri: Path, pet: Path) -> None:
    image = sitk.ReadImage(str(pet))
    image.SetOrigin((900.0, *image.GetOrigin()[1:]))
    sitk.WriteImage(image, str(pet))


def _one_slice(mri: Path, pet: Path) -> None:
    image = sitk.ReadImage(str(mri))
    sitk.WriteImage(image[:, :, image.GetSize()[2] // 2 :][:, :, :1], str(mri))


def _no_pet(mri: Path, pet: Path) -> None:
    pet.unlink()
    pet.with_name(pet.name.replace(".nii.gz", ".json")).unlink()


BROKEN: Dict[str, Callable[[Path, Path], None]] = {
    "no MRI": _no_mri,
    "PET of zeros": _no_uptake,
    "PET file cut in half": _cut_short,
    "PET 900 mm away": _far_away,
    "MRI of one slice": _one_slice,
    "no PET": _no_pet,
}


# --- The data set -------------------------------------------------------------------------------------


def make(root: Path, volumes: Path, number: int) -> Tuple[Dict[str, str], str, Path]:
    """Write the data set.

    :param volumes: the folder of the images that it is made of.
    :return: what is broken, by participant; the participant whose transform is wrong, and the folder of it.
    """
    root.mkdir(parents=True)
    facts = {"Name": "Displaced heads", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(facts), encoding="utf-8")
    heads = [(source, *_coarse(source)) for source in sources(volumes)]
    places = np.linspace(1, number, len(BROKEN) + 3, dtype=int)[1:-1]
    kinds = dict(zip(places, BROKEN))
    planted, transforms = f"sub-{places[-1]:03d}", root.parent / "transforms"
    broken: Dict[str, str] = {}
    for one in range(1, number + 1):
        source, mri, pet = heads[one % len(heads)]
        name = f"sub-{one:03d}"
        mri, pet, place = _person(mri, pet, one)
        paths = _write(root / name, name, source, mri, pet)
        if one in kinds:
            broken[name] = kinds[one]
            BROKEN[kinds[one]](*paths)
        if name == planted:
            transforms.mkdir()
            stem = f"{name}_trc-{source.tracer}_from-pet_to-{source.anatomy}_mode-image_xfm.txt"
            _write_transform(_wrong(pet) @ place, transforms / stem)
    return broken, planted, transforms


def _coarse(source: Source) -> Iterator[Volume]:
    for path, size in ((source.mri, MRI_MM), (source.pet, PET_MM)):
        volume = read_volume(path)
        extent = np.abs(volume.ijk_to_ras[:3, :3]) @ np.array(volume.dimensions)
        count = np.ceil(extent / size).astype(int)
        grid = np.diag([-size, -size, size, 1.0])
        middle = volume.ijk_to_ras @ np.append((np.array(volume.dimensions) - 1.0) / 2.0, 1.0)
        grid[:3, 3] = middle[:3] - grid[:3, :3] @ ((count - 1) / 2.0)
        blurred = sitk.SmoothingRecursiveGaussian(
            sitk.Cast(volume_to_sitk(volume), sitk.sitkFloat32), [size / 2.355] * 3
        )
        fine = volume.with_array(sitk.GetArrayFromImage(blurred))
        yield resample(fine, Volume(np.zeros(count[::-1], np.float32), grid))


def _person(mri: Volume, pet: Volume, seed: int) -> Tuple[Volume, Volume, np.ndarray]:
    """The head in another size, with noise of its own, and the PET in another place.

    :return: and the right matrix, PET to MRI.
    """
    rng = np.random.default_rng(seed)
    size = np.diag([*(1.0 + rng.uniform(-SIZE, SIZE, 3)), 1.0])
    center = (pet.ijk_to_ras @ np.append((np.array(pet.dimensions) - 1.0) / 2.0, 1.0))[:3]
    motion = np.eye(4)
    motion[:3, :3] = rotation_matrix(rng.uniform(-TURN_DEGREES, TURN_DEGREES, 3))
    motion[:3, 3] = center + rng.uniform(-SHIFT_MM, SHIFT_MM, 3) - motion[:3, :3] @ center
    person = []
    for volume, matrix, noise in ((mri, size, NOISE_MRI), (pet, motion @ size, NOISE_PET)):
        white = np.percentile(volume.array, 99.5)
        array = volume.array + noise * white * rng.standard_normal(volume.array.shape) * (volume.array > 0)
        array = np.clip(array, 0, None).astype(np.float32)
        person.append(replace(volume.with_array(array), ijk_to_ras=matrix @ volume.ijk_to_ras))
    return person[0], person[1], np.linalg.inv(motion)


def _write(folder: Path, name: str, source: Source, mri: Volume, pet: Volume) -> Files:
    paths = (
        folder / "anat" / f"{name}_{source.anatomy}.nii.gz",
        folder / "pet" / f"{name}_trc-{source.tracer}_pet.nii.gz",
    )
    for path, volume in zip(paths, (mri, pet)):
        path.parent.mkdir(parents=True)
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    facts = {"Units": "arbitrary", "TracerName": source.tracer}
    side_car = paths[1].with_name(paths[1].name.replace(".nii.gz", ".json"))
    side_car.write_text(json.dumps(facts), encoding="utf-8")
    return paths


def _wrong(pet: Volume) -> np.ndarray:
    """What puts a PET that lies right beside its place."""
    center = (pet.ijk_to_ras @ np.append((np.array(pet.dimensions) - 1.0) / 2.0, 1.0))[:3]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix((WRONG_DEGREES, 0, 0))
    matrix[:3, 3] = center + WRONG_MM - matrix[:3, :3] @ center
    return matrix


def _write_transform(matrix: np.ndarray, path: Path) -> None:
    """As ITK has it: from a point of the MRI to the PET, LPS."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    lps = flip @ np.linalg.inv(matrix) @ flip
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    sitk.WriteTransform(transform, str(path))
