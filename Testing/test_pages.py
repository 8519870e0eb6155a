"""Hand-written pages: numbers come from docs/data, claims are true, and nothing else is touched."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.studies import command
from funfuse_cli.studies.pages import Data, PageError, check, problems, refreshed, update
from FunFuseSlicer.Logic.fusion.models import load_model, model_names

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "FunFuseSlicer" / "Resources" / "Models" / "MODEL_CARD.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

DATA = {
    "means": pd.DataFrame(
        {
            "method": ["detail", "average", "copy"],
            "Q": [0.88381, 0.88379, 0.9],
            "time": [278.0, 0.46, math.nan],
            "pairs": [5, 5, 1200],
            "colored": [True, False, False],
        }
    ),
    "run": SimpleNamespace(voxels=1234567, share=0.976, machine=SimpleNamespace(name="a|b")),
}


def value(marker):
    return (
        refreshed(f"It is <!-- value {marker} -->old<!-- /value -->.", DATA).split("-->")[1].split("<!--")[0]
    )


def table(marker):
    lines = refreshed(f"<!-- table {marker} -->\nold\n<!-- /table -->\n", DATA).splitlines()
    assert lines[0].startswith("<!-- table") and lines[-1] == "<!-- /table -->"
    return [[text.strip() for text in line.strip("|").split(" |")] for line in lines[1:-1]]


# --- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "marker, text",
    [
        ('pick(means, "Q", method="detail") as .3f', "0.884"),
        ('pick(means, "Q", method="detail")', "0.88381"),
        ('pick(means, "Q", method="detail") - 1 as +.3f', "-0.116"),
        ("run.voxels as ,d", "1,234,567"),
        ("run.share as .0%", "98%"),
        ("float(means.pairs.max()) as ,d", "1,200"),
        ("run.machine.name", r"a\|b"),
        ('"as good as .3f"', "as good as .3f"),
        ('"x as y" as s', "x as y"),
        ("any(means.colored)", "yes"),
        ("sum(\n    n for n in means.pairs\n    if n < 10\n)\nas .1f", "10.0"),
        ('(lambda method: pick(means, "pairs", method=method))("copy")', "1200"),
    ],
)
def test_value(marker, text):
    assert value(marker) == text


@pytest.mark.parametrize(
    "marker, problem",
    [
        ("no_data.max()", "name 'no_data' is not defined"),
        ("open('x')", "name 'open' is not defined"),
        ("__import__('os')", "name '__import__' is not defined"),
        ("run.voxels +", "SyntaxError"),
        ("", "no expression"),
        ("run.share as d", "ValueError"),
        ("run.machine.name as .3f", "ValueError"),
        ("means", "not a single value but DataFrame"),
        ("sorted(means.Q)", "not a single value but list"),
        ('pick(means, "time", method="copy")', "not a single value but float64 nan"),
        ('pick(means, "Q", pairs=5)', "2 rows fit {'pairs': 5}, not one"),
        ('pick(means, "Q", method="none")', "0 rows fit"),
        ('pick(means, "Q_missing", method="copy")', "KeyError: 'Q_missing'"),
        ('"<!" + "-- x"', "comment in the data"),
    ],
)
def test_value_that_cannot_be_had_is_told_with_page_line_and_expression(marker, problem):
    text = f"First line.\nIt is <!-- value {marker} -->old<!-- /value -->."
    with pytest.raises(PageError) as caught:
        refreshed(text, DATA, "model.md")
    assert str(caught.value).startswith("model.md, line 2: ") and problem in str(caught.value)
    assert marker.strip() in str(caught.value)
    assert problems(text, DATA, "model.md") == [str(caught.value)]


# --- tables ------------------------------------------------------------------------------------------


def test_table_has_formats_by_column_and_sides_by_kind():
    header, rule, detail, average, copy = table("means as .4f, time=.1f, pairs=,d")
    assert header == ["method", "Q", "time", "pairs", "colored"]
    # "---:" with a colon is to the right.
    assert "".join(rule).split("|")[0].startswith(":-")
    assert [side.endswith(":") for side in "".join(rule).split("|")] == [False, True, True, True, False]
    assert detail == ["detail", "0.8838", "278.0", "5", "yes"]
    assert average == ["average", "0.8838", "0.5", "5", "no"]
    assert copy == ["copy", "0.9000", "–", "1,200", "no"]


def test_default_format_is_not_for_integers_but_an_own_one_is():
    assert [row[0] for row in table("means[['pairs']] as .2f")[2:]] == ["5", "5", "1200"]
    assert [row[0] for row in table("means[['pairs']] as pairs=.2f")[2:]] == ["5.00", "5.00", "1200.00"]


def test_integers_with_a_gap_stay_integers():
    data = {"counts": pd.DataFrame({"n": [3, None, 12], "real": [1.0, None, 2.5]})}
    text = refreshed("<!-- table counts -->\n<!-- /table -->", data)
    assert [line.split() for line in text.splitlines()[3:-1]] == [
        ["|", "3", "|", "1.0", "|"],
        ["|", "–", "|", "–", "|"],
        ["|", "12", "|", "2.5", "|"],
    ]


def test_texts_stay_texts():
    odd = ["1e3", "007", "a|b", r"c\|d", "two\nlines", "None"]
    data = {"odd": pd.DataFrame({"x|y": odd})}
    lines = refreshed("<!-- table odd as .1f -->\n<!-- /table -->", data).splitlines()[1:-1]
    cells = [line[2:-2].strip() for line in lines]
    assert cells[0] == r"x\|y" and not lines[1].endswith(":|")
    assert cells[2:] == ["1e3", "007", r"a\|b", r"c\|d", "two lines", "None"]


def test_best_is_bold_as_printed_among_those_that_compete():
    marker = (
        'best(means, highest=["Q"], lowest=["time"], among=means.method != "copy")[["method", "Q", "time"]]'
    )
    rows = table(f"{marker} as .4f, time=.1f")[2:]
    # 0.88381 and 0.88379 print alike.
    assert rows == [
        ["detail", "**0.8838**", "278.0"],
        ["average", "**0.8838**", "**0.5**"],
        ["copy", "0.9000", "–"],
    ]
    assert [row[1] for row in table(f"{marker} as .5f")[2:]] == ["**0.88381**", "0.88379", "0.90000"]
    everyone = table('best(means, highest=["Q", "pairs"]).sort_values("method") as .4f')
    assert [row[1] for row in everyone[2:]] == ["0.8838", "**0.9000**", "0.8838"]
    assert [row[3] for row in everyone[2:]] == ["5", "**1200**", "5"]


def test_those_that_compete_are_known_by_their_labels():
    marker = 'best(means[::-1], lowest=["pairs"], among=means.index == 2)[["pairs"]]'
    with pytest.raises(PageError, match="AttributeError"):  # a bare array has no labels
        table(marker)
    marker = 'best(means[::-1], highest=["Q"], among=means.Q < 0.89)[["Q"]] as .5f'
    assert [row[0] for row in table(marker)[2:]] == ["0.90000", "0.88379", "**0.88381**"]
    marker = 'best(means, lowest=["Q"], among=means.method != "average")[["Q"]] as .4f'
    assert [row[0] for row in table(marker)[2:]] == ["**0.8838**", "0.8838", "0.9000"]


def test_index_with_a_name_becomes_a_column():
    assert table('means.groupby("colored")[["pairs"]].sum()')[0] == ["colored", "pairs"]
    assert table("means[means.pairs > 5][['pairs']]")[0] == ["pairs"]


@pytest.mark.parametrize(
    "marker, problem",
    [
        ("means.Q", "not a table with rows but Series"),
        ("means[means.Q > 1]", "not a table with rows but DataFrame"),
        ("means as .3f, tme=.1f", "'tme=.1f' is no format"),
        ("means as .3f, .2f", "'.2f' is no format"),
        ("means as d", "ValueError"),
        ("means.assign(Q=[[1], [2], [3]])", r"not a single value but \[1\]"),
        ('best(means, highest=["nothing"])', "KeyError"),
    ],
)
def test_table_that_cannot_be_made(marker, problem):
    with pytest.raises(PageError, match=problem):
        table(marker)


def test_table_in_a_list_is_indented_and_newlines_are_the_pages():
    text = "- Item\r\n\r\n  <!-- table\r\n  means[['Q']]\r\n  as .1f -->\r\n  <!-- /table -->\r\n"
    lines = refreshed(text, DATA).split("\r\n")
    assert lines[:5] == text.split("\r\n")[:5] and lines[10:] == ["  <!-- /table -->", ""]
    assert all(line.startswith("  |") and "\n" not in line for line in lines[5:10])


# --- claims ------------------------------------------------------------------------------------------


def test_claims_are_true_or_told_with_what_was_compared():
    text = "A. <!-- claim run.share > 0.9 and means.Q.max() < 1 -->\nB. <!-- claim run.share > 0.98 -->\n"
    (problem,) = problems(text, DATA, "a.md")
    assert problem == "a.md, line 2: not true, run.share is 0.976: run.share > 0.98"
    (problem,) = problems("C. <!-- claim run.share < 1 and\n  0 < means.Q.min() < run.share * 0.9 -->", DATA)
    assert (
        "means.Q.min() is 0.88379, run.share * 0.9 is 0.87" in problem and "run.share is 0.976" not in problem
    )
    (problem,) = problems("D. <!-- claim any(means.Q > 1) -->", DATA)
    assert problem == "page, line 1: not true: any(means.Q > 1)"
    assert refreshed(text, DATA) == text


@pytest.mark.parametrize("claim", ["means.Q > 0", "run.voxels", "run.share > 0, 'a tuple'", "'text'", "None"])
def test_claim_is_true_or_false_and_nothing_else(claim):
    (problem,) = problems(f"A. <!-- claim {claim} -->", DATA)
    assert "neither true nor false" in problem


# --- markers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, line, problem",
    [
        ("a\nb <!-- value run.share -->1", 2, "this value has no end"),
        ("<!-- table means -->\n\nb <!-- value 1 -->1<!-- /value -->", 3, "the table of line 1 has no end"),
        ("a <!-- value 1 --> <!-- claim True --> <!-- /value -->", 1, "the value of line 1 has no end"),
        ("a <!-- value 1 -->1<!-- /table -->", 1, "nothing of this kind to end"),
        ("a\n<!-- /value -->", 2, "nothing of this kind to end"),
        ("a <!-- /claim -->", 1, "SELF"),
        ("a <!-- value 1 1<!-- /value -->", 1, "the comment has no end"),
        ("a\n\na <!-- claim True", 3, "the comment has no end"),
        ("a <!-- table means -->\n<!-- /table -->", 1, "a table has to begin its line"),
        ("<!-- value 1 -->1<!-- /value --> is one", 1, "a value must not begin a line"),
        ("- <!-- value 1 -->1<!-- /value --> is one", 1, "a value must not begin a line"),
        ("  <!-- claim True --> It is **so**.", 1, "a claim must not begin a line"),
        ("It is so. <!-- claim 2\n> 1 -->", 1, "a line of this comment ends the paragraph"),
        ("It is so. <!-- claim 2 >\n\n1 -->", 1, "a line of this comment ends the paragraph"),
    ],
)
def test_markers_that_do_not_fit(text, line, problem):
    problem = problem.replace("SELF", "nothing of this kind to end")
    with pytest.raises(PageError, match=problem) as caught:
        refreshed(text, DATA)
    assert str(caught.value).startswith(f"page, line {line}: ")
    assert problems(text, DATA) == [str(caught.value)]


@pytest.mark.parametrize(
    "text",
    [
        "```\na <!-- value x -->1\n```\n",
        "~~~~ text\n~~~\n<!-- claim False -->\n~~~~\n",
        "- Item\n\n  ```html\n  <!-- /table -->\n  ```\n",
        "> ```\n> <!-- claim False -->\n> ```\n",
        "```\r\n<!-- claim False -->\r\n```\r\n",
        "````\n```\n<!-- claim False -->\n````\n",
        "```\n<!-- claim False --> to the end\n",
        "<!-- a comment about values --> <!-- valued x --> text",
        "<!-- claim 2\n> 1 -->\n<!-- claim True --> <!-- claim True -->\nText.\n",
    ],
)
def test_code_and_other_comments_are_not_markers(text):
    assert problems(text, DATA) == [] and refreshed(text, DATA) == text


@pytest.mark.parametrize(
    "code", ["```\nx\n```\n", "```x``` y\n", "~~~\n```\n~~~\n", "````\n```\n````\n", "``\n"]
)
def test_markers_after_code_are_markers(code):
    text = f"{code}It is <!-- value run.voxels -->1<!-- /value -->."
    assert refreshed(text, DATA) == f"{code}It is <!-- value run.voxels -->1234567<!-- /value -->."


def test_problems_name_what_stands_there_and_what_should():
    text = (
        "It is <!-- value run.share as .2f -->0.97<!-- /value -->.\n\n<!-- table means[['Q']] as .2f -->\n\n"
    )
    value_problem, table_problem = problems(text + "<!-- /table -->\n", DATA)
    assert value_problem == "page, line 1: the page has 0.97, the data 0.98: run.share as .2f"
    assert table_problem.startswith("page, line 3: the page has nothing, the data |")
    right = refreshed(text + "<!-- /table -->\n", DATA)
    assert problems(right, DATA) == []
    (cell_problem,) = problems(right.replace("0.90", "0.91"), DATA)
    assert "0.91" in cell_problem and "0.90" in cell_problem
    (space_problem,) = problems(right.replace("\n<!-- /table", "\n\n<!-- /table"), DATA)
    assert "spaces or newlines differ" in space_problem


TEXT = st.text(st.sampled_from("ab *|#-\n\té\u2028<!>"), max_size=20)
# What stands before a content, the content, what stands after it.
PIECES = [
    ("a <!-- value run.share as .1% -->", "97.6%", "<!-- /value -->"),
    ("a <!-- value\n run.machine.name -->", r"a\|b", "<!-- /value --> b"),
    ("\n<!-- table means[['Q']][:1] as .2f -->", "\n|    Q |\n|-----:|\n| 0.88 |\n", "<!-- /table -->\n"),
    (
        "\n\n  <!-- table best(means, lowest=['Q'])[['Q']][1:2]\nas Q=.1f -->",
        "\n  |       Q |\n  |--------:|\n  | **0.9** |\n  ",
        "<!-- /table -->",
    ),
    ("a <!-- claim run.share > 0 -->", "", ""),
    ("\n```\na <!-- value run.share -->1<!-- /value --> <!-- claim False -->\n```\n", "", ""),
]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXT, st.sampled_from(PIECES), TEXT)), TEXT, st.booleans())
def test_only_contents_change_and_only_once(pieces, end, windows):
    old = (
        "".join(text + start + (other if stop else "") + stop for text, (start, _, stop), other in pieces)
        + end
    )
    new = "".join(text + start + content + stop for text, (start, content, stop), _ in pieces) + end
    if windows:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    assert refreshed(old, DATA) == new
    assert refreshed(new, DATA) == new and problems(new, DATA) == []
    assert bool(problems(old, DATA)) == (old != new)


# --- files -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A folder of data files, some of them broken."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "means.csv").write_text("method,Q,n\nNone,0.5,3\nnan,,\n", encoding="utf-8")
    (data / "runs.json").write_text('[{"seed": 1, "Q": 0.25}, {"seed": 2, "Q": 0.75}]', encoding="utf-8")
    (data / "machine.json").write_text('{"cpu": {"cores": 2, "names": ["a", "b"]}}', encoding="utf-8")
    (data / "broken.json").write_text("{", encoding="utf-8")
    (data / "empty.csv").write_text("", encoding="utf-8")
    (data / "number.json").write_text("3", encoding="utf-8")
    (data / "twice.csv").write_text("a\n1\n", encoding="utf-8")
    (data / "twice.json").write_text("{}", encoding="utf-8")
    return data


def test_update_writes_what_the_data_say_and_check_agrees(folder, tmp_path):
    page = tmp_path / "page.md"
    text = (
        "\ufeffÄ: <!-- value runs.Q.mean() as .2f -->?<!-- /value --> on <!-- value machine.cpu.cores -->"
        "<!-- /value -->{newline}{newline}<!-- table means as .1f -->{newline}<!-- /table -->{newline}"
        "So. <!-- claim means.method[0] == 'None' and len(machine.cpu.names) == 2 -->{newline}"
    )
    for newline in ("\n", "\r\n"):
        page.write_bytes(text.format(newline=newline).encode("utf-8"))
        assert len(check(page, folder)) == 3
        assert update(page, folder) and check(page, folder) == []
        content = page.read_bytes().decode("utf-8")
        assert content.startswith("\ufeffÄ: ") and "-->0.50<!--" in content and "-->2<!--" in content
        assert content.count("\n") == content.count(newline) == 9
        assert "| None" in content and content.count("–") == 3
        page.chmod(0o444)
        changed = page.stat().st_mtime_ns
        assert not update(page, folder) and page.stat().st_mtime_ns == changed
        page.chmod(0o644)


@pytest.mark.parametrize(
    "expression, problem",
    [
        ("broken.x", "broken.json cannot be read"),
        ("len(empty)", "empty.csv cannot be read"),
        ("number", "number.json cannot be read: neither a list of records nor an object"),
        ("len(twice)", "there are twice.csv and twice.json"),
        ("absent.x", "name 'absent' is not defined"),
    ],
)
def test_data_that_cannot_be_read_are_named_and_the_page_stays(folder, tmp_path, expression, problem):
    page = tmp_path / "page.md"
    text = f"It is <!-- value 1 -->?<!-- /value --> and <!-- value {expression} -->?<!-- /value -->."
    page.write_text(text, encoding="utf-8")
    with pytest.raises(PageError, match=problem):
        update(page, folder)
    assert page.read_text(encoding="utf-8") == text
    assert len(check(page, folder)) == 2 and problem in check(page, folder)[1]


def test_data_are_read_once_and_only_when_used(folder):
    data = Data(folder)
    assert refreshed("It is <!-- value len(runs) -->2<!-- /value -->.", data)
    assert list(data) == ["runs"] and data["runs"] is data["runs"]


# --- the pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_agrees_with_the_data(page):
    assert check(page, ROOT / "docs" / "data") == []


def test_the_data_are_of_the_shipped_models():
    """Not of weights from before: what holds checksums names those of the models as they are."""
    shipped, data = {name: load_model(name).sha256 for name in model_names()}, ROOT / "docs" / "data"
    found = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in data.glob("*.json")}
    sums = {name: facts["models"] for name, facts in found.items() if "models" in facts}
    sums["model_models.csv"] = pd.read_csv(data / "model_models.csv", index_col="method").sha256.to_dict()
    assert {"tracers_facts.json", "hue_facts.json", "field_facts.json", "display_facts.json"} <= set(sums)
    for name, models in sums.items():
        assert {model: shipped[model] for model in models} == models, name


def test_a_study_refreshes_all_pages_and_tells_what_is_not_true(tmp_path, monkeypatch, capsys):
    docs, card = tmp_path / "docs", tmp_path / command.MODEL_CARD
    for folder in (docs / "data", card.parent):
        folder.mkdir(parents=True)
    (docs / "data" / "facts.json").write_text('{"lowest": 2}', encoding="utf-8")
    for page in (docs / "a.md", card):
        page.write_text("It is <!-- value facts.lowest -->?<!-- /value -->.", encoding="utf-8")
    monkeypatch.setattr(command, "checkout", lambda: tmp_path)
    assert command.main(["--update"]) == 0 == command.main(["model", "--update"])
    assert ">2<" in card.read_text(encoding="utf-8") and capsys.readouterr().out.count("refreshed") == 2
    (docs / "b.md").write_text("It is three. <!-- claim facts.lowest == 3 -->", encoding="utf-8")
    assert command.main(["--update"]) == 1 and "facts.lowest is 2" in capsys.readouterr().err
