"""What the values of a PET are, from its DICOM headers; made by QIBA's vendor-neutral pseudo-code for SUV.

Headers are Datasets of pydicom, which is not imported here.
"""

import math
from datetime import datetime, timedelta
from typing import Any, List, Optional, Sequence, Tuple

from .units import BODY_SURFACE, BQML, COUNTS, LEAN_MASS, SUV, UNKNOWN, Injection, Units, units_of_activity

# Values of Units (0054,1001), PS3.3 C.8.9.1.1.3: the name here, code and meaning of UCUM (PS3.16 CID 84).
DEFINED = {
    "BQML": (BQML, "Bq/ml", "Becquerels/milliliter"),
    "GML": (SUV, "g/ml{SUVbw}", "Standardized Uptake Value body weight"),
    "CM2ML": (BODY_SURFACE, "cm2/ml{SUVbsa}", "Standardized Uptake Value body surface area"),
    "CNTS": (COUNTS, "{counts}", "Counts"),
    "PROPCNTS": (COUNTS, "{propcounts}", "Proportional to counts"),
    "CPS": ("counts/s", "{counts}/s", "Counts per second"),
    "PROPCPS": ("counts/s", "{propcounts}/s", "Proportional to counts per second"),
    "NONE": (UNKNOWN, "1", "no units"),
    "PCNT": ("%", "%", "Percent"),
    "CM2": ("cm²", "cm2", "Centimeter**2"),
    "1CM": ("1/cm", "/cm", "/Centimeter"),
    "MLG": ("ml/g", "ml/g", "Milliliter/gram"),
    "MLML": ("ml/ml", "ml/ml", "Milliliter/milliliter"),
    "MLMING": ("ml/min/g", "ml/min/g", "Milliliter/minute/gram"),
    "MLMINML": ("ml/min/ml", "ml/min/ml", "Milliliter/minute/milliliter"),
    "MGMINML": ("mg/min/ml", "mg/min/ml", "Milligrams/minute/milliliter"),
    "UMOLML": ("µmol/ml", "umol/ml", "Micromole/milliliter"),
    "UMOLMINML": ("µmol/min/ml", "umol/min/ml", "Micromole/minute/milliliter"),
}
# SUV Type (0054,1006) of values in g/ml; without it they are by weight.
SUV_TYPES = {"": SUV, "BW": SUV, "LBM": LEAN_MASS, "LBMJAMES128": LEAN_MASS, "LBMJANMA": LEAN_MASS}
# Codes of UCUM in real world value maps and on nodes of Slicer.
UCUM = {
    "Bq/ml": BQML,
    "Bq/mL": BQML,
    "{counts}": COUNTS,
    "g/ml": SUV,
    "g/ml{SUVbw}": SUV,
    "{SUVbw}g/ml": SUV,
    "g/ml{SUVlbm}": LEAN_MASS,
    "{SUVlbm}g/ml": LEAN_MASS,
    "cm2/ml{SUVbsa}": BODY_SURFACE,
    "{SUVbsa}cm2/ml": BODY_SURFACE,
}
# Private attributes, by the creator of their block.
PHILIPS, GE = "Philips PET Private Group", "GEMS_PETD_01"
PHILIPS_SUV, PHILIPS_ACTIVITY, GE_SCAN = 0x00, 0x09, 0x0D
# Seconds by which two ways to the start of a scan may differ.
ONE_START = 60.0


def units_of_headers(headers: Sequence) -> Units:
    """Units of the values, once slopes are applied, of a series.

    :param headers: of all its images: the earliest of several beds tells when the scan began.
    """
    header = headers[0]
    code = str(header.get("Units") or "").upper()
    if not code:
        return _mapped(header)
    if code == "GML":
        name = SUV_TYPES.get(str(header.get("SUVType") or "").upper(), UNKNOWN)
        return Units(name, {name: 1.0} if name else {})
    if code == "CM2ML":
        return Units(BODY_SURFACE, {BODY_SURFACE: 1.0})
    if code == "CNTS":
        return _counts(headers)
    if code == "BQML":
        return units_of_activity(BQML, 1.0, _injection(headers))
    return Units(DEFINED[code][0] if code in DEFINED else code.lower())


def _mapped(header: Any) -> Units:
    """Of a real world value map, as enhanced images have it."""
    for holder in (header, *_items(header, "SharedFunctionalGroupsSequence")):
        for mapping in _items(holder, "RealWorldValueMappingSequence"):
            for code in _items(mapping, "MeasurementUnitsCodeSequence"):
                name = UCUM.get(str(code.get("CodeValue") or ""), str(code.get("CodeValue") or ""))
                return Units(name, {name: 1.0} if name in (SUV, LEAN_MASS, BODY_SURFACE) else {})
    return Units()


def _counts(headers: Sequence) -> Units:
    """Of a scanner of Philips, whose private factors lead from counts to SUV or to Bq/ml."""
    for element, what in ((PHILIPS_SUV, "SUV"), (PHILIPS_ACTIVITY, "activity")):
        factor = _number(_private(headers[0], 0x7053, PHILIPS, element))
        if factor is None:
            continue
        if factor > 0 and element == PHILIPS_SUV:
            return Units(COUNTS, {SUV: factor})
        if factor > 0:
            return units_of_activity(COUNTS, factor, _injection(headers))
        if element == PHILIPS_ACTIVITY:
            return Units(COUNTS, {}, f"the factor of Philips to {what} is {factor:g}.")
    return Units(COUNTS, {}, "its values are counts, without a factor to activity.")


# --- The injection ------------------------------------------------------------------------------------


