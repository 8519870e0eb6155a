"""Results kept as JSON files, so that what was computed once is never computed again."""

import json
import math
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional


class Store:
    """A folder with one JSON file per result.

    :param folder: where the files are.
    :param computing: whether a result that is not there is computed; otherwise it is noted as missing.
    """

    def __init__(self, folder: Path, computing: bool = True):
        self.folder, self.computing = Path(folder), computing
        self.missing: List[str] = []
        self.outdated: List[str] = []

    def once(self, name: str, identity: Dict[str, Any], compute: Callable[[], Any]) -> Optional[Any]:
        """The result of that name: read where it is kept, computed and kept where it is not.

        :param name: relative path without ending.
        :param identity: plain values by name that decide the result; a file with others is outdated.
        :param compute: no arguments, returns what JSON can hold; numbers that are not finite become None.
        :return: the result; None when it is missing or outdated and nothing is computed.
        """
        path = self.folder / f"{name}.json"
        identity = json.loads(json.dumps(identity))
        kept = _read(path)
        if kept is not None and kept["identity"] == identity:
            return kept["result"]
        if not self.computing:
            (self.missing if kept is None else self.outdated).append(name)
            return None
        result = plain(compute())
        write_json({"identity": identity, "result": result}, path)
        return result


def write_json(value: Any, path: Path) -> None:
    """Replace the file, wholly or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


def plain(value: Any) -> Any:
    """The same with None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _read(path: Path) -> Optional[dict]:
    """None for a file that is not there, or that was cut off: it is computed again."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and {"identity", "result"} <= kept.keys() else None
