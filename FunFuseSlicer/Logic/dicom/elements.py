"""What all objects have: the patient and study of the MRI, who made them, and what they were made of.

Modules and macros are those of DICOM PS3.3. pydicom is imported inside the functions, so that this module can
be imported anywhere.
"""

import datetime
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Sequence

import numpy as np

from ..version import VERSION
from .series import Plane, Series

MAKER = "FunFuse"
RESEARCH = "RESEARCH USE"
# The highest stored value of a PET, which readers of signed and of unsigned 16 bits take alike.
PET_HIGHEST = 32767

# Patient, Patient Study, General Study and Clinical Trial modules (PS3.3 C.7.1, C.7.2): taken from the MRI.
OF_THE_STUDY = (
    "SpecificCharacterSet",
    "PatientName PatientID IssuerOfPatientID TypeOfPatientID IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDs OtherPatientIDsSequence OtherPatientNames PatientBirthDate PatientBirthTime PatientSex",
    "EthnicGroup PatientComments PatientIdentityRemoved DeidentificationMethod",
    "DeidentificationMethodCodeSequence PatientAge PatientSize PatientWeight Occupation",
    "AdditionalPatientHistory AdmissionID",
    "MedicalAlerts Allergies SmokingStatus PregnancyStatus PatientState PatientSexNeutered",
    "StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber",
    "IssuerOfAccessionNumberSequence StudyDescription PhysiciansOfRecord ProcedureCodeSequence",
    "ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID",
    "ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription ClinicalTrialCoordinatingCenterName",
)
# Of these an empty one must be there (type 2).
OFTEN_EMPTY = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID "
    "AccessionNumber"
)


@dataclass(frozen=True)
class Context:
    """What all objects of one export have in common.

    :param mri: the series whose study they join.
    :param frame_of_reference: UID of the MRI's.
    :param settings: sentences on how the results were made; no names of files or patients.
    :param now: when.
    """

    mri: Series
    frame_of_reference: str
    settings: str
    now: datetime.datetime


def new_uid() -> str:
    """A UID of a random UUID (PS3.5 B.2), which tells nothing of the computer.

    New ones for each export: it has a date of its own, and two objects that differ must not have one UID.
    """
    from pydicom.uid import generate_uid

    return str(generate_uid(prefix=None))


def new_object(
    context: Context, sop_class: str, modality: str, number: int, description: str, series_uid: str
) -> Any:
    """A Dataset with the modules of patient, study, series, equipment and SOP instance.

    :param number: of the series among those of an export, 1 to 99.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    result: Any = Dataset()
    copy(context.mri.header, result, OF_THE_STUDY)
    for keyword in OFTEN_EMPTY.split():
        if keyword not in result:
            setattr(result, keyword, None)
    result.SOPClassUID, result.SOPInstanceUID = sop_class, new_uid()
    result.Modality, result.SeriesInstanceUID = modality, series_uid
    # Beside that of the MRI; 9 digits at most are an integer string.
    result.SeriesNumber = 100 * (int(context.mri.header.get("SeriesNumber") or 0) % 10**7) + number
    result.SeriesDescription = f"{RESEARCH} {MAKER} {description}"[:64]
    result.BodyPartExamined = context.mri.header.get("BodyPartExamined") or "BRAIN"
    result.Manufacturer = result.ManufacturerModelName = MAKER
    result.SoftwareVersions = VERSION
    result.InstanceNumber = 1
    for keyword in ("SeriesDate", "ContentDate", "InstanceCreationDate"):
        setattr(result, keyword, context.now.strftime("%Y%m%d"))
        setattr(result, keyword.replace("Date", "Time"), context.now.strftime("%H%M%S.%f"))
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.file_meta.ImplementationVersionName = f"{MAKER.upper()} {VERSION}"[:16]
    return result


def image_object(
    context: Context, sop_class: str, modality: str, number: int, description: str, series_uid: str
) -> Any:
    """Likewise, with the modules of all images."""
    result = new_object(context, sop_class, modality, number, description, series_uid)
    copy(context.mri.header, result, ("PatientPosition PatientOrientationCodeSequence",))
    if "PatientPosition" not in result and "PatientOrientationCodeSequence" not in result:
        result.PatientPosition = None
    result.FrameOfReferenceUID = context.frame_of_reference
    result.PositionReferenceIndicator = context.mri.header.get("PositionReferenceIndicator")
    result.ImageType = ["DERIVED", "SECONDARY"]
    result.BurnedInAnnotation = "NO"
    result.LossyImageCompression = "00"
    result.ImageComments = f"{RESEARCH}, not for diagnosis. {context.settings}"
    result.DerivationDescription = f"{RESEARCH}, not for diagnosis. {context.settings}"[:1024]
    return result


def copy(source: Any, target: Any, keywords: Iterable[str]) -> None:
    """Standard attributes from one Dataset to another, where they are.

    :param keywords: texts of keywords, with spaces between them.
    """
    for keyword in " ".join(keywords).split():
        if keyword in source:
            target[keyword] = deepcopy(source[keyword])
    target.remove_private_tags()


def item(**values: Any) -> Any:
    """A Dataset of these attributes, as a sequence has it."""
    from pydicom.dataset import Dataset

    result = Dataset()
    for keyword, value in values.items():
        setattr(result, keyword, value)
    return result


def code(value: str, scheme: str, meaning: str) -> Any:
    """A code sequence item (PS3.3 8.8)."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def number(value: float) -> Any:
    """A decimal string: 16 characters at most, which is as close as it can be (PS3.5 6.2)."""
    from pydicom.valuerep import DSfloat

    return DSfloat(float(value), auto_format=True)


