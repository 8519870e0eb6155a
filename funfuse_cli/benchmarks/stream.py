"""A PET that changes, through the scene to the pictures of the slice views, as the panel follows it."""

import time
from typing import Callable, Dict

import numpy as np

from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
from FunFuseSlicer.Logic.volumes.geometry import Volume

from ..extension import load_module
from ..headless.boot import boot
from . import LAMBDA, Section, Settings, heads, in_words
from .timing import interleaved


def measure(settings: Settings) -> Section:
    """Frames a second of one slice, and volumes a second of a PET on a coarser grid."""
    slicer = boot()
    load_module()
    side, shape = settings.side, settings.moving
    section = Section()
    one = heads.synthetic((5, side, side))
    slice_pair = [Volume(volume.array[2:3].copy(), name=volume.name) for volume in one]
    frames = _streamed(slicer, *slice_pair, settings.repeats)
    section.add(f"a slice of {side}×{side}", frames, "both on one grid")
    mri, pet = heads.synthetic(settings.fixed)[0], heads.synthetic(shape)[1]
    coarser = np.diag([*(a / b for a, b in zip(settings.fixed[::-1], shape[::-1])), 1.0])
    pet = Volume(pet.array, mri.ijk_to_ras @ coarser, pet.name)
    volumes = _streamed(slicer, mri, pet, settings.long_repeats)
    section.add(f"a PET of {in_words(shape)} on an MRI of {in_words(settings.fixed)}", volumes, "resampled")
    section.figures = {
        "frames_a_second": 1.0 / frames["median_s"],
        "volumes_a_second": 1.0 / volumes["median_s"],
    }
    section.notes["frames_a_second"] = (
        "With the slice pictures of all views; a screen's drawing comes on top."
    )
    return section


def _streamed(slicer, mri: Volume, pet: Volume, repeats: int) -> Dict[str, float]:
    """Seconds from new voxels of the PET to the pictures that show them."""
    from FunFuseSlicer.Logic.scene import views
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node
    from FunFuseSlicer.Logic.scene.live_colors import LiveColors, Look
    from FunFuseSlicer.Logic.scene.live_fusion import LiveFusion
    from FunFuseSlicer.Logic.scene.outputs import find_results
    from FunFuseSlicer.Logic.scene.run import fuse_nodes

    slicer.mrmlScene.Clear(False)
    nodes = [add_volume_node(volume) for volume in (mri, pet)]
    options = FusionOptions(lam=LAMBDA)
    fuse_nodes(*nodes, options, None, None, None, True, None)
    results = find_results(*nodes)
    fusion, colors = LiveFusion(), LiveColors()
    fusion.use(*nodes, None, results)
    look = Look(options.omega, options.balance, "contribution", options.colormap)
    logics = views.shown_logics(results["colored"])
    voxels, first = slicer.util.arrayFromVolume(nodes[1]), pet.array.astype(np.float32)
    count = slicer.mrmlScene.GetNumberOfNodes()

    def frame(step: Callable[[], int]) -> float:
        np.multiply(first, 0.7 + 0.02 * step(), out=voxels, casting="unsafe")
        start = time.perf_counter()
        slicer.util.arrayFromVolumeModified(nodes[1])
        fusion.forget_pet()
        for _ in fusion.steps(options):
            pass
        colors.use(results)
        colors.paint_shown(look)
        for logic in logics:
            logic.GetImageDataConnection().GetProducer().Update()
        return time.perf_counter() - start

    steps = iter(range(10**6))
    times = interleaved({"frame": lambda: frame(lambda: next(steps) % 15)}, repeats)["frame"]
    if slicer.mrmlScene.GetNumberOfNodes() != count:
        raise RuntimeError("The stream has made nodes.")
    slicer.mrmlScene.Clear(False)
    return times
