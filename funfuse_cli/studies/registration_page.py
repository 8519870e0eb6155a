"""docs/registration.md from the table of registrations: what was asked for, what came out, what failed."""

import os
import platform
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.registration.plausibility import decompose
from FunFuseSlicer.Logic.registration.preparation import prepare
from FunFuseSlicer.Logic.registration.selection import JUDGE_MM

from ..benchmarks.timing import processor
from . import registration_cases as cases
from .registration import Row, numbers
from .registration_plots import plot_errors, plot_template

_METHOD = """## How it is done

- **Engines.** In Slicer the module General Registration (BRAINS): rigid from the centers of mass (then the
  centers of the volumes, then of the heads, when the result is not plausible), then scale and affine from
  there. Elsewhere SimpleITK: five of several hundred starts, chosen by mutual information at 8 mm, then 4 and
  2 mm; the same bits in every run.
- **Choice.** The rigid result stays unless another one is plausible and explains at least 10 % more of the
  same voxels.
- **Plausible** means: the determinant is positive, no direction is scaled beyond 0.8 to 1.25, shear is at
  most 0.15, and 60 % of the smaller head lie in the other. What is not plausible is shown, and not applied by
  itself.
- **Mutual information** is measured at random places within the voxels: on the voxels themselves, a pair on
  one grid would look best where it lies.
- **Known truth.** FDG simulated from the tissue maps of the ICBM152 2009a T1: uptake of gray to white matter
  {gray:g} : {white:g}, {psf:g} mm resolution, Poisson noise at {counts:g} counts a voxel of gray matter,
  voxels of {spacing} mm; head, noise and sampling lie otherwise each time.
- **Patients.** Displaced by their headers. Their nominal alignment is good to a few millimeters only, so that
  agreement with the result for the undisplaced pair is what counts.
"""

# Further from right than this, and not doubted, is a failure reported as good.
FAILED_MM = {"simulated": 3.0, "fdg": 5.0, "spect": 8.0}
SPECT_LIMIT_MM = 2.5


@dataclass(frozen=True)
class Errors:
    """The errors of one kind of pair by one engine, in millimeters, one for each displacement.

    :param known: against what is right by construction, or nominally.
    :param self_consistent: against the result for the pair that was not displaced, composed with the
        displacement; empty when that result is missing.
    :param rows: in the same order; only those with a result.
    :param all_rows: those without a result, too.
    """

    known: np.ndarray
    self_consistent: np.ndarray
    rows: List[Row]
    all_rows: List[Row]


def write_page(rows: List[Row], data: Path, page: Path) -> None:
    """Write the page, and its pictures into the folder ``images`` beside it."""
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    errors = measured_errors(rows, data)
    lines = ["# Registration: evidence", ""]
    lines += _introduction(rows)
    lines += _summary(rows, errors)
    if errors:
        plot_errors(
            {key: _shown(key, value) for key, value in errors.items()}, images / "registration_errors.png"
        )
        lines += _error_plot()
    lines += _template(rows, data, images)
    lines += _time(rows)
    lines += _headers(rows)
    lines += _refused(rows)
    lines += _wrong(errors)
    lines += _method()
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def measured_errors(rows: List[Row], data: Path) -> Dict[Tuple[str, str], Errors]:
    """By family and engine: how far each result is from what is right."""
    groups: Dict[Tuple[str, str], List[Row]] = defaultdict(list)
    for row in rows:
        if row.family in ("simulated", "fdg", "spect"):
            groups[row.family, row.engine].append(row)
    points: Dict[Tuple[str, str], np.ndarray] = {}
    found: Dict[Tuple[str, str], Errors] = {}
    for (family, engine), group in groups.items():
        first = {row.case: row.found() for row in group if row.seed == 0}
        displaced = sorted((row for row in group if row.seed > 0), key=lambda row: (row.case, row.seed))
        known, consistent, kept = [], [], []
        for row in displaced:
            if row.found() is None:
                continue
            if (family, row.case) not in points:
                points[family, row.case] = _points(family, row.case, data)
            where, expected = points[family, row.case], numbers(row.expected)
            kept.append(row)
            known.append(cases.mean_distance(row.found(), expected, where))
            if first.get(row.case) is not None:
                consistent.append(cases.mean_distance(row.found(), first[row.case] @ expected, where))
        if len(consistent) != len(known):
            consistent = []
        if displaced:
            found[family, engine] = Errors(np.array(known), np.array(consistent), kept, displaced)
    return found


