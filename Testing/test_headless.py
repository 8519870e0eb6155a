"""Tests of the stand-in for Slicer on the real Slicer libraries; skipped where slicer-core is missing."""

import enum
import math
import os
import pathlib
import subprocess
import sys
import textwrap
import types
from typing import Annotated, Optional

import numpy as np
import pytest

pytest.importorskip("slicer_core")

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

from funfuse_cli.headless import boot  # noqa: E402
from funfuse_cli.headless.messages import collect_vtk_messages  # noqa: E402

slicer = boot()

from funfuse_cli.headless import rendering, scene_files  # noqa: E402
from funfuse_cli.headless.module import load_module  # noqa: E402

# Sizes of the phantom in voxels (I, J, K), all different; voxels are cubes of 2 mm.
SIZE = (80, 60, 40)
HEAD, RIGHT, ANTERIOR, SUPERIOR = 100, 160, 200, 240


@pytest.fixture(autouse=True)
def empty_scene():
    """Every test starts with a closed scene, and must not make VTK complain."""
    scene_files.clear_scene()
    with collect_vtk_messages() as messages:
        yield
    assert messages == []


def node_ids():
    scene = slicer.mrmlScene
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


def hierarchy():
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def phantom_matrix():
    # I runs to the left, J to posterior, K to superior, as in many scanner files; center at RAS (10, 20, 30).
    matrix = np.diag([-2.0, -2.0, 2.0, 1.0])
    matrix[:3, 3] = 10 + 79, 20 + 59, 30 - 39
    return matrix


def add_phantom():
    """A head that fills the volume, with one marker each at its right, anterior and superior end."""
    i_size, j_size, k_size = SIZE
    array = np.full((k_size, j_size, i_size), HEAD, np.int16)
    array[16:24, 24:36, 0:8] = RIGHT
    array[16:24, 0:8, 34:46] = ANTERIOR
    array[34:40, 24:36, 34:46] = SUPERIOR
    volume = slicer.util.addVolumeFromArray(array, phantom_matrix(), "Phantom")
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    # 0 to 255 are shown as they are.
    display.SetWindowLevel(255, 127.5)
    display.InterpolateOff()
    return volume


def add_rgb():
    """A red block in an otherwise black volume of the phantom's shape."""
    i_size, j_size, k_size = SIZE
    array = np.zeros((k_size, j_size, i_size, 3), np.uint8)
    array[16:24, 24:36, 50:60] = 200, 40, 10
    volume = slicer.util.addVolumeFromArray(array, phantom_matrix(), "RGB", "vtkMRMLVectorVolumeNode")
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(255, 127.5)
    display.InterpolateOff()
    return volume


# --- boot ---


def test_boot_is_idempotent():
    scene, app = slicer.mrmlScene, slicer.app
    before = node_ids()
    assert boot() is slicer
    assert slicer.mrmlScene is scene
    assert slicer.app is app
    assert node_ids() == before


def test_application():
    app = slicer.app
    assert app.applicationVersion.startswith(f"{app.majorVersion}.{app.minorVersion}.")
    assert (app.majorVersion, app.minorVersion) >= (5, 8)
    assert pathlib.Path(app.temporaryPath).is_dir()
    assert app.layoutManager() is None
    assert slicer.util.mainWindow() is None
    assert app.mrmlScene() is slicer.mrmlScene
    app.processEvents()
    with slicer.util.RenderBlocker():
        pass


def test_colors():
    for name in ("Grey", "Rainbow", "ReverseRainbow", "InvertedGrey", "PET-Heat", "PET-DICOM"):
        assert slicer.util.getNode(name).IsA("vtkMRMLColorNode")


def test_module_logics():
    assert slicer.modules.volumes.logic().IsA("vtkSlicerVolumesLogic")
    assert slicer.modules.subjecthierarchy.logic().IsA("vtkSlicerSubjectHierarchyModuleLogic")
    assert slicer.modules.colors.logic() is slicer.app.applicationLogic().GetColorLogic()
    assert slicer.util.getModuleLogic("Volumes") is slicer.modules.volumes.logic()
    assert slicer.app.applicationLogic().GetModuleLogic("Volumes") is slicer.modules.volumes.logic()
    clone = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, add_phantom(), "Clone")
    assert slicer.util.arrayFromVolume(clone).shape == SIZE[::-1]


