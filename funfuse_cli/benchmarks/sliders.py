"""The live sliders: the shown slices of three views, and the whole volume, without the network."""

import time
from dataclasses import replace
from typing import Tuple

import numpy as np

from ..headless.boot import boot
from . import Section, Settings, in_words
from .heads import synthetic
from .timing import interleaved

MAPS = ("Jet", "PET-Heat")


def measure(settings: Settings) -> Section:
    """What Ω, balance and color map cost, each with all else as it was, and a plain copy to compare with."""
    slicer = boot()
    from FunFuseSlicer.Logic.scene import views
    from FunFuseSlicer.Logic.scene.live_colors import LiveColors, Look

    slicer.mrmlScene.Clear(False)
    nodes = _nodes(slicer, settings.sliders)
    views.show_overlay(nodes["mri"], nodes["colored"])
    live, logics = LiveColors(), views.shown_logics(nodes["colored"])
    live.use(nodes)
    start_look = Look(0.6, 0.5, "contribution", MAPS[0])
    changes = {
        "Ω": lambda value: {"omega": value},
        "balance": lambda value: {"balance": value},
        "color map": lambda value: {"colormap": MAPS[1]},
    }

    def pictures():
        for logic in logics:
            logic.GetImageDataConnection().GetProducer().Update()

    def shown(look):
        live.paint_shown(look)

    def shown_with_pictures(look):
        live.paint_shown(look)
        pictures()

    def whole(look):
        for _ in live.paint_all(look):
            pass

    def dragged(paint, change):
        step = 0

        def run() -> float:
            nonlocal step
            step = (step + 1) % 10
            # As in the middle of a drag: what Ω needs is there, and the step before was painted.
            for _ in live.get_ready(start_look):
                pass
            paint(start_look)
            pictures()
            # From 0.05 to 0.95: never the value of the start.
            look = replace(start_look, **change(step / 10 + 0.05))
            start = time.perf_counter()
            paint(look)
            return time.perf_counter() - start

        return run

    where = f"shown slices of {len(logics)} views"
    ways = {where: shown, f"{where} with their pictures": shown_with_pictures, "whole volume": whole}
    actions = {
        f"{name}, {how}": dragged(paint, change)
        for how, paint in ways.items()
        for name, change in changes.items()
    }
    copy = "plain copy of the RGB volume"
    actions[copy] = slicer.util.arrayFromVolume(nodes["colored"]).copy
    times = interleaved(actions, settings.repeats, warm_up=2)
    slicer.mrmlScene.Clear(False)
    section = Section()
    for what, row in times.items():
        section.add(what, row, "" if "shown" in what else in_words(settings.sliders))
    section.figures = {
        "omega_ms": 1000 * times["Ω, whole volume"]["median_s"],
        "rgb_copy_ms": 1000 * times[copy]["median_s"],
        "shown_slices_ms": 1000 * times[f"Ω, {where}"]["median_s"],
        "shown_slices_with_pictures_ms": 1000 * times[f"Ω, {where} with their pictures"]["median_s"],
    }
    section.notes["shown_slices_ms"] = "Painting alone; making the pictures from it is Slicer's work."
    return section


def _nodes(slicer, size: Tuple[int, int, int]) -> dict:
    """An MRI and the results of a pair: random voxels in a head, black around it."""
    rng, inside = np.random.default_rng(0), synthetic(size)[0].array > 0
    result = {}
    for role in ("mri", "mri_part", "pet_part", "pet_registered"):
        array = rng.random(size, dtype=np.float32) * np.float32(0.5) * inside
        result[role] = slicer.util.addVolumeFromArray(array, np.eye(4), role)
    result["colored"] = slicer.util.addVolumeFromArray(
        np.zeros((*size, 3), np.uint8), np.eye(4), "colored", "vtkMRMLVectorVolumeNode"
    )
    from FunFuseSlicer.Logic.scene.attributes import ATTRIBUTE
    from FunFuseSlicer.Logic.scene.outputs import display_as_color

    display_as_color(result["colored"])
    for name in ("MRIScale", "PETScale", "PETPartScale"):
        result["colored"].SetAttribute(ATTRIBUTE.format(name), "0.5")
    return result
