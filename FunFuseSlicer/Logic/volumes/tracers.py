"""The tracer of a PET, by its headers, and how it is to look: presets of Resources/Tracers."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

from ..errors import InputError

FILE = Path(__file__).resolve().parents[2] / "Resources" / "Tracers" / "tracers.json"

# The preset of what nothing is known of: as if there were no presets.
OTHER = "other"
AUTOMATIC, FIXED, REFERENCE = RULES = ("automatic", "fixed", "reference")

# Nuclides that stand before or behind a name without a space, as in PET-BIDS: 18FFDG, FDG18F.
_NUCLIDE = "18f|f18|11c|c11|15o|o15|13n|n13|123i|i123|99mtc|tc99m"
_AROUND = re.compile(f"^(?:{_NUCLIDE})|(?:{_NUCLIDE})$")


@dataclass(frozen=True)
class RangeRule:
    """What the ends of the color map stand for.

    :param rule: "automatic", from 0 to the robust maximum of the brain; "fixed", ``low`` to ``high`` in
        ``unit``; "reference", from 0, so that the mean of the reference region is at ``percent`` of it.
    """

    rule: str = AUTOMATIC
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    percent: float = 0.0

    def text(self, reference: str) -> str:
        """In words.

        :param reference: the name of the reference region.
        """
        words = {
            AUTOMATIC: "automatic",
            FIXED: f"{self.low:g} to {self.high:g} {self.unit}",
            REFERENCE: f"{reference} at {self.percent:g} %",
        }
        return words[self.rule]


@dataclass(frozen=True)
class Preset:
    """How pictures of a tracer are to look, as its guide has it, and what it is known by.

    :param label: for people.
    :param colormap: of the colored volume; ``pet_colormap`` of the PET beside it, None for the same.
    :param reference: what the guide, or usage, takes as reference region; "" for none.
    :param balance: in [0, 1]; ``mode`` as of the fusion.
    :param codes: of DICOM's Radiopharmaceutical Code Sequence (PS3.16 CID 25, CID 4021), in any scheme.
    :param names: of the tracer in other fields and in side cars.
    :param source: where all this comes from.
    """

    name: str
    label: str
    colormap: str
    pet_colormap: Optional[str]
    range: RangeRule
    reference: str
    balance: float
    mode: str
    codes: Tuple[str, ...]
    names: Tuple[str, ...]
    source: str

    def look(self, unit: str) -> Dict[str, Any]:
        """What it sets, by the names of the options of fusion and color.

        :param unit: of the PET: a fixed range in another one is left out.
        """
        fixed = self.range.rule == FIXED and self.range.unit == unit
        return {
            "tracer": self.name,
            "colormap": self.colormap,
            "pet_colormap": self.pet_colormap,
            "uptake_range": (self.range.low, self.range.high) if fixed else None,
            "reference_at": self.range.percent if self.range.rule == REFERENCE else None,
            "balance": self.balance,
            "mode": self.mode,
        }


@lru_cache(maxsize=1)
def presets() -> Dict[str, Preset]:
    """All presets by name, in the order of the file; the last is :data:`OTHER`."""
    found, written = {}, _content()["tracers"]
    for name, own in written.items():
        # Without a guide for the colors, the default's.
        facts = {"colormap": written[OTHER]["colormap"], **own}
        rule = RangeRule(**facts["range"])
        found[name] = Preset(
            name, **{**facts, "range": rule, "codes": tuple(facts["codes"]), "names": tuple(facts["names"])}
        )
    return found


def preset(name: str) -> Preset:
    """:raises InputError: there is none of this name; the message lists those that there are."""
    if name not in presets():
        raise InputError(f'There is no tracer "{name}": choose {", ".join(presets())}.')
    return presets()[name]


def known_preset(name: str) -> Preset:
    """The preset of this name; :data:`OTHER` where there is none, as of another version's scene."""
    return presets().get(name, presets()[OTHER])


def research_note() -> str:
    """The sentence that goes with every preset."""
    return str(_content()["note"])


@lru_cache(maxsize=1)
def _content() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


# --- What a PET says of its tracer --------------------------------------------------------------------


def tracer_of_header(header: Any) -> str:
    """The name of a preset by a DICOM header; "" where nothing is said, or nothing that is known.

    :param header: of pydicom, of any image of a series: Radiopharmaceutical Information Sequence (0054,0016)
        with its code sequence (0054,0304), whose codes go first, and Radiopharmaceutical (0018,0031).
    """
    isotopes = list(header.get("RadiopharmaceuticalInformationSequence") or [])
    codes = [code for isotope in isotopes for code in isotope.get("RadiopharmaceuticalCodeSequence") or []]
    by_code = {_of_code(str(code.get("CodeValue") or "")) for code in codes} - {""}
    if by_code:
        return by_code.pop() if len(by_code) == 1 else ""
    texts = [str(code.get("CodeMeaning") or "") for code in codes]
    texts += [str(holder.get("Radiopharmaceutical") or "") for holder in (*isotopes, header)]
    return tracer_of_texts(texts)


def tracer_of_side_car(facts: dict, file_name: str = "") -> str:
    """Likewise by the side car of PET-BIDS, else by the label ``trc-`` in the name of the image."""
    label = re.search(r"(?:^|_)trc-([A-Za-z0-9]+)", file_name)
    told = tracer_of_texts([str(facts.get("TracerName") or "")])
    return told or tracer_of_texts([label.group(1) if label else ""])


def tracer_of_texts(texts: Sequence[str]) -> str:
    """Likewise by names that people wrote: "FDG -- fluorodeoxyglucose", "[18F]-AV45"."""
    keys = {key for text in texts for key in _keys(text)}
    found = [name for name, one in presets().items() if keys & {_plain(known) for known in one.names}]
    return found[0] if len(found) == 1 else ""


def _of_code(code: str) -> str:
    return next((name for name, one in presets().items() if code in one.codes), "")


def _keys(text: str) -> Iterator[str]:
    """What of a text may be a name: all of it, its words, and two words together, without nuclides."""
    words = [_plain(word) for word in re.findall(r"[A-Za-z0-9]+", text)]
    for whole in (_plain(text), *words, *(first + second for first, second in zip(words, words[1:]))):
        yield whole
        yield _AROUND.sub("", whole)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