def test_slice_views():
    logic = slicer.app.applicationLogic()
    assert logic.GetSliceLogics().GetNumberOfItems() == 3
    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
        slice_logic = logic.GetSliceLogicByLayoutName(name)
        slice_node = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        assert slice_logic.GetSliceNode() is slice_node
        assert logic.GetSliceLogic(slice_node) is slice_logic
        assert slice_node.GetOrientation() == orientation
        assert slice_node.IsMappedInLayout()
        assert slice_logic.GetSliceCompositeNode().GetLayoutName() == name


def test_volume_selection_reaches_slice_views():
    volume, overlay = add_phantom(), add_rgb()
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
    logic.GetSelectionNode().SetSecondaryVolumeID(overlay.GetID())
    logic.PropagateVolumeSelection()
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert composite.GetBackgroundVolumeID() == volume.GetID()
        assert composite.GetForegroundVolumeID() == overlay.GetID()
    # Propagation fits the views: the field of view covers the volume's 160 mm from right to left.
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert red.GetFieldOfView()[0] == pytest.approx(160, abs=1)
    slicer.util.setSliceViewerLayers(background=overlay, foreground=volume, foregroundOpacity=0.25)
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeGreen")
    assert composite.GetBackgroundVolumeID() == overlay.GetID()
    assert composite.GetForegroundOpacity() == 0.25


def test_views_are_fitted_without_a_layout_manager():
    slicer.util.setSliceViewerLayers(background=add_phantom(), fit=True)
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    # As in Slicer without a main window: fit=True needs the layout manager, the application logic does not.
    assert red.GetFieldOfView()[0] == 250
    slicer.app.applicationLogic().FitSliceToBackground()
    assert red.GetFieldOfView()[0] == pytest.approx(160, abs=1)
    assert red.GetSliceOffset() == pytest.approx(30, abs=2)


def test_custom_layout_gets_slice_logics():
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    description = """<layout type="vertical"><item><view class="vtkMRMLSliceNode" singletontag="Fused">
        <property name="orientation" action="default">Coronal</property></view></item></layout>"""
    assert layout.AddLayoutDescription(5127, description)
    layout.SetViewArrangement(5127)
    logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName("Fused")
    assert logic.GetSliceNode().GetOrientation() == "Coronal"
    assert logic.GetSliceNode().IsMappedInLayout()
    assert not slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").IsMappedInLayout()
    slicer.mrmlScene.RemoveNode(logic.GetSliceNode())
    assert slicer.app.applicationLogic().GetSliceLogics().GetNumberOfItems() == 3
    layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)


def test_subject_hierarchy_follows_nodes():
    volume = add_phantom()
    item = hierarchy().GetItemByDataNode(volume)
    assert hierarchy().GetItemOwnerPluginName(item) == "Volumes"
    assert hierarchy().GetItemParent(item) == hierarchy().GetSceneItemID()
    slicer.mrmlScene.RemoveNode(volume)
    assert not hierarchy().GetItemDataNode(item)
    hidden = slicer.vtkMRMLScalarVolumeNode()
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNode(hidden)
    assert not hierarchy().GetItemByDataNode(hidden)


# --- slicer.util ---


def test_util_arrays():
    volume = add_phantom()
    slicer.util.updateVolumeFromArray(volume, np.zeros((2, 3, 4), np.float32))
    assert slicer.util.arrayFromVolume(volume).shape == (2, 3, 4)
    assert slicer.util.getNode("Phantom") is volume
    with pytest.raises(slicer.util.MRMLNodeNotFoundException):
        slicer.util.getNode("Nobody")


def test_util_error_display_raises_the_error():
    with pytest.raises(ZeroDivisionError):
        with slicer.util.tryWithErrorDisplay("Failed.", waitCursor=True):
            raise ZeroDivisionError
    slicer.util.errorDisplay("only logged")


def test_util_settings():
    import qt

    assert slicer.util.settingsValue("FunFuse/Missing", 3, converter=int) == 3
    qt.QSettings().setValue("FunFuse/Known", "7")
    assert slicer.util.settingsValue("FunFuse/Known", 3, converter=int) == 7
    qt.QSettings().remove("FunFuse")
    assert not qt.QSettings().contains("FunFuse/Known")


def test_util_observation_mixin():
    class Observer(slicer.util.VTKObservationMixin):
        def __init__(self):
            super().__init__()
            self.count = 0

        def on_modified(self, caller, event):
            self.count += 1

    node, observer = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"), Observer()
    observer.addObserver(node, "ModifiedEvent", observer.on_modified)
    with slicer.util.NodeModify(node):
        node.SetParameter("a", "1")
        node.SetParameter("b", "1")
    assert observer.count == 1
    observer.removeObservers()
    node.SetParameter("a", "2")
    assert observer.count == 1


