"""Registration by Slicer's own module General Registration (BRAINS), that is BRAINSFit.

It runs beside Slicer, on hidden nodes made from the volumes in world coordinates, so that the user's
nodes, their parent transforms among them, are read and never touched. Both heads are moved to the
origin first: BRAINSFit turns and scales about it, and volumes may lie meters away from it.

One run finds the rigid position. Where that leaves parts of the brain apart, a second one goes on from there
with scale and affine, and half of the samples, which are enough so close to the end: of one patient's pair it
has nothing to gain. So the rigid result is known as well, and nothing is computed twice. The parameters are
those of https://slicer.readthedocs.io/en/latest/user_guide/modules/brainsfit.html
"""

import time
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import SimpleITK as sitk

from ..errors import Cancelled, InputError, RegistrationError
from ..monitor import Monitor
from ..registration.contrast import scale_intensity
from ..registration.dispatch import add_engine
from ..registration.interface import Candidate, OutOfTime, RegistrationOptions
from ..registration.judgement import NO_SIZE, WRONG, asks_for_size, judge
from ..registration.pair import JUDGE_MM, ImagePair
from ..registration.preparation import WorkingImage, dilate, orthogonal_grid
from ..registration.similarity import HEAD_MARGIN_MM
from ..volumes.geometry import Volume, resample
from .beside import beside

# How to bring both heads together at the start: the next one when the result is judged wrong.
INITIALIZATIONS = ("useMomentsAlign", "useGeometryAlign", "useCenterOfHeadAlign")

_STAGE_NAME = "Registering"
# What the user reads of each run; what BRAINSFit writes meanwhile is for its developers.
_RIGID_NAME, _REFINED_NAME = "Registering: place and direction", "Registering: size and shape"
_FLAGS = {"rigid": "useRigid", "scale": "useScaleVersor3D", "affine": "useAffine"}
_FIRST_CUBE_MM = 2.0
_SAMPLING_RANGE = (0.002, 1.0)
# Part of the samples with which the second run makes do.
_LATE_SAMPLING = 0.5
# The range of an MRI: some steps of BRAINSFit were made for integers.
_WHITE = 1000.0
_WAIT_SECONDS = 0.03
# An output that still holds this was not written: no registration gives it.
_UNWRITTEN_MM = 987654.0
_SHOWN_CHARACTERS = 500
# A pair that is aligned already need not become better to be believed.
_NEARLY = 0.9


def available() -> bool:
    """Whether this is a Slicer that has the module; no other Slicer code is touched."""
    try:
        import slicer
    except ImportError:
        return False
    return hasattr(getattr(slicer, "modules", None), "brainsfit")


def run(pair: ImagePair, options: RegistrationOptions, monitor: Monitor) -> Sequence[Candidate]:
    """The rigid result, and that of the last stage in ``options.stages``; an engine as in ``interface``.

    :raises InputError: this is no Slicer, or one without the module.
    :raises RegistrationError: BRAINSFit failed; the message carries what it said.
    :raises Cancelled: the monitor says so; the process has ended by then.
    """
    if not available():
        raise InputError(
            "The module General Registration (BRAINS) is not part of this application; choose SimpleITK."
        )
    monitor.report(_STAGE_NAME, None)
    beside(lambda _: pair.at(JUDGE_MM), monitor, _STAGE_NAME)
    with _Session(pair, options, monitor) as session:
        matrix = session.rigid()
        found = [Candidate("rigid", matrix)]
        more = options.stages[1:]
        if not more:
            return found
        if options.minimum_gain is not None and not session.asks_for_size(matrix):
            return [Candidate("rigid", matrix, NO_SIZE)]
        try:
            found.append(Candidate(more[-1], session.refined(matrix, more)))
        except (OutOfTime, BrainsError) as error:
            found[0] = Candidate("rigid", matrix, f"{error} The rigid result is used.")
        return found


class BrainsError(RegistrationError):
    """BRAINSFit failed, or brought no transform."""