def _points(family: str, case: str, data: Path) -> np.ndarray:
    return cases.cases()[family + case](data, 0).points


def _introduction(rows: List[Row]) -> List[str]:
    return [
        "How well FunFuse finds where a PET lies on an MRI. This page and its pictures are written by one "
        "command from its own measurements; do not edit them by hand.",
        "",
        "```",
        "python3 funfuse.py study registration --data DATA_FOLDER --out RESULTS",
        "```",
        "",
        f"Measured on {_machine()}, {len(rows)} registrations, one process thread each. Errors are mean "
        "distances over the brain (or over the voxels with clear uptake) between where the result and the "
        "right transform put the same tissue. Displacements are rigid: three angles within ±20° and three "
        "shifts within ±40 mm, evenly drawn.",
        "",
    ]


def _summary(rows: List[Row], errors: Dict[Tuple[str, str], Errors]) -> List[str]:
    lines = [
        "## What was asked for, and what came out",
        "",
        "| | asked for | measured | |",
        "|---|---|---|---|",
    ]
    for (family, engine), found in errors.items():
        total = len(found.all_rows)
        name = {"simulated": "Known truth", "fdg": "Patient, FDG", "spect": "Five patients, SPECT"}[family]
        name += f"; {engine}, {total} displacements"
        if family == "simulated":
            part = _part(found.known, 1.0, total)
            median = _median(found.known)
            lines += [
                _line(name, "error ≤ 1.0 mm in ≥ 98 %", f"{_percent(part)}", part >= 0.98),
                _line("", "median ≤ 0.5 mm", f"{median:.2f} mm", median <= 0.5),
            ]
        elif family == "fdg":
            if len(found.self_consistent):
                part, median = _part(found.self_consistent, 2.0, total), _median(found.self_consistent)
                lines += [
                    _line(
                        name,
                        "agrees with the undisplaced result: median ≤ 0.7 mm",
                        f"{median:.2f} mm",
                        median <= 0.7,
                    ),
                    _line("", "≤ 2 mm in 98 %", _percent(part), part >= 0.98),
                ]
            part, worst = _part(found.known, 3.0, total), _largest(found.known)
            lines.append(
                _line(
                    "",
                    "within 3 mm of the nominal alignment",
                    f"{_percent(part)}, worst {worst:.2f} mm",
                    part == 1.0,
                )
            )
        elif len(found.self_consistent):
            part = _part(found.self_consistent, SPECT_LIMIT_MM, total)
            text = f"{_percent(part)}, median {_median(found.self_consistent):.2f} mm"
            nominal = f"median {_median(found.known):.2f} mm, worst {_largest(found.known):.2f} mm"
            lines += [
                _line(name, "agrees with the undisplaced result: ≤ 2.5 mm in ≥ 95 %", text, part >= 0.95),
                f"| | distance from the nominal alignment (itself inexact) | {nominal} | |",
            ]
    if errors:
        wrong = _reported_as_good(errors)
        lines.append(_line("No failure is reported as good", "0", str(len(wrong)), not wrong))
    scanner = [row for row in rows if row.family == "scanner" and row.engine == "SimpleITK"]
    for row in scanner:
        # One thread computes: its processor time is what the clock shows on an idle computer.
        text = f"{row.cpu_seconds:.1f} s of one core (by the clock {row.seconds:.1f} s, as busy as it was)"
        lines.append(
            _line("One registration of the FDG patient", "≤ 20 s on two cores", text, row.cpu_seconds <= 20.0)
        )
    refused = [row for row in rows if row.family == "refused"]
    if refused:
        good = sum(row.outcome == "refused" for row in refused)
        lines.append(
            _line(
                "Volumes that cannot be registered",
                "a clear error",
                f"{good} of {len(refused)}",
                good == len(refused),
            )
        )
    return [*lines, ""]


def _line(what: str, asked: str, measured: str, is_met: bool) -> str:
    return f"| {what} | {asked} | {measured} | {'met' if is_met else '**not met**'} |"