def test_util_files(tmp_path):
    path = tmp_path / "Bild mit Größe.nrrd"
    volume = add_phantom()
    assert slicer.util.saveNode(volume, str(path))
    loaded = slicer.util.loadVolume(str(path), {"name": "Again"})
    assert loaded.GetName() == "Again"
    assert np.array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(volume))
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert composite.GetBackgroundVolumeID() == loaded.GetID()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    assert slicer.util.saveNode(transform, str(tmp_path / "shift.h5"))
    assert slicer.util.loadTransform(str(tmp_path / "shift.h5")).IsA("vtkMRMLTransformNode")
    scene_files.save_node(transform, tmp_path / "shift.tfm")
    assert "AffineTransform" in (tmp_path / "shift.tfm").read_text()
    with pytest.raises(OSError, match="no way to write"):
        scene_files.save_node(volume, tmp_path / "volume.docx")
    with pytest.raises(FileNotFoundError):
        scene_files.save_node(volume, tmp_path / "missing" / "volume.nrrd")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    scene_files.clear_scene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert slicer.util.getNode("Phantom").GetImageData() is not None


# --- parameter node ---


class Method(enum.Enum):
    MEAN = "mean of both"
    MAXIMUM = "larger of both"


def make_wrapper_class():
    from slicer.parameterNodeWrapper import (
        Choice,
        Default,
        Maximum,
        Minimum,
        WithinRange,
        parameterNodeWrapper,
    )

    @parameterNodeWrapper
    class Parameters:
        mri: slicer.vtkMRMLScalarVolumeNode
        fused: Optional[slicer.vtkMRMLVectorVolumeNode]
        weight: Annotated[float, WithinRange(0, 1)] = 0.5
        epochs: Annotated[int, Minimum(1), Maximum(500), Default(20)]
        device: Annotated[str, Choice(["cpu", "cuda"])] = "cpu"
        overwrite: bool = True
        method: Method = Method.MAXIMUM
        seed: Optional[int]
        note: str

    return Parameters


def add_parameter_node():
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetName("Parameters")
    return slicer.mrmlScene.AddNode(node)


def test_parameter_defaults_in_slicers_format():
    node = add_parameter_node()
    parameters = make_wrapper_class()(node)
    assert parameters.parameterNode is node
    # Text as written by Base/Python/slicer/parameterNodeWrapper/serializers.py.
    assert {name: node.GetParameter(name) for name in node.GetParameterNames()} == {
        "mri": "",
        "fused.1": "True",
        "weight": "0.5",
        "epochs": "20",
        "device": "cpu",
        "overwrite": "True",
        "method": "MAXIMUM",
        "seed.1": "True",
        "note": "",
    }
    assert parameters.mri is None and parameters.fused is None and parameters.seed is None
    assert parameters.method is Method.MAXIMUM
    assert parameters.isCached("weight")
    assert parameters.default("epochs").value == 20
    assert parameters.dataType("seed") == Optional[int]


