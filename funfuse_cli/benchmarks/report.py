"""The benchmark's results for people: the table, the requirements, the page and its plot."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from . import BENCHMARKS, Section, in_words

# What the JSON file has in any case; None where a section was left out.
KEYS = (
    "authors_forward_ms",
    "authors_forward_backward_ms",
    "fused_ms",
    "fused_contributions_ms",
    "fused_bf16_ms",
    "fused_contributions_bf16_ms",
    "ceiling_fraction",
    "core_scaling",
    "omega_ms",
    "rgb_copy_ms",
    "shown_slices_ms",
    "volume_seconds",
    "peak_extra_mb",
    "time_exponent",
)
TIMES = ("median_s", "fastest_s", "slowest_s")
LEFT_OUT = "Its section was left out."


@dataclass(frozen=True)
class Requirement:
    """What the program promises, for two cores of a processor.

    :param key: of the figure, or the key of what is to be divided by ``by``.
    :param at_least: True when the value must reach ``wanted``, False when it must not exceed it.
    """

    what: str
    key: str
    wanted: float
    at_least: bool = True
    by: Optional[str] = None
    unit: str = ""

    def value(self, figures: Dict[str, object]) -> Optional[float]:
        """None when it could not be measured."""
        parts = [figures.get(key) for key in (self.key, self.by) if key]
        return None if None in parts else parts[0] / (parts[1] if self.by else 1.0)

    def kept(self, figures: Dict[str, object]) -> Optional[bool]:
        """Whether the figures keep it; None when they do not say."""
        value = self.value(figures)
        if value is None:
            return None
        return value >= self.wanted if self.at_least else value <= self.wanted

    def line(self, figures: Dict[str, object], notes: Dict[str, str]) -> str:
        """Such as "ratio 2.61, wanted >= 2.5, kept"."""
        kept, sign = self.kept(figures), ">=" if self.at_least else "<="
        wanted = f"wanted {sign} {self.wanted:g}{self.unit}"
        if kept is None:
            missing = [key for key in (self.key, self.by) if key and figures.get(key) is None]
            return f"not measured, {wanted}: {notes.get(missing[0], LEFT_OUT)}"
        word = "ratio " if self.by else ""
        return f"{word}{self.value(figures):.3g}{self.unit}, {wanted}, {'kept' if kept else 'missed'}"


REQUIREMENTS = (
    Requirement(
        "fused + contributions against the authors' forward + backward",
        "authors_forward_backward_ms",
        2.5,
        by="fused_contributions_ms",
    ),
    Requirement("the same in bfloat16", "authors_forward_backward_ms", 5.0, by="fused_contributions_bf16_ms"),
    Requirement("fused only against the authors' forward", "authors_forward_ms", 1.3, by="fused_ms"),
    Requirement("the same in bfloat16", "authors_forward_ms", 2.4, by="fused_bf16_ms"),
    Requirement("convolutions alone / convolutions in the engine", "ceiling_fraction", 0.85),
    Requirement("slices of a volume: two cores against one", "core_scaling", 1.8),
    Requirement("time grows as voxels to the power", "time_exponent", 1.1, at_least=False),
    Requirement("peak memory above the volumes", "peak_extra_mb", 1500, at_least=False, unit=" MB"),
    Requirement(
        "Ω of a volume against a plain copy of its RGB array",
        "omega_ms",
        3.0,
        at_least=False,
        by="rgb_copy_ms",
    ),
    Requirement("shown slices repainted", "shown_slices_ms", 5.0, at_least=False, unit=" ms"),
)


def row_text(row: dict) -> str:
    """One row of the table on the screen."""
    times = "".join(f"{1000 * row[key]:11.1f}" for key in TIMES)
    return f"  {row['what']:<62}{times}{row['repeats']:5d}  {row['note']}".rstrip()


def machine_text(facts: Dict[str, object]) -> str:
    """The computer in one sentence."""
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}, "
        f"PyTorch {facts['torch']} with {facts['threads']} threads, NumPy {facts['numpy']}"
    )


_HEADER = """\
# Speed

