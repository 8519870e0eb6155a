"""What every metric asks of its images."""

from typing import List, Tuple

import numpy as np

from ..errors import InputError

# Gray levels run from 0 to this; the constants of the metrics are written for that range.
WHITE = 255.0
# Rec. 601: how common programs turn color into gray.
LUMA = (0.299, 0.587, 0.114)


def as_gray(metric: str, smallest: int, **images: np.ndarray) -> List[np.ndarray]:
    """The images as float64 (rows, columns), in the order given.

    :param metric: its name, for the message.
    :param smallest: rows and columns an image must have at least.
    :param images: by name; any real type, gray levels 0 to 255. Never changed.
    :raises InputError: an image is not two-dimensional, too small, not finite, or of another size than
        the first.
    """
    result = [np.asarray(image, dtype=np.float64) for image in images.values()]
    size = result[0].shape
    for name, image in zip(images, result):
        if image.ndim != 2:
            raise InputError(f"{metric}: the {name} image has {image.ndim} dimensions, expected 2.")
        if image.shape != size:
            raise InputError(
                f"{metric}: the {name} image has {_pixels(image.shape)}, the {next(iter(images))} image "
                f"{_pixels(size)}; expected one size."
            )
        if not np.isfinite(image).all():
            raise InputError(f"{metric}: the {name} image has pixels that are NaN or infinite.")
    if min(size) < smallest:
        raise InputError(
            f"{metric} needs images of at least {_pixels((smallest, smallest))}, these have {_pixels(size)}."
        )
    return result


def to_8_bits(image: np.ndarray) -> np.ndarray:
    """[0, 1] to whole gray levels, as a picture on disk has them; clipped, uint8."""
    return np.uint8(np.floor(np.clip(np.asarray(image, np.float64), 0, 1) * WHITE + 0.5))


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Whole gray levels of a colored picture, (..., 3) in gray levels 0 to 255 -> (...) uint8."""
    return np.uint8(np.floor(rgb.astype(np.float64) @ LUMA + 0.5))


def _pixels(size: Tuple[int, ...]) -> str:
    return f"{size[0]} × {size[1]} pixels"
