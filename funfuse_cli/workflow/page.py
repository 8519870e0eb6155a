"""The facts on the interactive page of a run, beside those that its nodes tell."""

from typing import Dict, List, Tuple

# What inputs are called on the page; of others their name in report.json.
LABELS = {
    "mri": "MRI",
    "pet": "PET",
    "mask": "Mask",
    "subtract": "Subtracted study",
    "frame": "Frame of the PET",
    "pet_unit": "Unit of the PET",
    "dicom_mri": "DICOM of the MRI",
    "transform": "Transform",
    "reference": "Reference region",
    "tracer_told_by": "Tracer told by",
}


def facts_of_report(report: dict) -> Dict[str, List[Tuple[str, str]]]:
    """Where a result comes from, as rows under headings.

    :param report: what ``report.json`` says.
    """
    source = report.get("provenance") or {}
    files = [
        (LABELS.get(role, role), str(name))
        for role, name in report["inputs"].items()
        if isinstance(name, (str, int))
    ]
    checksums = [
        (f"SHA-256, {LABELS.get(role, role)}", str(facts.get("sha256", "")))
        for role, facts in source.get("inputs", {}).items()
    ]
    run = [
        ("Date", source.get("date", "")),
        ("Command", " ".join(source.get("command", []))),
        ("Commit", source.get("commit") or ""),
        ("Versions", ", ".join(f"{name} {text}" for name, text in source.get("versions", {}).items())),
    ]
    found = {"Files": [*files, *checksums], "Made by": run}
    return {heading: rows for heading, rows in found.items() if any(text for _, text in rows)}
