"""Tables and single values of the pages as text, and what their expressions call by name."""

import re
from dataclasses import dataclass
from numbers import Integral, Number
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import pandas as pd

MISSING = "–"


@dataclass(frozen=True)
class Rival:
    """A cell that competes with others of its column. It is compared as it is printed: see `_column`."""

    value: Any
    best: bool


def best(
    frame: pd.DataFrame,
    highest: Sequence[str] = (),
    lowest: Sequence[str] = (),
    among: Optional[pd.Series] = None,
) -> pd.DataFrame:
    """The frame, with the best of each named column marked to be printed bold, and what prints alike.

    The marks are in the cells: rows and columns may be sorted, selected and renamed afterwards, but no longer
    computed with.

    :param among: of the rows' labels, true for those that compete; all by default.
    """
    result = frame.copy()
    competes = np.full(len(frame), True) if among is None else among.loc[frame.index].to_numpy(bool)
    for names, extreme in ((highest, pd.Series.max), (lowest, pd.Series.min)):
        for name in names:
            record = extreme(frame[name][competes])
            cells = [
                Rival(value, bool(value == record)) if rival and not pd.isna(value) else value
                for value, rival in zip(frame[name], competes)
            ]
            result[name] = pd.Series(cells, index=frame.index, dtype=object)
    return result


def pick(frame: pd.DataFrame, column: str, /, **where: Any) -> Any:
    """The column's value in the only row where other columns have the given values.

    :raise LookupError: another number of rows than one.
    """
    fits = np.full(len(frame), True)
    for name, value in where.items():
        fits &= (frame[name] == value).to_numpy(bool)
    if fits.sum() != 1:
        raise LookupError(f"{fits.sum()} rows fit {where}, not one")
    return frame[column][fits].iloc[0]


def table(frame: pd.DataFrame, formats: str) -> List[str]:
    """The lines of a table in Markdown. An index that has a name becomes a column."""
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise ValueError(f"not a table with rows but {type(frame).__name__} {frame}")
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    named = {}
    for part in re.split(r",\s+", formats) if formats else ():
        name, _, spec = part.rpartition("=")
        if not spec or name in named or (name and name not in map(str, frame.columns)):
            raise ValueError(f"{part!r} is no format for a column of this table")
        named[name] = spec
    default = named.pop("", "")
    columns = [_column(cells, named.get(str(name)), default) for name, cells in frame.items()]
    texts = pd.DataFrame(
        list(zip(*(texts for texts, _ in columns))), columns=[cell(str(name)) for name in frame.columns]
    )
    sides = ["right" if number else "left" for _, number in columns]
    return texts.to_markdown(index=False, tablefmt="pipe", disable_numparse=True, colalign=sides).splitlines()


def _column(cells: pd.Series, own: Optional[str], default: str) -> Tuple[List[str], bool]:
    """The texts of a column, and whether it has numbers only.

    A default for decimals is not for a column of integers. Bold is what prints like the best: a reader cannot
    tell them apart.
    """
    values = [item.value if isinstance(item, Rival) else item for item in cells]
    numbers = [value for value in values if _is_number(value) and not pd.isna(value)]
    spec = own or default
    if not own and default[-1:] != "d" and all(isinstance(value, Integral) for value in numbers):
        spec = ""
    # pandas turns integers with a gap into floats.
    if not spec and all(float(value).is_integer() for value in numbers):
        spec = "d"
    texts = [cell(value, spec if _is_number(value) else "") for value in values]
    top = {text for text, item in zip(texts, cells) if isinstance(item, Rival) and item.best}
    bold = [text in top and isinstance(item, Rival) for text, item in zip(texts, cells)]
    texts = [f"**{text}**" if strong else text for text, strong in zip(texts, bold)]
    return texts, len(numbers) == len(texts) - texts.count(MISSING)


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def cell(value: Any, spec: str = "") -> str:
    """The text of one value.

    :raise ValueError: the value is none that can stand in a cell, or the format is not for such a value.
    """
    if not pd.api.types.is_scalar(value):
        raise ValueError(f"not a single value but {value!r}")
    if pd.isna(value):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if not _is_number(value):
        text = re.sub(r"\s*[\r\n]\s*", " ", format(str(value), spec))
        return re.sub(r"(?<!\\)\|", r"\\|", text)
    whole = spec[-1:] == "d" and float(value).is_integer()
    return format(int(value) if whole else value, spec)
