"""FunFuseSlicerLogic on real MRML scenes: what it puts there, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from funfuse_cli.studies.odd_inputs.pairs import reoriented
from FunFuseSlicer.Logic.errors import Cancelled, InputError
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
from FunFuseSlicer.Logic.fusion.pytorch.limits import REACH
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.scene.attributes import MRI_REFERENCE, PET_REFERENCE, TRANSFORM_REFERENCE
from FunFuseSlicer.Logic.scene.inputs import add_volume_node
from FunFuseSlicer.Logic.volumes.geometry import Volume
from Testing.conftest import head_phantom

pytestmark = pytest.mark.usefixtures("known_brains")

ROLES = ("pet_registered", "fused", "mri_part", "pet_part", "colored")


@pytest.fixture
def logic(slicer):
    from funfuse_cli.extension import load_module

    return load_module().FunFuseSlicerLogic()


@pytest.fixture
def nodes(slicer):
    """A small registered pair in the scene: (MRI node, PET node)."""
    mri, pet = head_phantom((8, 24, 20), (6.0, 6.0, 10.0))
    return add_volume_node(mri), add_volume_node(pet)


def snapshot(slicer):
    """Every node of the scene with its attributes, references, parents and voxel counts, and the layers."""
    found = {}
    for index in range(slicer.mrmlScene.GetNumberOfNodes()):
        node = slicer.mrmlScene.GetNthNode(index)
        facts = {"name": node.GetName(), "attributes": sorted(node.GetAttributeNames())}
        if node.IsA("vtkMRMLTransformableNode"):
            facts["parent"] = node.GetTransformNodeID()
        if node.IsA("vtkMRMLVolumeNode") and node.GetImageData() is not None:
            facts["voxels"] = slicer.util.arrayFromVolume(node).tobytes()
        if node.IsA("vtkMRMLSliceCompositeNode"):
            facts["layers"] = (node.GetBackgroundVolumeID(), node.GetForegroundVolumeID())
        found[node.GetID()] = facts
    return found


def matrix_of(node, slicer):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def test_outputs_are_on_the_grid_of_the_mri(slicer, logic, nodes):
    mri, pet = nodes
    run = logic.process(mri, pet, registration=None)
    for role in ROLES:
        node = getattr(run.nodes, role)
        np.testing.assert_allclose(matrix_of(node, slicer), matrix_of(mri, slicer))
        assert node.GetImageData().GetDimensions() == mri.GetImageData().GetDimensions()
        assert node.GetDisplayNode() is not None and node.GetAttribute("FunFuse.Role") == role
    assert run.nodes.transform is None
    arrays = {role: slicer.util.arrayFromVolume(getattr(run.nodes, role)) for role in ROLES}
    assert np.abs(arrays["mri_part"] + arrays["pet_part"] - arrays["fused"]).max() <= 1e-5
    assert arrays["colored"].dtype == np.uint8 and arrays["colored"].shape[-1] == 3
    np.testing.assert_array_equal(arrays["pet_registered"], slicer.util.arrayFromVolume(pet))


def test_colored_volume_is_an_rgb_overlay(slicer, logic, nodes):
    mri, pet = nodes
    run = logic.process(mri, pet, registration=None)
    colored = run.nodes.colored
    assert colored.IsA("vtkMRMLVectorVolumeNode")
    assert colored.GetVoxelVectorType() == colored.VoxelVectorTypeColorRGB
    display = colored.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (255, 127.5)
    assert display.GetApplyThreshold() == 1 and display.GetLowerThreshold() == 1
    for name in ("Red", "Yellow", "Green"):
        composite = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}")
        assert composite.GetBackgroundVolumeID() == mri.GetID()
        assert composite.GetForegroundVolumeID() == colored.GetID()


def test_picture_is_black_around_and_colored_inside(slicer, logic):
    from funfuse_cli.headless.rendering import render_slice

    # As much black around the head as the network reaches, so that its corners are black for sure.
    margin = ((0, 0), (REACH, REACH), (REACH, REACH))
    mri, pet = (
        add_volume_node(replace(volume, array=np.pad(volume.array, margin)))
        for volume in head_phantom((8, 24, 20), (6.0, 6.0, 10.0))
    )
    run = logic.process(mri, pet, registration=None)
    picture = render_slice(mri, run.nodes.colored, size=(120, 140)).astype(int)
    assert not picture[:4, :4].any()
    head = picture[35:105, 30:90]
    spread = head.max(axis=-1) - head.min(axis=-1)
    assert (spread > 40).mean() > 0.1, "color shows"


def test_a_saved_scene_explains_itself(slicer, logic, nodes):
    mri, pet = nodes
    options = FusionOptions(omega=0.4, balance=0.7, mode="uptake", colormap="PET-Heat")
    run = logic.process(mri, pet, options, registration=None)
    for role in ROLES:
        node = getattr(run.nodes, role)
        facts = {
            name: node.GetAttribute(f"FunFuse.{name}")
            for name in (
                "MRIName",
                "PETName",
                "Lambda",
                "Omega",
                "Balance",
                "Mode",
                "Colormap",
                "Registration",
            )
        }
        assert facts == {
            "MRIName": "T1",
            "PETName": "FDG",
            "Lambda": "0.8",
            "Omega": "0.4",
            "Balance": "0.7",
            "Mode": "uptake",
            "Colormap": "PET-Heat",
            "Registration": "none",
        }
        assert len(node.GetAttribute("FunFuse.ModelSHA256")) == 64
        assert node.GetNodeReference(MRI_REFERENCE) is mri
        assert node.GetNodeReference(PET_REFERENCE) is pet
    assert run.nodes.pet_part.GetDisplayNode().GetColorNode().GetName() == "PET-Heat"


def test_outputs_stand_beside_the_mri_in_the_subject_hierarchy(slicer, logic, nodes):
    mri, pet = nodes
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe")
    study = hierarchy.CreateStudyItem(patient, "2026")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(mri), study)
    run = logic.process(mri, pet, registration=None)
    for role in ROLES:
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(getattr(run.nodes, role))) == study


def test_a_rerun_updates_the_same_nodes(slicer, logic, nodes):
    mri, pet = nodes
    first = logic.process(mri, pet, registration=None)
    count = slicer.mrmlScene.GetNumberOfNodes()
    second = logic.process(mri, pet, FusionOptions(omega=1.0), registration=None)
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    for role in ROLES:
        assert getattr(first.nodes, role) is getattr(second.nodes, role)
    assert second.nodes.colored.GetAttribute("FunFuse.Omega") == "1.0"


def test_parent_transforms_are_honored(slicer, logic):
    """The MRI under one transform, the PET under another that undoes its displacement."""
    mri, pet = head_phantom((8, 24, 20), (6.0, 6.0, 10.0))
    shift = np.eye(4)
    shift[:3, 3] = [30, -20, 15]
    mriNode = add_volume_node(mri)
    petNode = add_volume_node(Volume(pet.array, np.linalg.inv(shift) @ pet.ijk_to_ras, "FDG"))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    petNode.SetAndObserveTransformNodeID(transform.GetID())
    run = logic.process(mriNode, petNode, registration=None)
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(run.nodes.pet_registered), pet.array, atol=0.5, rtol=1e-4
    )
    assert petNode.GetTransformNodeID() == transform.GetID()
    mriNode.SetAndObserveTransformNodeID(transform.GetID())
    run = logic.process(
        mriNode, add_volume_node(Volume(pet.array, shift @ pet.ijk_to_ras, "FDG 2")), registration=None
    )
    assert run.nodes.fused.GetTransformNodeID() == transform.GetID(), "the outputs move with the MRI"


def test_non_linear_transforms_are_refused(slicer, logic, nodes):
    mri, pet = nodes
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    pet.SetAndObserveTransformNodeID(grid.GetID())
    with pytest.raises(InputError, match='"FDG".*harden'):
        logic.process(mri, pet, registration=None)


@pytest.mark.parametrize(
    "permutation, flips", [((1, 2, 0), (True, False, True)), ((2, 1, 0), (False, True, False))]
)
def test_sagittal_storage_gives_the_same_anatomy(slicer, logic, nodes, permutation, flips):
    mri, pet = nodes
    expected = slicer.util.arrayFromVolume(logic.process(mri, pet, registration=None).nodes.fused)
    phantom = head_phantom((8, 24, 20), (6.0, 6.0, 10.0))[0]
    sagittal = add_volume_node(reoriented(phantom, permutation, flips))
    fused = logic.process(sagittal, pet, registration=None).nodes.fused
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(fused),
        reoriented(phantom.with_array(expected), permutation, flips).array,
        atol=2e-5,
    )


def test_mask_on_another_grid(slicer, logic, nodes):
    mri, pet = nodes
    phantom = head_phantom((8, 24, 20), (6.0, 6.0, 10.0))[0]
    left = np.zeros(phantom.array.shape, np.uint8)
    left[:, :, 10:] = 1
    mask = add_volume_node(reoriented(phantom.with_array(left, "mask"), (2, 0, 1), (True, True, False)))
    fused = slicer.util.arrayFromVolume(logic.process(mri, pet, registration=None, maskNode=mask).nodes.fused)
    assert not fused[:, :, :10].any() and fused[:, :, 10:].any()


def test_registration_is_run_and_recorded(slicer, logic):
    mri, pet = head_phantom((30, 48, 40), (4.0, 4.0, 5.0))
    shift = np.eye(4)
    shift[:3, 3] = [12, -9, 15]
    mriNode = add_volume_node(mri)
    petNode = add_volume_node(Volume(pet.array, shift @ pet.ijk_to_ras, "FDG"))
    before = matrix_of(petNode, slicer)
    run = logic.process(mriNode, petNode)
    found = slicer.util.arrayFromTransformMatrix(run.nodes.transform)
    points = mri.ijk_to_ras @ np.array([[20, 24, 15, 1], [10, 14, 10, 1], [30, 30, 20, 1]]).T
    assert np.abs(found @ shift @ points - points)[:3].max() < 3.0, "one voxel is 4-5 mm"
    np.testing.assert_array_equal(matrix_of(petNode, slicer), before)
    assert petNode.GetTransformNodeID() is None, "the PET itself is not moved"
    for role in ROLES:
        node = getattr(run.nodes, role)
        assert node.GetNodeReference(TRANSFORM_REFERENCE) is run.nodes.transform
        text = node.GetAttribute("FunFuse.RegistrationMatrix")
        np.testing.assert_allclose(np.array(text.split(), float).reshape(4, 4), found)
    assert run.nodes.fused.GetAttribute("FunFuse.Registration") == run.registration.method
    again = logic.process(mriNode, petNode, registration=None)
    assert again.nodes.transform is None, "an old transform would be wrong provenance"


def test_wrong_inputs_are_refused_and_change_nothing(slicer, logic, nodes):
    mri, pet = nodes
    rgb = slicer.util.addVolumeFromArray(
        np.zeros((4, 5, 6, 3), np.uint8), name="pretty", nodeClassName="vtkMRMLVectorVolumeNode"
    )
    zero = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.float32), name="nothing")
    constant = slicer.util.addVolumeFromArray(np.full((4, 5, 6), 3.0, np.float32), name="flat")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "hollow")
    far = head_phantom((8, 24, 20), (6.0, 6.0, 10.0))[1]
    away = far.ijk_to_ras.copy()
    away[0, 3] += 5000
    distant = add_volume_node(Volume(far.array, away, "distant"))
    before = snapshot(slicer)
    for chosen, word in (
        ((mri, rgb), '"pretty" has 3 values a voxel'),
        ((mri, zero), '"nothing" is zero everywhere'),
        ((mri, constant), '"flat" has the same value everywhere'),
        ((mri, empty), '"hollow" has no voxels'),
        ((mri, None), "Choose an MRI and a PET"),
        ((None, pet), "Choose an MRI and a PET"),
        ((mri, mri), "chosen as MRI and as PET"),
        ((mri, distant), '"distant" and "T1" do not overlap'),
    ):
        with pytest.raises(InputError, match=word):
            logic.process(*chosen, registration=None)
        assert snapshot(slicer) == before
    with pytest.raises(InputError, match="no color map"):
        logic.process(mri, pet, FusionOptions(colormap="plaid"), registration=None)
    assert snapshot(slicer) == before


@pytest.mark.parametrize("stage", ["Registering", "Fusing", "Coloring"])
def test_cancel_leaves_the_scene_as_it_was(slicer, logic, stage):
    mri, pet = (add_volume_node(volume) for volume in head_phantom((16, 24, 20), (6.0, 6.0, 8.0)))
    before = snapshot(slicer)
    monitor = Monitor(lambda name, fraction: monitor.cancel() if name == stage else None)
    with pytest.raises(Cancelled):
        logic.process(mri, pet, monitor=monitor)
    assert snapshot(slicer) == before


def test_a_failure_leaves_the_scene_as_it_was(slicer, logic, nodes, monkeypatch):
    from FunFuseSlicer.Logic.scene import run

    before = snapshot(slicer)
    monkeypatch.setattr(run, "color_volume", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logic.process(*nodes, registration=None)
    assert snapshot(slicer) == before


def test_nan_negative_and_infinite_voxels_are_reported(slicer, logic, nodes):
    mri, pet = nodes
    array = slicer.util.arrayFromVolume(pet)
    array[0, 0, :3] = [np.nan, np.inf, -5]
    slicer.util.arrayFromVolumeModified(pet)
    run = logic.process(mri, pet, registration=None)
    assert run.notes == ['"FDG": 1 NaN, 1 infinite, 1 negative voxels set to 0.']
    assert np.isfinite(slicer.util.arrayFromVolume(run.nodes.fused)).all()


def test_scene_bundle_comes_back_the_same(slicer, logic, nodes, tmp_path):
    from funfuse_cli.headless.messages import collect_vtk_messages
    from funfuse_cli.headless.scene_files import load_mrb, save_mrb

    mri, pet = nodes
    run = logic.process(mri, pet, registration=None)
    expected = {
        getattr(run.nodes, role).GetName(): (
            slicer.util.arrayFromVolume(getattr(run.nodes, role)).copy(),
            {
                n: getattr(run.nodes, role).GetAttribute(n)
                for n in getattr(run.nodes, role).GetAttributeNames()
            },
        )
        for role in ROLES
    }
    colored = run.nodes.colored.GetName()
    path = tmp_path / "Szene mit Ümlaut.mrb"
    with collect_vtk_messages() as messages:
        save_mrb(path)
        load_mrb(path)
    assert not messages
    for name, (array, attributes) in expected.items():
        node = slicer.util.getNode(name)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), array)
        assert {n: node.GetAttribute(n) for n in node.GetAttributeNames()} == attributes
        assert node.GetNodeReference(MRI_REFERENCE).GetName() == "T1"
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert composite.GetForegroundVolumeID() == slicer.util.getNode(colored).GetID()
    assert slicer.util.getNode(colored).GetDisplayNode().GetApplyThreshold() == 1
