"""What images say about a place of the PET on the MRI, measured around the brain.

A registration can be wrong and score well as a whole: a bladder fills a brain, a brain shrinks into its own
middle. So it is looked at in parts. At the right place every part of the brain is best off where it is, the
uptake ends where the brain ends, and the values of both images depend on each other.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .plausibility import rotation_matrix
from .preparation import WorkingImage, indices_to_ras, ras_to_indices
from .similarity import information_of, joint_histogram

PARTS = ("left", "right", "back", "front", "bottom", "top")

# The brain and this margin are looked at; within the smaller one images are compared.
_AROUND_MM, _NEAR_MM = 15.0, 8.0
_SAMPLES, _SEED, _BINS = 20_000, 1, 24
# Steps by which a part is moved to see whether it would fit better there.
_STEP_MM, _STEPS = 4.0, 2
_LEVER_MM = 55.0
# Shells below and above the surface of the brain, between which uptake falls, and how much at least.
_INNER_MM, _OUTER_MM, _FALL = (-9.0, -1.0), (6.0, 14.0), 0.1
_DIRECTIONS = np.array([step for step in product((-1.0, 0.0, 1.0), repeat=3) if any(step)])
_FEW = 8
# What lies outside of the field of view tells nothing; of less than this of the brain nothing is told.
_LEAST_COVERED = 0.1


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against one place.

    :param covered: which part of the brain lies in the PET's field of view, in [0, 1].
    :param information: mutual information within the brain and its rim, in nats; 0 when nothing is covered.
    :param offset_mm: by how much the whole would fit better elsewhere close by.
    :param parts_mm: the same for halves of the brain, by name.
    :param size_mm: by how much the edge of the brain would lie better elsewhere with another size.
    :param outline: in which part of directions uptake falls at the edge of the brain, in [0, 1].
    """

    covered: float
    information: float
    offset_mm: float
    parts_mm: Dict[str, float]
    size_mm: float
    outline: float

    def facts(self) -> Dict[str, Any]:
        """For a report, in numbers that JSON knows: None where nothing can be measured."""

        def number(value: float) -> Optional[float]:
            return round(float(value), 3) if np.isfinite(value) else None

        return {
            "covered": number(self.covered),
            "information": number(self.information),
            "offset_mm": number(self.offset_mm),
            "parts_mm": {name: number(value) for name, value in self.parts_mm.items()},
            "size_mm": number(self.size_mm),
            "outline": number(self.outline),
        }


