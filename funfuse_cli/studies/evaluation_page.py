"""The page docs/evaluation.md, written from what was measured."""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from FunFuseSlicer.Logic.metrics import METRICS

from ..workflow import evaluation_report as report
from ..workflow.wording import count
from . import evaluation_paper as paper
from . import weights_maps
from .evaluation_findings import (
    NAMES,
    Measured,
    between_sets,
    compared,
    copies,
    difference,
    listed,
    number,
    probes,
    rank,
    row_of,
    standing,
)
from .evaluation_measure import COLORED, COPY, METHOD, MODEL, PROBE
from .evaluation_plots import times_text
from .evaluation_sources import Source

# From the page.
MODEL_CARD = "../FunFuseSlicer/Resources/Models/MODEL_CARD.md"


class Picture(NamedTuple):
    """What every method makes of one slice.

    :param name: of the file, in the folder of the pictures.
    :param slice: its number from the feet.
    :param credit: whose images it shows, and under which license.
    """

    name: str
    slice: int
    credit: str


class Facts(NamedTuple):
    """What the page says beside the numbers.

    :param command: the command that made it, with placeholders for folders.
    :param models: (name, SHA-256) of each.
    :param sources: of the methods; also of those that could not be measured.
    :param black: share of pixels that are black in both sources, by set.
    :param weights: content of the weights study's weights.json, or None.
    :param images: path of the pictures from the page.
    :param picture: None when there is none.
    """

    command: str
    lam: float
    omega: float
    models: Sequence[Tuple[str, str]]
    sources: Sequence[Source]
    black: Dict[str, float]
    versions: Dict[str, str]
    code: str
    weights: Optional[dict]
    images: str
    picture: Optional[Picture] = None


