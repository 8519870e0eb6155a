"""The self test of the module: the whole job on a small synthetic head, in seconds and without a network.

Every test starts from an empty scene. The same tests run in Slicer and on its libraries alone.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from .volumes.geometry import Volume


def synthetic_head(size=(16, 48, 44), spacing=(3.5, 3.5, 5.0)):
    """A T1-like and an FDG-like volume of one head, float32, on one grid: (mri, pet).

    :param size: voxels along k, j, i.
    :param spacing: millimeters along i, j, k.
    """
    k, j, i = np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij")
    radius = np.sqrt((i / 0.8) ** 2 + (j / 0.9) ** 2 + (k / 0.85) ** 2)
    cortex, white = (radius < 1) & (radius > 0.7), radius <= 0.7
    ventricle = (i - 0.15) ** 2 + (j * 0.6) ** 2 + k**2 < 0.04
    hot = (i - 0.4) ** 2 + (j - 0.2) ** 2 + (k - 0.3) ** 2 < 0.03
    mri = 120.0 * cortex + 200.0 * white
    pet = 4000.0 * cortex + 1500.0 * white
    mri[ventricle], pet[ventricle], pet[hot] = 40.0, 300.0, 9000.0
    ijk_to_ras = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    ijk_to_ras[:3, 3] = [spacing[0] * size[2] / 2, spacing[1] * size[1] / 2, -spacing[2] * size[0] / 2]
    return (
        Volume(mri.astype(np.float32), ijk_to_ras, "T1"),
        Volume(pet.astype(np.float32), ijk_to_ras, "FDG"),
    )


class SelfTests:
    """The test methods; to be inherited together with Slicer's ScriptedLoadableModuleTest."""

    def setUp(self):
        """An empty scene with an MRI and a PET, and the module's panel on them."""
        import slicer

        from .scene.inputs import add_volume_node

        slicer.mrmlScene.Clear(0)
        mri, pet = synthetic_head()
        self.mri, self.pet = add_volume_node(mri), add_volume_node(pet)
        self.panel = slicer.util.getModuleWidget("FunFuseSlicer")
        self.panel.enter()
        self.choices = self.panel.session.choices
        self.choices.mri, self.choices.pet = self.mri, self.pet

    def _fuse(self):
        """Press Apply on the pair as it lies."""
        from .panel.choices import Registration

        self.choices.registration = Registration.ALIGNED
        self.panel.onApplyButton()
        return self.panel.session.nodes

    def _voxels(self, node):
        import slicer

        return slicer.util.arrayFromVolume(node)

    def _node_ids(self):
        import slicer

        return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}

    def test_inputs_are_guessed(self):
        """A panel opened on a scene with an MRI and a PET has them chosen."""
        from .panel.inputs import guess

        found = guess([self.pet, self.mri])
        self.assertIs(found.mri, self.mri)
        self.assertIs(found.pet, self.pet)

    def test_apply_makes_the_results(self):
        """The parts add up, black stays black, and the inputs stay as they were."""
        before = [self._voxels(node).copy() for node in (self.mri, self.pet)]
        nodes = self._fuse()
        fused = self._voxels(nodes["fused"])
        parts = self._voxels(nodes["mri_part"]) + self._voxels(nodes["pet_part"])
        np.testing.assert_allclose(parts, fused, atol=1e-5)
        self.assertGreater(fused.max(), 0.3)
        empty = (before[0] == 0) & (before[1] == 0)
        # The kernels reach some voxels into the background; the first and last slice are empty.
        for edge in (0, -1):
            self.assertTrue(empty[edge].all())
            self.assertFalse(fused[edge].any())
        self.assertEqual(self._voxels(nodes["colored"]).shape, (*fused.shape, 3))
        for node, array in zip((self.mri, self.pet), before):
            np.testing.assert_array_equal(self._voxels(node), array)

    def test_rerun_updates_the_same_nodes(self):
        """Apply twice leaves no second copy."""
        nodes = self._fuse()
        before = self._node_ids()
        first = self._voxels(nodes["fused"]).copy()
        self.choices.lam = 0.1
        again = self._fuse()
        self.assertEqual(self._node_ids(), before)
        self.assertIs(again["fused"], nodes["fused"])
        self.assertGreater(np.abs(self._voxels(again["fused"]) - first).max(), 0.001)

    def test_registration_brings_the_pet_back(self):
        """A PET that was moved by 12 mm and turned by 8 degrees is found, and stays where it was."""
        import slicer

        from .panel.choices import Registration
        from .registration import available_engines

        angle = np.radians(8.0)
        moved = np.eye(4)
        moved[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        moved[:3, 3] = [12.0, -6.0, 4.0]
        grid = synthetic_head()[1].ijk_to_ras
        self.pet.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(moved @ grid))
        brains = "BRAINS" in available_engines()
        self.choices.registration = Registration.BRAINS if brains else Registration.SIMPLEITK
        self.choices.rigidOnly = True
        self.panel.onApplyButton()
        transform = self.panel.session.nodes["transform"]
        matrix = slicer.util.arrayFromTransformMatrix(transform)
        corners = np.array([[x, y, z, 1.0] for x in (-50, 50) for y in (-60, 60) for z in (-30, 30)])
        error = np.linalg.norm(((matrix @ moved @ corners.T) - corners.T)[:3], axis=0)
        # A head of 4 mm voxels.
        self.assertLess(error.mean(), 4.0)
        self.assertIsNone(self.pet.GetParentTransformNode())

    def test_cancel_leaves_the_scene_as_it_was(self):
        """The Cancel button stops a run, and nothing of it is left."""
        before, layers = self._node_ids(), self._layers()
        process = self.panel.logic.process

        def pressed_meanwhile(*arguments):
            self.panel.onApplyButton()
            return process(*arguments)

        self.panel.logic.process = pressed_meanwhile
        try:
            self._fuse()
        finally:
            del self.panel.logic.process
        self.assertEqual(self._node_ids(), before)
        self.assertEqual(self._layers(), layers)
        self.assertEqual(self.panel.ui.applyButton.text, "Apply")

    def test_wrong_choices_are_told(self):
        """The panel says what is wrong before anything runs."""
        button = self.panel.ui.applyButton
        self.assertTrue(button.enabled, button.toolTip)
        self.choices.pet = self.mri
        self.assertFalse(button.enabled)
        self.assertIn("two volumes", self.panel.ui.noticeLabel.text)
        self.choices.pet = None
        self.assertFalse(button.enabled)
        self.choices.mri, self.choices.pet = self.pet, self.mri
        self.assertIn("wrong way round", self.panel.ui.noticeLabel.text)
        self.panel.inputs.onSwapButton()
        self.assertIs(self.choices.mri, self.mri)
        self.assertNotIn("wrong way round", self.panel.ui.noticeLabel.text)
        colored = self._fuse()["colored"]
        self.choices.pet = colored
        self.assertFalse(button.enabled)

    def test_sliders_act_without_a_run(self):
        """Omega repaints the shown slices at once, and the whole volume after a rest."""
        nodes = self._fuse()
        fused = self._voxels(nodes["fused"]).copy()
        self.choices.omega = 0.0
        self.panel.display.finish_painting()
        gray = self._voxels(nodes["colored"])
        self.assertTrue((gray == gray[..., :1]).all())
        np.testing.assert_allclose(gray[..., 0], np.rint(255 * np.clip(fused, 0, 1)), atol=1)
        self.choices.omega = 1.0
        self.panel.display.finish_painting()
        colored = self._voxels(nodes["colored"])
        self.assertGreater((colored.max(axis=-1).astype(int) - colored.min(axis=-1)).max(), 100)
        np.testing.assert_array_equal(self._voxels(nodes["fused"]), fused)

    def test_lambda_acts_without_a_run(self):
        """Another lambda fuses the volume again in place, and going back gives the image of before."""
        nodes = self._fuse()
        before, layers, voxels = self._node_ids(), self._layers(), self._voxels(nodes["fused"])
        fused = voxels.copy()
        applied = self.choices.lam
        for lam in (0.1, applied):
            self.choices.lam = lam
            self.assertTrue(self.panel.live.active)
            self.panel.live.finish()
            self.panel.display.finish_painting()
            parts = self._voxels(nodes["mri_part"]) + self._voxels(nodes["pet_part"])
            np.testing.assert_allclose(parts, voxels, atol=1e-5)
            change = np.abs(voxels - fused).max()
            self.assertGreater(change, 0.001) if lam == 0.1 else self.assertEqual(change, 0.0)
            self.assertEqual(nodes["fused"].GetAttribute("FunFuse.Lambda"), str(lam))
        self.assertEqual(self._layers(), layers)
        self.assertEqual(self._node_ids(), before)

    def test_a_pet_that_changes_is_followed(self):
        """With "Update automatically", new voxels of the PET go into the same nodes."""
        import slicer

        nodes = self._fuse()
        before, first = self._node_ids(), self._voxels(nodes["pet_part"]).copy()
        self.choices.autoUpdate = True
        voxels = self._voxels(self.pet).copy()
        voxels[:, :, : voxels.shape[2] // 2] *= 0.25
        slicer.util.updateVolumeFromArray(self.pet, voxels)
        self.assertTrue(self.panel.live.active)
        self.panel.live.finish()
        after = self._voxels(nodes["pet_part"])
        left, right = np.split(np.abs(after - first), [first.shape[2] // 2], axis=2)
        self.assertGreater(left.max(), 0.05)
        self.assertGreater(left.mean(), 2 * right.mean())
        self.assertEqual(self._node_ids(), before)

    def test_another_method_and_back(self):
        """Another fusion method gives no parts, its colors follow the slider, and the network comes back."""
        from .panel.choices import Mode

        before = set(self._fuse())
        self.choices.method = "laplacian_pyramid"
        self.assertIs(self.choices.mode, Mode.UPTAKE)
        self.assertFalse(self.panel.ui.balanceSlider.enabled)
        nodes = self._fuse()
        self.assertEqual(before - set(nodes), {"mri_part", "pet_part"})
        fused = self._voxels(nodes["fused"]).copy()
        self.choices.omega = 0.0
        self.panel.display.finish_painting()
        gray = self._voxels(nodes["colored"])
        np.testing.assert_allclose(gray[..., 0], np.rint(255 * np.clip(fused, 0, 1)), atol=1)
        self.choices.method = "funfuse"
        self.assertIs(self.choices.mode, Mode.CONTRIBUTION)
        nodes = self._fuse()
        self.assertEqual(set(nodes), before)
        self.assertGreater(np.abs(self._voxels(nodes["fused"]) - fused).max(), 0.001)

    def test_four_panes(self):
        """The button opens the four panes where the user is, and goes back to where that was."""
        from .scene import views

        self._need_views()
        nodes = self._fuse()
        red = self._logics()["Red"]
        red.SetSliceOffset(12.5)
        before = self._place(red)
        self.panel.display.onFourPanesButton(True)
        self.assertTrue(views.four_panes_are_open())
        logics = self._logics()
        self.assertEqual(views.layers_of(logics["FunFuseMRI"]).background, self.mri.GetID())
        self.assertEqual(views.layers_of(logics["FunFuseFused"]).background, nodes["fused"].GetID())
        for name in views.PANES:
            self.assertAlmostEqual(logics[name].GetSliceOffset(), 12.5)
        # As the slider above a pane does: the others follow, and the view of before stays.
        logics["FunFusePET"].StartSliceOffsetInteraction()
        logics["FunFusePET"].SetSliceOffset(-10.0)
        logics["FunFusePET"].EndSliceOffsetInteraction()
        self.assertAlmostEqual(logics["FunFuseColored"].GetSliceOffset(), -10.0)
        self.panel.display.onFourPanesButton(False)
        self.assertFalse(views.four_panes_are_open())
        self.assertEqual(self._place(red), before)

    def test_the_plain_pet_and_back(self):
        """The key shows the registered PET in the same place, and brings the overlay back."""
        self._need_views()
        nodes = self._fuse()
        red = self._logics()["Red"]
        red.SetSliceOffset(12.5)
        before, place = self._layers(), self._place(red)
        self.panel.blend.onKey()
        layers = self._layers()[red.GetSliceNode().GetID()]
        self.assertEqual(layers[:2], (nodes["pet_registered"].GetID(), None))
        self.assertEqual(self._place(red), place)
        self.panel.blend.onKey()
        self.assertEqual(self._layers(), before)

    def test_values_of_the_cursor_and_of_regions(self):
        """The line follows the cursor, and the table has the PET as it was taken."""
        import slicer

        from .scene.cursor import crosshair
        from .scene.inputs import ijk_to_world

        nodes = self._fuse()
        hot = np.argwhere(self._voxels(self.pet) == 9000)
        k, j, i = hot[len(hot) // 2]
        crosshair().SetCursorPositionRAS((ijk_to_world(self.mri) @ [i, j, k, 1.0])[:3])
        part = self._voxels(nodes["pet_part"])[k, j, i]
        line = self.panel.ui.cursorLabel.text
        self.assertIn("PET 9000", line)
        self.assertTrue(line.endswith(f"{part:.2f}"), line)
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "hot")
        labels.CopyOrientation(self.mri)
        slicer.util.updateVolumeFromArray(labels, (self._voxels(self.pet) == 9000).astype(np.uint8))
        self.choices.regions = labels
        self.panel.values.onMeasureButton()
        (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
        columns = [table.GetTable().GetColumnByName(name) for name in ("voxels", "mean", "sd")]
        self.assertEqual([column.GetValue(0) for column in columns], [len(hot), 9000.0, 0.0])

    def test_slices_become_pictures(self):
        """A sheet of all slices of a view, which stays where it was."""
        from PIL import Image

        from .monitor import Monitor
        from .scene import slice_pictures

        self._need_views()
        self._fuse()
        red = self._logics()["Red"]
        before = self._place(red)
        with tempfile.TemporaryDirectory() as folder:
            names = slice_pictures.file_names([red], True)
            slice_pictures.write_slices(Path(folder), names, True, Monitor())
            with Image.open(Path(folder, *names[red])) as sheet:
                colors = sheet.getcolors(sheet.width * sheet.height)
        self.assertGreater(len(colors), 1000)
        self.assertEqual(self._place(red), before)

    def test_results_become_dicom(self):
        """With the pydicom that this Slicer brings."""
        import pydicom

        from .dicom.elements import item
        from .dicom.grid import grid_of
        from .dicom.series import MR, Plane, Series
        from .scene.dicom_export import export_dicom
        from .scene.inputs import volume_from_node

        nodes, grid = self._fuse(), grid_of(volume_from_node(self.mri))
        steps = grid.axes * grid.spacing
        planes = [
            Plane(MR, f"1.2.3.{n + 1}", None, at, steps, grid.size) for n, at in enumerate(grid.corners)
        ]
        study = {"PatientID": "1", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "Modality": "MR"}
        with tempfile.TemporaryDirectory() as folder:
            export_dicom(self.mri, self.pet, nodes, Series(item(**study), planes), None, Path(folder))
            made = pydicom.dcmread(str(Path(folder, "colored.dcm")))
            self.assertEqual(len(list(Path(folder, "fused").iterdir())), len(planes))
        self.assertEqual(made.StudyInstanceUID, "1.2")
        np.testing.assert_array_equal(made.pixel_array, self._voxels(nodes["colored"])[grid.order])

    def test_a_segment_is_the_reference_region(self):
        """White matter, of 1500, as a segment: SUVR is 1 there, at its place on the scale."""
        import slicer
        import vtk

        from .panel.choices import Unit
        from .scene.outputs import image_of

        inside = (self._voxels(self.pet) == 1500).astype(np.uint8)
        image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
        image.DeepCopy(image_of(inside))
        self.pet.GetIJKToRASMatrix(matrix)
        image.SetImageToWorldMatrix(matrix)
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(self.mri)
        segmentation.AddSegmentFromBinaryLabelmapRepresentation(image, "White matter", [1.0, 1.0, 1.0])
        self.choices.tracer = "florbetaben"
        self.choices.reference, self.choices.unit = segmentation, Unit.SUVR
        shown = self._voxels(self._fuse()["pet_registered"])
        np.testing.assert_allclose(shown[inside > 0], 1, rtol=1e-5)
        np.testing.assert_allclose(self.panel.session.seen.look.uptake_range, (0, 1 / 0.9), rtol=1e-5)

    def test_the_legend_can_be_seen(self):
        """With the legend a view has other pixels than without, after Apply and in a view made later."""
        import slicer

        self._need_views()
        manager = slicer.app.layoutManager()
        if manager is None or not hasattr(manager, "viewport"):
            self.skipTest("needs slice views that are drawn")
        self._fuse()
        for name in ("Red", "FunFuseColored"):
            if name != "Red":
                self.panel.ui.fourPanesButton.checked = True
            pictures = []
            for legend in (True, False):
                self.choices.legend = legend
                pictures.append(self._picture(manager.sliceWidget(name).sliceView()))
            self.choices.legend = True
            differ = np.abs(pictures[0].astype(int) - pictures[1]).max(axis=-1) > 60
            self.assertGreater(differ.sum(), 300, name)
        self.panel.ui.fourPanesButton.checked = False

    def test_the_window_stays_alive(self):
        """Prints the longest gaps between ticks, and what a step of a slider takes; times are not judged."""
        from .tick_counter import TickCounter

        with TickCounter() as counter:
            self._fuse()
        self.assertGreater(counter.ticks, 1)
        print(f"Apply, the longest times without a tick:\n{counter.report()}")
        for name, values in (("omega", np.linspace(0.1, 0.9, 9)), ("balance", np.linspace(0.1, 0.9, 9))):
            began = time.perf_counter()
            for value in values:
                setattr(self.choices, name, float(value))
            taken = (time.perf_counter() - began) / len(values)
            print(f"a step of {name}: {1000 * taken:.1f} ms")
        self.panel.display.finish_painting()

    def test_a_parent_transform_and_a_mask(self):
        """Both volumes under a transform: the results lie there, too; outside of the mask is black."""
        import slicer

        from .scene.inputs import add_volume_node

        moved = np.eye(4)
        moved[:3, 3] = [30.0, -20.0, 10.0]
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
        mask = synthetic_head()[0]
        inside = (mask.array > 150).astype(np.float32)
        self.choices.mask = add_volume_node(mask.with_array(inside, "mask"))
        for node in (self.mri, self.pet, self.choices.mask):
            node.SetAndObserveTransformNodeID(transform.GetID())
        nodes = self._fuse()
        self.assertIs(nodes["fused"].GetParentTransformNode(), transform)
        fused = self._voxels(nodes["fused"])
        self.assertGreater(fused[inside > 0].max(), 0.3)
        self.assertFalse(fused[inside == 0].any())

    def test_the_next_frame_of_a_sequence_is_followed(self):
        """The PET is what a sequence browser shows; with "Update automatically" the results go with it."""
        import slicer

        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "frames")
        voxels = self._voxels(self.pet).copy()
        for frame, part in enumerate((slice(None), slice(0, voxels.shape[2] // 2))):
            changed = voxels.copy()
            changed[:, :, part] *= 1.0 if frame == 0 else 0.3
            slicer.util.updateVolumeFromArray(self.pet, changed)
            sequence.SetDataNodeAtValue(self.pet, str(frame))
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        browser.AddProxyNode(self.pet, sequence, False)
        browser.SetSelectedItemNumber(0)
        slicer.app.processEvents()
        nodes = self._fuse()
        before, first = self._node_ids(), self._voxels(nodes["pet_part"]).copy()
        self.choices.autoUpdate = True
        browser.SetSelectedItemNumber(1)
        slicer.app.processEvents()
        self.panel.live.finish()
        self.assertGreater(np.abs(self._voxels(nodes["pet_part"]) - first).max(), 0.05)
        self.assertEqual(self._node_ids(), before)

    def test_the_module_is_loaded_again(self):
        """As the button Reload does: the new panel finds choices and results."""
        import slicer

        names = set(self._fuse())
        self.panel.onReload()
        panel = slicer.util.getModuleWidget("FunFuseSlicer")
        self.assertIsNot(panel, self.panel)
        panel.enter()
        self.assertEqual(set(panel.session.nodes), names)
        panel.session.choices.omega = 0.0
        panel.display.finish_painting()
        gray = self._voxels(panel.session.nodes["colored"])
        self.assertTrue((gray == gray[..., :1]).all())

    def test_saved_scene_restores_choices_and_results(self):
        """Save, close, load: the panel is as it was, and its sliders still act."""
        import slicer

        self.choices.omega, self.choices.lam = 0.25, 0.35
        self._fuse()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear(0)
            slicer.util.loadScene(path)
        choices = self.panel.session.choices
        self.assertEqual((choices.omega, choices.lam), (0.25, 0.35))
        self.assertEqual(choices.mri.GetName(), "T1")
        nodes = self.panel.session.nodes
        self.assertIn("colored", nodes)
        choices.omega = 0.0
        self.panel.display.finish_painting()
        gray = self._voxels(nodes["colored"])
        self.assertTrue((gray == gray[..., :1]).all())

    def test_closing_the_scene_while_it_runs(self):
        """A run whose scene goes away ends by itself."""
        import slicer

        process = self.panel.logic.process

        def closed_meanwhile(*arguments):
            slicer.mrmlScene.Clear(0)
            return process(*arguments)

        self.panel.logic.process = closed_meanwhile
        try:
            self._fuse()
        finally:
            del self.panel.logic.process
        self.assertFalse(self.panel.session.nodes)
        self.assertEqual(self.panel.ui.applyButton.text, "Apply")

    def _logics(self):
        """The slice logics by the name of their view."""
        from .scene import views

        return {logic.GetSliceNode().GetLayoutName(): logic for logic in views.slice_logics()}

    def _place(self, logic):
        """Where a view is."""
        import slicer

        node = logic.GetSliceNode()
        plane = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).tolist()
        return plane, node.GetFieldOfView(), node.GetXYZOrigin()

    def _picture(self, view):
        """What a view shows on the screen, (rows, columns, 3) uint8."""
        import slicer
        import vtk
        from vtk.util.numpy_support import vtk_to_numpy

        slicer.app.processEvents()
        view.forceRender()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(view.renderWindow())
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[..., :3].copy()

    def _need_views(self):
        """Skips where there are no slice views."""
        from .scene import views

        if not views.slice_logics():
            self.skipTest("needs the slice views of a main window")

    def _layers(self):
        from .scene import views

        return views.all_layers()
