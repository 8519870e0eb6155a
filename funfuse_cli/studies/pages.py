"""Keeps the hand-written pages in docs and the data files in docs/data together.

A page takes its numbers from expressions in HTML comments, which a reader does not see:

    `<!-- value EXPRESSION as .4f -->0.3547<!-- /value -->` within a line of text,
    `<!-- table EXPRESSION as .4f, time=.1f -->`, the table on lines of its own, `<!-- /table -->`,
    `<!-- claim EXPRESSION -->` beside a sentence: it has to be true.

An expression is Python. NAME is docs/data/NAME.csv or a NAME.json with a list of records, a DataFrame; or a
NAME.json with an object, a SimpleNamespace. Besides there are :data:`BUILTINS`, and ``pick`` and ``best`` of
page_tables. The format after "as" is that of ``format()``: in a table one for the columns with decimals, and
by name for single columns. It may be left out. Markers in fenced code are examples and stay as they are.
"""

import ast
import builtins
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pandas as pd

from FunFuseSlicer.Logic.errors import InputError

from .page_tables import best, cell, pick, table

ALLOWED = "abs all any bool dict float int len list max min round set sorted str sum zip"
BUILTINS = {name: getattr(builtins, name) for name in ALLOWED.split()}

# Fenced code, to its end or the page's, or one marker. The first in the text wins, as in Markdown.
_TOKEN = re.compile(
    r"^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)?(?P<fence>(?P<tick>[`~])(?P=tick){2,})[^`\n]*$"
    r"(?:.*?^[ \t>]*(?P=fence)(?P=tick)*[ \t\r]*$|.*\Z)"
    r"|<!--\s*(?P<kind>/?(?:value|table|claim))(?=\s|--)(?P<inside>.*?)(?:-->|\Z)",
    re.MULTILINE | re.DOTALL,
)
_LINE_START = re.compile(r"[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*")
# What ends a paragraph, even within a comment: an empty line, a list, a quotation, a heading.
_BREAK = re.compile(r"\n[ \t]*(?:[\r\n]|[-+*>#=]|\d+[.)])")


class PageError(InputError):
    """A marker that cannot be understood or computed; the message names page, line and expression."""

    def __init__(self, page: str, line: int, expression: str, problem: str):
        super().__init__(f"{page}, line {line}: {problem}: {' '.join(expression.split())}")


class Data(Dict[str, Any]):
    """name -> what is in the data file of this name in a folder, read when it is first asked for."""

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Any:
        """:raise ValueError: the file cannot be read, or there are two of this name."""
        paths = [self._folder / f"{name}{suffix}" for suffix in (".csv", ".json")]
        paths = [path for path in paths if path.is_file()]
        if not paths:
            raise KeyError(name)
        if len(paths) > 1:
            raise ValueError(f"there are {paths[0].name} and {paths[1].name}")
        try:
            self[name] = _read(paths[0])
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{paths[0].name} cannot be read: {error}") from error
        return self[name]


def _read(path: Path) -> Any:
    if path.suffix == ".csv":
        # Words such as "None" are words; pandas would take them for missing values.
        return pd.read_csv(path, encoding="utf-8", keep_default_na=False, na_values=["", "nan", "NaN"])
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    if isinstance(content, list) and all(isinstance(record, dict) for record in content):
        return pd.DataFrame(content)
    if isinstance(content, dict):
        return json.loads(text, object_hook=lambda fields: SimpleNamespace(**fields))
    raise ValueError("neither a list of records nor an object")


@dataclass
class Marker:
    """A marker of a page and its content, ``text[start:end]``; a claim has none. ``line`` counts from 1."""

    kind: str
    inside: str
    line: int
    indent: str
    start: int
    end: int


def _markers(text: str, page: str) -> List[Marker]:
    """:raise PageError: markers without end, within each other, or where Markdown does not allow them."""
    found: List[Marker] = []
    opened: Optional[Marker] = None
    for token in _TOKEN.finditer(text):
        kind, inside = token["kind"], token["inside"]
        if kind is None:
            continue
        before = text[text.rfind("\n", 0, token.start()) + 1 : token.start()]
        after = text[token.end() :].partition("\n")[0]
        line = text.count("\n", 0, token.start()) + 1
        problem = _misplaced(kind, inside, before, after)
        if not token[0].endswith("-->") or "<!--" in inside:
            problem = "the comment has no end"
        elif kind.startswith("/") and (opened is None or opened.kind != kind[1:]):
            problem = "nothing of this kind to end here"
        elif opened and not kind.startswith("/"):
            problem = f"the {opened.kind} of line {opened.line} has no end before this"
        if problem:
            raise PageError(page, line, kind + inside, problem)
        if kind.startswith("/"):
            opened.end = token.start()
            opened = None
        else:
            indent = before if before.isspace() else ""
            found.append(Marker(kind, inside.strip(), line, indent, token.end(), token.end()))
            opened = None if kind == "claim" else found[-1]
    if opened:
        raise PageError(page, opened.line, opened.inside, f"this {opened.kind} has no end")
    return found