class Witness:
    """Both images around the brain, prepared once for any number of places."""

    def __init__(self, fixed: WorkingImage, moving: WorkingImage):
        distance = _distance(fixed.mask)
        kji = np.argwhere(distance < _AROUND_MM)
        rng = np.random.default_rng(_SEED)
        kji = kji[rng.permutation(len(kji))[:_SAMPLES]]
        # Not on the voxels, where nothing would be interpolated.
        places = (kji + rng.uniform(-0.5, 0.5, kji.shape)).T
        image = sitk.GetArrayViewFromImage(fixed.image)
        self._fixed = ndimage.map_coordinates(image, places, order=1, mode="nearest").astype(float)
        self._depth = ndimage.map_coordinates(distance, places, order=1, mode="nearest")
        self._points = indices_to_ras(fixed.image, places[::-1].T)
        self._brain, self._near = self._depth < 0.0, self._depth < _NEAR_MM
        low, high = np.percentile(self._fixed[self._near], (1.0, 99.0))
        self._fixed = np.clip((self._fixed - low) / max(high - low, 1e-9), 0.0, 1.0)
        self._center = self._points[self._brain].mean(axis=0)
        middle = np.median(self._points[self._brain], axis=0)
        self._octant = (self._points >= middle) @ np.array([1, 2, 4])
        units = _DIRECTIONS / np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)
        self._sector = ((self._points - self._center) @ units.T).argmax(axis=1)
        self._moving_image, self._moving = moving.image, sitk.GetArrayFromImage(moving.image)

    def evidence(self, matrix: np.ndarray) -> Evidence:
        """:param matrix: 4×4 RAS, moving to fixed, invertible."""
        values, inside = self._values(matrix)
        covered = float(inside[self._brain].mean())
        seen = self._brain & inside
        hot = float(np.percentile(values[seen], 99.0)) * 1.1 if seen.any() else 0.0
        if covered < _LEAST_COVERED or not hot > 0.0:
            return Evidence(covered, 0.0, np.inf, dict.fromkeys(PARTS, np.inf), np.inf, 0.0)
        values = np.clip(values / hot, 0.0, 1.0)
        offsets: List[float] = []
        sizes: List[float] = []
        parts: List[List[float]] = [[] for _ in PARTS]
        for axis in range(3):
            whole, *halves = zip(*self._line(self._shift, axis, _STEPS, matrix, hot, (values, inside)))
            offsets.append(_peak(whole))
            for part, half in zip(parts, halves):
                part.append(_peak(half))
            turned = self._line(self._turn, axis, 1, matrix, hot, (values, inside))
            offsets.append(_peak([whole for whole, *_ in turned]))
            stretched = self._line(self._stretch, axis, _STEPS, matrix, hot, (values, inside))
            sizes.append(_peak([whole for whole, *_ in stretched]))
        return Evidence(
            covered,
            self._information(values, inside, inside)[0],
            _STEP_MM * float(np.linalg.norm(offsets)),
            {name: _STEP_MM * float(np.linalg.norm(part)) for name, part in zip(PARTS, parts)},
            _STEP_MM * float(np.linalg.norm(sizes)),
            self._outline(values, inside),
        )

    def _outline(self, values: np.ndarray, inside: np.ndarray) -> float:
        inner, outer = (
            inside & (self._depth > low) & (self._depth < high) for low, high in (_INNER_MM, _OUTER_MM)
        )
        falls: List[bool] = []
        limit = _FALL * float(values[self._brain & inside].mean())
        for number in range(len(_DIRECTIONS)):
            here = self._sector == number
            within, around = values[inner & here], values[outer & here]
            if min(within.size, around.size) > _FEW:
                falls.append(within.mean() - around.mean() > limit)
        return float(np.mean(falls)) if falls else 0.0

    def _information(self, values: np.ndarray, there: np.ndarray, where: np.ndarray) -> List[float]:
        """Mutual information of the whole, and of its halves in the order of ``PARTS``."""
        some = self._near & there & where
        joint = joint_histogram(self._fixed[some], values[some], _BINS, self._octant[some], 8)
        found = [information_of(joint.sum(axis=0))]
        for bit in (1, 2, 4):
            upper = np.arange(8) & bit > 0
            found += [information_of(joint[~upper].sum(axis=0)), information_of(joint[upper].sum(axis=0))]
        return found

    def _shift(self, axis: int, step: int) -> np.ndarray:
        """4×4: so many steps along an axis of the MRI."""
        motion = np.eye(4)
        motion[axis, 3] = step * _STEP_MM
        return motion

    def _turn(self, axis: int, step: int) -> np.ndarray:
        """As far at the edge of the brain, about its center."""
        degrees = np.zeros(3)
        degrees[axis] = np.degrees(step * _STEP_MM / _LEVER_MM)
        return self._about_center(rotation_matrix(degrees.tolist()))

    def _stretch(self, axis: int, step: int) -> np.ndarray:
        """As far at the edge of the brain, by another size along an axis of the MRI."""
        factors = np.ones(3)
        factors[axis] += step * _STEP_MM / _LEVER_MM
        return self._about_center(np.diag(factors))

    def _about_center(self, change: np.ndarray) -> np.ndarray:
        motion = np.eye(4)
        motion[:3, :3] = change
        motion[:3, 3] = self._center - change @ self._center
        return motion

    def _line(
        self,
        motion: Callable[[int, int], np.ndarray],
        axis: int,
        steps: int,
        matrix: np.ndarray,
        hot: float,
        own: Tuple[np.ndarray, np.ndarray],
    ) -> List[List[float]]:
        """The information after so many steps of a motion to either side.

        :param hot: the value that becomes 1; :param own: values without any motion, and what is covered.
        """
        found = []
        for step in range(-steps, steps + 1):
            there = own
            if step:
                values, inside = self._values(motion(axis, step) @ matrix)
                there = np.clip(values / hot, 0.0, 1.0), inside
            found.append(self._information(*there, own[1]))
        return found

    def _values(self, matrix: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """The PET at all samples, and which of them lie in its field of view."""
        inverse = np.linalg.inv(matrix)
        indices = ras_to_indices(self._moving_image, self._points @ inverse[:3, :3].T + inverse[:3, 3])
        limit = np.asarray(self._moving_image.GetSize()) - 0.5
        inside = np.all((indices >= -0.5) & (indices <= limit), axis=1)
        return ndimage.map_coordinates(self._moving, indices.T[::-1], order=1, mode="nearest"), inside


def _distance(mask: sitk.Image) -> np.ndarray:
    """(k, j, i) millimeters above the surface of a mask, negative within it."""
    distance = sitk.SignedMaurerDistanceMap(
        mask, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    return sitk.GetArrayFromImage(distance)


def _peak(values: Sequence[float]) -> float:
    """Where evenly spaced values are largest, in steps from the middle one, by a parabola through three."""
    middle, best = len(values) // 2, int(np.argmax(values))
    if best in (0, len(values) - 1):
        return float(best - middle)
    before, there, after = values[best - 1 : best + 2]
    bend = before - 2.0 * there + after
    return best - middle + (0.5 * (before - after) / bend if bend < -1e-12 else 0.0)
