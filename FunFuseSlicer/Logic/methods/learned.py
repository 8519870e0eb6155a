"""What some methods have learned: files beside the library, read only when their checksum is right."""

import hashlib
import json
from pathlib import Path
from typing import Optional

from ..errors import ModelError

LEARNED_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Methods"
REMEDY = "reinstall the extension"


def read_learned(name: str, folder: Optional[Path] = None) -> bytes:
    """The content of a file, after checking it against the ``.json`` of its name.

    :param name: of the file, for instance ``lp_sr.npy``.
    :raises ModelError: files missing or damaged.
    """
    path = (LEARNED_FOLDER if folder is None else Path(folder)) / name
    try:
        content = path.read_bytes()
        sha256 = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} or the .json beside it cannot be read: {REMEDY}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"The file {path} is damaged (wrong checksum): {REMEDY}.")
    return content


def save_learned(name: str, folder: Path, content: bytes, facts: dict) -> str:
    """Write a file and its ``.json``; the inverse of :func:`read_learned`.

    :param facts: how it was learned; goes into the ``.json`` too.
    :return: the sha256 of the file.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = Path(folder) / name
    path.write_bytes(content)
    path.with_suffix(".json").write_text(
        json.dumps({"sha256": sha256, **facts}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return sha256
