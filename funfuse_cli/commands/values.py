"""``funfuse values``: what is in regions of a result, the PET on its own grid."""

import argparse
import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.metrics.regions import region_rows
from FunFuseSlicer.Logic.output_folder import REPORT, all_or_nothing
from FunFuseSlicer.Logic.scene.export import ENDINGS
from FunFuseSlicer.Logic.volumes.geometry import Volume
from FunFuseSlicer.Logic.volumes.regions import Regions, lie_on_pet
from FunFuseSlicer.Logic.volumes.units import KINDS, SUVR, scaled

from ..paths import input_path, output_path
from ..reading.options import frame_choice
from ..reading.reader import FORMATS, read, read_volume
from ..workflow import evaluation_report
from ..workflow.output_folder import add_overwrite, claim
from ..workflow.progress import ProgressBars
from ..workflow.provenance import checksum

WRITES = "values.csv"
# Images of a run that are measured on the MRI's grid.
ROLES = ("fused", "mri_part", "pet_part")


def main(arguments: List[str]) -> int:
    """Parse, measure, and show."""
    options = parser().parse_args(arguments)
    if options.out is None:
        rows = _measure(options)
    else:
        planned = claim([WRITES], options, options.run, options.pet, options.regions, options.names)
        with all_or_nothing(options.out, planned) as folder:
            rows = _measure(options)
            evaluation_report.write_csv(rows, folder / WRITES)
    print(_text(rows))
    if options.out is not None:
        print(f"\nvalues      {(options.out / WRITES).resolve()}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse values",
        description="Measure regions in what fuse made: voxels, volume, mean, SD, range and median of the "
        "PET on its own grid, before it was resampled, and of the fused image and its parts on the MRI's.",
        epilog=f"PET and regions may be: {FORMATS}.",
    )
    result.add_argument("run", type=input_path, metavar="RUN_FOLDER", help="folder that fuse wrote")
    result.add_argument("--pet", type=input_path, required=True, metavar="P", help="the PET that was fused")
    result.add_argument(
        "--regions",
        type=input_path,
        required=True,
        metavar="LABELMAP",
        help="image of whole numbers on any grid; 0 is outside of all regions. It is taken to lie on the "
        "PET, before registration, where its grid is that of the PET, else on the MRI",
    )
    result.add_argument(
        "--names",
        type=input_path,
        metavar="TABLE",
        help="names of the labels: CSV or TSV with the columns index and name, as BIDS has them (_dseg.tsv)",
    )
    result.add_argument("--out", type=output_path, metavar="DIR", help=f"folder for {WRITES}")
    add_overwrite(result)
    return result


def _measure(options) -> List[Dict[str, object]]:
    report = _report(options.run)
    names = {} if options.names is None else _names(options.names)
    labels = read_volume(options.regions)
    pet = _pet(options.pet, report)
    matrix = np.array(report["registration"]["matrix"], dtype=float)
    on_grid = {role.replace("_", " "): volume for role in ROLES if (volume := _image(options.run, role))}
    if not on_grid:
        raise InputError(
            f"{options.run}: there is no fused volume in it: run fuse with fused and parts among --outputs."
        )
    regions = Regions(labels, names, lie_on_pet(labels, next(iter(on_grid.values())), pet))
    with ProgressBars() as monitor:
        return list(region_rows([regions], pet, matrix, on_grid, monitor))


def _report(folder: Path) -> dict:
    """What a run says of itself.

    :raises InputError: there is none; names the folder.
    """
    path = Path(folder) / REPORT
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return {"inputs": report["inputs"], "registration": report["registration"], **report}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is missing or damaged: give a folder that fuse wrote.") from error


def _pet(path: Path, report: dict) -> Volume:
    """The PET that was fused, with the frames and in the unit that were chosen then.

    :raises InputError: it is another one.
    """
    inputs = report["inputs"]
    known = (report.get("provenance") or {}).get("inputs", {}).get("pet", {}).get("sha256")
    if known is not None and checksum(path)["sha256"] != known:
        raise InputError(f"{path} is not the PET that was fused there, which was {inputs.get('pet')}.")
    frame = inputs.get("frame")
    reading = read(path, None if frame is None else frame_choice(str(frame)), modalities=("PT", "NM"))
    for note in reading.notes:
        print(f"  note: {note}", file=sys.stderr)
    unit = inputs.get("pet_unit")
    if unit == SUVR:
        return scaled(reading.volume, 1.0 / report["reference"]["mean"], SUVR)
    return reading.in_unit(unit) if unit in KINDS and reading.volume.unit != unit else reading.volume


def _image(folder: Path, role: str) -> Optional[Volume]:
    paths = [Path(folder) / f"{role}{ending}" for ending in ENDINGS.values()]
    found = [path for path in paths if path.is_file()]
    return replace(read_volume(found[0]), name=role) if found else None


def _names(path: Path) -> Dict[int, str]:
    """Names by label.

    :raises InputError: it is no such table; names the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        head = text.partition("\n")[0]
        table = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=head.count))
        return {int(row["index"]): row["name"] for row in table}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no table of names: give CSV or TSV with the columns index and name."
        ) from error


def _text(rows: List[Dict[str, object]]) -> str:
    """The rows as lines of columns."""
    heads = [name for name in rows[0] if name != "label"]
    lines = [heads, *([_cell(row[name]) for name in heads] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    texts = sum(isinstance(rows[0][name], str) for name in heads)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def _cell(value) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
