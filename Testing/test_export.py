"""What the panel exports: volumes in either format, DICOM, pictures of slices; all of it or nothing."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from funfuse_cli.studies.odd_inputs.files import dicom_series
from FunFuseSlicer.Logic.errors import Cancelled, InputError
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.output_folder import LIST
from FunFuseSlicer.Logic.scene import export, slice_pictures
from FunFuseSlicer.Logic.scene.inputs import add_volume_node
from FunFuseSlicer.Logic.self_test import synthetic_head
from FunFuseSlicer.Logic.volumes.geometry import Volume

pytestmark = pytest.mark.usefixtures("known_brains")


@pytest.fixture
def panel(slicer, qt_started):
    """The panel after a run on a pair that lies on each other."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget
    from FunFuseSlicer.Logic.panel.choices import Registration

    opened = open_panel()
    panel = opened.self()
    panel.mri, panel.pet = (add_volume_node(v) for v in synthetic_head((6, 48, 44), (3.5, 3.5, 12.0)))
    chosen = panel.session.choices
    chosen.mri, chosen.pet, chosen.registration = panel.mri, panel.pet, Registration.ALIGNED
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.SetDimensions(160, 120, 1)
    panel.onApplyButton()
    yield panel
    close_widget(opened)


def press_export(panel, folder, kind):
    """Choose what to export, and the folder; what the panel says afterwards."""
    from funfuse_cli.headless.widgets.dialogs import answers
    from FunFuseSlicer.Logic.panel.choices import ExportAs

    panel.session.choices.exportAs = ExportAs(kind)
    with answers(str(folder)):
        panel.results.onExportButton()
    return panel.ui.statusLabel.text


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {LIST}


@pytest.mark.parametrize("kind, ending", [("nrrd", ".nrrd"), ("nifti", ".nii.gz")])
def test_volumes_in_either_format(panel, slicer, tmp_path, kind, ending):
    assert "files written to" in press_export(panel, tmp_path, kind)
    # A page for the browser may be among them.
    files = {name for name in files_of(tmp_path) if not name.endswith(".html")}
    assert len(files) == 5 and all(name.endswith(ending) for name in files)
    for node in panel.session.nodes.values():
        storage = node.GetStorageNode()
        content = open(storage.GetFileName(), "rb").read()
        found = sitk.GetArrayFromImage(sitk.ReadImage(storage.GetFileName()))
        np.testing.assert_array_equal(found, slicer.util.arrayFromVolume(node))
        assert b"\nencoding: gzip\n" in content[:2000] if kind == "nrrd" else content[:2] == b"\x1f\x8b"
        assert storage.GetUseCompression() and len(content) < found.nbytes
        again = slicer.util.loadVolume(storage.GetFileName())
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(again), found)


def test_an_export_that_is_stopped_leaves_nothing(panel, tmp_path):
    monitor, said = Monitor(lambda stage, _: stop(stage)), []

    def stop(stage):
        said.append(stage)
        if stage == "Writing":
            monitor.cancel()

    with pytest.raises(Cancelled):
        export.export_outputs(panel.session.nodes, tmp_path, monitor=monitor)
    assert files_of(tmp_path) == set() and said[0] == "Making the page"
    assert all(node.GetStorageNode() is None for node in panel.session.nodes.values())


# --- DICOM --------------------------------------------------------------------------------------------


@pytest.fixture
def database(slicer, monkeypatch, tmp_path):
    """Slicer's DICOM database, as far as it is asked: a file for an instance."""

    class Database:
        files = {}

        def fileForInstance(self, uid):
            return self.files.get(uid, "")

    database = Database()
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return database


def from_dicom(node, folder, modality, database):
    """Make a node one that Slicer's module DICOM has loaded."""
    import slicer

    from FunFuseSlicer.Logic.scene.inputs import volume_from_node

    volume = volume_from_node(node)
    dicom_series(Volume(np.abs(volume.array), volume.ijk_to_ras, "x"), folder, modality)
    uids = {str(pydicom.dcmread(path).SOPInstanceUID): str(path) for path in sorted(folder.iterdir())}
    database.files = {**database.files, **uids}
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    assert slicer.mrmlScene.IsNodePresent(node)


