"""The page: volumes as pictures, facts as tables, and the script that colors planes as FunFuse does.

RGB(Ω) is linear in Ω and the fused image is linear in its two parts, so a few gray volumes and a color table
are all that a browser needs to show every Ω and every balance, see :mod:`color.colorize`. A viewer's library
would be larger than the images (NiiVue 0.69: 2.9 MB), and would have to be taught all of that.
"""

import base64
import hashlib
import json
from html import escape
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Dict, Iterator, Mapping, Sequence, Tuple

import numpy as np

from ..color.colorize import LEVELS, chroma_table, least_shown, resampled_table
from ..color.ordered import SHOWN_BRIGHTNESS, ordered_table
from ..color.sources import ColorSource, Range
from .contents import JUDGEMENTS, Contents, Facts
from .mosaics import Layer, data_url, data_urls, layer, layout

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Report"

# A page of this many bytes goes through most mail boxes ...
LARGEST = 8_000_000
# ... of which so many are for what is no picture.
TEXT = 150_000


# What hue compares, by whether its range was chosen.
HUES = {
    False: "Hue shows uptake relative to one volume and does not compare patients",
    True: "Hue shows uptake on a chosen range, which compares patients if the unit does, as SUV",
}


def page(
    contents: Contents,
    facts: Mapping[str, Facts],
    notes: Sequence[str] = (),
    largest: int = LARGEST,
    pictures: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """The whole page as HTML, of at most so many bytes where the worst quality allows it.

    Nothing in it is executed but the one script whose checksum its own policy names, and nothing is loaded.

    :param contents: see :func:`.contents.straightened`.
    :param facts: by heading.
    :param notes: sentences for the user.
    :param pictures: PNG files to stand beside the facts, by heading.
    """
    layers, told = _pictures(contents)
    shown = list(_figures(pictures))
    urls = data_urls(layers, largest - TEXT - sum(map(len, shown)))
    images = [f'<img id="layer-{name}" alt="" hidden src="{url}">' for name, url in urls.items()]
    if any(source.ordered for source in contents.sources.values()):
        # By channel, brightness and uptake.
        url = data_url(np.moveaxis(ordered_table(), 2, 0).reshape(-1, LEVELS))
        images.append(f'<img id="ordered-table" alt="" hidden src="{url}">')
    style, script = (_text(f"report.{kind}") for kind in ("css", "js"))
    policy = (
        "default-src 'none'",
        f"script-src '{_checksum(script)}'",
        f"style-src '{_checksum(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    shared = "share" if np.array_equal(contents.table, contents.pet_table) else "do not share"
    return Template(_text("report.html")).substitute(
        shared=shared,
        hue=HUES[contents.range_is_chosen],
        policy="; ".join(policy),
        style=style,
        script=script,
        images="\n".join(images),
        # A name that holds "</script>" must not end the block.
        data=json.dumps(told, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
        title=escape(f"{contents.mri.name} + {contents.pet_name}"),
        mri=escape(contents.mri.name),
        pet=escape(contents.pet_name),
        version=escape(contents.version),
        judgement=escape(contents.judgement),
        judgement_words=JUDGEMENTS.get(contents.judgement, "not judged"),
        facts="\n".join([*_tables(facts, notes), *shown]),
    )


def _pictures(contents: Contents) -> Tuple[Dict[str, Layer], dict]:
    """The volumes of the page by name, and what the script must know."""
    grid, (low, high) = contents.mri, contents.pet_range
    layers = {"mri": layer(grid.array, 0.0, contents.mri_scale), "pet": _hue(contents.pet, (0.0, high))}
    # Whose colors begin above 0 have places of their own: the value under the cursor is that of the PET.
    pet_hue = "pet_hue" if low else "pet"
    layers.setdefault(pet_hue, _hue(contents.pet, (low, high)))
    over = contents.pet - np.float32(high)
    if (over > 0).any():
        # What the colors cannot tell apart any more, the value under the cursor does.
        layers["pet_over"] = layer(over, 0.0)
    fused = ["mri_part", "pet_part"] if len(contents.fused) == 2 else ["fused"]
    names = {id(array): name for array, name in zip(contents.fused, fused)}
    layers.update({name: layer(array) for name, array in zip(fused, contents.fused)})
    modes = {}
    for mode, source in contents.sources.items():
        for array in source.value:
            name = names.setdefault(id(array), f"{mode}_value")
            if name not in layers:
                layers[name] = layer(array)
        ends = source.low, source.scale
        hue = pet_hue if source.functional is contents.pet and ends == (low, high) else f"{mode}_hue"
        if hue not in layers:
            layers[hue] = _hue(source.functional, ends)
        title, numbers, unit = contents.color_scale(mode)
        value = [names[id(array)] for array in source.value]
        facts = {"value": value, "hue": hue, "title": title, "ends": numbers, "unit": unit}
        modes[mode] = {**facts, "ordered": source.ordered}
    return layers, {
        "grid": {
            "size": list(grid.dimensions),
            "spacing": float(grid.spacing[0]),
            "origin": grid.ijk_to_ras[:3, 3].tolist(),
            "layout": layout(grid.array.shape),
        },
        "layers": {name: {"low": it.low, "high": it.high} for name, it in layers.items()},
        "fused": fused,
        "modes": modes,
        "mode": contents.mode,
        "omega": contents.omega,
        "balance": contents.balance,
        "pet": {
            "hue": pet_hue,
            "ends": contents.pet_range,
            "unit": contents.pet_unit,
            "title": contents.pet_title(),
        },
        "places": contents.places,
        "start": contents.start,
        "maps": {"pet": _map(contents.pet_table), "board": _map(contents.table)},
        "orderedRow": round(255 * SHOWN_BRIGHTNESS),
        "chroma": [round(float(number), 5) for number in chroma_table(contents.table).ravel()],
    }


def _map(table: np.ndarray) -> dict:
    """A color map of the PET, and the level that it is shown from: what is less is black."""
    colors = [round(float(number), 4) for number in resampled_table(table).ravel()]
    return {"colors": colors, "shownFrom": 255.0 * least_shown(table)}


def _hue(functional: np.ndarray, ends: Range) -> Layer:
    """Places in the color map, by the very arithmetic of the program: a neighboring color shows."""
    low, high = ends
    unit = ColorSource((), functional, high, low).function()
    return Layer(np.rint(unit * 255.0).astype(np.uint8), low, high)


def _tables(facts: Mapping[str, Facts], notes: Sequence[str]) -> Iterator[str]:
    """The facts as HTML."""
    for heading, rows in facts.items():
        lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
        yield f"<div><h2>{escape(heading)}</h2><dl>{lines}</dl></div>"
    if notes:
        lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
        yield f"<div><h2>Notes</h2><ul>{lines}</ul></div>"


def _figures(pictures: Mapping[str, bytes]) -> Iterator[str]:
    """Pictures that do not move, as HTML."""
    for heading, png in pictures.items():
        url = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        yield f'<div><h2>{escape(heading)}</h2><img alt="{escape(heading)}" width="100%" src="{url}"></div>'


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _checksum(text: str) -> str:
    """As a content security policy names a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