def _error_plot() -> List[str]:
    return [
        "![part of the registrations below an error](images/registration_errors.png)",
        "",
        "*Part of all registrations whose error is below the value on the horizontal axis. A curve that ends "
        "below 100 % belongs to registrations that were refused.*",
        "",
    ]


def _shown(key: Tuple[str, str], errors: Errors) -> Tuple[np.ndarray, int]:
    """The errors that the plot shows, and of how many registrations."""
    values = (
        errors.known if key[0] == "simulated" or not len(errors.self_consistent) else errors.self_consistent
    )
    return values, len(errors.all_rows)


def _template(rows: List[Row], data: Path, images: Path) -> List[str]:
    found = {row.case: row for row in rows if row.family == "template" and row.found() is not None}
    if set(found) != {"rigid", "affine"}:
        return []
    mri, pet = cases.template(data)
    plot_template(
        mri, pet, {name: row.found() for name, row in found.items()}, images / "registration_template.png"
    )
    fixed, moving = prepare(mri, JUDGE_MM), prepare(pet, JUDGE_MM)
    lines = ["## A head of another size", ""]
    lines += ["An FDG template of normals on the ICBM152 T1, whose head is larger.", ""]
    lines += [
        "| | mutual information | brain masks: Dice overlap | scale along R, A, S |",
        "|---|---:|---:|---|",
    ]
    lines.append(f"| as given | {found['rigid'].before:.3f} | {dice(fixed, moving, np.eye(4)):.3f} | |")
    for name, row in found.items():
        scale = ", ".join(f"{s:.3f}" for s in decompose(row.found()).scale)
        lines.append(f"| {name} | {row.after:.3f} | {dice(fixed, moving, row.found()):.3f} | {scale} |")
    lines += [
        "",
        f"What the user reads: “{found['affine'].message}”",
        "",
        "![edges of the MRI over the PET](images/registration_template.png)",
        "",
        "*Edges of the ICBM152 T1 over the FDG template, and both as a checkerboard: as given, rigid, "
        "affine. T1: © 1993–2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological "
        "Institute, McGill University. FDG: "
        "[Chinese-Brain-PET-Template](https://github.com/DlutMedimgGroup/Chinese-Brain-PET-Template), MIT "
        "license.*",
        "",
    ]
    return lines


def dice(fixed, moving, matrix: np.ndarray) -> float:
    """Dice overlap of the masks of two working images under a matrix (RAS, moving to fixed)."""
    inverse = np.linalg.inv(matrix)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(inverse[:3, :3].ravel().tolist())
    transform.SetTranslation(inverse[:3, 3].tolist())
    moved = sitk.Resample(moving.mask, fixed.mask, transform, sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8)
    first, second = (sitk.GetArrayViewFromImage(mask) > 0 for mask in (fixed.mask, moved))
    # All of the moving head counts, also what lies outside of the fixed volume.
    volume = float((sitk.GetArrayViewFromImage(moving.mask) > 0).sum()) * abs(np.linalg.det(matrix[:3, :3]))
    return float(2.0 * (first & second).sum() / (first.sum() + volume))


def _time(rows: List[Row]) -> List[str]:
    scanner = [row for row in rows if row.family == "scanner"]
    lines = ["## Time and memory", ""]
    lines += [
        "| | engine | wall clock | processor time | memory of the process |",
        "|---|---|---:|---:|---:|",
    ]
    for row in scanner:
        memory = f"{row.memory_mb:.0f} MB" if row.memory_mb else "not known"
        lines.append(
            f"| patient, FDG on a scanner's grid | {row.engine} | {row.seconds:.1f} s "
            f"| {row.cpu_seconds:.1f} s | {memory} |"
        )
    for family in ("simulated", "fdg", "spect"):
        for engine in sorted({row.engine for row in rows if row.family == family}):
            group = [row for row in rows if row.family == family and row.engine == engine]
            # By the clock they tell how many ran at once, and what else did.
            cpu = np.median([row.cpu_seconds for row in group])
            lines.append(f"| {family}, median of {len(group)} | {engine} | – | {cpu:.1f} s | |")
    lines.append("")
    if not any(row.engine == "BRAINS" for row in rows):
        lines += [
            "No BRAINSFit was on this machine, so nothing here compares with it. With one (environment "
            "variable FUNFUSE_BRAINSFIT, PATH or a Slicer) the same command measures it beside SimpleITK.",
            "",
        ]
    return lines


