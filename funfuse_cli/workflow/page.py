"""The interactive page of a run: what its nodes say, and what else stands in ``report.json``."""

from pathlib import Path
from typing import Dict, List, Tuple

from FunFuseSlicer.Logic.scene.report import page_of


def write_page(run, report: dict, path: Path) -> None:
    """Write ``report.html``.

    :param run: see :class:`FunFuseSlicer.Logic.scene.run.Run`.
    :param report: what ``report.json`` says.
    """
    nodes = {role: node for role in vars(run.nodes) if (node := getattr(run.nodes, role)) is not None}
    page = page_of(nodes, run.fusion.gradients, facts_of(report), report["notes"])
    path.write_text(page, encoding="utf-8")


def facts_of(report: dict) -> Dict[str, List[Tuple[str, str]]]:
    """Where a result comes from, as rows under headings; no more than ``report.json`` has."""
    source = report.get("provenance") or {}
    files = [(role.upper(), str(name)) for role, name in report["inputs"].items() if isinstance(name, str)]
    checksums = [
        (f"SHA-256, {role}", str(facts.get("sha256", ""))) for role, facts in source.get("inputs", {}).items()
    ]
    run = [
        ("Date", source.get("date", "")),
        ("Command", " ".join(source.get("command", []))),
        ("Commit", source.get("commit") or ""),
        ("Versions", ", ".join(f"{name} {text}" for name, text in source.get("versions", {}).items())),
    ]
    found = {"Files": [*files, *checksums], "Made by": run}
    return {heading: rows for heading, rows in found.items() if any(text for _, text in rows)}