Written by `python3 funfuse.py benchmark --page docs/speed.md`, which measures all of this on any computer.
Here: {machine}.

Times are medians in milliseconds, with the fastest and the slowest repeat. What is compared ran in turns, in
one process.

## What is promised, and what was found

For two cores and float32, unless a line says otherwise.

| | |
|---|---|"""

_TEXTS = {
    "slices": """\
Milliseconds a slice of 256×256 without background.

- **Authors' network:** the paper's layers with batch normalization, biases and tanh, as PyTorch runs them:
  one slice at a time, all threads at it. *Forward* gives the fused image; *forward + backward* gives the
  gradients of equation (5), too. *Sum as rule 1* is what their notebook computes; the ratios above are with
  rule 1 as the paper prints it.
- **Fused, fused + contributions:** ours, as many slices at once as there are cores. The contributions are
  exact and need no backward pass.
- **Convolutions alone:** all convolutions of a slice, both lanes, and nothing else, on one thread: the part
  of the time that no arrangement of the rest can save. The matrix product shows what the processor can do
  at best.""",
    "volume": """\
From two arrays in memory to the fused volume, both parts and the colors; files and registration are not in
it. The synthetic head fills half of the box. *Above the volumes* is the peak of the memory in use, less both
inputs and the four results.

![Time and memory against the number of voxels]({plot})""",
    "sliders": """\
What one step of a slider costs. While a slider moves, only the shown slices are painted; the whole volume
follows when it rests. Making pictures of painted slices is Slicer's own work.""",
    "start-up": """\
Each in a process of its own. Slicer imports every module when it starts, so the module leaves PyTorch until
it is needed.""",
}


def page(facts: Dict[str, object], sections: Dict[str, Section], figures, notes, plot: str) -> str:
    """docs/speed.md, from all sections.

    :param plot: the picture of :func:`plot_volumes`, as the page links it.
    """
    lines = [_HEADER.format(machine=machine_text(facts))]
    lines += [f"| {requirement.what} | {requirement.line(figures, notes)} |" for requirement in REQUIREMENTS]
    for name, section in sections.items():
        lines += ["", f"## {BENCHMARKS[name][1]}", "", _TEXTS[name].format(plot=plot), ""]
        lines += ["| | median | fastest | slowest | repeats | |", "|---|---|---|---|---|---|"]
        for row in section.rows:
            times = " | ".join(f"{1000 * row[key]:.1f}" for key in TIMES)
            lines.append(f"| {row['what']} | {times} | {row['repeats']} | {row['note']} |")
        lines += [text for key, note in section.notes.items() for text in ("", f"`{key}`: {note}")]
    return "\n".join(lines) + "\n"


def plot_volumes(rows: List[dict], path: Path) -> None:
    """Seconds and peak memory against voxels, log-log, with a line of time proportional to voxels.

    :param rows: those with ``size``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    voxels = [math.prod(row["size"]) / 1e6 for row in rows]
    seconds = [row["median_s"] for row in rows]
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    time_panel, memory_panel = figure.subplots(1, 2)
    time_panel.loglog(voxels, seconds, "o-", label="measured")
    rate = float(np.exp(np.mean(np.log(np.divide(seconds, voxels)))))
    time_panel.loglog(voxels, np.multiply(voxels, rate), ":", color="0.5", label="proportional to voxels")
    time_panel.set_ylabel("seconds")
    time_panel.legend()
    memory = [(x, row["peak_extra_mb"]) for x, row in zip(voxels, rows) if row["peak_extra_mb"] is not None]
    if memory:
        memory_panel.semilogx(*zip(*memory), "s-", color="tab:orange")
    limit = next(requirement for requirement in REQUIREMENTS if requirement.key == "peak_extra_mb")
    memory_panel.axhline(limit.wanted, color="0.5", linestyle=":")
    memory_panel.set_ylim(bottom=0)
    memory_panel.set_ylabel("peak memory above the volumes, MB")
    for panel in (time_panel, memory_panel):
        panel.set_xticks(voxels, [in_words(row["size"]) for row in rows], rotation=20, fontsize="small")
        panel.minorticks_off()
        panel.set_xlabel("voxels")
        panel.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
