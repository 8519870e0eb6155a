"""What is odd about a volume, but no reason to refuse it: sentences for the log, the report and the panel."""

import re
from itertools import product
from typing import List, Optional, Sequence, Tuple

import numpy as np

from .geometry import Volume
from .preprocessing import background_of, sampled

MR, PT = "MR", "PT"

# Words of volume names, as scanners, archives and people write them.
_MR_WORDS = re.compile(
    r"^(mri?|t1.*|t2.*|flair|mp2?rage|uni|spgr|fspgr|bravo|vibe|tfe|pd|swi|ir|icbm\d*|mni\d*)$", re.IGNORECASE
)
_PT_WORDS = re.compile(
    r"^(pet|pt|nm|spect|fdg|f18|18f|fet|fdopa|dopa|hmpao|ecd|pib|av45|av1451|amyloid|florbeta\w*|"
    r"flute\w*|tau|suv\w*|uptake|ac)$",
    re.IGNORECASE,
)

# Millimeters: what is shown of a head, or of a body, is longer than the one and shorter than the other.
SMALLEST, LARGEST = 45.0, 3000.0
# What is shorter all around lies inside of a head, where there is no background.
HEAD = 120.0
# An MRI whose voxels are this much larger than those of the PET may be the PET.
COARSER = 4.0
# A background of this many times its own spread is no noise around zero, ...
OFFSET_TO_SPREAD = 3.0
# ... if it is this much of the near-maximum, too.
OFFSET = 2e-3
# Noise whose spread is this much of the whole range is as bright as the head.
NOISE_TO_RANGE = 0.2


def doubts(volume: Volume, kind: str) -> List[str]:
    """What may be wrong with the header or the values of a volume as it came.

    :param kind: "MR" or "PT", what it was chosen as.
    """
    if min(volume.array.shape) < 2:
        return []
    found = [_size(volume), _background(volume), _noise(volume) if kind == MR else None]
    return [f'"{volume.name}": {sentence}' for sentence in found if sentence]


def _size(volume: Volume) -> Optional[str]:
    extent = volume.spacing * volume.dimensions
    if SMALLEST <= extent.max() <= LARGEST:
        return None
    size = " × ".join(f"{length:.3g}" for length in extent)
    return (
        f"its grid measures {size} mm by its header, which is no size of a head. Is the header in other "
        "units, such as centimeters or meters? Then correct its voxel size."
    )


def _background(volume: Volume) -> Optional[str]:
    """Whether what is around the head has a value of its own instead of 0, with noise or without."""
    sample = sampled(volume.array)
    if not sample.size or (volume.spacing * volume.dimensions).max() < HEAD:
        return None
    lowest, bright = float(sample.min()), float(np.percentile(sample, 99.5))
    if lowest > 0 and background_of(sample) == lowest and lowest < bright:
        return _offset(lowest)
    medians, spreads = _corners(volume.array)
    level = float(np.median(medians))
    alike = np.ptp(medians) < 0.25 * level
    if alike and OFFSET * bright < level < 0.9 * bright and level > OFFSET_TO_SPREAD * spreads.max():
        return _offset(level)
    return None


def _offset(level: float) -> str:
    return (
        f"its background is {level:.4g} instead of 0, which counts as brightness or uptake everywhere. "
        f"Subtract {level:.4g}, or mask the head."
    )


def _noise(volume: Volume) -> Optional[str]:
    """Whether what is around the head is noise as bright as the head."""
    low, high = np.percentile(sampled(volume.array), (1, 99))
    _, spreads = _corners(volume.array)
    if high <= low or np.sort(spreads)[2] < NOISE_TO_RANGE * (high - low):
        return None
    return (
        "its background is noise as bright as the head, as in an MP2RAGE that was not denoised. It becomes "
        "part of the fused image: mask the head, or give the denoised image."
    )


def _corners(array: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Median and interquartile range of the voxels of each corner of a (k, j, i) array."""
    found = []
    for ends in product((0, 1), repeat=3):
        widths = [max(1, n // 10) for n in array.shape]
        corner = array[tuple(slice(-w, None) if end else slice(w) for end, w in zip(ends, widths))]
        found.append(np.percentile(np.nan_to_num(corner, posinf=0.0, neginf=0.0), (25, 50, 75)))
    low, median, high = np.transpose(found)
    return median, high - low


def name_modality(name: str) -> Optional[str]:
    """ "MR" or "PT" by the words of a name; None when there are none of either, or of both."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    is_mr = any(_MR_WORDS.match(word) for word in words)
    is_pt = any(_PT_WORDS.match(word) for word in words)
    return None if is_mr == is_pt else (MR if is_mr else PT)


def looks_swapped(names: Sequence[str], kinds: Sequence[Optional[str]]) -> Optional[str]:
    """A sentence when MRI and PET were chosen the wrong way round, by names or DICOM headers.

    :param names: of what was chosen as MRI and as PET, in this order, like ``kinds``: "MR", "PT" or None.
    """
    if kinds[0] != PT and kinds[1] != MR:
        return None
    if kinds[0] == kinds[1]:
        what = "an MRI" if kinds[0] == MR else "a PET or SPECT"
        return f'Both "{names[0]}" and "{names[1]}" look like {what}: check the choice.'
    return f'MRI and PET look the wrong way round: "{names[0]}" is chosen as MRI, "{names[1]}" as PET.'


def looks_coarse(mri: Volume, pet: Volume) -> Optional[str]:
    """A sentence when the MRI has so much larger voxels than the PET that it may be the PET.

    Not where a name tells: then :func:`looks_swapped` knows better.
    """
    known = name_modality(mri.name) or name_modality(pet.name)
    flat = min(*mri.array.shape, *pet.array.shape) < 2
    if known or flat or np.prod(mri.spacing) < COARSER * np.prod(pet.spacing):
        return None
    sizes = [" × ".join(f"{length:.3g}" for length in volume.spacing) for volume in (mri, pet)]
    return (
        f'"{mri.name}", chosen as MRI, has larger voxels ({sizes[0]} mm) than the PET "{pet.name}" '
        f"({sizes[1]} mm): check that they are not the wrong way round."
    )
