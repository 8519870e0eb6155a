"""``funfuse demo``: the whole way on a real pair, with an error that can be measured."""

import argparse
import time
from pathlib import Path
from typing import List

import numpy as np

from FunFuseSlicer.Logic.output_folder import all_or_nothing
from FunFuseSlicer.Logic.volumes.geometry import Volume

from ..paths import output_path
from ..reading.reader import read_volume
from ..workflow.demo_data import FDG, T1, fetch_pair
from ..workflow.output_folder import VOLUMES, add_overwrite, claim, contents
from ..workflow.progress import ProgressBars, count
from ..workflow.provenance import provenance

# The PET is turned by these angles (degrees, about x, y, z) and shifted by these millimeters (RAS), so
# that the registration has work to do whose answer is known.
ANGLES = (8.0, -6.0, 12.0)
SHIFT = (25.0, -18.0, 30.0)


def main(arguments: List[str]) -> int:
    """Fetch, displace, fuse, write demo-output, and say what was found."""
    parser = argparse.ArgumentParser(
        prog="funfuse demo",
        description="Fetch a real MRI and PET, displace the PET by a known motion, register and fuse them, "
        "and tell how far the registration is from the truth. For research use, not for diagnosis.",
    )
    parser.add_argument(
        "--out",
        type=output_path,
        default="demo-output",
        metavar="DIR",
        help="folder for the results (%(default)s)",
    )
    add_overwrite(parser)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    print("FunFuse demo. For research use, not for diagnosis. The images are:")
    for image in (T1, FDG):
        print(f"  {image.what}\n    license: {image.license}")
    with all_or_nothing(options.out, claim(VOLUMES, options)) as folder, ProgressBars() as monitor:
        mri_path, pet_path = fetch_pair()
        report = _run(mri_path, pet_path, arguments, folder, monitor, start)
    _summary(report, Path(options.out))
    return 0


def rigid(angles, shift) -> np.ndarray:
    """4×4: rotation about x, then y, then z (degrees), then translation (mm)."""
    matrix = np.eye(4)
    for axis, degrees in enumerate(angles):
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turn = np.eye(4)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[first, first] = turn[second, second] = cosine
        turn[first, second], turn[second, first] = -sine, sine
        matrix = turn @ matrix
    matrix[:3, 3] = shift
    return matrix


def distance_over(mask: Volume, matrix: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance in mm between where two transforms put the points of a mask (fixed space).

    :param matrix: 4×4 in RAS, moving to fixed; ``truth`` likewise.
    """
    k, j, i = np.nonzero(mask.array)
    points = mask.ijk_to_ras @ np.stack([i, j, k, np.ones(len(i))])
    return float(np.linalg.norm((matrix @ np.linalg.inv(truth) @ points - points)[:3], axis=0).mean())


def _run(mri_path: Path, pet_path: Path, arguments: List[str], folder: Path, monitor, started: float) -> dict:
    from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
    from FunFuseSlicer.Logic.registration import RegistrationOptions

    from ..workflow.run import Request, run_request

    mri, pet = read_volume(mri_path), read_volume(pet_path)
    displacement = rigid(ANGLES, SHIFT)
    moved = Volume(pet.array, displacement @ pet.ijk_to_ras, "FDG")
    brain = mri.with_array((mri.array > 0).astype(np.uint8), "brain")
    inputs = {
        "mri": mri_path.name,
        "pet": pet_path.name,
        "mask": "where the skull-stripped MRI is not 0",
        "pet_displaced_by": displacement.tolist(),
    }
    request = Request(
        mri.with_array(mri.array, "T1"),
        moved,
        FusionOptions(),
        RegistrationOptions(),
        inputs,
        brain,
        started=started,
        provenance=provenance("demo", arguments, {"mri": mri_path, "pet": pet_path}),
    )

    def error(run) -> dict:
        found = run.registration.matrix
        return {"registration_error_mm": distance_over(brain, found, np.linalg.inv(displacement))}

    return run_request(request, folder, monitor, error)


def _summary(report: dict, out: Path) -> None:
    registration, fusion = report["registration"], report["fusion"]
    print(f"registration  {registration['method']}, {registration['seconds']:.1f} s")
    print(f"              {report['registration_error_mm']:.2f} mm from the truth (mean over the brain)")
    print(
        f"fusion        {count(fusion['slices'], 'slice')} on {fusion['device']}, {fusion['seconds']:.1f} s"
    )
    print(f"completeness  |MRI part + PET part - fused| <= {report['completeness']:.1e}")
    print(f"total         {report['seconds']['total']:.1f} s")
    print(f"look at       {(out / 'preview.png').resolve()}")
    print(f"              {(out / 'report.html').resolve()} in a browser")
    print(f"open          {(out / 'scene.mrb').resolve()} in 3D Slicer")
    print("written")
    for line in contents(report, out):
        print(f"  {line}")
