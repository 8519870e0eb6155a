"""What the values of a PET are, and SUV: worked by hand for the headers of four vendors and for BIDS."""

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from funfuse_cli.__main__ import main
from funfuse_cli.reading.reader import read
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.scene.inputs import add_volume_node, volume_from_node
from FunFuseSlicer.Logic.volumes.dicom_units import units_of_headers
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample, volume_to_sitk
from FunFuseSlicer.Logic.volumes.side_car_units import units_of_side_car
from FunFuseSlicer.Logic.volumes.units import Injection, problems, suv_factor, units_of_activity
from Testing.conftest import head_phantom


def header(**facts) -> Dataset:
    """A PET of 70 kg and 1.70 m, 200 MBq of a tracer that halves in an hour, injected at 9, scanned at 10."""
    told = {
        "Modality": "PT",
        "Units": "BQML",
        "CorrectedImage": ["ATTN", "DECY"],
        "DecayCorrection": "START",
        "SeriesDate": "20200131",
        "SeriesTime": "100000",
        "AcquisitionDate": "20200131",
        "AcquisitionTime": "100000.25",
        "PatientWeight": "70",
        "PatientSize": "1.70",
        "PatientSex": "M",
    }
    injection = {
        "RadiopharmaceuticalStartTime": "090000.00",
        "RadionuclideTotalDose": "2e8",
        "RadionuclideHalfLife": "3600",
    }
    result, isotope = Dataset(), Dataset()
    for keyword, value in {**told, **injection, **facts}.items():
        if value is not None:
            holder = isotope if "Radio" in keyword else result
            setattr(holder, keyword, value)
    result.RadiopharmaceuticalInformationSequence = [isotope]
    return result


SIDE_CAR = {
    "Units": "kBq/mL",
    "TracerRadionuclide": "C11",
    "InjectedRadioactivity": 600,
    "InjectedRadioactivityUnits": "MBq",
    "InjectionStart": 0,
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 300,
    "BodyWeight": 80,
}

# 70,000 g over 100 MBq, which an hour leaves of 200.
BY_HAND = 70000 / 1e8


def factor(*headers) -> float:
    units = units_of_headers(headers)
    assert not units.problem
    return units.factors["SUV"]


def test_a_scanner_that_corrects_to_the_start_of_the_series():
    """Such as Siemens: the series begins with the scan, and later beds are corrected to the same time."""
    assert factor(header()) == pytest.approx(BY_HAND)
    assert factor(header(), header(AcquisitionTime="101500")) == pytest.approx(BY_HAND)


def test_a_series_made_later_from_others():
    """Its own time says nothing: the earliest acquisition does, where the frames agree with it."""
    later = {"SeriesTime": "153000"}
    assert factor(header(**later, AcquisitionTime="101500"), header(**later)) == pytest.approx(
        BY_HAND, rel=1e-4
    )
    # 10 minutes of a tracer that halves in an hour have their mean count rate after 297.1 s, not 300.
    frame = {**later, "ActualFrameDuration": "600000", "FrameReferenceTime": "297112"}
    assert factor(header(**frame)) == pytest.approx(BY_HAND, rel=1e-3)
    units = units_of_headers([header(**{**frame, "FrameReferenceTime": "1800000"})])
    assert "10:00:00 by the times of acquisition, at 09:34:57" in units.problem and not units.factors


def test_ge_says_when_the_scan_began_in_a_private_attribute():
    made_later = header(SeriesTime="153000", AcquisitionTime="103000")
    block = made_later.private_block(0x0009, "GEMS_PETD_01", create=True)
    block.add_new(0x0D, "DT", "20200131100000.00")
    assert factor(made_later) == pytest.approx(BY_HAND)


def test_philips_says_how_counts_become_suv_or_activity_in_private_attributes():
    counts = header(Units="CNTS")
    assert "counts" in units_of_headers([counts]).problem
    block = counts.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x09, "DS", "2.5")
    assert factor(counts) == pytest.approx(2.5 * BY_HAND)
    block.add_new(0x00, "DS", "0.000551")
    assert factor(counts) == pytest.approx(0.000551)
    assert units_of_headers([counts]).name == "counts"
    block[0x00].value = "0"
    assert factor(counts) == pytest.approx(2.5 * BY_HAND), "a factor of 0 is none"


def test_a_private_attribute_of_somebody_else_is_none():
    counts = header(Units="CNTS")
    counts.private_block(0x7053, "ANOTHER", create=True).add_new(0x00, "DS", "3")
    assert units_of_headers([counts]).factors == {}


