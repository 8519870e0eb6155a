"""Whether two images are one person's, as far as DICOM says so."""

from typing import Optional

import pydicom

from .reader import Reading


def one_person(first: Reading, second: Reading) -> bool:
    """Whether both came from DICOM and have one PatientID, which is not empty."""
    patient = _patient(first)
    return patient is not None and patient == _patient(second)


def _patient(reading: Reading) -> Optional[str]:
    if not reading.files:
        return None
    header = pydicom.dcmread(
        reading.files[0], stop_before_pixels=True, specific_tags=["PatientID"], force=True
    )
    return str(header.get("PatientID") or "").strip().upper() or None
