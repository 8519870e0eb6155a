"""What the values of a PET are: activity, standardized uptake (SUV), counts, or unknown; and the way to SUV.

SUV is the activity concentration over the injected dose a gram of the body, both at one time. When that time
is follows the vendor-neutral pseudo-code of QIBA ("SUV calculation"): see :mod:`dicom_units` for headers of
DICOM, :mod:`side_car_units` for those of BIDS.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional

import numpy as np

from ..errors import InputError
from .geometry import Volume

BQML, SUV, COUNTS, UNKNOWN = "Bq/ml", "SUV", "counts", ""
# A ratio to the mean of a reference region, see :mod:`regions`.
SUVR = "SUVR"
# Kinds of SUV by what the dose is spread over: weight, lean mass, surface of the body.
BODY_WEIGHT, LEAN_MASS, BODY_SURFACE = "SUV", "SUL", "SUVbsa"
KINDS = (BODY_WEIGHT, LEAN_MASS, BODY_SURFACE)

# What a dose for a head lies between, in Bq; a smaller number was written in MBq or mCi.
DOSES = (1e6, 1e10)
WEIGHTS = (1.0, 400.0)  # kg
HEIGHTS = (0.4, 2.5)  # m
HALF_LIVES = (30.0, 30 * 24 * 3600.0)  # s, oxygen-15 to zirconium-89 and beyond
LONGEST_DELAY = 24 * 3600.0  # s
# More half-lives than this leave nothing to see.
MOST_HALF_LIVES = 12


@dataclass(frozen=True)
class Injection:
    """What SUV needs beside the activity; None for what is not known.

    :param dose: Bq at the time of injection.
    :param half_life: s.
    :param delay: s from the injection to the time that the values are corrected for decay to; 0 where that is
        the injection itself.
    :param weight: kg.
    :param height: m; ``sex`` "M" or "F": for lean mass and surface alone.
    :param problems: what else is wrong, as ends of the sentence "no SUV, because …".
    """

    dose: Optional[float] = None
    half_life: Optional[float] = None
    delay: Optional[float] = None
    weight: Optional[float] = None
    height: Optional[float] = None
    sex: Optional[str] = None
    problems: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Units:
    """What a value is, and what makes SUV of it.

    :param name: such as "Bq/ml", "SUV" or "counts"; "" where it is not known.
    :param factors: kind of SUV -> what a value is multiplied by; kinds that cannot be had are not there.
    :param problem: why there is no SUV by weight, as a sentence without the name of the volume; "" where
        there is, or nobody would expect it.
    """

    name: str = UNKNOWN
    factors: Dict[str, float] = field(default_factory=dict)
    problem: str = ""

    def factor(self, kind: str, volume: str) -> float:
        """What makes this kind of SUV of a value.

        :param kind: of :data:`KINDS`; ``volume`` the name for the sentence.
        :raises InputError: it cannot be had; says what is missing or wrong.
        """
        if kind in self.factors:
            return self.factors[kind]
        if self.problem or kind == BODY_WEIGHT:
            why = self.problem or "it says nothing about its unit, the dose and the weight."
        else:
            why = f"sex, height or weight of the patient is missing or absurd, which {kind} needs."
        raise InputError(
            f'"{volume}" cannot be shown as {kind}: {why} Correct the header or side car, or keep its unit.'
        )


def scaled(volume: Volume, factor: float, unit: str) -> Volume:
    """A volume with its values times a factor, float32, which makes them those of a unit."""
    array = volume.array * np.float32(factor)
    return replace(volume, array=array.astype(np.float32, copy=False), unit=unit)


def units_of_activity(name: str, to_bqml: float, injection: Injection) -> Units:
    """Units of values that become Bq/ml by a factor."""
    wrong = problems(injection)
    if wrong:
        return Units(name, {}, f"{'; '.join(wrong)}.")
    found = {kind: suv_factor(injection, kind) for kind in KINDS}
    return Units(name, {kind: to_bqml * factor for kind, factor in found.items() if factor is not None})


def problems(injection: Injection) -> List[str]:
    """What is missing or absurd, so that SUV by weight would be a guess."""
    found = list(injection.problems)
    told = (
        ("injected dose", injection.dose, DOSES, "Bq", "is it in MBq or mCi?"),
        ("half-life", injection.half_life, HALF_LIVES, "s", ""),
        ("weight of the patient", injection.weight, WEIGHTS, "kg", ""),
    )
    for what, value, (low, high), unit, hint in told:
        if value is None:
            found.append(f"the {what} is missing")
        elif not low <= value <= high:  # also NaN
            found.append(f"the {what} is {value:g} {unit}" + (f" ({hint})" if hint and value < low else ""))
    if injection.delay is None:
        if not injection.problems:
            found.append("the time from injection to scan is missing")
    elif not 0 <= injection.delay <= LONGEST_DELAY:
        found.append(f"the scan begins {injection.delay / 60:.0f} minutes after the injection")
    elif injection.half_life and injection.delay > MOST_HALF_LIVES * injection.half_life:
        found.append(
            f"the scan begins {injection.delay / injection.half_life:.0f} half-lives after injection"
        )
    return found


def suv_factor(injection: Injection, kind: str = BODY_WEIGHT) -> Optional[float]:
    """What an activity in Bq/ml is multiplied by.

    SUV and SUL in g/ml, SUVbsa in cm²/ml; lean mass by James (1976), surface by Du Bois (1916).

    :param injection: without :func:`problems`.
    :return: None where sex, height or weight do not give this kind.
    """
    assert injection.dose and injection.half_life and injection.weight and injection.delay is not None
    remaining = injection.dose * math.pow(2.0, -injection.delay / injection.half_life)
    if kind == BODY_WEIGHT:
        return 1000.0 * injection.weight / remaining
    height, weight = injection.height, injection.weight
    if height is None or not HEIGHTS[0] <= height <= HEIGHTS[1]:
        return None
    if kind == BODY_SURFACE:
        return 1e4 * 0.007184 * weight**0.425 * (100 * height) ** 0.725 / remaining
    by_sex = {"M": (1.10, 128.0), "F": (1.07, 148.0)}
    if injection.sex not in by_sex:
        return None
    linear, quadratic = by_sex[injection.sex]
    lean = linear * weight - quadratic * (weight / (100 * height)) ** 2
    # The parabola falls again for very heavy people: no lean mass then.
    return 1000.0 * lean / remaining if 0 < lean < weight else None
