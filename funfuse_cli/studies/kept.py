"""A study that measures some models or methods anew keeps the rows of the others."""

from pathlib import Path
from typing import Sequence

import pandas as pd

# What would be read as numbers.
TEXTS = {"patient": str, "subject": str}


def with_kept(rows: pd.DataFrame, path: Path, column: str, names: Sequence[str], before=()) -> pd.DataFrame:
    """The rows, and from the file those whose ``column`` is of ``names`` but not among the rows.

    :param path: of the table that was written before, if there is one.
    :param names: all that the table may have, in its order.
    :param before: columns that go before that one in the order of the rows, as they come up.
    """
    if not path.is_file():
        return rows
    old = pd.read_csv(path, dtype=TEXTS)
    new = set(rows[column])
    both = pd.concat([rows, old[~old[column].isin(new)]])
    both = both[both[column].isin(names)]
    orders = {name: list(dict.fromkeys(both[name])) for name in before}
    orders[column] = list(names)
    return both.sort_values(
        list(orders), key=lambda cells: cells.map(orders[cells.name].index), kind="stable", ignore_index=True
    )