class _Session:
    """The hidden nodes of one registration; all of them are gone when the context is left."""

    def __init__(self, pair: ImagePair, options: RegistrationOptions, monitor: Monitor):
        self._names = pair.moving.name, pair.fixed.name
        self._pair, self._options, self._monitor = pair, options, monitor
        self._to_origin = [_shift(-image.center) for image in pair.at(JUDGE_MM)]
        self._nodes: List[object] = []

    def __enter__(self) -> "_Session":
        try:
            self._parameters = self._common_parameters()
        except BaseException:
            self._remove_nodes()
            raise
        return self

    def __exit__(self, *exception) -> None:
        self._remove_nodes()

    def rigid(self) -> np.ndarray:
        """The rigid matrix (RAS, moving to fixed): of the first start that leads to one that is not wrong.

        When none does, the one that explains most, so that it can be shown.
        """
        before, _ = self._value_and_word(np.eye(4))
        best: Optional[np.ndarray] = None
        best_value, first_error = -np.inf, None
        for mode in INITIALIZATIONS:
            try:
                matrix = self._run(_RIGID_NAME, {"initializeTransformMode": mode, _FLAGS["rigid"]: True})
            except BrainsError as error:
                first_error = first_error or error
                continue
            value, word = self._value_and_word(matrix)
            if value >= _NEARLY * before and word != WRONG:
                return matrix
            if value > best_value:
                best, best_value = matrix, value
        if best is None:
            raise first_error
        return best

    def _value_and_word(self, matrix: np.ndarray) -> Tuple[float, str]:
        """The mutual information at a place, and the word for it."""
        pair = self._pair
        return beside(
            lambda _: (pair.similarity(matrix), judge(matrix, pair.evidence(matrix))[0]),
            self._monitor,
            _STAGE_NAME,
        )

    def asks_for_size(self, matrix: np.ndarray) -> bool:
        """Whether a rigid matrix leaves a size to be asked for."""
        pair = self._pair
        return beside(lambda _: asks_for_size(pair.evidence(matrix)), self._monitor, _STAGE_NAME)

    def refined(self, matrix: np.ndarray, stages: Sequence[str]) -> np.ndarray:
        """Go on from a rigid matrix with the freedom of more stages."""
        fixed_shift, moving_shift = self._to_origin
        start = self._add_transform(fixed_shift @ matrix @ np.linalg.inv(moving_shift))
        parameters = {"initialTransform": start, "initializeTransformMode": "Off"}
        parameters.update({_FLAGS[stage]: True for stage in stages})
        sampling = _LATE_SAMPLING * self._parameters["samplingPercentage"]
        parameters["samplingPercentage"] = max(_SAMPLING_RANGE[0], sampling)
        return self._run(_REFINED_NAME, parameters)

    def _common_parameters(self) -> Dict[str, object]:
        options = self._options
        fixed, moving = (
            self._add_volume(volume, shift)
            for volume, shift in zip((self._pair.fixed, self._pair.moving), self._to_origin)
        )
        self._moving_node = moving
        sampling = options.sampling_fraction * self._pair.fixed.voxel_mm3 / _FIRST_CUBE_MM**3
        parameters = {
            "fixedVolume": fixed,
            "movingVolume": moving,
            "samplingPercentage": float(np.clip(sampling, *_SAMPLING_RANGE)),
            "numberOfIterations": str(options.iterations),
            "costMetric": "MMI",
            "maskProcessingMode": {"automatic": "ROIAUTO", "head": "ROI", "none": "NOMASK"}[options.masks],
        }
        if options.masks == "head":
            names = "fixedBinaryVolume", "movingBinaryVolume"
            for name, image, shift in zip(names, self._pair.at(JUDGE_MM), self._to_origin):
                parameters[name] = self._add_mask(image, shift)
        return parameters

    def _run(self, stage: str, parameters: Dict[str, object]) -> np.ndarray:
        """Run BRAINSFit; the matrix (RAS, moving to fixed) it found."""
        import slicer
        import slicer.cli

        output = self._add_transform(_shift(np.full(3, _UNWRITTEN_MM)))
        parameters = {**self._parameters, **parameters, "linearTransform": output}
        node = slicer.cli.createNode(slicer.modules.brainsfit, parameters)
        if node is None:
            raise BrainsError(self._sentence("could not be started", ""))
        self._nodes.append(node)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        slicer.cli.run(slicer.modules.brainsfit, node=node, update_display=False)
        try:
            while node.IsBusy():
                self._monitor.report(stage, None)
                slicer.app.processEvents()
                if output.GetScene() is None:
                    raise RegistrationError(
                        f"The scene was closed while '{self._names[0]}' was being registered; load both "
                        "volumes again."
                    )
                time.sleep(_WAIT_SECONDS)
        except BaseException:
            _end(node)
            raise
        # On success Slicer puts the moving volume under its transform; the next run must not start there.
        self._moving_node.SetAndObserveTransformNodeID(None)
        matrix = slicer.util.arrayFromTransformMatrix(output)
        if node.GetStatus() == node.Cancelled:  # not by us: Slicer lists what runs, and can cancel it
            raise Cancelled()
        if node.GetStatus() != node.Completed:
            raise BrainsError(self._sentence("stopped with an error", _said(node)))
        if matrix[0, 3] == _UNWRITTEN_MM or not np.isfinite(matrix).all():
            raise BrainsError(self._sentence("ended without a result", _said(node)))
        fixed_shift, moving_shift = self._to_origin
        return np.linalg.inv(fixed_shift) @ matrix @ moving_shift

    def _sentence(self, what: str, said: str) -> str:
        text = f"BRAINSFit {what} while registering '{self._names[0]}' to '{self._names[1]}'."
        remedy = "Choose the engine SimpleITK, or take them as already registered."
        return f"{text} {said} {remedy}" if said else f"{text} {remedy}"

    def _add(self, class_name: str, name: str):
        """A new node that no list shows and no file saves."""
        import slicer

        node = getattr(slicer, class_name)()
        node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(node)
        self._nodes.append(node)
        return node

    def _add_volume(self, volume: Volume, shift: np.ndarray):
        import slicer

        white = np.float32(_WHITE)
        clean = beside(
            lambda _: _orthogonal(volume.with_array(white * scale_intensity(volume))),
            self._monitor,
            _STAGE_NAME,
        )
        node = self._add("vtkMRMLScalarVolumeNode", f"FunFuse registration {volume.name}")
        slicer.util.updateVolumeFromArray(node, clean.array)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(shift @ clean.ijk_to_ras))
        return node

    def _add_mask(self, image: WorkingImage, shift: np.ndarray):
        import slicer

        mask = beside(lambda _: dilate(image.mask, HEAD_MARGIN_MM), self._monitor, _STAGE_NAME)
        # A working image carries RAS coordinates where ITK has LPS.
        geometry = np.eye(4)
        geometry[:3, :3] = np.reshape(mask.GetDirection(), (3, 3)) * np.asarray(mask.GetSpacing())
        geometry[:3, 3] = mask.GetOrigin()
        node = self._add("vtkMRMLLabelMapVolumeNode", f"FunFuse registration mask {image.name}")
        slicer.util.updateVolumeFromArray(node, sitk.GetArrayFromImage(mask).astype(np.uint8))
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(shift @ geometry))
        return node

    def _add_transform(self, matrix: np.ndarray):
        import slicer

        node = self._add("vtkMRMLLinearTransformNode", "FunFuse registration transform")
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        return node

    def _remove_nodes(self) -> None:
        import slicer

        for node in reversed(self._nodes):
            # Reading a result gives its node a storage node of its own.
            if node.IsA("vtkMRMLStorableNode"):
                for index in reversed(range(node.GetNumberOfStorageNodes())):
                    storage = node.GetNthStorageNode(index)
                    if storage is not None:
                        slicer.mrmlScene.RemoveNode(storage)
            if node.IsA("vtkMRMLDisplayableNode"):
                for index in reversed(range(node.GetNumberOfDisplayNodes())):
                    slicer.mrmlScene.RemoveNode(node.GetNthDisplayNode(index))
            if node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._nodes.clear()