def test_parameter_validation():
    parameters = make_wrapper_class()(add_parameter_node())
    for name, value, error in (
        ("weight", 1.5, ValueError),
        ("weight", math.nan, ValueError),
        ("weight", "0.5", TypeError),
        ("epochs", 0, ValueError),
        ("epochs", 1.0, TypeError),
        ("epochs", None, ValueError),
        ("device", "tpu", ValueError),
        ("overwrite", 1, TypeError),
        ("method", "MEAN", TypeError),
        ("mri", slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode"), TypeError),
        ("seed", "1", TypeError),
        ("nothing", 1, ValueError),
    ):
        with pytest.raises(error):
            parameters.setValue(name, value)
    assert parameters.weight == 0.5
    assert parameters.epochs == 20


def test_parameters_survive_scene_text():
    wrapper_class = make_wrapper_class()
    parameters = wrapper_class(add_parameter_node())
    parameters.mri, parameters.fused = add_phantom(), add_rgb()
    parameters.weight, parameters.epochs, parameters.seed = 0.1, 35, 7
    parameters.overwrite, parameters.method, parameters.note = False, Method.MEAN, 'Größe; 5 < 6 & "x"'
    scene = slicer.mrmlScene
    scene.SetSaveToXMLString(1)
    scene.Commit()
    text = scene.GetSceneXMLString()
    scene.SetSaveToXMLString(0)
    assert "weight 0.1" in text and "method MEAN" in text and "mri:vtkMRMLScalarVolumeNode" in text

    # A bundle instead of the bare text, because the text alone has no place to find the images.
    bundle = pathlib.Path(slicer.app.temporaryPath, "parameters.mrb")
    scene_files.save_mrb(bundle)
    scene_files.load_mrb(bundle)
    loaded = wrapper_class(slicer.util.getNode("Parameters"))
    assert loaded.mri is slicer.util.getNode("Phantom")
    assert loaded.fused is slicer.util.getNode("RGB")
    assert (loaded.weight, loaded.epochs, loaded.seed, loaded.device) == (0.1, 35, 7, "cpu")
    assert (loaded.overwrite, loaded.method) == (False, Method.MEAN)
    assert loaded.note == 'Größe; 5 < 6 & "x"'


def test_parameters_follow_the_node():
    node = add_parameter_node()
    wrapper_class = make_wrapper_class()
    one, two = wrapper_class(node), wrapper_class(node)
    prefixed = wrapper_class(node, prefix="Other_")
    seen = []
    tag = one.AddObserver("ModifiedEvent", lambda *_: seen.append(one.epochs))
    one.epochs = 3
    assert seen[-1] == 3
    one.RemoveObserver(tag)
    assert two.epochs == 3
    assert prefixed.epochs == 20
    node.SetParameter("epochs", "4")
    assert one.epochs == two.epochs == 4
    two.mri = add_phantom()
    slicer.mrmlScene.RemoveNode(two.mri)
    assert one.mri is None and two.mri is None


def test_parameter_node_of_logic():
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

    class FusionLogic(ScriptedLoadableModuleLogic):
        def getParameterNode(self):
            return make_wrapper_class()(super().getParameterNode())

    logic = FusionLogic()
    node = logic.getParameterNode().parameterNode
    assert node.GetAttribute("ModuleName") == "Fusion"
    assert node.GetSingletonTag() == "Fusion"
    assert logic.getParameterNode().parameterNode is node
    assert logic.getAllParameterNodes() == [node]
    logic.getParameterNode().epochs = 9
    scene_files.clear_scene()
    assert logic.getParameterNode().epochs == 20
    assert logic.getParameterNode().parameterNode.GetAttribute("ModuleName") == "Fusion"


def test_unsupported_parameters_raise():
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    with pytest.raises(NotImplementedError, match="list"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"values": list[int]}}))
    with pytest.raises(NotImplementedError, match="parameterPack"):
        from slicer.parameterNodeWrapper import parameterPack  # noqa: F401
    with pytest.raises(ValueError, match="getValue"):
        parameterNodeWrapper(type("P", (), {"__annotations__": {"getValue": int}}))


# --- scene bundles ---


def fill_scene():
    scene = slicer.mrmlScene
    mri, fused = add_phantom(), add_rgb()
    fused.SetAttribute("FunFuse.Source", 'Größe <1> & "2"')
    fused.GetDisplayNode().SetApplyThreshold(True)
    fused.GetDisplayNode().SetLowerThreshold(1)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Registration")
    matrix = np.eye(4)
    matrix[:3, 3] = 1.5, -2.5, 3.25
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    mri.SetAndObserveTransformNodeID(transform.GetID())
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Brain mask")
    # The display node is made by hand: the default one wants a color table that only the application has.
    label_display = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeDisplayNode")
    label_display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeLabels")
    labels.SetAndObserveDisplayNodeID(label_display.GetID())
    slicer.util.updateVolumeFromArray(labels, np.ones((2, 3, 4), np.uint8))
    colors = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "Own colors")
    colors.SetTypeToUser()
    colors.SetNumberOfColors(2)
    colors.SetColor(0, "none", 0.0, 0.0, 0.0, 0.0)
    colors.SetColor(1, "tumor", 1.0, 0.5, 0.0, 1.0)
    mri.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "Measures")
    slicer.util.updateTableFromArray(table, np.array([1.5, 2.5]), ["SSIM"])

    tree = hierarchy()
    subject = tree.CreateSubjectItem(tree.GetSceneItemID(), "Patient 1")
    study = tree.CreateStudyItem(subject, "Study")
    folder = tree.CreateFolderItem(study, "Fused images")
    tree.SetItemParent(tree.GetItemByDataNode(mri), study)
    tree.SetItemParent(tree.GetItemByDataNode(fused), folder)

    slicer.util.setSliceViewerLayers(background=mri, foreground=fused, label=labels, foregroundOpacity=0.375)
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    red.SetOrientation("Coronal")
    red.SetSliceOffset(12.5)


