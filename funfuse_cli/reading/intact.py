"""Whether a file is whole: readers take what is missing for zeros, and wrong bits for other voxels."""

import zlib
from pathlib import Path
from typing import Optional, Tuple

from .source import Damaged

# Bytes of a compressed file at a time; they can become a thousand times as many.
CHUNK = 1 << 16


def start_and_size(path: Path) -> Tuple[bytes, int]:
    """How a file begins and how many bytes it has, both without a compression of all of it.

    :raises Damaged: it is cut, or has a wrong checksum.
    """
    with open(path, "rb") as file:
        start = file.read(CHUNK)
        offset = _start_of_compressed(path, start)
        if offset is None:
            return start, file.seek(0, 2)
        file.seek(offset)
        return _decompress(file)


def _start_of_compressed(path: Path, start: bytes) -> Optional[int]:
    """Where in a file a gzip or zlib stream begins; None without one, or when it is another file."""
    if start.startswith(b"\x1f\x8b") and path.suffix.lower() in (".gz", ".mgz"):
        return 0
    header, _, rest = start.partition(b"\n\n")
    if start.startswith(b"NRRD") and rest and b"data file:" not in header and b"datafile:" not in header:
        return len(header) + 2 if b"\nencoding: gz" in header else None
    header, end, rest = start.partition(b"ElementDataFile = LOCAL\n")
    if start.startswith(b"ObjectType") and rest and b"CompressedData = True" in header:
        return len(header) + len(end)
    return None


def _decompress(file) -> Tuple[bytes, int]:
    """The first bytes of all streams from here on, and how many bytes they hold; checksums are checked."""
    start, size, data = b"", 0, file.read(CHUNK)
    while data:
        stream = zlib.decompressobj(zlib.MAX_WBITS + 32)
        while not stream.eof:
            if not data:
                raise Damaged("the stream ends too early")
            try:
                plain = stream.decompress(data)
            except zlib.error as error:
                raise Damaged(str(error)) from error
            start, size = start or plain, size + len(plain)
            data = stream.unused_data if stream.eof else file.read(CHUNK)
        # More streams may follow, as parallel compressors write them; padding is none.
        data += file.read(CHUNK) if len(data) < 2 else b""
        if not data.startswith(b"\x1f\x8b"):
            break
    return start, size
