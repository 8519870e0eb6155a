"""What the values of a PET are, from its side car: the JSON file that PET-BIDS puts beside an image."""

from typing import Any, List, Optional

from .units import BQML, COUNTS, SUV, SUVR, Injection, Units, units_of_activity

ACTIVITIES = {"bq/ml": (BQML, 1.0), "kbq/ml": ("kBq/ml", 1e3), "mbq/ml": ("MBq/ml", 1e6)}
OTHERS = {"suv": SUV, "g/ml": SUV, "suvr": SUVR, "counts": COUNTS}
DOSES = {"bq": 1.0, "kbq": 1e3, "mbq": 1e6, "gbq": 1e9, "mci": 3.7e7, "uci": 3.7e4}
# Half-lives in seconds, rounded: tables differ by less than SUV can be measured.
HALF_LIVES = {
    "c11": 1221.7,
    "n13": 598.0,
    "o15": 122.3,
    "f18": 6584.0,
    "cu64": 45723.0,
    "ga68": 4066.0,
    "zr89": 282240.0,
    "i124": 360800.0,
}


def units_of_side_car(facts: dict) -> Units:
    """Units of an image by what its side car says.

    :param facts: of the JSON file, see the BIDS specification, "Positron Emission Tomography".
    """
    told = str(facts.get("Units") or "")
    word = told.lower().replace(" ", "")
    if word in ACTIVITIES:
        return units_of_activity(*ACTIVITIES[word], _injection(facts))
    name = OTHERS.get(word, told)
    return Units(name, {SUV: 1.0} if name == SUV else {})


def _injection(facts: dict) -> Injection:
    wrong: List[str] = []
    unit = str(facts.get("InjectedRadioactivityUnits") or "")
    dose = _number(facts.get("InjectedRadioactivity"))
    if dose is not None and unit.lower() not in DOSES:
        wrong.append(f'the unit of the dose is "{unit}"')
        dose = None
    nuclide = str(facts.get("TracerRadionuclide") or "")
    letters = "".join(c for c in nuclide.lower() if c.isalpha())
    digits = "".join(c for c in nuclide if c.isdigit())
    half_life = HALF_LIVES.get(letters + digits)
    if nuclide and half_life is None:
        wrong.append(f'the half-life of "{nuclide}" is not known here')
    if facts.get("ImageDecayCorrected") is not True:
        wrong.append("it is not corrected for decay (ImageDecayCorrected)")
    corrected, injected = (_number(facts.get(key)) for key in ("ImageDecayCorrectionTime", "InjectionStart"))
    delay = None if corrected is None or injected is None else corrected - injected
    return Injection(
        None if dose is None else dose * DOSES[unit.lower()],
        half_life,
        delay,
        _number(facts.get("PatientWeight", facts.get("BodyWeight"))),
        problems=wrong,
    )


def _number(value: Any) -> Optional[float]:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