def test_bundle_round_trip(tmp_path):
    fill_scene()
    scene = slicer.mrmlScene
    ids = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
    folder = tmp_path / "Ordner mit Größe"
    folder.mkdir()
    path = scene_files.save_mrb(folder / "Szene ä.mrb")
    assert path.is_file()
    # Saving gives storable nodes their storage nodes; the rest of the scene is as before.
    after = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
    assert after >= ids and all("Storage" in node_id for node_id in after - ids)
    scene_files.clear_scene()
    with pytest.raises(slicer.util.MRMLNodeNotFoundException):
        slicer.util.getNode("Phantom")
    scene_files.load_mrb(path)

    assert {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())} == after
    mri, fused = slicer.util.getNode("Phantom"), slicer.util.getNode("RGB")
    assert slicer.util.arrayFromVolume(mri)[20, 30, 4] == RIGHT
    assert fused.IsA("vtkMRMLVectorVolumeNode")
    assert slicer.util.arrayFromVolume(fused)[20, 30, 55].tolist() == [200, 40, 10]
    assert slicer.util.arrayFromVolume(fused).dtype == np.uint8
    assert fused.GetAttribute("FunFuse.Source") == 'Größe <1> & "2"'
    assert fused.GetDisplayNode().GetApplyThreshold()
    assert mri.GetDisplayNode().GetWindow() == 255
    transform = mri.GetParentTransformNode()
    assert transform.GetName() == "Registration"
    assert slicer.util.arrayFromTransformMatrix(transform)[:3, 3].tolist() == [1.5, -2.5, 3.25]
    colors = mri.GetDisplayNode().GetColorNode()
    assert (colors.GetName(), colors.GetColorName(1)) == ("Own colors", "tumor")
    assert slicer.util.arrayFromTableColumn(slicer.util.getNode("Measures"), "SSIM").tolist() == [1.5, 2.5]

    for name in ("Red", "Yellow", "Green"):
        logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName(name)
        composite = scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}")
        assert logic.GetSliceCompositeNode() is composite
        assert composite.GetBackgroundVolumeID() == mri.GetID()
        assert composite.GetForegroundVolumeID() == fused.GetID()
        assert composite.GetLabelVolumeID() == slicer.util.getNode("Brain mask").GetID()
        assert composite.GetForegroundOpacity() == 0.375
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert red.GetOrientation() == "Coronal"
    assert red.GetSliceOffset() == pytest.approx(12.5)

    tree = hierarchy()
    assert scene.GetNumberOfNodesByClass("vtkMRMLSubjectHierarchyNode") == 1
    parents = []
    item = tree.GetItemByDataNode(fused)
    while tree.GetItemParent(item) != tree.GetSceneItemID():
        item = tree.GetItemParent(item)
        parents.append((tree.GetItemName(item), tree.GetItemLevel(item)))
    assert parents == [("Fused images", "Folder"), ("Study", "Study"), ("Patient 1", "Patient")]
    assert tree.GetItemName(tree.GetItemParent(tree.GetItemByDataNode(mri))) == "Study"


def test_bundle_errors(tmp_path):
    with pytest.raises(ValueError):
        scene_files.save_mrb(tmp_path / "scene.zip")
    with pytest.raises(FileNotFoundError):
        scene_files.save_mrb(tmp_path / "missing" / "scene.mrb")
    with pytest.raises(FileNotFoundError):
        scene_files.load_mrb(tmp_path / "missing.mrb")


def test_closing_the_scene_keeps_the_views():
    add_phantom()
    scene_files.clear_scene()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    assert slicer.app.applicationLogic().GetSliceLogics().GetNumberOfItems() == 3
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert red.GetOrientation() == "Axial" and red.IsMappedInLayout()
    assert slicer.util.getNode("PET-Heat")


# --- rendering ---