def test_values_corrected_to_the_injection_or_in_suv_already():
    assert factor(header(DecayCorrection="ADMIN")) == pytest.approx(70000 / 2e8)
    assert units_of_headers([header(Units="GML")]).factors == {"SUV": 1.0}
    assert units_of_headers([header(Units="GML", SUVType="LBM")]).name == "SUL"
    assert units_of_headers([header(Units="PROPCNTS")]) == units_of_headers([header(Units="PROPCNTS")])
    assert units_of_headers([Dataset()]).name == ""


def test_lean_mass_and_surface():
    """James: 1.10 · 70 − 128 · (70/170)² = 55.30 kg. Du Bois: 0.007184 · 70^0.425 · 170^0.725 = 1.8097 m²."""
    factors = units_of_headers([header()]).factors
    assert factors["SUL"] == pytest.approx(55297.6 / 1e8, rel=1e-5)
    assert factors["SUVbsa"] == pytest.approx(18097 / 1e8, rel=1e-4)
    assert set(units_of_headers([header(PatientSex="O")]).factors) == {"SUV", "SUVbsa"}
    with pytest.raises(InputError, match='"FDG" cannot be shown as SUL: sex, height or weight'):
        units_of_headers([header(PatientSize=None)]).factor("SUL", "FDG")


@pytest.mark.parametrize(
    "facts, words",
    [
        ({"PatientWeight": "0"}, "weight of the patient is 0 kg"),
        ({"PatientWeight": None}, "weight of the patient is missing"),
        ({"RadionuclideTotalDose": "200"}, "injected dose is 200 Bq (is it in MBq or mCi?)"),
        ({"RadionuclideHalfLife": "0"}, "half-life is 0 s"),
        ({"RadiopharmaceuticalStartTime": None}, "time of injection is missing"),
        ({"RadiopharmaceuticalStartTime": "233000"}, "23:30 comes after the scan at 10:00; over midnight"),
        ({"RadiopharmaceuticalStartDateTime": "20200131110000"}, "11:00 by its date and time, at 09:00"),
        ({"AcquisitionTime": None}, "time of acquisition is missing"),
        ({"DecayCorrection": "NONE"}, "(DecayCorrection) is NONE"),
        ({"CorrectedImage": ["DECY"]}, "not corrected for attenuation"),
        ({"CorrectedImage": "ATTN"}, "not corrected for decay"),
        ({"RadionuclideHalfLife": "122"}, "half-lives after injection"),
    ],
)
def test_what_is_missing_or_absurd_is_named_and_not_guessed(facts, words):
    units = units_of_headers([header(**facts)])
    assert words in units.problem and units.factors == {} and units.name == "Bq/ml"
    with pytest.raises(InputError, match="cannot be shown as SUV") as error:
        units.factor("SUV", "FDG")
    assert words in str(error.value)


def test_over_midnight_with_a_date():
    night = {
        "RadiopharmaceuticalStartTime": "233000",
        "RadiopharmaceuticalStartDateTime": "20200130233000.0",
        "SeriesTime": "003000",
        "AcquisitionTime": "003000",
    }
    assert factor(header(**night)) == pytest.approx(BY_HAND)


def test_two_injections():
    two = header()
    two.RadiopharmaceuticalInformationSequence.append(Dataset())
    assert "2 injections" in units_of_headers([two]).problem


def test_a_side_car():
    """C-11, 20.36 minutes: 600 MBq corrected to the start of the scan, 300 s after the injection."""
    facts, units = SIDE_CAR, units_of_side_car(SIDE_CAR)
    assert units.name == "kBq/ml"
    assert units.factors["SUV"] == pytest.approx(1000 * 80000 / (6e8 * 2 ** (-300 / 1221.7)), rel=1e-4)
    for key, words in (
        ("BodyWeight", "weight of the patient is missing"),
        ("InjectedRadioactivity", "dose is missing"),
        ("TracerRadionuclide", "half-life is missing"),
        ("InjectionStart", "time from injection to scan is missing"),
        ("ImageDecayCorrected", "not corrected for decay"),
    ):
        assert words in units_of_side_car({k: v for k, v in facts.items() if k != key}).problem
    assert 'half-life of "Tc99m"' in units_of_side_car({**facts, "TracerRadionuclide": "Tc99m"}).problem
    assert (
        'unit of the dose is "Ci"' in units_of_side_car({**facts, "InjectedRadioactivityUnits": "Ci"}).problem
    )
    assert units_of_side_car({"Units": "SUVR"}).name == "SUVR" and units_of_side_car({}).name == ""


