"""Where the compared methods come from, and what their modules say about choices that were left to us."""

import inspect
import re
import sys
from types import ModuleType
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

from FunFuseSlicer.Logic import methods

# Paragraphs of a module's docstring that the page shows, each a list or a line.
LEFT_OPEN, DIFFERS = "Left open", "Differs"


class Source(NamedTuple):
    """One method, for readers.

    :param open: what the publication leaves open, with the choice made here.
    :param differs: where this implementation departs from the publication.
    :param problem: why it was not measured, as a sentence; None for those that were.
    """

    label: str
    citation: str
    open: Sequence[str]
    differs: Sequence[str]
    problem: Optional[str]


def sources() -> List[Source]:
    """All methods but those that need no source and have nothing to tell, in their order."""
    found = [source_of(method) for method in methods.METHODS.values()]
    return [source for source in found if source.citation or source.open or source.problem]


def source_of(method: methods.Method) -> Source:
    """What the modules of a method tell: the one of its function, and those of this library that it uses."""
    told: Dict[str, List[str]] = {LEFT_OPEN: [], DIFFERS: []}
    for module in _modules(method):
        for heading, items in told.items():
            items += [item for item in listed_under(heading, module.__doc__ or "") if item not in items]
    return Source(method.label, method.citation, told[LEFT_OPEN], told[DIFFERS], method.problem())


def listed_under(heading: str, text: str) -> List[str]:
    """The points of a paragraph of a docstring that begins with ``heading:``.

    :return: one string a point, without its mark and its final semicolon or full stop; a paragraph without
        marks is one point.
    """
    points: List[str] = []
    inside = False
    for line in inspect.cleandoc(text).splitlines():
        line = line.strip()
        start = re.match(rf"({LEFT_OPEN}|{DIFFERS}):(?= |$)", line)
        if start:
            inside, line = start.group(1) == heading, line[start.end() :].strip()
            points += [line] if inside and line else []
        elif not line:
            # Between the heading and its list there may be an empty line.
            inside = inside and not points
        elif inside:
            mark = re.match(r"[-*•] +", line)
            if mark or not points:
                points.append(line[mark.end() :] if mark else line)
            else:
                points[-1] += f" {line}"
    return [point.rstrip(";.") for point in points]


def _modules(method: methods.Method) -> Iterator[ModuleType]:
    """The module of the method's function, then those of the package that it imports from, at any depth."""
    waiting, seen = [getattr(method.fuse, "__module__", None)], set()
    while waiting:
        name = waiting.pop(0)
        if name in seen or not _is_of_a_method(name):
            continue
        seen.add(name)
        yield sys.modules[name]
        waiting += [_home(thing) for thing in vars(sys.modules[name]).values()]


def _home(thing: object) -> Optional[str]:
    return thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", None)


def _is_of_a_method(name: object) -> bool:
    package = methods.__name__
    ours = isinstance(name, str) and name.startswith(f"{package}.") and name in sys.modules
    return ours and name != methods.Method.__module__