def test_orientation_of_pictures():
    volume = add_phantom()
    # One pixel per millimeter, so the picture is as large as the volume and every edge is exact.
    axial = rendering.render_slice(volume, size=(160, None))
    assert axial.shape == (120, 160, 3) and axial.dtype == np.uint8
    assert (axial[60, 2] == RIGHT).all()  # patient right on the left of the screen
    assert (axial[60, 157] == HEAD).all()
    assert (axial[2, 80] == ANTERIOR).all()  # anterior up
    assert (axial[117, 80] == HEAD).all()
    coronal = rendering.render_slice(volume, orientation="Coronal", size=(160, None))
    assert coronal.shape == (80, 160, 3)
    assert (coronal[40, 2] == RIGHT).all()
    assert (coronal[2, 80] == SUPERIOR).all()  # superior up
    assert (coronal[77, 80] == HEAD).all()
    sagittal = rendering.render_slice(volume, orientation="Sagittal", size=(120, None))
    assert sagittal.shape == (80, 120, 3)
    assert (sagittal[40, 2] == ANTERIOR).all()  # anterior on the left of the screen
    assert (sagittal[2, 60] == SUPERIOR).all()
    assert (sagittal[77, 60] == HEAD).all()


def test_field_of_view_and_position():
    volume = add_phantom()
    picture = rendering.render_slice(volume, size=(200, 200))
    covered = picture.any(axis=2)
    # 160 x 120 mm in a square: the width is filled, the rest above and below is black.
    assert covered.any(axis=0).all()
    assert covered.any(axis=1).sum() == pytest.approx(150, abs=2)
    assert not covered[:20].any() and not covered[-20:].any()
    top = rendering.render_slice(volume, size=(160, None), offset_mm=30 + 36)
    assert (top[60, 80] == SUPERIOR).all()
    assert np.array_equal(top, rendering.render_slice(volume, size=(160, None), offset_mm=(0, 0, 66)))
    assert not rendering.render_slice(volume, offset_mm=200).any()
    corner = rendering.render_slice(volume, size=(40, 40), field_of_view_mm=20, center=(10 + 70, 20, 30))
    assert (corner[20, 10:30] == RIGHT).all()


def test_crop():
    array = np.zeros((30, 40, 50), np.float32)
    array[10:20, 10:30, 20:30] = 50
    volume = slicer.util.addVolumeFromArray(array, np.diag([1.0, 1.0, 1.0, 1.0]), "Small")
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(50, 25)
    volume.GetDisplayNode().InterpolateOff()
    picture = rendering.render_slice(volume, size=(None, 212), crop_above=10)
    assert picture.shape[1] == 106
    assert (picture == 255).all(axis=2).mean() > 0.85
    with pytest.raises(ValueError, match="above 100"):
        rendering.render_slice(volume, crop_above=100)
    # The box is found where the volume's transform puts it.
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = 100.0, -50.0, 25.0
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert np.array_equal(rendering.render_slice(volume, size=(None, 212), crop_above=10), picture)


def test_transform_moves_the_picture():
    volume = add_phantom()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[0, 3] = 20.0
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    here = dict(size=(160, 120), center=(10, 20, 30), field_of_view_mm=160)
    plain = rendering.render_slice(volume, **here)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    moved = rendering.render_slice(volume, **here)
    # To the patient's right is to the left on the screen.
    assert np.array_equal(moved[:, :140], plain[:, 20:])
    assert not moved[:, 141:].any()


def test_rgb_over_gray():
    mri, fused = add_phantom(), add_rgb()
    at = dict(size=(160, None))
    both = rendering.render_slice(mri, fused, 0.5, **at)
    # The red block lies at voxels I 50 to 59; without a threshold the overlay's black darkens the rest.
    assert both[60, 110] == pytest.approx([(HEAD + 200) / 2, (HEAD + 40) / 2, (HEAD + 10) / 2], abs=1)
    assert both[60, 80] == pytest.approx([HEAD / 2] * 3, abs=1)
    fused.GetDisplayNode().SetApplyThreshold(True)
    fused.GetDisplayNode().SetThreshold(1, 255)
    both = rendering.render_slice(mri, fused, 0.5, **at)
    assert both[60, 110] == pytest.approx([(HEAD + 200) / 2, (HEAD + 40) / 2, (HEAD + 10) / 2], abs=1)
    assert both[60, 80].tolist() == [HEAD] * 3
    opaque = rendering.render_slice(mri, fused, 1.0, **at)
    assert opaque[60, 110].tolist() == [200, 40, 10]
    assert opaque[60, 80].tolist() == [HEAD] * 3
    assert np.array_equal(rendering.render_slice(mri, fused, 0.0, **at), rendering.render_slice(mri, **at))


