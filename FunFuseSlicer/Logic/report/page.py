"""The page: volumes as pictures, facts as tables, and the script that colors planes as FunFuse does.

RGB(Ω) is linear in Ω and the fused image is linear in its two parts, so a few gray volumes and a color table
are all that a browser needs to show every Ω and every balance, see :mod:`color.colorize`.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ..color.colorize import chroma_table
from ..color.sources import ColorSource
from ..volumes.geometry import Volume
from .mosaics import Layer, data_urls, layer, layout
from .patient_grid import head_of, on_patient_grid, patient_grid
from .places import CENTER, HOTTEST, places

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Report"

# A page of this many bytes goes through most mail boxes.
LARGEST = 8_000_000
# Of which for all that is no picture.
TEXT = 150_000

# How a registration was judged, in a word; "" where none is known.
JUDGEMENTS = {
    "good": "plausible",
    "doubtful": "doubtful",
    "wrong": "not plausible",
    "none": "none, taken as it is",
}

Facts = List[Tuple[str, str]]


@dataclass(frozen=True)
class Contents:
    """What a page shows.

    :param mri: cleaned, see :func:`preprocessing.clean`; all arrays lie on its grid, (k, j, i).
    :param pet: not negative, in its own unit.
    :param mri_scale: the intensity shown white; ``pet_scale`` that at the end of the color map.
    :param pet_unit: such as "Bq/ml"; "" where it is not known.
    :param fused: the parts of MRI and PET, or the fused image alone.
    :param sources: by mode, what the colors are made of; the first one is shown at the start.
    :param table: (n, 3) color table in [0, 1].
    :param judgement: of the registration, a key of :data:`JUDGEMENTS`.
    :param facts: headings, each with rows of a name and what there is to say.
    :param notes: sentences for the user.
    """

    mri: Volume
    pet: np.ndarray
    mri_scale: float
    pet_scale: float
    pet_unit: str
    pet_name: str
    fused: Sequence[np.ndarray]
    sources: Dict[str, ColorSource]
    table: np.ndarray
    omega: float
    balance: float
    judgement: str
    version: str
    facts: Dict[str, Facts] = field(default_factory=dict)
    notes: Sequence[str] = ()
    brain: Optional[np.ndarray] = None


def page(contents: Contents, largest: int = LARGEST) -> str:
    """The whole page as HTML, of at most so many bytes where the worst quality allows it.

    Nothing in it is executed but the one script whose checksum its own policy names, and nothing is loaded.
    """
    layers, facts = _pictures(contents)
    urls = data_urls(layers, largest - TEXT)
    images = [f'<img id="layer-{name}" alt="" hidden src="{url}">' for name, url in urls.items()]
    style, script = (_text(f"report.{kind}") for kind in ("css", "js"))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_checksum(script)}'",
            f"style-src '{_checksum(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return Template(_text("report.html")).substitute(
        policy=policy,
        style=style,
        script=script,
        images="\n".join(images),
        # A name that holds "</script>" must not end the block.
        data=json.dumps(facts, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
        title=escape(f"{contents.mri.name} + {contents.pet_name}"),
        mri=escape(contents.mri.name),
        pet=escape(contents.pet_name),
        version=escape(contents.version),
        judgement=escape(contents.judgement),
        judgement_words=JUDGEMENTS.get(contents.judgement, "not judged"),
        facts="\n".join(_tables(contents)),
    )


def _pictures(contents: Contents) -> Tuple[Dict[str, Layer], dict]:
    """The volumes of the page by name, and what the script must know."""
    mri, pet_scale = contents.mri, contents.pet_scale
    uptake = np.clip(contents.pet / np.float32(pet_scale), 0.0, 1.0)
    grid = patient_grid(mri, head_of(mri, uptake))

    def on_grid(array: np.ndarray) -> np.ndarray:
        return on_patient_grid(array, mri, grid)

    mri_there, pet_there = on_grid(mri.array), on_grid(contents.pet)
    layers = {"mri": layer(mri_there, 0.0, contents.mri_scale), "pet": _hue(pet_there, pet_scale)}
    over = pet_there - np.float32(pet_scale)
    if (over > 0).any():
        # What the colors cannot tell apart any more, the value under the cursor does.
        layers["pet_over"] = layer(over, 0.0)
    fused = ["mri_part", "pet_part"] if len(contents.fused) == 2 else ["fused"]
    known = {_place_of(array): name for array, name in zip(contents.fused, fused)}
    layers.update({name: layer(on_grid(array)) for name, array in zip(fused, contents.fused)})
    modes = {}
    for mode, source in contents.sources.items():
        values = []
        for array in source.value:
            name = known.setdefault(_place_of(array), f"{mode}_value")
            if name not in layers:
                layers[name] = layer(on_grid(array))
            values.append(name)
        hue = "pet" if mode == "uptake" and source.scale == pet_scale else f"{mode}_hue"
        if hue not in layers:
            layers[hue] = _hue(on_grid(source.functional), source.scale)
        modes[mode] = {"value": values, "hue": hue, **_scale_of(contents, mode, source)}
    brain = None if contents.brain is None else on_grid(contents.brain.astype(np.float32)) > 0.5
    found = places(mri_there, pet_there, float(grid.spacing[0]), brain)
    table = np.asarray(contents.table, dtype=float)
    positions = np.linspace(0.0, len(table) - 1, 256)
    colors = np.stack([np.interp(positions, np.arange(len(table)), column) for column in table.T], axis=1)
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
        "mode": next(iter(modes)),
        "omega": contents.omega,
        "balance": contents.balance,
        "pet": {"scale": pet_scale, "unit": contents.pet_unit, "title": _pet_title(contents)},
        "places": found,
        "start": HOTTEST if HOTTEST in found else CENTER,
        "table": [round(float(number), 4) for number in colors.ravel()],
        "chroma": [round(float(number), 5) for number in chroma_table(table).ravel()],
    }


def _hue(functional: np.ndarray, scale: float) -> Layer:
    """Places in the color map, by the very arithmetic of the program: a neighboring color shows."""
    unit = ColorSource((), functional, scale).function()
    return Layer(np.rint(unit * 255.0).astype(np.uint8), 0.0, scale)


def _place_of(array: np.ndarray) -> tuple:
    """The same for two views of the same voxels."""
    return array.__array_interface__["data"][0], array.shape


def _scale_of(contents: Contents, mode: str, source: ColorSource) -> dict:
    """What stands at the color scale: its title, the number at its end, and the unit."""
    if mode == "uptake":
        return {"title": _pet_title(contents), "scale": contents.pet_scale, "unit": contents.pet_unit}
    if mode == "contribution":
        return {"title": f"{contents.pet_name}, part in %", "scale": 100.0 * source.scale, "unit": "%"}
    return {"title": f"{contents.pet_name}, sensitivity in %", "scale": 100.0, "unit": "%"}


def _pet_title(contents: Contents) -> str:
    return f"{contents.pet_name}, {contents.pet_unit or 'unit not known'}"


def _tables(contents: Contents):
    """The facts as HTML."""
    for heading, rows in contents.facts.items():
        lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
        yield f"<div><h2>{escape(heading)}</h2><dl>{lines}</dl></div>"
    if contents.notes:
        lines = "".join(f"<li>{escape(note)}</li>" for note in contents.notes)
        yield f"<div><h2>Notes</h2><ul>{lines}</ul></div>"


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _checksum(text: str) -> str:
    """As a content security policy names a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