def page(test: Measured, held_out: Measured, facts: Facts) -> str:
    """The whole page in Markdown.

    :param test: on the authors' test pairs; these stand beside the paper's table.
    """
    parts = [
        _head(test, held_out, facts),
        _reading(test),
        _set(test, facts, _about_test(test)),
        _set(held_out, facts, _about_held_out(held_out)),
        _pictures(facts),
        _beside_the_paper(test, held_out, facts),
        _sources(facts),
        _weights(facts),
        _origin(facts),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _head(test: Measured, held_out: Measured, facts: Facts) -> str:
    lines = [
        "# How good are the fused images?",
        "",
        "Written by one command: every number below but those of the paper, and every comparison in words, "
        "is computed and not typed.",
        "",
        "```",
        facts.command,
        "```",
        "",
        f"All fusion methods there are, on {test.size} that the authors tested on and on {held_out.size} "
        f"held out from training, at λ = {facts.lam:g}. In short:",
        "",
    ]
    for measured in (test, held_out):
        lines += [
            f"- {measured.title}: {sentence}" for sentence in standing(measured)[: len(_models(measured))]
        ]
    lines += [f"- {sentence}" for sentence in copies(test)[:1]]
    lines += [f"- Not measured: {source.problem}" for source in _unmeasured(facts)]
    lines += [
        "- The numbers stand beside the paper's, but on other images: see "
        "[what can be compared](#beside-the-papers-table-1)."
    ]
    return "\n".join(lines)


def _reading(test: Measured) -> str:
    lines = [
        "## What the metrics reward",
        "",
        report.REWARDS,
        "",
        "| metric | rewards | best method, best copy |",
    ]
    lines.append("|---|---|---|")
    methods = compared(test.table)
    for name, metric in METRICS.items():
        copy = max((row for row in test.table if row["kind"] == COPY), key=lambda row: row[name])
        best = max(methods, key=lambda row: row[name])
        lines.append(
            f"| {name} | {metric.rewards} | {best['method']} {number(best[name])}, {copy['method']} "
            f"{number(copy[name])} |"
        )
    lines += ["", f"Measured, as is the table, on the first set below ({test.size}):", ""]
    lines += [f"- {sentence}" for sentence in (*copies(test), *probes(test))]
    lines += [
        "",
        "FunFuse is trained to raise structural similarity, and some of its models visual information (see "
        f"the [model card]({MODEL_CARD})). Q_SSIM and Q_VIFF are close to that: a lead there was to be "
        "expected, and proves less than one elsewhere.",
        "",
        "So no metric is a verdict. Every table carries the two copies, and b_P: the weight of the PET in a "
        "regression of the blurred fused image on the blurred sources; 0 means that the PET is not in it, "
        "1/2 is the plain average. More is not better. rank_fused is the rank correlation with the PET: "
        "whether brighter still means more uptake.",
    ]
    return "\n".join(lines)


def _about_test(measured: Measured) -> str:
    return (
        f"{measured.size[0].upper()}{measured.size[1:]}, T1 or T2 with FDG of the Harvard Whole Brain Atlas, "
        "from the authors' own test set; other subjects than any in training. The PET is the luminance of "
        "its pseudo-color, as in the paper."
    )


def _about_held_out(measured: Measured) -> str:
    return (
        f"{measured.size[0].upper()}{measured.size[1:]} ({listed(sorted(set(measured.patients)))}), T2 with "
        "SPECT of the Harvard Whole Brain Atlas; none of their slices was trained on. Slices of one patient "
        "look alike: the number of images overstates how much was seen."
    )


def _set(measured: Measured, facts: Facts, about: str) -> str:
    reference = measured.table[0]["method"]
    lines = [
        f"## {measured.title}",
        "",
        about,
        "",
        f"![The metrics of every method]({facts.images}/evaluation_{measured.key}.png)",
        "",
        _table(measured, reference),
        "",
        "Bold: the best fusion method. Italic: not a fusion method (the luminance of the colored image, "
        f"unfused copies, and {reference} spoiled on purpose). Time: median processor time per image on one "
        f"thread, and the median ratio to {reference} on the same image in the same run; for the colored "
        "rows it includes the parts, the check that they add up, and the coloring.",
        "",
        "Where FunFuse stands, and where it is not the best:",
        "",
        *(f"- {sentence}" for sentence in (*standing(measured), *copies(measured))),
        "",
        f"Image by image against {reference}: mean difference ± its standard deviation over the images, and "
        "on how many images the method is higher.",
        "",
        _differences(measured, reference),
    ]
    return "\n".join(lines)


def _table(measured: Measured, reference: str) -> str:
    columns = [*NAMES, "b_P", "rank_fused"]
    lines = [
        "| method | "
        + " | ".join([*(f"{name} ↑" for name in NAMES), "b_P", "rank_fused ↑", "ms ↓", "time ↓"])
        + " |",
        "|---|" + "---:|" * (len(columns) + 2),
    ]
    for row in measured.table:
        is_method = row["kind"] in (MODEL, METHOD)
        cells = []
        for name in columns:
            text = number(row[name])
            best = is_method and name in METRICS and rank(measured.table, row["method"], name) == 1
            cells.append(f"**{text}**" if best else text)
        cells += [_milliseconds(row["ms"]), times_text(row["ratio"])]
        name = row["method"] if is_method else f"*{row['method']}*"
        if row["kind"] == PROBE:
            name = f"*{reference}, {row['method']}*"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _differences(measured: Measured, reference: str) -> str:
    lines = [f"| method | {' | '.join(NAMES)} |", "|---|" + "---:|" * len(NAMES)]
    for row in measured.table:
        if row["method"] == reference or row["kind"] in (PROBE, COLORED):
            continue
        cells = []
        for name in NAMES:
            gap = difference(measured.rows, row["method"], reference, name)
            cells.append(f"{gap.mean:+.4f} ± {gap.deviation:.4f} ({gap.higher}/{gap.images})")
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _beside_the_paper(test: Measured, held_out: Measured, facts: Facts) -> str:
    default = compared(test.table)[0]["method"]
    colored = f"{default}, colored"
    names = [row["method"] for row in compared(test.table, (METHOD,))]
    lines = [
        "## Beside the paper's Table 1",
        "",
        f"In each cell: the paper's number / ours on {test.size}. The paper's are means over its 100 test "
        f"pairs ({paper.CITATION}).",
        "",
        f"| method | {' | '.join(f'{name} ↑' for name in NAMES)} | time, share of the first row's ↓ |",
        "|---|" + "---:|" * (len(NAMES) + 1),
    ]
    proposed = paper.TABLE[paper.PROPOSED]
    shown = {default, colored}
    rows = [(f"proposed / {default}", proposed, default), (f"proposed / {colored}", proposed, colored)]
    for method, values in paper.TABLE.items():
        if method != paper.PROPOSED:
            ours = paper.here(method, names)
            shown.add(ours)
            rows.append((method, values, ours))
    rows += [(row["method"], None, row["method"]) for row in test.table if _is_rest(row, shown)]
    for title, values, ours in rows:
        row = None if ours is None else row_of(test.table, ours)
        cells = [f"{_or_dash(values, name, number)} / {_or_dash(row, name, number)}" for name in NAMES]
        ratio = None if values is None else {"ratio": values["seconds"] / proposed["seconds"]}
        cells.append(f"{_or_dash(ratio, 'ratio', times_text)} / {_or_dash(row, 'ratio', times_text)}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += ["", "What can be compared, and what cannot:", ""]
    lines += [f"- {sentence}" for sentence in _comparability(test, held_out, facts, names)]
    return "\n".join(lines)


def _is_rest(row: dict, shown: set) -> bool:
    return row["kind"] in (MODEL, METHOD, COPY) and row["method"] not in shown


def _comparability(test: Measured, held_out: Measured, facts: Facts, names: List[str]) -> List[str]:
    best = {name: max(paper.TABLE, key=lambda method: paper.TABLE[method][name]) for name in NAMES}
    theirs = [name for name in NAMES if best[name] == paper.PROPOSED]
    others = {
        method: [n for n in NAMES if best[n] == method] for method in paper.TABLE if method in best.values()
    }
    others.pop(paper.PROPOSED, None)
    said = [
        "The metrics are computed as the authors' program computes them, and tests hold them to its results.",
        "**The images are not the paper's.** It used 90 pairs of ADNI, which cannot be redistributed, and 10 "
        f"of the Harvard atlas; {count(len(test.patients), 'image')} of those 10 "
        f"{_is_are(len(test.patients))} ours. "
        "A number of the paper and a number here must not be subtracted; only the order of methods within "
        "one table means something.",
        f"The share of pixels that are black in both sources is {facts.black[test.key]:.0%} in the first set "
        f"here and {facts.black[held_out.key]:.0%} in the second; Q_G and Q_FMI count black as well kept, so "
        "that it moves their level. The paper's share is not known.",
        *between_sets(test, held_out),
        "The paper takes the metrics of its visualization, at λ = 0.8 and Ω = 0.6; whether Table 1 is of the "
        "colored image or of the gray one it does not say. Both of ours are shown.",
        "Times: the paper gives the runtime for its 100 pairs on another computer, with a graphics card for "
        "its own network; ours are processor time per image. Only ratios within a table compare, and those "
        "of programs in different languages hardly do.",
        f"In the paper's own table the proposed method is highest on {listed(theirs)}, and "
        + listed([f"{method} on {listed(metrics)}" for method, metrics in others.items()])
        + "; of GF the paper says that the PET hardly contributes to its images, which these metrics do not "
        "mind.",
    ]
    shared = {
        method: ours for method in paper.TABLE for ours in [paper.here(method, names)] if ours is not None
    }
    if len(shared) > 1:
        said.append(_agreement(test, shared))
    unmeasured = [source.label for source in _unmeasured(facts)]
    if unmeasured:
        said.append(f"Not measured in this run: {listed(unmeasured)}.")
    missing = [
        method
        for method in paper.TABLE
        if method not in shared and method != paper.PROPOSED and paper.here(method, unmeasured) is None
    ]
    if missing:
        said.append(f"Not implemented here: {listed(missing)}.")
    if shared:
        said.append(
            f"{listed(shared.values())} {'was' if len(shared) == 1 else 'were'} written anew from the "
            "publications; [what these leave open](#the-methods) can differ from the programs that the paper "
            "used."
        )
    return said


def _agreement(test: Measured, shared: Dict[str, str]) -> str:
    """How often two methods stand in the same order here and in the paper; with ours as "Proposed"."""
    shared = {**shared, paper.PROPOSED: compared(test.table)[0]["method"]}
    methods = list(shared)
    pairs = [(a, b) for index, a in enumerate(methods) for b in methods[index + 1 :]]
    cells = []
    for name in NAMES:
        same = sum(
            (paper.TABLE[a][name] > paper.TABLE[b][name])
            == (row_of(test.table, shared[a])[name] > row_of(test.table, shared[b])[name])
            for a, b in pairs
        )
        cells.append(f"{name} {same}")
    return (
        f"Of the {len(pairs)} couples among the {len(methods)} methods in both tables, so many stand in the "
        f"same order here as in the paper: {', '.join(cells)}. By chance it would be half."
    )


def _pictures(facts: Facts) -> str:
    if facts.picture is None:
        return ""
    return "\n".join(
        [
            "## How they look",
            "",
            f"![MRI, PET and the fused image of every method]({facts.images}/{facts.picture.name})",
            "",
            f"*Axial slice {facts.picture.slice} of a pair of volumes, all in the same gray levels, at λ = "
            f"{facts.lam:g}. {facts.picture.credit}*",
        ]
    )


def _sources(facts: Facts) -> str:
    """Per method its publication, and the choices that were left to us."""
    if not facts.sources:
        return ""
    lines = [
        "## The methods",
        "",
        "Where each was published, what the publication leaves open with the choice made here, and where "
        "this implementation departs from it.",
    ]
    for source in facts.sources:
        said = [f"**{source.label}**:", f"{source.citation}." if source.citation else "no source needed."]
        if source.problem is not None:
            said.append(f"Not measured: {source.problem}")
        lines += ["", " ".join(said)]
        for heading, points in (("Left open:", source.open), ("Differs:", source.differs)):
            if points:
                lines += ["", heading, "", *(f"- {point}" for point in points)]
    return "\n".join(lines)


def _unmeasured(facts: Facts) -> List[Source]:
    return [source for source in facts.sources if source.problem is not None]


def _weights(facts: Facts) -> str:
    if facts.weights is None:
        return ""
    content = facts.weights
    settings, size = content["settings"], content["count"]
    about = (
        f"The study of the paper's section 3.3: {count(len(settings['lambdas']), 'value')} of λ and as many "
        f"of Ω, mean over {count(size['pairs'], 'image')} of {count(size['patients'], 'patient')}, model "
        f'"{settings["model"]}", hue from the {settings["mode"]}, color map {settings["colormap"]}. '
    )
    lines = ["## λ and Ω", "", about + content["explanation"], ""]
    current = dict(facts.models).get(settings["model"])
    if current != settings["sha256"]:
        lines += [
            f'These maps were made with an earlier "{settings["model"]}" (SHA-256 '
            f"{settings['sha256'][:16]}…).",
            "",
        ]
    lines += [f"![Heat maps of the metrics over λ and Ω]({facts.images}/evaluation_weights.png)", ""]
    lines += [f"- {sentence}" for sentence in weights_maps.findings(content["rows"])]
    lines += [
        "",
        "The same study on other pairs: `python3 funfuse.py study weights --pairs DIR --out DIR`.",
    ]
    return "\n".join(lines)


def _origin(facts: Facts) -> str:
    lines = ["## Where the numbers come from", ""]
    lines += [f'- Model "{name}": SHA-256 `{sha256}`' for name, sha256 in facts.models]
    lines.append(f"- Code that the numbers depend on: fingerprint `{facts.code}`")
    lines.append("- " + ", ".join(f"{name} {version}" for name, version in facts.versions.items()))
    lines.append("- All images are rounded to 8 bits before they are measured, as if read from pictures.")
    lines.append(
        "- The images belong to others and are not part of this repository: TEST_PAIRS from "
        "[FunFuseAn](https://github.com/nish03/FunFuseAn), SLICES from the Harvard Whole Brain Atlas. Times "
        "change from run to run; the rest is the same wherever these versions run."
    )
    return "\n".join(lines)


def _models(measured: Measured) -> List[dict]:
    return compared(measured.table, (MODEL,))


def _milliseconds(value: float) -> str:
    if value != value:
        return "–"
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _or_dash(row: Optional[dict], name: str, text) -> str:
    return "–" if row is None else text(row[name])


def _is_are(amount: int) -> str:
    return "is" if amount == 1 else "are"
