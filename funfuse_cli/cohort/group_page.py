"""The page about a cohort: one file without scripts, which asks for nothing from anywhere."""

import base64
import hashlib
import io
from html import escape
from pathlib import Path
from string import Template
from typing import List, Sequence
from urllib.parse import quote

import numpy as np
from PIL import Image

from FunFuseSlicer.Logic.registration.judgement import JUDGEMENTS
from FunFuseSlicer.Logic.version import VERSION

from ..workflow.progress import count
from .derivatives import FIGURES, alignment_name, page_name
from .group import COLUMNS, DONE, LACKS, Row
from .work import Settings

HERE = Path(__file__).parent
JPEG_QUALITY = 82

# Of each figure its words, how it is written, and its unit; the first ones stand below the pictures, too.
BELOW = {
    "mi_after": ("mutual information", ".3f", " nats"),
    "outline": ("edge of the brain in the uptake", ".2f", ""),
    "rotation_deg": ("rotation", ".1f", "°"),
    "shift_mm": ("shift", ".1f", " mm"),
    "scale_min": ("smallest scale", ".3f", ""),
    "scale_max": ("largest scale", ".3f", ""),
}
SHOWN = {
    **BELOW,
    "mi_before": ("mutual information before", ".3f", " nats"),
    **{name: (name, ".3f", "") for name in COLUMNS if name.startswith(("Q_", "b_", "rank_"))},
    "seconds": ("time", ".0f", " s"),
}


def write_page(rows: Sequence[Row], settings: Settings, path: Path) -> None:
    """The page about the rows of :func:`.group.rows_of`, in their order."""
    done = [row for row in rows if row["outcome"] == DONE]
    ranked, others = ([row for row in rows if (row["rank"] != "") is to_see] for to_see in (True, False))
    style = (HERE / "group.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    cards = "\n".join(_card(row, settings) for row in ranked)
    text = Template((HERE / "group.html").read_text(encoding="utf-8")).substitute(
        style=style,
        style_hash=f"sha256-{digest}",
        count=len(rows),
        summary=escape(_summary(ranked, others)),
        version=VERSION,
        cards=f'<ol class="cards">\n{cards}\n</ol>',
        without=_without(others),
        figures=_figures(done),
    )
    path.write_text(text, encoding="utf-8")


def _summary(ranked: Sequence[Row], others: Sequence[Row]) -> str:
    people = len({row["participant"] for row in [*ranked, *others]})
    words = [f"{sum(row['judgement'] == word for row in ranked)} {word}" for word in JUDGEMENTS]
    done = [row for row in ranked if row["outcome"] == DONE]
    without = [row for row in others if row["outcome"] != LACKS]
    lacking = len(others) - len(without)
    said = f"{count(people, 'participant')}, {count(len(done), 'result')}: registration {', '.join(words)}."
    said += f" {count(len(without), 'image')} without result." if without else ""
    return said + (f" {count(lacking, 'participant')} without PET." if lacking else "")


def _card(row: Row, settings: Settings) -> str:
    name, folder = str(row["image"]), Path(settings.output) / str(row["participant"])
    picture, title = folder / FIGURES / alignment_name(name), escape(name)
    if (folder / page_name(name)).is_file():
        title = f'<a href="{folder.name}/{quote(page_name(name))}">{title}</a>'
    odd = f"suspicion {row['suspicion']}: {row['because']}" if row["because"] else "too few to compare with"
    odd = odd if row["outcome"] == DONE else "no result"
    facts = [
        f"{words} {format(float(row[key]), form)}{unit}"
        for key, (words, form, unit) in BELOW.items()
        if row[key] != ""
    ]
    notes = f'<p class="quiet">{escape(str(row["notes"]))}</p>' if row["notes"] else ""
    return (
        f"<li>{_embedded(picture, name)}<div><h3>{row['rank']}. {title}</h3>"
        f'<p><span class="{row["judgement"]}">{row["judgement"]}</span>, {escape(odd)}</p>'
        f"<p>{escape('; '.join(facts))}</p>{notes}</div></li>"
    )


def _embedded(picture: Path, name: str) -> str:
    try:
        with Image.open(picture) as image:
            packed = io.BytesIO()
            image.convert("RGB").save(packed, "JPEG", quality=JPEG_QUALITY)
            width, height = image.size
    except OSError:
        return ""
    text = base64.b64encode(packed.getvalue()).decode("ascii")
    return (
        f'<img src="data:image/jpeg;base64,{text}" width="{width}" height="{height}" '
        f'alt="PET of {escape(name)} with the edges of its MRI">'
    )


def _without(others: Sequence[Row]) -> str:
    if not others:
        return ""
    lines = [
        f'<tr><td class="name">{escape(str(row["image"] or row["participant"]))}</td>'
        f"<td>{escape(str(row['outcome']))}</td><td>{escape(str(row['notes']))}</td></tr>"
        for row in others
    ]
    head = "<tr><th>image</th><th>outcome</th><th>why</th></tr>"
    return f"<section>\n<h2>Without result</h2>\n<table>{head}\n{chr(10).join(lines)}\n</table>\n</section>"


def _figures(done: Sequence[Row]) -> str:
    lines: List[str] = []
    tracers = sorted({str(row["tracer"]) for row in done})
    for tracer in tracers:
        own = [row for row in done if row["tracer"] == tracer]
        for key, (words, form, unit) in SHOWN.items():
            values = np.array([float(row[key]) for row in own if row[key] not in ("", None)])
            if values.size:
                numbers = (np.median(values), values.min(), values.max())
                cells = "".join(f'<td class="number">{format(number, form)}{unit}</td>' for number in numbers)
                lines.append(
                    f"<tr><td>{escape(tracer or 'PET')}</td><td>{escape(words)}</td>"
                    f'<td class="number">{values.size}</td>{cells}</tr>'
                )
    heads = ("tracer", "figure", "images", "median", "least", "most")
    row = "".join(f"<th{' class=number' if n > 1 else ''}>{head}</th>" for n, head in enumerate(heads))
    return f"<table><tr>{row}</tr>\n{chr(10).join(lines)}\n</table>"
