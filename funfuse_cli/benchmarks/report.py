"""The benchmark's results as tables: what is promised and kept, all times, and the plot of volumes."""

import json
import math
from pathlib import Path
from typing import Dict

import numpy as np
import pandas as pd

from . import Section, in_words

# What the JSON file has in any case; None where a section was left out.
KEYS = (
    "authors_forward_ms",
    "authors_forward_backward_ms",
    "paper_ms",
    "paper_one_thread_ms",
    "fused_ms",
    "fused_parts_ms",
    "fused_parts_one_thread_ms",
    "fused_parts_pytorch_one_thread_ms",
    "volume_seconds",
    "volume_copies",
    "paper_volume_seconds",
    "mni_seconds",
    "core_scaling",
    "peak_extra_mb",
    "time_exponent",
    "frames_a_second",
    "volumes_a_second",
    "omega_ms",
    "rgb_copy_ms",
    "shown_slices_ms",
)
LEFT_OUT = "Its section was left out."

BACKWARD, ONE, TWO = "authors_forward_backward_ms", "fused_parts_one_thread_ms", "fused_parts_ms"

# What the program promises, for two cores of a processor: the value is a figure, or one divided by another.
PROMISES = pd.DataFrame(
    [
        ("times as fast as the paper's network, one thread", "paper_one_thread_ms", ONE, "≥", 18.0),
        ("a slice with parts: times as fast as the authors' forward + backward", BACKWARD, TWO, "≥", 30.0),
        ("paper's network: times as fast as the authors' forward + backward", BACKWARD, "paper_ms", "≥", 2.5),
        ("256×256×94 from arrays to colors, s", "volume_seconds", "", "≤", 1.5),
        ("197×233×189 from arrays to colors, s", "mni_seconds", "", "≤", 2.5),
        ("slices of a volume: times as fast on two cores as on one", "core_scaling", "", "≥", 1.6),
        ("time grows as voxels to the power", "time_exponent", "", "≤", 1.1),
        ("peak memory above the volumes, MB", "peak_extra_mb", "", "≤", 600),
        ("stream of slices 256×256, frames a second", "frames_a_second", "", "≥", 25.0),
        ("stream of PET volumes 128×128×63, volumes a second", "volumes_a_second", "", "≥", 1.0),
        ("Ω of a volume / plain copy of its RGB array", "omega_ms", "rgb_copy_ms", "≤", 3.0),
        ("shown slices repainted, ms", "shown_slices_ms", "", "≤", 5.0),
    ],
    columns=["what", "figure", "by", "sign", "wanted"],
)


def promises(figures: Dict[str, object], notes: Dict[str, str]) -> pd.DataFrame:
    """What is promised, and what was found: ``what``, ``sign``, ``wanted``, ``value``, ``kept`` and ``why``.

    :return: value and kept are None where a figure is missing, and then ``why`` has its note; else None.
    """
    rows = []
    for promise in PROMISES.itertuples():
        keys = [key for key in (promise.figure, promise.by) if key]
        missing = [key for key in keys if figures.get(key) is None]
        value = kept = None
        if not missing:
            value = float(figures[keys[0]] / (figures[keys[1]] if promise.by else 1))
            kept = value >= promise.wanted if promise.sign == "≥" else value <= promise.wanted
        why = notes.get(missing[0], LEFT_OUT) if missing else None
        rows.append((promise.what, promise.sign, promise.wanted, value, kept, why))
    return pd.DataFrame(rows, columns=["what", "sign", "wanted", "value", "kept", "why"], dtype=object)


def times(sections: Dict[str, Section]) -> pd.DataFrame:
    """All rows: ``section``, ``what``, median, fastest and slowest in ms, ``repeats``, ``note``.

    Synthetic heads have a ``size``, as in 512×512×400, and ``peak_extra_mb`` (NaN but on Linux), too.
    """
    rows = [{"section": name, **row} for name, section in sections.items() for row in section.rows]
    frame = pd.DataFrame(rows)
    for name in ("median", "fastest", "slowest"):
        frame[f"{name}_ms"] = 1000 * frame.pop(f"{name}_s")
    if "size" not in frame:
        frame = frame.assign(size=None, peak_extra_mb=math.nan)
    frame["size"] = frame["size"].map(in_words, na_action="ignore")
    frame["peak_extra_mb"] = frame.peak_extra_mb.astype(float)
    columns = ["section", "what", "median_ms", "fastest_ms", "slowest_ms", "repeats", "note"]
    return frame[[*columns, "size", "peak_extra_mb"]]


def on_screen(frame: pd.DataFrame, precision: str) -> str:
    """A table for the screen.

    :param precision: of numbers, such as ".1f".
    """
    cells = frame.astype(object).where(frame.notna(), None)
    return cells.to_markdown(index=False, tablefmt="simple", floatfmt=precision, missingval="")


def write_data(folder: Path, facts: Dict[str, object], kept: pd.DataFrame, rows: pd.DataFrame) -> None:
    """speed_machine.json, speed_promises.csv and speed_times.csv, as docs/data/README.md describes them.

    :param kept: see :func:`promises`; the values are written with four digits.
    :param rows: see :func:`times`; written to a tenth of a millisecond and a megabyte.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "speed_machine.json").write_text(text + "\n", encoding="utf-8")
    kept = kept.assign(value=kept.value.map("{:.4g}".format, na_action="ignore"))
    rows = rows.round(1).assign(peak_extra_mb=rows.peak_extra_mb.round().astype("Int64"))
    for name, frame in (("promises", kept), ("times", rows)):
        frame.to_csv(folder / f"speed_{name}.csv", index=False, encoding="utf-8", lineterminator="\n")


def plot_volumes(rows: pd.DataFrame, path: Path) -> None:
    """Seconds and peak memory against voxels, log-log, with a line of time proportional to voxels.

    :param rows: see :func:`times`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heads = rows[rows["size"].notna()]
    voxels = np.array([math.prod(map(int, size.split("×"))) for size in heads["size"]]) / 1e6
    seconds = heads.median_ms.to_numpy() / 1000
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    time_panel, memory_panel = figure.subplots(1, 2)
    time_panel.loglog(voxels, seconds, "o-", label="measured")
    rate = np.exp(np.mean(np.log(seconds / voxels)))
    time_panel.loglog(voxels, voxels * rate, ":", color="0.5", label="proportional to voxels")
    time_panel.set_ylabel("seconds")
    time_panel.legend()
    # Nothing is drawn where no memory was measured.
    memory_panel.semilogx(voxels, heads.peak_extra_mb, "s-", color="tab:orange")
    limit = PROMISES[PROMISES.figure == "peak_extra_mb"].wanted.item()
    memory_panel.axhline(limit, color="0.5", linestyle=":")
    memory_panel.set_ylim(bottom=0)
    memory_panel.set_ylabel("peak memory above the volumes, MB")
    for panel in (time_panel, memory_panel):
        panel.set_xticks(voxels, heads["size"], rotation=90, fontsize="small")
        panel.minorticks_off()
        panel.set_xlabel("voxels")
        panel.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