def _misplaced(kind: str, inside: str, before: str, after: str) -> str:
    """What is wrong with a marker between these parts of its line, or nothing.

    Markdown takes a line that begins with a comment for HTML: the paragraph ends, and stars stay stars.
    """
    first = _LINE_START.fullmatch(before) is not None
    if kind == "table" and before.strip():
        return "a table has to begin its line"
    if first and (kind == "value" or (kind == "claim" and re.sub("<!--.*", "", after).strip())):
        return f"a {kind} must not begin a line of text"
    return "a line of this comment ends the paragraph" if not first and _BREAK.search(inside) else ""


def _split(inside: str) -> Tuple[str, str]:
    """Expression and format of a value or table."""
    try:
        _parsed(inside)
    except SyntaxError:
        # Only within strings "as" is Python, and those have been understood.
        parts = re.fullmatch(r"(.*)\sas\s(.*)", inside, re.DOTALL)
        if parts:
            return parts[1], parts[2].strip()
    return inside, ""


def _parsed(expression: str) -> ast.expr:
    if not expression.strip():
        raise SyntaxError("no expression")
    # Within parentheses it may run over several lines.
    return ast.parse(f"(\n{expression}\n)", mode="eval").body


def _value(expression: ast.expr, data: Dict[str, Any]) -> Any:
    names = {"__builtins__": BUILTINS, "best": best, "pick": pick}
    for name in {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}:
        with suppress(KeyError):
            names[name] = data[name]
    return eval(compile(ast.Expression(expression), "<page>", "eval"), names)


def _content(marker: Marker, text: str, data: Dict[str, Any]) -> str:
    """What has to stand in a value or table of this text."""
    expression, formats = _split(marker.inside)
    result = _value(_parsed(expression), data)
    if marker.kind == "table":
        lines = ["", *table(result, formats), ""]
        content = (("\r\n" if "\r\n" in text else "\n") + marker.indent).join(lines)
    elif pd.api.types.is_scalar(result) and not pd.isna(result):
        content = cell(result, formats)
    else:
        raise ValueError(f"not a single value but {type(result).__name__} {result}")
    if "<!--" in content or "-->" in content:
        raise ValueError("there is a comment in the data")
    return content


def refreshed(text: str, data: Dict[str, Any], page: str = "page") -> str:
    """The page with its values and tables made anew; claims are not looked at.

    :param data: name -> DataFrame or namespace, such as :class:`Data`.
    :param page: the page's name, for errors.
    :raise PageError: for the first marker that cannot be understood or computed.
    """
    parts, end = [], 0
    for marker in _markers(text, page):
        if marker.kind != "claim":
            try:
                parts += [text[end : marker.start], _content(marker, text, data)]
            except Exception as error:  # an expression may raise anything
                raise PageError(page, marker.line, marker.inside, _told(error)) from error
            end = marker.end
    return "".join([*parts, text[end:]])


def problems(text: str, data: Dict[str, Any], page: str = "page") -> List[str]:
    """What is wrong with a page, each with its line: other texts than from the data, false claims, errors.

    Parameters as of :func:`refreshed`.
    """
    try:
        markers = _markers(text, page)
    except PageError as error:
        return [str(error)]
    found = []
    for marker in markers:
        try:
            problem = _untrue(marker, data) if marker.kind == "claim" else _difference(marker, text, data)
        except Exception as error:  # an expression may raise anything
            problem = _told(error)
        if problem:
            found.append(str(PageError(page, marker.line, marker.inside, problem)))
    return found


def update(page: Path, data_folder: Path) -> bool:
    """Refresh a page's file, which is written only if it changes: whether it did. Newlines stay as they are.

    :raise PageError: see :func:`refreshed`; the file is as before.
    """
    old = page.read_bytes()
    new = refreshed(old.decode("utf-8"), Data(data_folder), page.name).encode("utf-8")
    if new != old:
        page.write_bytes(new)
    return new != old


def check(page: Path, data_folder: Path) -> List[str]:
    """The :func:`problems` of a page's file; none if it agrees with the data."""
    return problems(page.read_bytes().decode("utf-8"), Data(data_folder), page.name)


def _difference(marker: Marker, text: str, data: Dict[str, Any]) -> str:
    there, right = text[marker.start : marker.end], _content(marker, text, data)
    for old, new in zip_longest(there.strip().splitlines(), right.strip().splitlines(), fillvalue="nothing"):
        if old.strip() != new.strip():
            return f"the page has {old.strip()}, the data {new.strip()}"
    return "" if there == right else "spaces or newlines differ"


def _untrue(marker: Marker, data: Dict[str, Any]) -> str:
    claim = _parsed(marker.inside)
    result = _value(claim, data)
    if not isinstance(result, (bool, np.bool_)):
        return f"neither true nor false but {type(result).__name__} {result}"
    if result:
        return ""
    # Of comparisons joined by "and" the first that fails.
    joined = claim.values if isinstance(claim, ast.BoolOp) and isinstance(claim.op, ast.And) else [claim]
    failed = next(part for part in joined if not _value(part, data))
    sides = [failed.left, *failed.comparators] if isinstance(failed, ast.Compare) else []
    return "not true" + "".join(
        f", {ast.unparse(side)} is {_value(side, data)}"
        for side in sides
        if not isinstance(side, ast.Constant)
    )


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
