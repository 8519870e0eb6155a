"""The live sliders: the shown slices of three views, and the whole volume, without the network."""

from typing import List

import numpy as np

from ..boot import boot
from .timing import median_seconds

SIZE = (189, 233, 197)


def measure(repeats: int) -> List[dict]:
    """One row for each action; ``what`` says which."""
    slicer = boot()
    from FunFuseSlicer.Logic import views
    from FunFuseSlicer.Logic.panel.live_colors import LiveColors, Look

    slicer.mrmlScene.Clear(False)
    nodes = _nodes(slicer)
    views.show_overlay(nodes["mri"], nodes["colored"])
    live = LiveColors()
    live.use(nodes)
    state = {"step": 0}

    def drag(**changes):
        def step():
            state["step"] = (state["step"] + 1) % 10
            values = {"omega": 0.6, "balance": 0.5, "mode": "contribution", "colormap": "Jet"}
            values.update({name: value(state["step"] / 10) for name, value in changes.items()})
            shown = live.paint_shown(Look(**values))
            # Until the pictures of the views are computed.
            for logic in views.shown_logics(nodes["colored"]):
                logic.GetImageDataConnection().GetProducer().Update()
            return shown

        return step

    colored = slicer.util.arrayFromVolume(nodes["colored"])

    def whole():
        for _ in live.paint_all(Look(0.3, 0.5, "contribution", "Jet")):
            pass

    views_shown = len(views.shown_logics(nodes["colored"]))
    maps = ["Jet", "PET-Heat"]
    rows = [
        (f"Ω, shown slices of {views_shown} views", drag(omega=lambda x: x), repeats),
        (f"balance, shown slices of {views_shown} views", drag(balance=lambda x: x), repeats),
        (
            f"color map, shown slices of {views_shown} views",
            drag(colormap=lambda x: maps[int(10 * x) % 2]),
            repeats,
        ),
        ("Ω, whole volume", whole, max(3, repeats // 5)),
        ("plain copy of the RGB volume", colored.copy, max(3, repeats // 5)),
    ]
    result = [{"what": what, **median_seconds(action, count)} for what, action, count in rows]
    slicer.mrmlScene.Clear(False)
    return result


def _nodes(slicer) -> dict:
    """An MRI and the results of a pair, random but smooth enough."""
    rng = np.random.default_rng(0)
    result = {}
    for role in ("mri", "mri_part", "pet_part", "pet_registered"):
        array = rng.random(SIZE, dtype=np.float32) * np.float32(0.5)
        result[role] = slicer.util.addVolumeFromArray(array, np.eye(4), role)
    result["colored"] = slicer.util.addVolumeFromArray(
        np.zeros((*SIZE, 3), np.uint8), np.eye(4), "colored", "vtkMRMLVectorVolumeNode"
    )
    from FunFuseSlicer.Logic.scene import ATTRIBUTE, display_as_color

    display_as_color(result["colored"])
    for name in ("MRIScale", "PETScale", "PETPartScale"):
        result["colored"].SetAttribute(ATTRIBUTE.format(name), "0.5")
    return result
