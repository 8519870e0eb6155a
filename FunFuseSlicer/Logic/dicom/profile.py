"""The ICC profile that a presentation state needs: sRGB (ICC.1:2001-12; IEC 61966-2-1)."""

import struct
from typing import Iterable

import numpy as np

# Primaries and white, adapted to D50, in XYZ.
_WHITE = (0.9642, 1.0, 0.8249)
_PRIMARIES = {"r": (0.4360, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7139)}


def srgb_profile() -> bytes:
    """An input profile, as DICOM wants it (PS3.3 C.11.15), of matrix and curve."""
    text = b"sRGB"
    description = b"desc" + struct.pack(">2I", 0, len(text) + 1) + text + bytes(1 + 8 + 3 + 67)
    curve = _curve()
    tags = {b"desc": description, b"cprt": b"text" + bytes(4) + b"no copyright\0", b"wtpt": _xyz(_WHITE)}
    for color, xyz in _PRIMARIES.items():
        tags[f"{color}XYZ".encode()] = _xyz(xyz)
        tags[f"{color}TRC".encode()] = curve
    offset, directory, content = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        directory += name + struct.pack(">2I", offset + len(content), len(data))
        content += data
    size = 128 + len(directory) + len(content)
    header = struct.pack(">2I", size, 0) + struct.pack(">I", 0x02400000) + b"scnrRGB XYZ "
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_WHITE)
    return header.ljust(128, b"\0") + directory + content


def _curve() -> bytes:
    levels = np.linspace(0, 1, 256)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return b"curv" + struct.pack(">2I", 0, 256) + np.rint(65535 * linear).astype(">u2").tobytes()


def _xyz(values: Iterable[float]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _fixed(values: Iterable[float]) -> bytes:
    return struct.pack(">3i", *(round(65536 * value) for value in values))