def numbers(values: Iterable[float]) -> List[Any]:
    """Likewise, of several."""
    return [number(value) for value in np.ravel(np.asarray(values, float)) + 0.0]


def pet_slope(pet: np.ndarray) -> Any:
    """From stored to real values of a registered PET, 0 or more: one slope for all of its slices."""
    return number(max(float(pet.max()), 1e-12) / PET_HIGHEST)


def stored_pet(pet: np.ndarray, slope: float) -> bytes:
    """Stored values, unsigned 16 bits; they are off by half a slope at most."""
    return np.clip(np.rint(pet.astype(float) / float(slope)), 0, PET_HIGHEST).astype("<u2").tobytes()


def references(planes: Sequence[Plane]) -> List[Any]:
    """Items that name these images (PS3.3 10.3); the frames of one file in one item."""
    found: Dict[str, List[Plane]] = {}
    for plane in planes:
        found.setdefault(plane.sop_instance, []).append(plane)
    result = []
    for uid, group in found.items():
        result.append(item(ReferencedSOPClassUID=group[0].sop_class, ReferencedSOPInstanceUID=uid))
        frames = sorted(plane.frame for plane in group if plane.frame is not None)
        if frames:
            result[-1].ReferencedFrameNumber = frames
    return result


def sources(planes: Sequence[Plane]) -> List[Any]:
    """Source Image Sequence: what an image was made of."""
    result = references(planes)
    for source in result:
        source.PurposeOfReferenceCodeSequence = [
            code("121322", "DCM", "Source image for image processing operation")
        ]
    return result


def resampled() -> List[Any]:
    """Derivation Code Sequence: on another grid (CID 7203)."""
    return [code("113085", "DCM", "Spatial resampling")]


def real_world(units: Any, what: str, slope: float, highest: int, lowest: int = 0) -> Any:
    """An item of Real World Value Mapping Sequence: what stored values mean (PS3.3 C.7.6.16.2.11).

    :param units: a code of UCUM.
    """
    from pydicom.dataelem import DataElement

    result = item(
        LUTExplanation=what,
        LUTLabel=what[:16],
        MeasurementUnitsCodeSequence=[units],
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=float(slope),
    )
    kind = "SS" if lowest < 0 else "US"
    result.add(DataElement(0x00409216, kind, lowest))
    result.add(DataElement(0x00409211, kind, highest))
    return result


def save(dataset: Any, path: object) -> None:
    """Write a file of PS3.10, explicit VR little endian, with pydicom 2 or 3."""
    import pydicom

    if int(pydicom.__version__.split(".")[0]) < 3:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(str(path), write_like_original=False)
    else:
        dataset.save_as(str(path), enforce_file_format=True)