def _end(node) -> None:
    """Cancel a run, and wait until its process is gone: it reads nodes that are about to be removed."""
    import slicer

    node.Cancel()
    while node.IsBusy():
        slicer.app.processEvents()
        time.sleep(_WAIT_SECONDS)


def _said(node) -> str:
    """The end of what a run wrote; many errors go to the standard output."""
    parts = []
    for label, text in (("Error output", node.GetErrorText()), ("Output", node.GetOutputText())):
        text = " ".join(text.split())
        if len(text) > _SHOWN_CHARACTERS:
            text = "… " + text[-_SHOWN_CHARACTERS:]
        if text:
            parts.append(f"{label}: {text}")
    return " ".join(parts)


def _shift(translation: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = translation
    return matrix


def _orthogonal(volume: Volume) -> Volume:
    """The volume itself, or resampled when its axes are skewed: image files cannot say that."""
    axes = volume.ijk_to_ras[:3, :3] / volume.spacing
    if np.allclose(axes.T @ axes, np.eye(3), rtol=0, atol=1e-4):
        return volume
    size, direction, origin = orthogonal_grid(volume, volume.spacing)
    geometry = np.eye(4)
    geometry[:3, :3] = direction * volume.spacing
    geometry[:3, 3] = origin
    return resample(volume, Volume(np.empty(size[::-1], np.float32), geometry, volume.name))


add_engine("BRAINS", run, available)