def _headers(rows: List[Row]) -> List[str]:
    group = [row for row in rows if row.family == "headers"]
    if not group:
        return []
    by_flip: Dict[str, List[Row]] = defaultdict(list)
    for row in group:
        by_flip[row.case.split(", ")[1]].append(row)
    lines = ["## Headers that lie", ""]
    lines += [
        "The patients' PET or SPECT, displaced and turned over by its header. Nothing is corrected. An "
        "error means that no result is applied; a warning, that it says to check left and right first.",
        "",
        "| header | pairs | error | warning | reported as good |",
        "|---|---:|---:|---:|---:|",
    ]
    for flip, some in by_flip.items():
        counts = [sum(row.outcome == outcome for row in some) for outcome in ("refused", "doubted", "good")]
        lines.append(f"| {flip} | {len(some)} | {counts[0]} | {counts[1]} | {counts[2]} |")
    right = [row for row in rows if row.family in ("simulated", "fdg", "spect", "scanner")]
    false = [row for row in right if row.outcome == "doubted" or "header of" in row.message]
    lines += ["", f"False alarms: {len(false)} of {len(right)} pairs whose headers are right.", ""]
    missed = [row for row in group if row.outcome == "good"]
    lines += [f"- missed: {row.case}" for row in missed]
    lines += [
        "",
        "A brain whose halves are alike cannot be told from its mirror image: the simulated pair, made from "
        "a symmetric template, is beyond this check.",
        "",
    ]
    return lines


def _refused(rows: List[Row]) -> List[str]:
    group = [row for row in rows if row.family == "refused"]
    if not group:
        return []
    lines = ["## Volumes that cannot be registered", ""]
    return [*lines, *[f"- {row.case}: “{row.message or row.outcome}”" for row in group], ""]


def _wrong(errors: Dict[Tuple[str, str], Errors]) -> List[str]:
    if not errors:
        return []
    lines = ["## Wrong results", ""]
    listed = 0
    for (family, _), found in errors.items():
        for row in found.all_rows:
            if row.found() is None:
                listed += 1
                lines.append(f"- {_name(row)}: {row.outcome}, “{row.message}”")
        values = _judged(family, found)
        for row, value in zip(found.rows, values):
            if value > _limit(family):
                listed += 1
                lines.append(f"- {_name(row)}: off by {value:.2f} mm, reported as {row.outcome}")
    if not listed:
        lines.append("None: every displaced pair had a result, and each within the limit of its kind.")
    names = {"simulated": "known truth", "fdg": "FDG", "spect": "SPECT"}
    limits = ", ".join(f"{_limit(family):g} mm ({name})" for family, name in names.items())
    return [*lines, "", f"Limits of this list: {limits}.", ""]


def _name(row: Row) -> str:
    return f"{row.family}{' ' + row.case if row.case else ''}, displacement {row.seed}, {row.engine}"


def _limit(family: str) -> float:
    return {"simulated": 1.0, "fdg": 2.0, "spect": SPECT_LIMIT_MM}[family]


def _judged(family: str, found: Errors) -> np.ndarray:
    if family == "simulated" or not len(found.self_consistent):
        return found.known
    return found.self_consistent


def _reported_as_good(errors: Dict[Tuple[str, str], Errors]) -> List[Row]:
    return [
        row
        for (family, _), found in errors.items()
        for row, value in zip(found.rows, found.known)
        if value > FAILED_MM[family] and row.outcome == "good"
    ]


def _method() -> List[str]:
    spacing = " × ".join(f"{s:g}" for s in cases.SCANNER_SPACING)
    return _METHOD.format(
        gray=cases.UPTAKE_GRAY,
        white=cases.UPTAKE_WHITE,
        psf=cases.PSF_FWHM_MM,
        counts=cases.COUNTS_IN_GRAY,
        spacing=spacing,
    ).splitlines()


def _part(values: np.ndarray, limit: float, total: int) -> float:
    """Which part of all registrations, those without a result among them, is within the limit."""
    return float((values <= limit).sum()) / max(1, total)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _largest(values: np.ndarray) -> float:
    return float(values.max()) if len(values) else float("nan")


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %".replace(".0 %", " %")


def _machine() -> str:
    return (
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SimpleITK {sitk.Version.VersionString()}"
    )