@given(
    dose=st.floats(1e6, 1e10),
    half_life=st.floats(60, 1e6),
    halves=st.floats(0, 10),
    weight=st.floats(2, 300),
)
def test_what_a_body_of_even_activity_has(dose, half_life, halves, weight):
    """All of the dose, decayed, evenly in a body of water: 1 everywhere."""
    delay = min(halves * half_life, 86000.0)
    injection = Injection(dose, half_life, delay, weight)
    assert problems(injection) == []
    activity = dose * 2 ** (-delay / half_life) / (1000 * weight)
    assert activity * suv_factor(injection) == pytest.approx(1)


@given(
    st.one_of(st.none(), st.floats()), st.one_of(st.none(), st.floats()), st.one_of(st.none(), st.floats())
)
def test_no_number_makes_a_factor_that_is_none(dose, delay, weight):
    units = units_of_activity("Bq/ml", 1.0, Injection(dose, 6586.0, delay, weight))
    assert bool(units.factors) != bool(units.problem)
    assert all(np.isfinite(value) and value > 0 for value in units.factors.values())


def test_reading_tells_the_unit_and_gives_suv(tmp_path):
    array = np.full((4, 5, 6), 2000, np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "pet.nii.gz"))
    assert read(tmp_path / "pet.nii.gz").volume.unit == ""
    (tmp_path / "pet.json").write_text(json.dumps({"Units": "Bq/mL"}))
    found = read(tmp_path / "pet.nii.gz")
    assert found.volume.unit == "Bq/ml"
    with pytest.raises(InputError, match='"pet" cannot be shown as SUV: .*dose is missing'):
        found.in_unit("SUV")


def test_the_awkward_series_of_the_shared_data(shared_data):
    """185 MBq, 45 minutes of 109.77 before the scan, 70 kg."""
    found = read(shared_data / "volumes" / "awkward" / "dicom_PT", modalities=("PT",))
    assert found.volume.unit == "Bq/ml"
    by_hand = 70000 / (185e6 * 2 ** (-2700 / 6586.2))
    np.testing.assert_allclose(found.in_unit("SUV").array, found.volume.array * by_hand, rtol=1e-5)


def test_the_unit_stays_with_a_node_and_with_the_registered_pet(slicer):
    volume = Volume(np.ones((2, 3, 4), np.float32), name="FDG", unit="SUV")
    node = add_volume_node(volume)
    assert node.GetVoxelValueUnits().GetCodeValue() == "g/ml" and volume_from_node(node).unit == "SUV"
    assert resample(volume, Volume(np.ones((2, 2, 2)))).unit == "SUV"
    slicer.mrmlScene.RemoveNode(node)


@pytest.mark.parametrize("kind, code", [("SUV", 0), ("SUL", 2)])
def test_the_command_line_turns_the_pet_into_suv(tmp_path, capsys, kind, code):
    mri, pet = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    paths = []
    for name, volume in (("m", mri), ("p", pet)):
        sitk.WriteImage(volume_to_sitk(volume), str(tmp_path / f"{name}.nii"))
        paths += [f"--{'mri' if name == 'm' else 'pet'}", str(tmp_path / f"{name}.nii")]
    (tmp_path / "p.json").write_text(json.dumps(SIDE_CAR))
    out = tmp_path / "out"
    assert main(["fuse", *paths, "--units", kind, "--no-register", "--no-scene", "--out", str(out)]) == code
    if code:
        assert '"p" cannot be shown as SUL: sex, height' in capsys.readouterr().err
        return
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["inputs"]["pet_unit"] == "SUV"
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "pet_registered.nrrd")))
    by_hand = np.float32(report["inputs"]["pet_suv_factors"]["SUV"]) * pet.array
    np.testing.assert_allclose(written, by_hand, rtol=1e-4, atol=1e-9)


def test_pydicom_reads_what_the_tests_write(tmp_path):
    """The private attributes survive a file, as bytes or as text."""
    one = header(Units="CNTS")
    one.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "UN", b"0.000551 ")
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = "1.2.3"
    pydicom.dcmwrite(tmp_path / "one.dcm", one, enforce_file_format=True)
    assert factor(pydicom.dcmread(tmp_path / "one.dcm")) == pytest.approx(0.000551)
