"""Data stays on the computer and patients stay unnamed; no file that is read can run code."""

import ast
import json
import logging
import socket
import zipfile

import pydicom
import pytest
import SimpleITK as sitk

import funfuse
from funfuse_cli.__main__ import main
from funfuse_cli.studies.odd_inputs.files import dicom_series
from FunFuseSlicer.Logic.scene import inputs
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import ROOT, head_phantom

SIZE, SPACING = (6, 20, 16), (6.0, 7.0, 15.0)

PATIENT = {
    "PatientName": "Esmeralda^Phoebus",
    "PatientID": "ID-FROLLO-77",
    "PatientBirthDate": "14820106",
    "OtherPatientIDs": "GRINGOIRE",
    "InstitutionName": "Hotel-Dieu",
    "ReferringPhysicianName": "Clopin^Trouillefou",
}
TELLTALES = {word for value in PATIENT.values() for word in value.split("^")}
# Folders that a user's files may lie in: above the folder with the series, whose name becomes a node's.
INPUT_FOLDER, OUTPUT_FOLDER = "Quasimodo", "Notredame"


@pytest.fixture
def no_network(monkeypatch):
    """Whoever opens a connection or asks for an address fails."""

    class Blocked(RuntimeError):
        pass

    def refuse(*_, **__):
        raise Blocked("the network was used")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    with pytest.raises(Blocked):
        __import__("urllib.request").request.urlopen("http://localhost:9")


def test_fusing_needs_no_network(no_network, slicer):
    """Registration, fusion, coloring: all of it, on nodes."""
    from funfuse_cli.extension import load_module

    mri, pet = (inputs.add_volume_node(volume) for volume in head_phantom((12, 24, 20), (6.0, 6.0, 8.0)))
    run = load_module().FunFuseSlicerLogic().process(mri, pet)
    assert run.registration is not None and run.fusion.fused.any()


def content(folder):
    """path -> bytes of every file that a command wrote, those in a scene bundle, too."""
    found = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with zipfile.ZipFile(folder / "scene.mrb") as bundle:
        found.update({f"scene.mrb/{name}": bundle.read(name) for name in bundle.namelist()})
    return found


def test_the_patient_and_the_folders_are_named_nowhere(no_network, tmp_path, caplog, capfd):
    mri, pet = head_phantom(SIZE, SPACING)
    files = tmp_path / INPUT_FOLDER
    files.mkdir()
    dicom_series(pet, files / "pet", patient=PATIENT)
    sitk.WriteImage(volume_to_sitk(mri), str(files / "T1.nii"))
    out = tmp_path / OUTPUT_FOLDER / "out"
    caplog.set_level(logging.DEBUG)
    arguments = ["--mri", str(files / "T1.nii"), "--pet", str(files / "pet"), "--out", str(out)]
    assert main(["fuse", *arguments, "--no-register"]) == 0

    printed = capfd.readouterr()
    logged = caplog.text + printed.err
    assert "FunFuse: fused T1 with pet" in caplog.text, "the log is captured, and names the nodes"
    written = content(out)
    assert {"report.json", "fused.nrrd", "preview.png"} < set(written)
    (mrml,) = (data for name, data in written.items() if name.endswith(".mrml"))
    assert b"T1 + pet fused" in mrml, "the search sees what the scene says"
    for word in TELLTALES:
        assert word not in logged + printed.out
        assert [name for name, data in written.items() if word.encode() in data] == []
    inputs = json.loads(written["report.json"])["inputs"]
    assert (inputs["mri"], inputs["pet"]) == ("T1.nii", "pet")
    assert INPUT_FOLDER not in logged + printed.out and OUTPUT_FOLDER not in logged
    for word in (INPUT_FOLDER, OUTPUT_FOLDER):
        assert [name for name, data in written.items() if word.encode() in data] == []


