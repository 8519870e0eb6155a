"""Whole volumes, from arrays in memory to the fused image, its parts and its colors: time and memory."""

import time
from typing import List, Optional, Tuple

import numpy as np

from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.fusion.engine import fuse_slices
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_volume, fuse_volumes

from . import LAMBDA, PAPER, Section, Settings, heads, in_words
from .timing import MEGABYTE, interleaved, peak_resident_mb, resident_mb, summary, usable_cores

PAGE = 4096  # bytes
OPTIONS = FusionOptions(lam=LAMBDA)


def measure(settings: Settings) -> Section:
    """Synthetic heads (``size``, ``peak_extra_mb``), one pair by both networks, and on one and two cores."""
    section = Section()
    runner = runner_of(load_model(), LAMBDA, "cpu")
    # What is loaded on first use belongs to no volume.
    _run(runner, heads.synthetic((4, 64, 64)))
    _sizes(section, settings, runner)
    if settings.data:
        pair, name = heads.real(settings.data), "T1 and FDG of a patient"
    else:
        pair, name = heads.synthetic(settings.whole), "synthetic head"
    name += f", {in_words(pair[0].array.shape)}"
    times = interleaved(
        {
            "faithful": lambda: _run(runner, pair)[0],
            # Two volumes in, three volumes and colors out: what no way of fusing can do without.
            "copy": lambda: _copied(*(volume.array for volume in pair)),
        },
        max(settings.long_repeats, 3),
    )
    paper = runner_of(load_model(PAPER), LAMBDA, "cpu")
    times["paper"] = summary([_run(paper, pair)[0]])
    section.add(name, times["faithful"])
    section.add("its volumes copied", times["copy"], "MRI and PET read, three volumes and colors written")
    section.add("the same by the paper's network", times["paper"])
    if settings.device != "cpu":
        for label, model in (("it", load_model()), ("the paper's network", load_model(PAPER))):
            gpu = runner_of(model, LAMBDA, settings.device)
            _run(gpu, pair)
            seconds = [_run(gpu, pair)[0] for _ in range(settings.long_repeats)]
            section.add(f"{label} on {settings.device}", summary(seconds))
    section.figures["volume_seconds"] = times["faithful"]["median_s"]
    section.figures["volume_copies"] = times["faithful"]["median_s"] / times["copy"]["median_s"]
    section.figures["paper_volume_seconds"] = times["paper"]["median_s"]
    section.notes["volume_seconds"] = f"The {name}."
    _cores(section, settings, runner, heads.axial_images(*pair))
    return section


def _run(runner, pair) -> Tuple[float, Optional[float]]:
    """Seconds, and the megabytes above both inputs and the four outputs at the peak; None but on Linux."""
    table = jet_table()
    before = resident_mb()
    start = time.perf_counter()
    fusion = fuse_volumes(*pair, runner, OPTIONS)
    colored = color_volume(fusion, OPTIONS, table)
    seconds, peak = time.perf_counter() - start, peak_resident_mb()
    if before is None or peak is None:
        return seconds, None
    outputs = (fusion.fused, fusion.mri_part, fusion.pet_part, colored)
    return seconds, peak - before - _occupied_mb(outputs)


def _copied(mri: np.ndarray, pet: np.ndarray) -> None:
    """As many bytes as fusing must read and write."""
    for array in (mri, pet, mri):
        array.copy()
    np.empty((*mri.shape, 3), np.uint8).fill(1)


def _occupied_mb(arrays) -> float:
    """The memory that arrays take up: the system gives them none where nothing was ever written."""
    before = resident_mb()
    for array in arrays:
        # Writing to a page is what makes it exist.
        array.reshape(-1).view(np.uint8)[::PAGE] |= 0
    return sum(array.nbytes for array in arrays) / MEGABYTE - (resident_mb() - before)


def _sizes(section: Section, settings: Settings, runner) -> None:
    """In rounds over the sizes; the largest ones take part in the first round only."""
    found: List[List[Tuple[float, Optional[float]]]] = [[] for _ in settings.volumes]
    for number in range(settings.long_repeats):
        for shape, results in zip(settings.volumes, found):
            if number < settings.repeats_of(shape):
                results.append(_run(runner, heads.synthetic(shape)))
    for shape, results in zip(settings.volumes, found):
        extra = [megabytes for _, megabytes in results if megabytes is not None]
        peak = max(extra) if extra else None
        note = "" if peak is None else f"{peak:.0f} MB above the volumes"
        times = summary([seconds for seconds, _ in results])
        section.add(f"synthetic head, {in_words(shape)}", times, note, size=shape, peak_extra_mb=peak)
        if shape == settings.sliders:
            section.figures["mni_seconds"] = times["median_s"]
    if settings.sliders not in settings.volumes:
        section.cannot("This size was left out.", "mni_seconds")
    largest = section.rows[-1]
    section.figures["peak_extra_mb"] = largest["peak_extra_mb"]
    section.notes["peak_extra_mb"] = (
        "Only Linux tells the peak of the memory in use."
        if largest["peak_extra_mb"] is None
        else f"Of the {largest['what']}: peak, less inputs, fused volume, both parts and colors."
    )
    if len(section.rows) > 1:
        voxels, seconds = zip(*((np.prod(row["size"], dtype=float), row["median_s"]) for row in section.rows))
        section.figures["time_exponent"] = float(np.polyfit(np.log(voxels), np.log(seconds), 1)[0])
        section.notes["time_exponent"] = f"Up to the {largest['what']}."
    else:
        section.cannot("One size only.", "time_exponent")


def _cores(section: Section, settings: Settings, runner, images) -> None:
    """The slices of the pair with one worker, and with two."""
    if usable_cores() < 2:
        return section.cannot("This process may use one core only.", "core_scaling")
    times = interleaved(
        {count: lambda count=count: fuse_slices(runner, *images, workers=count) for count in (1, 2)},
        max(settings.long_repeats, 3),
        warm_up=1,
    )
    for count, row in times.items():
        note = f"{count} workers of one thread" if count > 1 else "1 worker of one thread"
        section.add("the fusion of this pair alone", row, note)
    section.figures["core_scaling"] = times[1]["median_s"] / times[2]["median_s"]