def _injection(headers: Sequence) -> Injection:
    header, wrong = headers[0], []
    isotopes = _items(header, "RadiopharmaceuticalInformationSequence")
    if len(isotopes) > 1:
        wrong.append(f"there are {len(isotopes)} injections")
    isotope = isotopes[0] if isotopes else {}
    corrections = {str(word).upper() for word in values_of(header.get("CorrectedImage"))}
    wrong += [
        f"it is not corrected for {what}"
        for word, what in (("ATTN", "attenuation"), ("DECY", "decay"))
        if word not in corrections
    ]
    delay = None
    correction = str(header.get("DecayCorrection") or "").upper()
    if correction == "ADMIN":
        delay = 0.0
    elif correction == "START":
        delay = _delay(headers, isotope, wrong)
    elif "DECY" in corrections:
        what = "NONE" if correction == "NONE" else "missing"
        wrong.append(f"the time that it is corrected for decay to (DecayCorrection) is {what}")
    return Injection(
        _number(isotope.get("RadionuclideTotalDose")),
        _number(isotope.get("RadionuclideHalfLife")),
        delay,
        _number(header.get("PatientWeight")),
        _number(header.get("PatientSize")),
        str(header.get("PatientSex") or "") or None,
        wrong,
    )


def _delay(headers: Sequence, isotope: Any, wrong: List[str]) -> Optional[float]:
    """Seconds from the injection to the start of the scan; says what is wrong with either."""
    scan, why = _scan_start(headers)
    wrong += why
    if scan is None:
        return None
    told = _moment(isotope.get("RadiopharmaceuticalStartDateTime"))
    clock = str(isotope.get("RadiopharmaceuticalStartTime") or "")
    by_clock = _moment(scan.strftime("%Y%m%d") + clock) if clock else None
    if told is None and by_clock is None:
        wrong.append("the time of injection is missing")
        return None
    if told is not None and by_clock is not None and told.time() != by_clock.time():
        if abs((told - by_clock).total_seconds()) > ONE_START:
            wrong.append(
                f"the injection is at {told:%H:%M} by its date and time, at {by_clock:%H:%M} by its time"
            )
            return None
    injected = told or by_clock
    assert injected is not None
    delay = (scan - injected).total_seconds()
    if delay < 0:
        over = "; over midnight, the date of injection is missing" if told is None else ""
        wrong.append(f"the injection at {injected:%H:%M} comes after the scan at {scan:%H:%M}{over}")
        return None
    return delay


def _scan_start(headers: Sequence) -> Tuple[Optional[datetime], List[str]]:
    """The time that values with DecayCorrection START are corrected to, and what is wrong with it."""
    acquired = [time for time in (_acquired(header) for header in headers) if time is not None]
    header = headers[0]
    series = _moment(_joined(header, "SeriesDate", "SeriesTime"))
    if not acquired:
        return None, ["the time of acquisition is missing"]
    earliest = min(acquired)
    if series is not None and series <= earliest:
        return series, []
    # The series was made later, from other images: its own time says nothing.
    of_ge = _moment(_private(header, 0x0009, GE, GE_SCAN))
    if of_ge is not None:
        return of_ge, []
    counted = [time for time in (_counted_back(one) for one in headers) if time is not None]
    if counted and abs((min(counted) - earliest).total_seconds()) > ONE_START:
        return None, [
            f"the scan began at {earliest:%H:%M:%S} by the times of acquisition, at {min(counted):%H:%M:%S} "
            "by the times of the frames"
        ]
    return earliest, []


def _acquired(header: Any) -> Optional[datetime]:
    return _moment(_joined(header, "AcquisitionDate", "AcquisitionTime")) or _moment(
        header.get("AcquisitionDateTime")
    )


def _counted_back(header: Any) -> Optional[datetime]:
    """The start of the scan from one image: when it was acquired, less where its frame lies in the scan.

    Frame Reference Time is when a decaying tracer has its mean count rate, which is before half the frame.
    """
    acquired, milliseconds = _acquired(header), _number(header.get("FrameReferenceTime"))
    duration = _number(header.get("ActualFrameDuration"))
    isotopes = _items(header, "RadiopharmaceuticalInformationSequence")
    half_life = _number(isotopes[0].get("RadionuclideHalfLife")) if isotopes else None
    if acquired is None or milliseconds is None or not duration or not half_life or half_life < 0:
        return None
    constant = math.log(2.0) / half_life
    decay = constant * duration / 1000.0
    if not 0 < decay < 100:
        return None
    middle = math.log(decay / (1.0 - math.exp(-decay))) / constant
    return acquired + timedelta(seconds=middle - milliseconds / 1000.0)


# --- Values of DICOM ----------------------------------------------------------------------------------


def _joined(header: Any, date: str, time: str) -> str:
    parts = str(header.get(date) or ""), str(header.get(time) or "")
    return "".join(parts) if all(parts) else ""


def _moment(text: Any) -> Optional[datetime]:
    """A date and time, YYYYMMDDhhmmss.ffffff; None where it is none. A time zone is left out."""
    whole, _, fraction = str(text or "").replace(":", "").partition(".")
    try:
        moment = datetime.strptime(whole[:14].ljust(14, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
    digits = "".join(c for c in fraction[:6] if c.isdigit())
    return moment + timedelta(seconds=float(f"0.{digits}")) if digits else moment


def _items(header: Any, keyword: str) -> list:
    return list(header.get(keyword) or [])


def values_of(value: Any) -> list:
    """All values of an attribute that may have one or several; none for None."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _number(value: Any) -> Optional[float]:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _private(header: Any, group: int, creator: str, element: int) -> Any:
    """The value of an attribute in the private block of a creator; None where there is none."""
    try:
        value = header.private_block(group, creator)[element].value
    except KeyError:
        return None
    return value.decode("ascii", "ignore") if isinstance(value, bytes) else value
