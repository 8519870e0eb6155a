"""Units of stored values: those of a PET's header as codes of UCUM (PS3.16 CID 84, PS3.3 C.8.9.1.1.3)."""

from typing import Any

from ..volumes.dicom_units import DEFINED
from ..volumes.units import BODY_SURFACE, BQML, LEAN_MASS, SUV, SUVR
from .elements import code

_SUV = {
    "LBM": ("g/ml{SUVlbm}", "Standardized Uptake Value lean body mass (James)"),
    "IBW": ("g/ml{SUVibw}", "Standardized Uptake Value ideal body weight"),
}


def unitless() -> Any:
    """The code of a ratio."""
    return code("1", "UCUM", "no units")


def unknown() -> Any:
    """The code of values that nobody told the unit of."""
    return code("[arb'U]", "UCUM", "arbitrary unit")


# Values that were turned into SUV or SUVR since: Units and SUV Type, and the code.
_TURNED = {
    SUV: ("GML", "BW", DEFINED["GML"][1:]),
    LEAN_MASS: ("GML", "LBM", _SUV["LBM"]),
    BODY_SURFACE: ("CM2ML", "BSA", DEFINED["CM2ML"][1:]),
    SUVR: ("NONE", None, DEFINED["NONE"][1:]),
}


def name_units(result: Any, unit: str) -> None:
    """Let a PET whose values were turned into SUV or SUVR say so, in place of the unit of its source.

    :param unit: of the values, see :mod:`volumes.units`.
    """
    if unit in _TURNED:
        result.Units, result.SUVType, _ = _TURNED[unit]
        if result.SUVType is None:
            del result.SUVType


def code_of(unit: str, source: Any = None) -> Any:
    """The code of values whose unit may have changed since they came from a series.

    :param unit: its name, see :mod:`volumes.units`; "" where it is not known.
    :param source: the series, with its ``header``; None for values that came from elsewhere.
    """
    codes = {name: told for name, (_, _, told) in _TURNED.items()}
    if unit not in codes and source is not None:
        return units_of(source.header)
    codes[BQML] = DEFINED["BQML"][1:]
    return code(codes[unit][0], "UCUM", codes[unit][1]) if unit in codes else unknown()


def units_of(header: Any) -> Any:
    """The code of a PET's unit; of an unknown one that of an arbitrary unit.

    :param header: a Dataset of PET Image Storage.
    """
    units, kind = str(header.get("Units") or "").upper(), str(header.get("SUVType") or "").upper()
    told = _SUV[kind] if units == "GML" and kind in _SUV else DEFINED.get(units, ())[1:]
    return code(told[0], "UCUM", told[1]) if told else unknown()
