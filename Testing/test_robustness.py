"""Whatever is thrown at it: a result that is whole, or one clear sentence and nothing changed."""

import gc
import os
import sys
import weakref
from dataclasses import replace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.studies import robustness, robustness_soak
from funfuse_cli.studies.odd_inputs.cases import Case, real_cases, synthetic_cases
from funfuse_cli.studies.odd_inputs.pairs import phantom
from funfuse_cli.studies.odd_inputs.watch import overheard
from funfuse_cli.studies.robustness_run import check_volumes, run_case, shortened
from FunFuseSlicer.Logic.registration import RegistrationOptions, register
from Testing.conftest import SHARED

pytestmark = pytest.mark.usefixtures("known_brains")

CLEAN = "FunFuseSlicer.Logic.volumes.preprocessing.clean"


def _ways(case: Case):
    """Here what takes seconds goes one way; in the study it goes both."""
    slow = case.name == "wide slices" or (case.register and case.must == "result")
    return case.ways[-1:] if slow else case.ways


RUNS = [
    pytest.param(case, way, id=f"{case.name}-{way}")
    for case in synthetic_cases() + real_cases(SHARED / "data")
    for way in _ways(case)
]


@pytest.mark.parametrize("case, way", RUNS)
def test_a_result_or_a_clear_sentence(request, slicer, tmp_path, case, way):
    if case.name.startswith("real: "):
        request.getfixturevalue("shared_data")
    outcome = run_case(case, way, tmp_path)
    assert not outcome["problems"], outcome


def test_every_case_has_a_name_of_its_own():
    names = [case.name for case in synthetic_cases() + real_cases(SHARED / "data")]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"must": "InputError"}, "InputError expected"),
        ({"must": "result: a word that is not there"}, "is not said"),
        ({"fault": lambda _: mock.patch(CLEAN, side_effect=KeyError("x"))}, "KeyError instead of a sentence"),
    ],
)
def test_the_check_of_a_case_can_fail(slicer, tmp_path, change, problem):
    small = Case("x", "", pair=lambda: phantom((3, 16, 14)))
    assert problem in run_case(replace(small, **change), "nodes", tmp_path)["problems"]


def test_the_check_of_results_can_fail():
    mri = phantom((4, 8, 6)).mri
    color = mri.with_array(np.ones((*mri.array.shape, 3), np.uint8))
    half = mri.with_array(mri.array / 2)
    good = {"fused": mri, "mri_part": half, "pet_part": half, "pet_registered": mri, "colored": color}
    assert check_volumes(good, mri) == []
    moved = mri.ijk_to_ras.copy()
    moved[0, 3] += 1
    for role, wrong, word in (
        ("fused", replace(mri, ijk_to_ras=moved), "fused does not lie on the grid"),
        ("pet_registered", mri.with_array(mri.array * np.nan), "pet_registered is not finite"),
        ("pet_part", mri.with_array(mri.array / 2 + 1e-4), "the parts miss"),
        ("colored", color.with_array(0 * color.array), "empty"),
    ):
        assert any(word in problem for problem in check_volumes({**good, role: wrong}, mri))


def test_libraries_are_overheard_on_standard_error():
    with overheard() as lines:
        os.write(2, b"WARNING: from a library\n")
        print("Fusing  50% |###  | 00:01", file=sys.stderr)
        print("Traceback", file=sys.stderr)
    assert sorted(lines) == ["Traceback", "WARNING: from a library"]


def test_paths_are_shortened(tmp_path):
    sentence = f'{tmp_path}/FDG/a.dcm is damaged; {tmp_path.parent}/T1.nii ../up/T2.nii "x/y" {"n" * 300}'
    assert shortened(sentence, tmp_path) == f'FDG/a.dcm is damaged; T1.nii T2.nii "x/y" {"n" * 20}…{"n" * 8}'


def test_a_registration_leaves_nothing_in_memory(monkeypatch):
    """ITK's objects hold images of many megabytes; Python's collector does not see them."""
    living = weakref.WeakSet()

    class Watched(sitk.ImageRegistrationMethod):
        def __init__(self):
            super().__init__()
            living.add(self)

    monkeypatch.setattr(sitk, "ImageRegistrationMethod", Watched)
    pair = phantom((12, 28, 24), (6.5, 6.5, 11.0))
    register(pair.mri, pair.pet, RegistrationOptions(stages=("rigid",), check_header=False))
    gc.collect()
    assert not living


def test_the_study_writes_its_tables(slicer, tmp_path, monkeypatch, capsys):
    by_name = {case.name: case for case in synthetic_cases()}
    cases = [by_name["all zero"], replace(by_name["constant"], name="odd", must="InputError: never said")]
    monkeypatch.setattr(robustness, "synthetic_cases", lambda: cases)
    monkeypatch.setattr(robustness_soak, "CASES", ("single slice", "all zero"))
    monkeypatch.setattr(robustness_soak, "REGISTERED", ("all zero",))
    monkeypatch.setattr(robustness_soak, "BLOCK", 2)
    data = tmp_path / "data"
    assert main(["study", "robustness", f"--docs={tmp_path}", "--soak=3"]) == 1, "one is not as it must be"
    runs = pd.read_csv(data / "robustness_runs.csv")
    assert list(runs.way) == ["files", "nodes"] * 2 and list(runs.kind.unique()) == ["InputError"]
    assert runs.sentence[0] == '"FDG" is zero everywhere: it has no contrast to fuse. Choose another volume.'
    assert list(runs.problems.isna()) == [True, True, False, False]
    blocks = pd.read_csv(data / "robustness_soak.csv")
    assert list(blocks.runs) == [2, 3] and list(blocks.results + blocks.errors) == [2, 3]
    added = blocks.nodes_after.iloc[-1] - blocks.nodes_before.iloc[0]
    assert added <= 2, "the subject hierarchy and the color table Jet stay, all else is gone"
    codes = pd.read_csv(data / "robustness_codes.csv").set_index("class").code
    assert codes["InputError"] == 2 and codes["DeviceError"] == 4 and codes["Cancelled"] == 130
    capsys.readouterr()
    assert main(["study", "robustness", f"--data={tmp_path}"]) == 2
    assert "volumes/awkward" in capsys.readouterr().err