def test_dicom_is_offered_when_the_mri_came_from_there(panel, database, tmp_path):
    from FunFuseSlicer.Logic.panel.choices import ExportAs
    from Testing.test_panel import is_offered

    ui, number = panel.ui, list(ExportAs).index(ExportAs.DICOM)
    assert not is_offered(ui.exportComboBox, number) and ui.exportButton.enabled
    panel.session.choices.exportAs = ExportAs.DICOM
    assert not ui.exportButton.enabled and "did not come from DICOM" in ui.exportButton.toolTip
    from_dicom(panel.mri, tmp_path / "T1", "MR", database)
    panel.session.refresh()
    assert is_offered(ui.exportComboBox, number) and ui.exportButton.enabled
    out = tmp_path / "out"
    out.mkdir()
    assert "9 files written" in press_export(panel, out, "dicom")
    assert {name.partition("/")[0] for name in files_of(out)} == {"dicom"}
    assert "dicom/registration.dcm" not in files_of(out), "the PET did not come from DICOM"
    header = pydicom.dcmread(out / "dicom" / "colored.dcm")
    assert header.PatientName == "Phantom" and "Omega 0.6" in header.SeriesDescription
    assert panel.mri.GetName() not in header.DerivationDescription
    assert np.array_equal(header.pixel_array, colored_of(panel)[:: 1 if upwards(header) else -1])


def colored_of(panel):
    import slicer

    return slicer.util.arrayFromVolume(panel.session.nodes["colored"])


def upwards(header):
    first, second = header.PerFrameFunctionalGroupsSequence[:2]
    heights = [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in (first, second)]
    return heights[0] < heights[1]


def test_dicom_of_a_pet_from_there_and_a_turned_mri(panel, slicer, database, tmp_path):
    """Transforms above the nodes: images stay in their scanners' coordinates, the registration tells both."""
    from_dicom(panel.mri, tmp_path / "T1", "MR", database)
    from_dicom(panel.pet, tmp_path / "PT", "PT", database)
    above = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = [10, 20, 30]
    slicer.util.updateTransformMatrixFromArray(above, matrix)
    panel.pet.SetAndObserveTransformNodeID(above.GetID())
    nodes = panel.session.nodes
    export.export_dicom_of_nodes(panel.mri, panel.pet, nodes, tmp_path / "out")
    registration = pydicom.dcmread(tmp_path / "out" / "dicom" / "registration.dcm")
    last = registration.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    found = np.reshape(np.array(last.FrameOfReferenceTransformationMatrix, float), (4, 4))
    np.testing.assert_allclose(found[:3, 3], [-10, -20, 30], atol=1e-6)
    header = pydicom.dcmread(tmp_path / "out" / "dicom" / "pet_registered" / "0001.dcm")
    assert header.Modality == "PT" and header.StudyInstanceUID == registration.StudyInstanceUID


def test_dicom_that_slicer_has_no_more(panel, database, tmp_path):
    from_dicom(panel.mri, tmp_path / "T1", "MR", database)
    database.files = {}
    with pytest.raises(InputError, match="not in Slicer's DICOM database any more: import them again"):
        export.export_dicom_of_nodes(panel.mri, panel.pet, panel.session.nodes, tmp_path / "out")
    said = press_export(panel, tmp_path / "out", "dicom")
    assert (
        said.startswith("The results were not written: The DICOM files of")
        and not (tmp_path / "out").exists()
    )


# --- Pictures of slices -------------------------------------------------------------------------------


def test_pictures_of_every_slice_of_the_views_on_screen(panel, tmp_path):
    logics = slice_pictures.shown_views()
    before = [logic.GetSliceOffset() for logic in logics]
    said = press_export(panel, tmp_path, "slices")
    files = files_of(tmp_path)
    names = sorted({name.split("/")[1] for name in files})
    assert names == ["Green coronal", "Red axial", "Yellow sagittal"]
    assert sum("Red axial" in name for name in files) == 6 and sum("coronal" in name for name in files) == 48
    assert said.startswith(f"{len(files)} files written")
    assert [logic.GetSliceOffset() for logic in logics] == before
    with Image.open(tmp_path / "slices" / "Red axial" / "003.png") as picture:
        assert picture.size == (160, 120) and len(picture.getcolors(160 * 120)) > 500