def test_the_patient_is_named_in_dicom_alone(tmp_path):
    """And there, where it has to be, nothing tells of the computer."""
    mri, pet = head_phantom(SIZE, SPACING)
    files, out = tmp_path / INPUT_FOLDER, tmp_path / OUTPUT_FOLDER / "out"
    files.mkdir()
    for volume, name, modality in ((mri, "T1", "MR"), (pet, "pet", "PT")):
        dicom_series(volume, files / name, modality, patient=PATIENT)
    arguments = ["--mri", str(files / "T1"), "--pet", str(files / "pet"), "--out", str(out), "--dicom"]
    assert main(["fuse", *arguments, "--no-register", "--method", "average"]) == 0
    dicom = {path for path in (out / "dicom").rglob("*") if path.is_file()}
    others = {path for path in out.rglob("*") if path.is_file()} - dicom
    assert dicom and all(PATIENT["PatientID"].encode() in path.read_bytes() for path in dicom)
    for word in TELLTALES:
        assert [path for path in others if word.encode() in path.read_bytes()] == []
    for word in (INPUT_FOLDER, OUTPUT_FOLDER):
        assert [path for path in dicom if word.encode() in path.read_bytes()] == []


def test_the_series_that_is_read_does_name_the_patient(tmp_path):
    """Else the test before would prove nothing."""
    series = dicom_series(head_phantom(SIZE, SPACING)[1], tmp_path / "pet", patient=PATIENT)
    first = pydicom.dcmread(sorted(series.iterdir())[0])
    assert str(first.PatientName) == PATIENT["PatientName"] and first.PatientID == PATIENT["PatientID"]


# --- Code in files ------------------------------------------------------------------------------------

SOURCES = sorted(
    [
        *(ROOT / "FunFuseSlicer").rglob("*.py"),
        *(ROOT / "funfuse_cli").rglob("*.py"),
        *(ROOT / "funfuse_launcher").rglob("*.py"),
        ROOT / "funfuse.py",
    ]
)

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle", "yaml"}


def unsafe(tree):
    """What in a syntax tree could run code that comes from a file: "line N: reason"."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.split(".")[0] in FORBIDDEN_MODULES:
                yield f"line {node.lineno}: imports {name}"
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        options = {option.arg: getattr(option.value, "value", None) for option in node.keywords}
        if call in ("eval", "exec", "compile", "__import__", "os.system"):
            yield f"line {node.lineno}: calls {call}"
        if call.endswith(("torch.load", "jit.load")) and options.get("weights_only") is not True:
            yield f"line {node.lineno}: {call} without weights_only=True"
        if call in ("np.load", "numpy.load") and options.get("allow_pickle", False) is not False:
            yield f"line {node.lineno}: {call} with allow_pickle"
        if options.get("shell", False) is not False:
            yield f"line {node.lineno}: {call} with a shell"


# One computes the expressions in the repository's own pages, which are reviewed as code is; one remembers, in
# the folder of a study, what that study itself measured; one hands work to processes that it starts.
EXCEPT = [
    ROOT / "funfuse_cli" / name
    for name in ("studies/pages.py", "studies/evaluation_jobs.py", "cohort/engines.py")
]


def test_no_file_that_is_read_can_run_code():
    assert len(SOURCES) > 100
    found = {path: list(unsafe(ast.parse(path.read_text(encoding="utf-8")))) for path in SOURCES}
    assert all(found.pop(path) for path in EXCEPT), "an exception is not needed any more"
    assert {str(path): reasons for path, reasons in found.items() if reasons} == {}


@pytest.mark.parametrize(
    "code, count",
    [
        ("import pickle", 1),
        ("from joblib.numpy_pickle import load", 1),
        ("torch.load(path)", 1),
        ("torch.load(path, weights_only=False)", 1),
        ("torch.load(path, weights_only=True)", 0),
        ("np.load(path, allow_pickle=True)", 1),
        ("np.load(path)", 0),
        ("eval(text)", 1),
        ("network.eval()", 0),
        ("subprocess.run(text, shell=True)", 1),
    ],
)
def test_the_search_finds_what_it_is_for(code, count):
    assert len(list(unsafe(ast.parse(code)))) == count


# --- Research use -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "FunFuseSlicer/FunFuseSlicer.py",
        "FunFuseSlicer/Resources/UI/FunFuseSlicer.ui",
        "funfuse_cli/commands/fuse.py",
    ],
)
def test_research_use_is_stated(path):
    text = (ROOT / path).read_text(encoding="utf-8").lower()
    assert "research use" in text and "diagnosis" in text


def test_the_help_states_research_use(capsys):
    with pytest.raises(SystemExit) as end:
        main(["fuse", "--help"])
    assert end.value.code == 0
    assert funfuse.main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("For research use, not for diagnosis.") == 2
