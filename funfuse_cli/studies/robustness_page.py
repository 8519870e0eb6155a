"""docs/robustness.md from the outcomes of the study "robustness"."""

import platform
from pathlib import Path
from typing import List

from FunFuseSlicer.Logic.errors import Cancelled

from ..__main__ import EXIT_CODES, FAILED, INTERRUPTED, MISUSED
from .robustness_run import COMPLETENESS, Outcome
from .robustness_soak import BLOCK, Block, growth

WAYS = {"files": "command line", "nodes": "nodes"}
FLAT = 0.05


def write_page(outcomes: List[Outcome], blocks: List[Block], page: Path) -> None:
    """Write the page; its folder is made."""
    lines = [
        "# Robustness: what odd inputs lead to",
        "",
        "Whatever is given to FunFuse, the answer is a result or one clear sentence. This page is written by "
        "one command from its own runs; do not edit it by hand.",
        "",
        "```",
        "python3 funfuse.py study robustness --data DATA_FOLDER --out RESULTS",
        "```",
        "",
        *_cases(outcomes),
        *_limits(),
        *_soak(blocks),
        *_codes(),
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _cases(outcomes: List[Outcome]) -> List[str]:
    wrong = [outcome for outcome in outcomes if outcome.problems]
    count = len({outcome.case.name for outcome in outcomes})
    lines = [
        "## Inputs",
        "",
        f"{count} cases, {len(outcomes)} runs: each on the command line (`fuse`) and, where nodes of a scene "
        "can be made of it, through `FunFuseSlicerLogic.process` as the panel calls it. "
        f"{len(outcomes) - len(wrong)} were as they must be"
        + (f", {len(wrong)} were not." if wrong else "."),
        "",
        "- A **result** is finite, lies on the grid of the MRI and is complete: all files or nodes are "
        f"there, and the two parts add up to the fused image to {COMPLETENESS:.5f}. Standard error has only "
        "progress.",
        "- An **error** is one sentence that names the volume or file and says what to do. The output "
        "folder, or the scene, is as before, and there is no traceback.",
        "- Without other words the pair is not registered (`--no-register`), and the PET is at fault. Paths "
        'are shortened to names; "real" cases are made from images of patients.',
        "",
        "| input | how it is made | what happens | where | what the user reads |",
        "|---|---|---|---|---|",
    ]
    rows = {}
    for outcome in outcomes:
        key = (outcome.case.name, outcome.case.made, outcome.kind, outcome.sentence)
        rows.setdefault(key, []).append(WAYS[outcome.way])
    for (name, made, kind, sentence), ways in rows.items():
        where = " and ".join(ways)
        lines.append("| " + " | ".join(_cell(x) for x in (name, made, _kind(kind), where, sentence)) + " |")
    for outcome in wrong:
        lines += [
            "",
            f"Not as it must be: {outcome.case.name} ({WAYS[outcome.way]}): " + "; ".join(outcome.problems),
        ]
    return lines + [""]


def _kind(kind: str) -> str:
    return kind if kind in ("result", "crash") else f"error `{kind}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ") or "–"


def _limits() -> List[str]:
    return [
        "## What cannot be told",
        "",
        "- Wrong voxels in an uncompressed file of the right length: it carries no checksum.",
        "- NaN and infinite voxels of a NIfTI file on the command line: its reader makes them 0 and does not "
        "count them. In other formats, and as nodes, they are counted.",
        "- Whether two volumes that are not DICOM folders share a frame of reference. Register them.",
        "- Whether two volumes belong to one patient. Names in DICOM headers are not compared.",
        "",
    ]


def _soak(blocks: List[Block]) -> List[str]:
    if not blocks:
        return []
    last, change = blocks[-1], growth(blocks)
    lines = [
        "## Many runs in one process",
        "",
        f"{last.runs} calls of `FunFuseSlicerLogic.process`, one after the other: {last.results} results and "
        f"{last.errors} errors, of mixed cases from above, in three sizes, with random λ, models and modes; "
        f"{last.registrations} were to be registered, and some were fused again in place. After each the "
        f"volumes and transforms were deleted, as a user does. {last.seconds:.0f} s on {_machine()}.",
        "",
    ]
    if change is not None:
        verdict = "flat" if abs(change) <= FLAT else "grown" if change > 0 else "smaller"
        lines += [
            f"Resident memory at the end against that after the first {BLOCK} runs: "
            f"**{100 * change:+.1f} %** ({verdict}; the limit is {100 * FLAT:g} %).",
            "",
        ]
    lines += [
        "The first volume brings the subject hierarchy into the scene, and the first result the color table "
        "Jet: these two nodes stay.",
        "",
        "| runs | memory (MB) | nodes in the scene, before → after | open files | threads |",
        "|---|---|---|---|---|",
    ]
    for block in blocks:
        lines.append(
            f"| {block.runs} | {block.memory_mb:.0f} | {block.nodes[0]} → {block.nodes[1]} | {block.files} | "
            f"{block.threads} |"
        )
    return lines + [""]


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _codes() -> List[str]:
    lines = [
        "## Exit codes and classes of errors",
        "",
        "The commands of `funfuse.py` end with one of these codes. An error is one line on standard error "
        "that begins with `error: `; `--traceback` after any command, or the environment variable "
        "`FUNFUSE_TRACEBACK`, adds where in the program it happened. In Python every error that is raised on "
        "purpose is of a class of `FunFuseSlicer.Logic.errors`:",
        "",
        "| exit code | class | |",
        "|---|---|---|",
        "| 0 | – | Done. |",
        f"| {FAILED} | any other | An unforeseen fault; or a check that found something. |",
        f"| {MISUSED} | – | Wrong options on the command line. |",
    ]
    for kind, code in [*sorted(EXIT_CODES.items(), key=lambda item: item[1]), (Cancelled, INTERRUPTED)]:
        lines.append(f"| {code} | `{kind.__name__}` | {(kind.__doc__ or '').strip()} |")
    return lines
