"""``funfuse.py study verdict``: how many wrong registrations are told, and right ones doubted."""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import List

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from FunFuseSlicer.Logic.errors import InputError, RegistrationError
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.registration import RegistrationOptions, register, simpleitk_engine
from FunFuseSlicer.Logic.registration.evidence import Evidence
from FunFuseSlicer.Logic.registration.judgement import DOUBT, GOOD, WRONG, Limits, judge
from FunFuseSlicer.Logic.registration.pair import MIDDLE_MM, ImagePair
from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix

from ..paths import input_path
from . import add_docs
from .registration_cases import mean_distance
from .verdict_cases import PAIRS, body

# A registration that puts the brain farther off than this is wrong, closer than that right.
WRONG_MM, RIGHT_MM = 5.0, 1.0
FAR_MM = (5.5, 5.5, 6.0, 6.0, 7.0, 7.0, 8.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 45.0, 70.0, 100.0)
CLOSE_MM = (0.4, 0.6, 0.8, 1.0)
SIZES = (0.88, 1.12)
# Whence the optimizer starts in search of a wrong place at which it stays.
ASTRAY_MM = (30.0, 60.0, 90.0)
PLACEMENTS = 20


def main(arguments: List[str]) -> int:
    """Measure, and write docs/data/verdict_*."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study verdict",
        description="Displace right registrations, let others go astray, and count what the verdict says.",
    )
    parser.add_argument(
        "--data", type=input_path, default=Path(), metavar="DIR", help="folder with 'volumes'"
    )
    add_docs(parser)
    parser.add_argument(
        "--pairs", nargs="+", choices=tuple(PAIRS), default=tuple(PAIRS), metavar="NAME", help="only these"
    )
    parser.add_argument(
        "--placements", type=int, default=PLACEMENTS, help="of a body PET, to be registered (default 20)"
    )
    options = parser.parse_args(arguments)
    volumes = options.data / "volumes"
    if not volumes.is_dir():
        raise InputError(f"{options.data} has no folder 'volumes': give the data folder.")
    places: List[dict] = []
    for name in options.pairs:
        places += judged(name, volumes)
        print(f"{name}: {len(places)} places", flush=True)
    bodies = [placed(seed) for seed in range(1, options.placements + 1)]
    write(pd.DataFrame(places), pd.DataFrame(bodies), options.docs)
    return 0


def judged(name: str, volumes: Path) -> List[dict]:
    """A pair at its right place, close to it, far from it, and where an optimizer went astray."""
    make, held_out = PAIRS[name]
    pair = make(volumes)
    images, options = ImagePair(pair.mri, pair.pet), RegistrationOptions(stages=("rigid",))
    found = simpleitk_engine.run(images, options, Monitor())[0].matrix
    right = found if mean_distance(found, pair.nominal, pair.points) < WRONG_MM else pair.nominal
    center = pair.points.mean(axis=0)
    rng = np.random.default_rng(len(name))
    places = [("registered", found)]
    places += [("close", away(rng, mm, pair.points) @ right) for mm in CLOSE_MM]
    places += [("displaced", away(rng, mm, pair.points) @ right) for mm in FAR_MM]
    for size in SIZES:
        change = np.diag([size] * 3 + [1.0])
        change[:3, 3] = (1.0 - size) * center
        places.append(("size", change @ right))
    middle = images.at(MIDDLE_MM)
    for mm in ASTRAY_MM:
        start = away(rng, mm, pair.points) @ right
        try:
            end = simpleitk_engine.improve_rigid(*middle, start, options, lambda part: None)
        except RuntimeError:  # the images lost each other
            continue
        places.append(("astray", end))
    return [
        {
            "pair": name,
            "held_out": held_out,
            "kind": kind,
            "error_mm": mean_distance(matrix, right, pair.points),
            "nominal_mm": mean_distance(matrix, pair.nominal, pair.points),
            **_said(images.evidence(matrix), matrix),
        }
        for kind, matrix in places
    ]


def _said(evidence: Evidence, matrix: np.ndarray) -> dict:
    facts = {**evidence.facts(), "strain": strain(evidence), "judgement": judge(matrix, evidence)[0]}
    parts = evidence.parts_mm.values()
    facts.update(part_mm=max(parts), parts_mm=float(np.median(list(parts))))
    return facts


def strain(evidence: Evidence, limits: Limits = DOUBT) -> float:
    """The largest share of a limit that evidence reaches; above 1 a place is doubted."""
    parts = list(evidence.parts_mm.values())
    shares = [
        limits.covered / max(evidence.covered, 1e-6),
        limits.information / max(evidence.information, 1e-6),
        limits.outline / max(evidence.outline, 1e-6),
        evidence.offset_mm / limits.offset_mm,
        evidence.size_mm / limits.size_mm,
        max(parts) / limits.part_mm,
        float(np.median(parts)) / limits.parts_mm,
    ]
    return min(max(shares), 100.0)


def away(rng: np.random.Generator, millimeters: float, points: np.ndarray) -> np.ndarray:
    """A random turn and shift that moves points by so much in the mean."""
    turn, shift, part = rng.normal(size=3), rng.normal(size=3), rng.uniform()
    turn *= 1.2 * part * millimeters / np.linalg.norm(turn)
    shift *= 1.5 * (1.0 - part) * millimeters / np.linalg.norm(shift)
    center = points.mean(axis=0)

    def motion(scale: float) -> np.ndarray:
        matrix = np.eye(4)
        matrix[:3, :3] = rotation_matrix(np.clip(scale * turn, -170.0, 170.0))
        matrix[:3, 3] = center + scale * shift - matrix[:3, :3] @ center
        return matrix

    low, high = 0.0, 6.0
    for _ in range(30):
        middle = (low + high) / 2.0
        if mean_distance(motion(middle), np.eye(4), points) < millimeters:
            low = middle
        else:
            high = middle
    return motion(high)


def placed(seed: int) -> dict:
    """One registration of a body."""
    pair, began, cpu = body(seed), time.perf_counter(), time.process_time()
    record: dict = {"seed": seed}
    try:
        result = register(pair.mri, pair.pet)
        error = mean_distance(result.matrix, pair.nominal, pair.points)
        record.update(outcome=result.judgement, error_mm=error)
    except RegistrationError as error:
        record.update(outcome="refused", message=str(error))
    record.update(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu)
    print("body", record, flush=True)
    return record


def write(places: pd.DataFrame, bodies: pd.DataFrame, docs: Path) -> None:
    """Tables, the facts that the page names, and the curve."""
    for folder in ("data", "images"):
        (docs / folder).mkdir(parents=True, exist_ok=True)
    for name, table in (("places", places), ("bodies", bodies)):
        table.round(4).to_csv(docs / "data" / f"verdict_{name}.csv", index=False, lineterminator="\n")
    curve = roc(places)
    curve.round(4).to_csv(docs / "data" / "verdict_roc.csv", index=False, lineterminator="\n")
    summary = summed(places).round(4)
    summary.to_csv(docs / "data" / "verdict_summary.csv", index=False, lineterminator="\n")
    facts = {"doubt": asdict(DOUBT), "wrong_mm": WRONG_MM, "right_mm": RIGHT_MM}
    text = json.dumps(facts, indent=1) + "\n"
    (docs / "data" / "verdict_facts.json").write_text(text, encoding="utf-8")
    plot(places, docs / "images" / "verdict_roc.png")


def truly(places: pd.DataFrame) -> pd.Series:
    """True for wrong, False for right places, NA for those between."""
    far = places.error_mm > WRONG_MM
    return far.where(far | (places.error_mm <= RIGHT_MM) | (places.kind == "registered"))


def summed(places: pd.DataFrame) -> pd.DataFrame:
    """How many wrong places are told and how many right ones doubted, without and with what was held out."""
    rows = []
    for held_out, group in places.groupby("held_out"):
        wrong, right = (group[truly(group) == value] for value in (True, False))
        others = wrong[wrong.kind != "size"]
        for name, some in (("", others), (", another size", wrong[wrong.kind == "size"])):
            rows.append(
                {
                    "pairs": ("second group" if held_out else "first group") + name,
                    "wrong": len(some),
                    "told": 100.0 * (some.judgement != GOOD).mean(),
                    "called_wrong": 100.0 * (some.judgement == WRONG).mean(),
                    "right": len(right),
                    "doubted": 100.0 * (right.judgement != GOOD).mean(),
                }
            )
    return pd.DataFrame(rows)


def roc(places: pd.DataFrame) -> pd.DataFrame:
    """Told wrong ones, other sizes apart, and false alarms, in %, of both groups, for each threshold."""
    rows = []
    for held_out, group in places[places.kind != "size"].groupby("held_out"):
        wrong = truly(group)
        strains = group.strain.to_numpy()
        for limit in np.unique(np.concatenate([[0.0, 1.0], strains])):
            told = strains > limit
            rows.append(
                {
                    "held_out": held_out,
                    "strain": limit,
                    "told": 100.0 * told[(wrong == True).to_numpy()].mean(),  # noqa: E712 (NA is neither)
                    "false_alarms": 100.0 * told[(wrong == False).to_numpy()].mean(),  # noqa: E712
                }
            )
    return pd.DataFrame(rows)


def plot(places: pd.DataFrame, path: Path) -> None:
    """The curve of both groups, with the threshold in use."""
    figure = Figure(figsize=(6.0, 4.6), layout="constrained")
    panel = figure.subplots()
    for held_out, group in roc(places).groupby("held_out"):
        wrong = truly(places[(places.held_out == held_out) & (places.kind != "size")])
        counts = f"{int((wrong == True).sum())} wrong, {int((wrong == False).sum())} right"  # noqa: E712
        label = f"{'second' if held_out else 'first'} group: {counts}"
        ordered = group.sort_values("strain", ascending=False)
        (line,) = panel.step(ordered.false_alarms, ordered.told, where="post", lw=2, label=label)
        used = ordered[ordered.strain == 1.0].iloc[0]
        panel.plot(used.false_alarms, used.told, "o", color=line.get_color(), ms=8)
    panel.set(xlabel="right registrations doubted [%]", ylabel="wrong registrations told [%]")
    panel.set(xlim=(-1, 40), ylim=(80, 101))
    panel.grid(alpha=0.3)
    panel.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)