def test_rendering_leaves_the_scene_alone():
    mri, fused = add_phantom(), add_rgb()
    slicer.util.setSliceViewerLayers(background=fused, foreground=mri, foregroundOpacity=0.25)
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetLinkedControl(1)
        composite.SetHotLinkedControl(1)

    def state():
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        views = [(node.GetID(), node.GetFieldOfView(), node.GetSliceOffset()) for node in nodes]
        layers = [
            (node.GetID(), node.GetBackgroundVolumeID(), node.GetForegroundVolumeID())
            for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        ]
        logics = slicer.app.applicationLogic().GetSliceLogics().GetNumberOfItems()
        return node_ids(), views, layers, logics, mri.GetModifiedSinceRead()

    before = state()
    for orientation in ("Axial", "Sagittal", "Coronal"):
        rendering.render_slice(mri, fused, 0.5, orientation, offset_mm=35)
    assert state() == before


def test_rendering_errors():
    volume = add_phantom()
    with pytest.raises(ValueError, match="orientation"):
        rendering.render_slice(volume, orientation="Oblique")
    with pytest.raises(ValueError, match="opacity"):
        rendering.render_slice(volume, volume, 1.5)
    with pytest.raises(ValueError, match="not a volume"):
        rendering.render_slice(None)
    with pytest.raises(ValueError, match="no image"):
        rendering.render_slice(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty"))


def test_contact_sheet():
    red = np.full((20, 30, 3), (255, 0, 0), np.uint8)
    blue = np.full((10, 30, 3), (0, 0, 255), np.uint8)
    sheet = rendering.compose([[red, blue], [None, red]], gutter=4, background=(1, 2, 3))
    assert sheet.shape == (4 + 20 + 4 + 20 + 4, 4 + 30 + 4 + 30 + 4, 3)
    assert (sheet[4:24, 4:34] == (255, 0, 0)).all()
    assert (sheet[9:19, 38:68] == (0, 0, 255)).all()  # lower tile, centered in its cell
    assert (sheet[4:9, 38:68] == (1, 2, 3)).all()
    assert (sheet[28:48, 4:34] == (1, 2, 3)).all()
    labeled = rendering.compose([[red, blue]], ["row"], ["one", "a much too long caption"], font_size=12)
    assert labeled.shape[0] > sheet.shape[0] - 24 and labeled.shape[1] > sheet.shape[1]
    omega = rendering.compose([[red]], column_labels=["Ω"])
    # A letter that the font does not have is drawn as the same empty box as any other.
    assert not np.array_equal(omega, rendering.compose([[red]], column_labels=["λ"]))
    with pytest.raises(ValueError, match="column captions"):
        rendering.compose([[red]], column_labels=["a", "b"])
    with pytest.raises(ValueError, match="no tile"):
        rendering.compose([[None]])
    with pytest.raises(ValueError, match="uint8"):
        rendering.compose([[red.astype(float)]])


# --- scripted modules ---

MODULE_TEXT = """
import os

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

__path__ = [os.path.dirname(os.path.abspath(__file__))]

from {name}.Logic import volume
from {name}.Logic.errors import FusionError


class {name}(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Fusion")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Fusion")]
        self.parent.helpText = self.getDefaultModuleDocumentationLink()
        slicer.app.connect("startupCompleted()", lambda: None)


class {name}Widget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    pass


class {name}Logic(ScriptedLoadableModuleLogic):
    def fuse(self):
        raise FusionError("as in " + volume.__name__)


class {name}Test(ScriptedLoadableModuleTest):
    ran = []

    def test_one(self):
        self.delayDisplay("Testing")
        self.ran.append("one")
"""


@pytest.fixture
def module_file(tmp_path, monkeypatch):
    """A module of the extension's shape; it and its submodules are forgotten afterwards."""
    name = f"Module{tmp_path.name.replace('_', '').replace('-', '')}"
    logic = tmp_path / name / "Logic"
    logic.mkdir(parents=True)
    (logic / "__init__.py").write_text("")
    (logic / "errors.py").write_text("class FusionError(Exception):\n    pass\n")
    (logic / "volume.py").write_text("from .errors import FusionError\n")
    file = tmp_path / name / f"{name}.py"
    file.write_text(textwrap.dedent(MODULE_TEXT).format(name=name))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield file
    for known in [key for key in sys.modules if key.partition(".")[0] == name]:
        del sys.modules[known]


def test_load_module(module_file):
    name = module_file.stem
    module = load_module(module_file)
    assert isinstance(module, types.ModuleType)
    assert sys.modules[name] is module
    assert sys.path[-1] == str(module_file.parent)
    assert load_module(module_file) is module
    instance = getattr(slicer.modules, f"{name}Instance")
    assert instance.parent.title == "Fusion"
    assert instance.parent.path == str(module_file)
    assert name.lower() in instance.parent.helpText
    assert instance.resourcePath("Icons") == str(module_file.parent / "Resources" / "Icons")
    assert slicer.util.modulePath(name) == str(module_file)
    assert name in slicer.util.moduleNames()
    slicer.selfTests[name]()
    assert getattr(module, f"{name}Test").ran == ["one"]
    with pytest.raises(AttributeError):
        instance.parent.catagories = ["Fusion"]


def test_load_module_after_namespace_package(module_file):
    import importlib

    name = module_file.stem
    sys.path.insert(0, str(module_file.parent.parent))
    errors = importlib.import_module(f"{name}.Logic.errors")
    assert getattr(sys.modules[name], "__file__", None) is None
    module = load_module(module_file)
    assert sys.modules[f"{name}.Logic.errors"] is errors
    assert module.FusionError is errors.FusionError
    assert module.Logic.errors is errors
    with pytest.raises(errors.FusionError):
        getattr(module, f"{name}Logic")().fuse()
    # Imports that come later find the module, and the same submodules.
    assert importlib.import_module(name) is module
    assert importlib.import_module(f"{name}.Logic.volume").FusionError is errors.FusionError


def test_load_broken_module(module_file):
    module_file.write_text("raise ArithmeticError('broken')\n")
    with pytest.raises(ArithmeticError):
        load_module(module_file)
    assert module_file.stem not in sys.modules
    with pytest.raises(FileNotFoundError):
        load_module(module_file.with_name("Missing.py"))


# --- what is not there ---


def test_missing_things_raise():
    import ctk
    import qt

    with pytest.raises(ImportError, match="not available headless"):
        from qt import QNothing  # noqa: F401
    for missing in (
        lambda: qt.QNothing,
        lambda: ctk.ctkNothing,
        lambda: slicer.app.userInformation(),
        lambda: slicer.app.connect("aboutToQuit()", print),
        lambda: slicer.modules.volumes.widgetRepresentation(),
        lambda: slicer.util.loadModel("model.vtk"),
    ):
        with pytest.raises(NotImplementedError, match="not available headless"):
            missing()
    assert not hasattr(slicer.app, "pythonConsole")
    assert not hasattr(slicer.modules, "brainsfit")


def test_translation_keeps_text():
    from slicer.i18n import tr, translate

    assert tr("Fuse {count} images") == "Fuse {count} images"
    assert translate("FunFuseSlicer", "Fuse") == "Fuse"


# --- VTK messages ---


def test_vtk_messages_are_collected():
    import vtk

    # Kept away from the fixture that allows no messages: only the inner collector may see these.
    window = vtk.vtkOutputWindow.GetInstance()
    vtk.vtkOutputWindow.SetInstance(vtk.vtkStringOutputWindow())
    try:
        with collect_vtk_messages() as messages:
            vtk.vtkImageReader2().Update()
            slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").SetOrientation("Nowhere")
        vtk.vtkImageReader2().Update()
    finally:
        vtk.vtkOutputWindow.SetInstance(window)
    assert {message.kind for message in messages} == {"error"}
    assert len(messages) >= 2
    assert any("vtkMRMLSliceNode" in message.text for message in messages)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_temporary_files_of_a_killed_process_go_with_the_next(tmp_path):
    """They hold the volumes of a patient; those of a process that lives are left alone."""
    code = """
import sys
from funfuse_cli.headless.boot import boot
print(boot().app.temporaryPath, flush=True)
sys.stdin.readline()
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    folders, children = [], []
    for _child in range(3):
        children.append(subprocess.Popen([sys.executable, "-c", code], **pipes))
        folders.append(pathlib.Path(children[-1].stdout.readline().strip()))
        assert folders[-1].is_dir()
        if len(children) == 1:
            children[0].kill()
            children[0].wait()
            assert folders[0].is_dir()
    assert [folder.is_dir() for folder in folders] == [False, True, True]
    for child in children:
        child.communicate("\n")
    assert list(tmp_path.iterdir()) == []