def test_a_sheet_holds_all_slices_of_a_view(panel, tmp_path):
    assert press_export(panel, tmp_path, "sheets").startswith("3 files written")
    assert files_of(tmp_path) == {
        f"slices/{name}.png" for name in ("Red axial", "Green coronal", "Yellow sagittal")
    }
    sheet = np.asarray(Image.open(tmp_path / "slices" / "Red axial.png"))
    # The lowest and the highest of six slices are empty: four in two rows.
    tiles = [tile for row in np.array_split(sheet, 2) for tile in np.array_split(row, 3, axis=1)]
    colors = [len(np.unique(tile @ [1, 256, 65536])) for tile in tiles]
    assert min(colors[:4]) > 100 and max(colors[4:]) == 1


@pytest.mark.parametrize(
    "orientation, sides, positions",
    [
        ("Axial", ("R", "L", "A", "P"), ["I 10.0 mm", "I 5.0 mm", "S 0.0 mm", "S 5.0 mm"]),
        ("Sagittal", ("A", "P", "S", "I"), ["L 11.0 mm", "L 14.0 mm", "L 17.0 mm", "L 20.0 mm"]),
        ("Coronal", ("R", "L", "S", "I"), ["P 30.0 mm", "P 28.0 mm", "P 26.0 mm", "P 24.0 mm"]),
    ],
)
def test_marks_tell_sides_and_positions(slicer, orientation, sides, positions):
    """Each slice is of one gray level, so the picture tells which it is."""
    array = np.zeros((4, 4, 4), np.float32)
    axis = {"Axial": 0, "Coronal": 1, "Sagittal": 2}[orientation]
    np.moveaxis(array, axis, 0)[:] = np.arange(1, 5)[:, None, None]
    matrix = np.diag([3.0, 2.0, 5.0, 1.0])
    matrix[:3, 3] = [-20, -30, -10]
    node = add_volume_node(Volume(array, matrix, "steps"))
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 5)
    (logic,) = (n for n in slice_pictures.views.slice_logics() if n.GetSliceNode().GetLayoutName() == "Red")
    logic.GetSliceNode().SetOrientation(orientation)
    logic.GetSliceNode().SetDimensions(64, 48, 1)
    logic.GetSliceCompositeNode().SetBackgroundVolumeID(node.GetID())
    logic.FitSliceToAll()
    try:
        pictures = list(slice_pictures.pictures_of(logic))
    finally:
        logic.GetSliceNode().SetOrientation("Axial")
    assert [picture.position for picture in pictures] == positions
    assert {picture.sides for picture in pictures} == {sides}
    grays = [51, 102, 153, 204]
    assert [picture.pixels.max() for picture in pictures] == grays[:: -1 if orientation == "Sagittal" else 1]
    assert pictures[0].mm == pytest.approx(logic.GetSliceNode().GetFieldOfView()[0] / 64)


def test_a_scale_bar_is_as_long_as_it_says():
    black = np.zeros((200, 300, 3), np.uint8)
    marked = slice_pictures.marked(slice_pictures.Picture(black, np.eye(4), 0.7))
    line = np.flatnonzero((marked[195] == 255).all(axis=1)[200:])
    # 50 mm are 71.4 pixels; 100 mm would be more than the share of the width that a bar may have.
    assert 70 <= np.ptp(line) <= 73 and len(line) == np.ptp(line) + 1


def test_pictures_that_are_stopped_leave_nothing(panel, tmp_path):
    monitor = Monitor(lambda *_: monitor.cancel())
    logics = slice_pictures.shown_views()
    before = [logic.GetSliceOffset() for logic in logics]
    with pytest.raises(Cancelled):
        export.export_slices(tmp_path / "out", False, monitor)
    assert not (tmp_path / "out").exists() and [logic.GetSliceOffset() for logic in logics] == before


def test_no_view_shows_a_volume(slicer, tmp_path):
    with pytest.raises(InputError, match="No slice view on screen shows a volume"):
        export.export_slices(tmp_path, True)
