"""Tests of the stand-in's Qt side: PythonQt's manners, widgets, panels; skipped without their packages."""

import logging
import pathlib
import shutil
import subprocess
import sys
from typing import Annotated, Optional

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("slicer_core")

from funfuse_cli.headless import boot, qt_events, scene_files  # noqa: E402
from funfuse_cli.headless.messages import collect_vtk_messages  # noqa: E402
from funfuse_cli.headless.unavailable import NotAvailableHeadless  # noqa: E402
from funfuse_cli.headless.widgets import start  # noqa: E402

try:
    start.start()
except ImportError as error:
    pytest.skip(f"Qt cannot start: {error}", allow_module_level=True)

slicer = boot()

import ctk  # noqa: E402
import qt  # noqa: E402

from funfuse_cli.headless.main_window import layout_manager, main_window  # noqa: E402
from funfuse_cli.headless.module import close_widget, load_module, open_widget  # noqa: E402
from funfuse_cli.headless.screenshots import grab  # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parent / "data_headless" / "ExamplePanel" / "ExamplePanel.py"


@pytest.fixture(autouse=True)
def empty_scene():
    """Every test starts with a closed scene; functions that Qt calls must not fail, VTK not complain."""
    scene_files.clear_scene()
    with collect_vtk_messages() as messages, qt_events.raise_slot_errors():
        yield
    assert messages == []


@pytest.fixture
def panel():
    """The example's opened panel: the object of its Python class."""
    load_module(EXAMPLE)
    widget = open_widget("ExamplePanel")
    yield widget.self()
    close_widget(widget)


def add_volume(name, class_name="vtkMRMLScalarVolumeNode"):
    return slicer.mrmlScene.AddNewNodeByClass(class_name, name)


def listen(sender, *signals):
    """Return the list that each emission of the signals is appended to, as (name, arguments)."""
    heard = []

    def listener(name):
        return lambda *args: heard.append((name, *args))

    for signal in signals:
        sender.connect(signal, listener(signal.partition("(")[0]))
    return heard


# --- PythonQt's manners ---


def test_properties_are_attributes():
    label = qt.QLabel("one")
    assert (label.text, label.enabled, label.width) == ("one", True, 640)
    label.text, label.toolTip, label.wordWrap = "zwei Größe", "tip", True
    assert (label.text, label.toolTip, label.wordWrap) == ("zwei Größe", "tip", True)
    label.setText("three")
    assert label.text == "three" and label.isEnabled()
    label.name = "label"
    assert label.objectName == label.name == "label" and label.className() == "QLabel"
    label.alignment = qt.Qt.AlignTop | qt.Qt.AlignRight
    assert label.alignment == qt.Qt.AlignTop | qt.Qt.AlignRight
    bar, combo = qt.QProgressBar(), qt.QComboBox()
    bar.maximum = 0
    combo.addItems(["a", "b"])
    combo.currentIndex = 1
    assert (bar.maximum, combo.count, combo.currentText) == (0, 2, "b")
    # Objects that Qt has made itself, and those of Python subclasses.
    assert qt.QLineEdit("x").completer() is None
    spin = qt.QSpinBox()
    spin.value = 3
    assert spin.findChild(qt.QLineEdit).text == "3"
    assert type("Own", (qt.QSpinBox,), {})().sizeHint.width() > 20


def test_values_are_converted_as_by_pythonqt():
    label, bar, spin = qt.QLabel(), qt.QProgressBar(), qt.QDoubleSpinBox()
    label.text = 5
    bar.value, spin.value, label.enabled = 7.9, True, 0
    assert (label.text, bar.value, spin.value, label.enabled) == ("5", 7, 1.0, False)
    for widget, name, value in (
        (bar, "value", "7"),
        (bar, "value", np.int64(7)),
        (spin, "value", np.float32(0.5)),
        (label, "enabled", "yes"),
        (label, "width", 5),
        (ctk.ctkSliderWidget(), "value", "a"),
    ):
        with pytest.raises(AttributeError, match=name):
            setattr(widget, name, value)


def test_attributes_are_strict():
    button = qt.QPushButton()
    for name in ("txt", "_mine", "setText", "clicked"):
        with pytest.raises(AttributeError, match=name):
            setattr(button, name, 1)
    with pytest.raises(AttributeError, match="slider"):
        ctk.ctkSliderWidget().slider()
    with pytest.raises(AttributeError, match="setCollapsed"):
        ctk.ctkCollapsibleButton().setCollapsed(True)
    assert not hasattr(button, "checkState")

    class Own(qt.QPushButton):
        pass

    own = Own()
    own.anything = 3
    assert own.anything == 3
    button.setProperty("dynamic", 3)
    assert button.dynamic == 3
    button.dynamic = 4
    assert button.property("dynamic") == 4
    parent = qt.QWidget()
    child = qt.QLabel(parent)
    child.name = "child"
    assert parent.child is child
    assert parent.findChildren("QLabel", "child") == [child]
    assert parent.findChild("QSlider") is None


def test_connect_by_signature():
    button, got = qt.QPushButton(), []

    def nothing():
        got.append("nothing")

    def one(checked):
        got.append(checked)

    def any_number(*args):
        got.append(args)

    button.checkable = True
    for function in (nothing, one, any_number):
        assert button.connect("clicked(bool)", function)
    button.click()
    assert got == ["nothing", True, (True,)]
    for function in (nothing, one, any_number):
        assert button.disconnect("clicked(bool)", function)
        assert not button.disconnect("clicked(bool)", function)
    button.toggled.connect(one)
    button.click()
    button.toggled.disconnect(one)
    button.click()
    assert got[3:] == [False]
    slider, bar = qt.QSlider(), qt.QProgressBar()
    slider.connect("valueChanged(int)", bar, "setValue(int)")
    slider.value = 33
    assert bar.value == 33
    with pytest.raises(ValueError, match=r"klicked"):
        button.connect("klicked()", nothing)
    with pytest.raises(ValueError, match=r"clicked\(bool\)"):
        button.connect("clicked(int)", nothing)
    with pytest.raises(TypeError):
        button.connect("clicked()", None)


def test_connections_keep_functions_alive_and_end_with_the_sender():
    class Listener:
        def __init__(self):
            self.heard = 0

        def hear(self):
            self.heard += 1

    listener, button = Listener(), qt.QPushButton()
    reference = listener.hear
    button.clicked.connect(listener.hear)
    del listener
    import gc

    gc.collect()
    button.clicked()
    assert reference.__self__.heard == 1
    # Equal bound methods are the same function.
    assert button.clicked.disconnect(reference.__self__.hear)
    for _ in range(3):
        button = qt.QPushButton()
        button.clicked.connect(reference)
        button.click()
        button.delete()
    assert reference.__self__.heard == 4
    with pytest.raises(ValueError, match="deleted"):
        button.text  # noqa: B018


def test_errors_of_connected_functions(capsys):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    with qt_events.collect_slot_errors() as errors:
        button.click()
        qt.QTimer.singleShot(0, lambda: {}["missing"])
        qt_events.process(lambda: "KeyError" in capsys.readouterr().err)
    assert [type(error) for error in errors] == [ZeroDivisionError, KeyError]
    with pytest.raises(ZeroDivisionError):
        with qt_events.raise_slot_errors():
            button.click()
    capsys.readouterr()


def test_timers():
    fired = []
    qt.QTimer.singleShot(0, lambda: fired.append("single"))
    timer = qt.QTimer()
    timer.singleShot, timer.interval = True, 5
    timer.connect("timeout()", lambda: fired.append("timer"))
    assert not fired and not timer.active
    timer.start()
    qt_events.process(lambda: len(fired) == 2)
    assert fired == ["single", "timer"] and not timer.active
    with pytest.raises(TimeoutError):
        qt_events.process(lambda: False, seconds=0.01)


def test_nothing_waits_for_a_user(caplog):
    with caplog.at_level(logging.INFO):
        slicer.util.errorDisplay("only logged")
        # As in Slicer, whatever its documentation says.
        assert slicer.util.confirmYesNoDisplay("sure?") is False
    assert "only logged" in caplog.text
    with pytest.raises(ZeroDivisionError):
        with slicer.util.tryWithErrorDisplay("Failed.", waitCursor=True):
            raise ZeroDivisionError
    assert qt.QApplication.overrideCursor() is None
    for ask in (
        lambda: qt.QMessageBox().exec_(),
        lambda: qt.QFileDialog.getExistingDirectory(None, "Folder"),
        lambda: qt.QInputDialog.getText(None, "Name", "Name"),
    ):
        with pytest.raises(NotAvailableHeadless, match="user"):
            ask()
    with qt_events.answers("/folder", qt.QMessageBox.Yes):
        assert qt.QFileDialog.getExistingDirectory(None, "Folder") == "/folder"
        assert qt.QMessageBox.question(None, "Sure", "Sure?") == qt.QMessageBox.Yes
    with pytest.raises(AssertionError, match="left over"):
        with qt_events.answers("left over"):
            pass
    dialog = qt.QDialog()
    qt.QTimer.singleShot(0, dialog.accept)
    assert dialog.exec_() == qt.QDialog.Accepted


def test_enumerations_are_numbers():
    assert qt.QMessageBox.Yes == 0x4000 and qt.Qt.AlignLeft == 1
    slider = qt.QSlider(qt.Qt.Horizontal)
    slider.tickPosition = 2
    assert slider.tickPosition == qt.QSlider.TicksBelow == 2


# --- CTK ---


def test_slider_widget_defaults():
    slider = ctk.ctkSliderWidget()
    assert (slider.minimum, slider.maximum, slider.value) == (0, 99, 0) or slider.maximum == 99.99
    assert (slider.singleStep, slider.pageStep, slider.decimals, slider.tracking) == (1, 10, 2, True)
    assert slider.SpinBox.className() == "ctkDoubleSpinBox"


def unit_slider(**properties):
    slider = ctk.ctkSliderWidget()
    slider.singleStep, slider.maximum = 0.01, 1.0
    for name, value in properties.items():
        setattr(slider, name, value)
    return slider


def test_a_range_widget_holds_its_values_apart():
    widget = ctk.ctkRangeWidget()
    widget.setRange(0, 10)
    heard = listen(widget, "valuesChanged(double,double)")
    widget.setMaximumValue(4)
    widget.setMinimumValue(7)  # not beyond the other one
    assert (widget.minimumValue, widget.maximumValue) == (4, 4)
    widget.setValues(1, 3)
    assert (widget.minimumValue, widget.maximumValue) == (1, 3)
    assert heard[-1][0] == "valuesChanged"
    widget.setRange(2, 2.5)
    assert 2 <= widget.minimumValue <= widget.maximumValue <= 2.5
    widget.Slider.minimumValueChanged.emit(2.25)
    assert widget.minimumValue == 2.25 and widget.className() == "ctkRangeWidget"


def test_slider_widget_with_tracking():
    slider = unit_slider()
    heard = listen(slider, "valueChanged(double)", "valueIsChanging(double)")
    slider.value = 0.25
    slider.value = 0.25
    assert heard == [("valueChanged", 0.25)]
    qt_events.drag(slider, [0.5, 0.75])
    assert [name for name, _ in heard] == ["valueChanged"] * 3
    assert slider.value == pytest.approx(0.75)
    assert slider.SpinBox.value == pytest.approx(0.75)
    slider.SpinBox.value = 0.1
    assert slider.value == pytest.approx(0.1) and heard[-1] == ("valueChanged", pytest.approx(0.1))


def test_slider_widget_without_tracking():
    slider = unit_slider(tracking=False, value=0.25)
    heard = listen(slider, "valueChanged(double)", "valueIsChanging(double)")
    qt_events.drag(slider, [0.5, 0.75], release=False)
    assert heard == [("valueIsChanging", pytest.approx(0.5)), ("valueIsChanging", pytest.approx(0.75))]
    assert slider.value == 0.25
    qt_events.drag(slider, [])
    assert heard[2:] == [("valueChanged", pytest.approx(0.75))]
    heard.clear()
    # Back where it was: nothing has changed.
    qt_events.drag(slider, [0.9, 0.75])
    assert {name for name, _ in heard} == {"valueIsChanging"}
    heard.clear()
    slider.value = 0.5
    assert heard == [("valueIsChanging", 0.5), ("valueChanged", 0.5)]


def test_slider_widget_limits(caplog):
    slider = unit_slider(value=0.5)
    slider.value = 7
    assert slider.value == 1.0
    slider.minimum = 2
    assert (slider.minimum, slider.maximum, slider.value) == (2, 2, 2)
    slider = unit_slider()
    slider.singleStep = 5
    assert slider.singleStep == pytest.approx(0.01) and "does not fit" in caplog.text
    slider.value = 0.123
    assert slider.value == pytest.approx(0.12)
    slider.decimals = 3
    slider.value = 0.123
    assert slider.value == pytest.approx(0.123)
    slider.reset()
    assert slider.value == 0


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-5, 5).map(lambda x: round(x, 3)),
    st.floats(0.01, 10).map(lambda x: round(x, 3)),
    st.lists(st.floats(-20, 20), max_size=5),
)
def test_double_slider_stays_in_range(low, width, values):
    slider = ctk.ctkDoubleSlider()
    slider.minimum, slider.maximum = low, low + width
    slider.singleStep = width / 7
    for value in values:
        slider.value = value
        assert slider.value == pytest.approx(min(max(value, slider.minimum), slider.maximum), abs=1e-9)
        assert slider.minimum <= slider.value <= slider.maximum
        inner = slider.findChild("QSlider")
        before = slider.value
        # A move and back on the inner slider is where it was, up to rounding.
        if inner.value < inner.maximum:
            inner.value += 1
            assert slider.minimum <= slider.value <= slider.maximum
            inner.value -= 1
            assert slider.value == pytest.approx(before, abs=1e-9)


def test_collapsible_button():
    parent = qt.QWidget()
    qt.QVBoxLayout(parent)
    button = ctk.ctkCollapsibleButton()
    button.text = "Größe"
    qt.QVBoxLayout(button)
    first, second = qt.QLabel("first"), qt.QLabel("second")
    for label in (first, second):
        button.layout().addWidget(label)
    parent.layout().addWidget(button)
    second.visible = False
    parent.show()
    qt_events.process()
    assert (button.collapsed, button.checked, button.collapsedHeight) == (False, True, 14)
    assert first.visible and not second.visible
    heard = listen(button, "contentsCollapsed(bool)")
    open_height = button.sizeHint().height()
    button.collapsed = True
    assert not first.visible and not button.checked
    assert button.sizeHint().height() < open_height
    # Shown by program while collapsed: appears when opened.
    second.visible = True
    assert not second.visible
    button.click()
    assert first.visible and second.visible and not button.collapsed
    assert heard == [("contentsCollapsed", True), ("contentsCollapsed", False)]
    first.hide()
    button.collapsed = True
    button.collapsed = False
    assert not first.visible


# --- MRML ---


def node_box(scene=True, **properties):
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    for name, value in properties.items():
        setattr(box, name, value)
    if scene:
        box.setMRMLScene(slicer.mrmlScene)
    return box


ONLY_CHOOSE = dict(addEnabled=False, removeEnabled=False)


def test_mrml_widget_passes_the_scene_on():
    widget, box = slicer.qMRMLWidget(), node_box(scene=False)
    widget.connect("mrmlSceneChanged(vtkMRMLScene*)", box, "setMRMLScene(vtkMRMLScene*)")
    assert box.mrmlScene() is None and not box.enabled
    heard = listen(widget, "mrmlSceneChanged(vtkMRMLScene*)")
    widget.setMRMLScene(slicer.mrmlScene)
    widget.setMRMLScene(slicer.mrmlScene)
    assert box.mrmlScene() is slicer.mrmlScene and box.enabled
    assert len(heard) == 1


def test_node_box_defaults():
    box = slicer.qMRMLNodeComboBox()
    assert (box.noneEnabled, box.addEnabled, box.removeEnabled, box.renameEnabled) == (
        False,
        True,
        True,
        False,
    )
    assert (box.showHidden, box.showChildNodeTypes, box.selectNodeUponCreation) == (False, True, True)
    assert (box.nodeTypes, box.noneDisplay, box.currentNodeID) == ((), "None", "")
    assert box.currentNode() is None


def test_node_box_picks_the_first_node_unless_none_is_allowed():
    first = add_volume("one")
    add_volume("two")
    assert node_box().currentNode() is first
    assert node_box(**ONLY_CHOOSE).currentNode() is first
    assert node_box(noneEnabled=True).currentNode() is None


def test_node_box_picks_the_first_node_that_is_added():
    picking, none = node_box(**ONLY_CHOOSE), node_box(noneEnabled=True, **ONLY_CHOOSE)
    # With rows for creating and deleting, the list is never empty, and nothing becomes current.
    creating = node_box()
    heard = listen(picking, "currentNodeChanged(vtkMRMLNode*)", "currentNodeIDChanged(QString)")
    node = add_volume("one")
    assert picking.currentNode() is node and none.currentNode() is None and creating.currentNode() is None
    assert heard == [("currentNodeChanged", node), ("currentNodeIDChanged", node.GetID())]
    add_volume("two")
    assert picking.currentNode() is node and len(heard) == 2


def test_node_box_signals():
    one, two = add_volume("one"), add_volume("two")
    box = node_box(noneEnabled=True)
    heard = listen(
        box, "currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)", "currentNodeIDChanged(QString)"
    )
    nodes = []
    box.currentNodeChanged.connect(nodes.append)
    box.setCurrentNode(two)
    box.setCurrentNode(two)
    assert heard == [
        ("currentNodeChanged", two),
        ("currentNodeChanged", True),
        ("currentNodeIDChanged", two.GetID()),
    ]
    box.currentNodeID = one.GetID()
    box.setCurrentNode(None)
    assert nodes == [two, one, None]
    assert heard[-2:] == [("currentNodeChanged", False), ("currentNodeIDChanged", "")]
    box.setCurrentNodeID("vtkMRMLNothing")
    assert nodes == [two, one, None]


def test_node_box_follows_the_scene():
    one, two = add_volume("one"), add_volume("two")
    box = node_box(**ONLY_CHOOSE)
    combo = box.findChild("ctkComboBox")
    heard = listen(box, "currentNodeChanged(vtkMRMLNode*)")
    one.SetName("Größe")
    assert combo.currentText == "Größe"
    # As in Slicer, a new name of the current node counts as a change.
    assert heard == [("currentNodeChanged", one)]
    slicer.mrmlScene.RemoveNode(one)
    assert box.currentNode() is two and box.nodeCount() == 1
    slicer.mrmlScene.RemoveNode(two)
    assert box.currentNode() is None and heard[-1] == ("currentNodeChanged", None)
    three = add_volume("three")
    assert box.currentNode() is three
    scene_files.clear_scene()
    assert box.currentNode() is None and box.nodeCount() == 0 and box.enabled
    assert combo.defaultText == "Select a Volume"


def test_node_box_after_removal_with_none():
    one, two = add_volume("one"), add_volume("two")
    box = node_box(noneEnabled=True)
    box.setCurrentNode(two)
    slicer.mrmlScene.RemoveNode(one)
    assert box.currentNode() is two
    slicer.mrmlScene.RemoveNode(two)
    assert box.currentNode() is None and box.currentNodeID == ""


def test_node_box_filters():
    volume, labels = add_volume("volume"), add_volume("labels", "vtkMRMLLabelMapVolumeNode")
    hidden = slicer.vtkMRMLScalarVolumeNode()
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNode(hidden)
    add_volume("model", "vtkMRMLModelNode")

    def listed(**properties):
        box = node_box(**properties)
        return [box.nodeFromIndex(index) for index in range(box.nodeCount())]

    assert listed() == [volume, labels]
    assert listed(hideChildNodeTypes=["vtkMRMLLabelMapVolumeNode"]) == [volume]
    assert listed(showChildNodeTypes=False) == [volume]
    assert listed(showHidden=True) == [volume, labels, hidden]
    box = node_box()
    box.addAttribute("vtkMRMLScalarVolumeNode", "Role", "mask")
    assert box.nodeCount() == 0 and box.currentNode() is None
    volume.SetAttribute("Role", "mask")
    assert box.nodeCount() == 1
    box.setCurrentNode(volume)
    volume.SetAttribute("Role", "other")
    assert box.nodeCount() == 0 and box.currentNode() is None
    box.removeAttribute("vtkMRMLScalarVolumeNode", "Role")
    hidden.SetHideFromEditors(False)
    assert box.nodeCount() == 3
    with pytest.raises(NotAvailableHeadless):
        box.sortFilterProxyModel()


def test_node_box_creates_deletes_and_renames():
    box = node_box(renameEnabled=True, noneEnabled=True, baseName="Fused")
    signals = ("nodeAdded", "nodeAddedByUser", "nodeAboutToBeRemoved")
    heard = listen(box, *(f"{signal}(vtkMRMLNode*)" for signal in signals))
    node = box.addNode()
    assert node.GetName() == "Fused" and box.currentNode() is node
    box.activate_row("Create new Volume")
    other = box.currentNode()
    assert other.GetName() == "Fused_1"
    with qt_events.answers(("Neuer Name", True)):
        box.activate_row("Rename current Volume")
    assert other.GetName() == "Neuer Name"
    box.activate_row("Delete current Volume")
    assert box.nodeCount() == 1
    assert [name for name, _ in heard] == ["nodeAdded", "nodeAddedByUser"] * 2 + ["nodeAboutToBeRemoved"]
    assert box.addNode("vtkMRMLModelNode") is None
    with pytest.raises(ValueError, match="no row"):
        box.activate_row("Edit current Volume")


def test_node_box_remembers_a_wish_until_it_has_a_scene():
    add_volume("one")
    two = add_volume("two")
    for wish in (lambda box: box.setCurrentNode(two), lambda box: box.setCurrentNodeID(two.GetID())):
        box = node_box(scene=False)
        wish(box)
        assert box.currentNode() is None
        box.setMRMLScene(slicer.mrmlScene)
        assert box.currentNode() is two


def test_deleted_node_box_does_not_observe():
    box = node_box()
    box.delete()
    volume = add_volume("one")
    volume.SetName("two")
    slicer.mrmlScene.RemoveNode(volume)


def test_color_table_box():
    box = slicer.qMRMLColorTableComboBox()
    box.setMRMLScene(slicer.mrmlScene)
    heat = slicer.util.getNode("PET-Heat")
    box.setCurrentNode(heat)
    assert box.currentNode() is heat
    assert box.showHidden and not box.addEnabled
    assert box.nodeCount() > 20


# --- .ui files and panels ---


def test_load_ui():
    widget = slicer.util.loadUI(str(EXAMPLE.parent / "Resources" / "UI" / "ExamplePanel.ui"))
    ui = slicer.util.childWidgetVariables(widget)
    assert type(widget) is slicer.qMRMLWidget
    assert type(ui.omegaSlider) is ctk.ctkSliderWidget
    assert (ui.omegaSlider.maximum, ui.omegaSlider.tracking) == (1.0, False)
    assert ui.omegaSlider.singleStep == pytest.approx(0.01)
    assert ui.inputSelector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    assert ui.outputSelector.noneDisplay == "New volume"
    assert ui.advancedCollapsibleButton.collapsed and not ui.parametersCollapsibleButton.collapsed
    assert ui.omegaSlider.property("SlicerParameterName") == "omega"
    assert slicer.util.findChild(widget, "applyButton") is ui.applyButton
    # The connections of the file: within Qt, and of the scene.
    ui.legendCheckBox.checked = True
    ui.legendCheckBox.checked = False
    assert not ui.shownLabel.enabled
    node = add_volume("one")
    widget.setMRMLScene(slicer.mrmlScene)
    assert ui.inputSelector.currentNode() is node


def test_load_broken_ui(tmp_path):
    text = (EXAMPLE.parent / "Resources" / "UI" / "ExamplePanel.ui").read_text(encoding="utf-8")

    def load(old, new):
        file = tmp_path / "Größe.ui"
        file.write_text(text.replace(old, new), encoding="utf-8")
        return slicer.util.loadUI(str(file))

    with pytest.raises(NotAvailableHeadless, match="ctkFancySlider"):
        load('class="ctkSliderWidget" name', 'class="ctkFancySlider" name')
    with pytest.raises(ValueError, match="mrmlSceneChange"):
        load("mrmlSceneChanged(", "mrmlSceneChange(")
    with pytest.raises(ValueError, match="setScene"):
        load("setMRMLScene(", "setScene(")
    with pytest.raises(ValueError, match="noSelector"):
        load("<receiver>inputSelector", "<receiver>noSelector")
    with pytest.raises(RuntimeError, match="not found"):
        slicer.util.loadUI(str(tmp_path / "missing.ui"))


def test_panel_and_parameters(panel):
    ui, parameters = panel.ui, panel.parameters
    assert panel.calls == ["enter"] and panel.moduleName == "ExamplePanel"
    assert (ui.omegaSlider.value, ui.countSpinBox.value, ui.countSpinBox.maximum) == (0.6, 3, 9)
    assert (ui.deviceComboBox.currentText, ui.modeComboBox.currentText) == ("auto", "Größe Ω")
    assert (ui.legendCheckBox.checked, ui.titleLineEdit.text) == (True, "λ")
    assert not ui.applyButton.enabled and ui.applyButton.toolTip == "Choose an input volume."
    # From the scene and the widgets to the parameters.
    node = add_volume("Head")
    assert parameters.inputVolume is node and ui.applyButton.enabled
    ui.outputSelector.setCurrentNode(node)
    qt_events.drag(ui.omegaSlider, [0.3, 0.8], release=False)
    assert parameters.omega == 0.6
    qt_events.drag(ui.omegaSlider, [])
    ui.countSpinBox.value, ui.legendCheckBox.checked, ui.titleLineEdit.text = 5, False, "new"
    ui.deviceComboBox.currentIndex, ui.modeComboBox.currentIndex = 1, 0
    assert parameters.outputVolume is node and parameters.omega == pytest.approx(0.8)
    assert (parameters.count, parameters.legend, parameters.title) == (5, False, "new")
    assert (parameters.device, parameters.mode.name) == ("cpu", "GRAY")
    # From the parameters to the widgets.
    parameters.omega, parameters.count, parameters.device, parameters.outputVolume = 0.25, 7, "auto", None
    assert (ui.omegaSlider.value, ui.countSpinBox.value, ui.deviceComboBox.currentText) == (0.25, 7, "auto")
    assert ui.outputSelector.currentNode() is None
    panel.logic.getParameterNode().SetParameter("count", "2")
    assert ui.countSpinBox.value == 2


def test_panel_buttons_timers_and_errors(panel, capsys):
    add_volume("Head")
    panel.ui.applyButton.click()
    assert panel.ui.progressBar.value == 10
    qt_events.process(lambda: panel.ui.progressBar.value == 100)
    panel.parameters.count = 9
    with qt_events.collect_slot_errors() as errors:
        panel.ui.applyButton.click()
    assert [str(error) for error in errors] == ["nine"]
    assert "ArithmeticError" in capsys.readouterr().err


def test_one_change_is_one_event(panel):
    events = []
    node = panel.logic.getParameterNode()
    tag = node.AddObserver("ModifiedEvent", lambda *_: events.append(panel.parameters.omega))
    panel.ui.omegaSlider.value = 0.4
    assert events == [pytest.approx(0.4)]
    panel.parameters.omega = 0.5
    assert len(events) == 2
    node.RemoveObserver(tag)


def test_disconnected_gui_is_independent(panel):
    parameters, ui = panel.parameters, panel.ui
    panel.disconnectParameters()
    ui.countSpinBox.value = 8
    assert parameters.count == 3
    parameters.count = 4
    assert ui.countSpinBox.value == 8
    parameters.disconnectGui(None)
    panel.connectParameters()
    assert ui.countSpinBox.value == 4


def test_panel_survives_closing_the_scene(panel):
    add_volume("Head")
    scene_files.clear_scene()
    assert panel.parameters.inputVolume is None and not panel.ui.applyButton.enabled
    node = add_volume("Other")
    assert panel.parameters.inputVolume is node


def test_several_panels_and_their_end():
    load_module(EXAMPLE)
    one, two = open_widget("ExamplePanel"), open_widget("ExamplePanel")
    assert one is not two
    assert slicer.modules.examplepanel.widgetRepresentation() is one
    assert slicer.util.getModuleWidget("ExamplePanel") is one.self()
    one.self().ui.countSpinBox.value = 6
    assert two.self().ui.countSpinBox.value == 6
    first, second = one.self(), two.self()
    close_widget(two)
    close_widget(one)
    assert first.calls == second.calls == ["enter", "exit", "cleanup"]
    assert not slicer.app.moduleManager().about_to_be_unloaded
    add_volume("after")
    assert not hasattr(slicer.modules, "ExamplePanelWidget")


def test_self_test_of_a_module():
    load_module(EXAMPLE)
    slicer.selfTests["ExamplePanel"]()
    close_widget(slicer.modules.examplepanel.widgetRepresentation())


def test_developer_mode_and_reload():
    load_module(EXAMPLE)
    qt.QSettings().setValue("Developer/DeveloperMode", "true")
    try:
        widget = open_widget("ExamplePanel")
        before = widget.self()
        before.reloadButton.click()
        assert widget.self() is not before and before.calls[-1] == "cleanup"
        assert widget.self().ui.applyButton.text == "Apply"
        assert slicer.modules.ExamplePanelWidget is widget.self()
        close_widget(widget)
    finally:
        qt.QSettings().remove("Developer")
    widget = open_widget("ExamplePanel")
    assert not hasattr(widget.self(), "reloadButton")
    close_widget(widget)


def test_widget_without_parent():
    module = load_module(EXAMPLE)
    python = module.ExamplePanelWidget.__new__(module.ExamplePanelWidget)

    class Plain(slicer.ScriptedLoadableModule.ScriptedLoadableModuleWidget):
        def setup(self):
            super().setup()
            self.layout.addWidget(qt.QLabel("plain"))

    plain = Plain()
    assert plain.parent.mrmlScene() is slicer.mrmlScene and plain.parent.visible
    assert plain.parent.findChild(qt.QLabel).text == "plain"
    slicer.app.moduleManager().disconnect(
        "moduleAboutToBeUnloaded(QString)", plain._onModuleAboutToBeUnloaded
    )
    plain.parent.delete()
    assert isinstance(python, slicer.util.VTKObservationMixin)


def test_impossible_pairs():
    from slicer.parameterNodeWrapper import (
        Choice,
        Decimals,
        Maximum,
        Minimum,
        SingleStep,
        WithinRange,
        createGuiConnector,
    )

    volume = slicer.vtkMRMLScalarVolumeNode
    for widget, kind in (
        (ctk.ctkSliderWidget(), float),
        (ctk.ctkSliderWidget(), Annotated[float, Minimum(0)]),
        (ctk.ctkSliderWidget(), Annotated[int, WithinRange(0, 9)]),
        (qt.QSlider(), int),
        (qt.QComboBox(), str),
        (ctk.ctkCollapsibleButton(), bool),
        (slicer.qMRMLColorTableComboBox(), slicer.vtkMRMLColorTableNode),
        (slicer.qMRMLNodeComboBox(), Optional[int]),
        (qt.QLineEdit(), float),
        (qt.QLabel(), bool),
    ):
        with pytest.raises(RuntimeError):
            createGuiConnector(widget, kind)
    with pytest.raises(ValueError, match="none of"):
        createGuiConnector(qt.QComboBox(), Annotated[str, Choice(["a", "b"])]).write("c")
    slider = ctk.ctkSliderWidget()
    createGuiConnector(slider, Annotated[float, WithinRange(-2, 3), SingleStep(0.1), Decimals(1)])
    assert (slider.minimum, slider.maximum, slider.singleStep, slider.decimals) == (-2, 3, 0.1, 1)
    spin = qt.QSpinBox()
    createGuiConnector(spin, Annotated[int, Minimum(4)])
    assert (spin.minimum, spin.maximum) == (4, 2**31 - 1)
    spin = qt.QDoubleSpinBox()
    createGuiConnector(spin, Annotated[float, Maximum(4)])
    assert (spin.minimum, spin.maximum) == (float("-inf"), 4)
    box = slicer.qMRMLNodeComboBox()
    createGuiConnector(box, Optional[volume])
    assert box.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    button = qt.QPushButton()
    createGuiConnector(button, bool)
    assert button.checkable


def test_connect_gui_errors(panel):
    with pytest.raises(ValueError, match="nothing"):
        panel.parameters.connectParametersToGui({"nothing": qt.QCheckBox()})
    from slicer.parameterNodeWrapper import findChildWidgetForParameter

    assert findChildWidgetForParameter(panel.parent, "omega") is panel.ui.omegaSlider
    assert findChildWidgetForParameter(panel.parent, "nothing") is None


# --- Main window, pictures ---


def test_layout_manager():
    assert slicer.app.layoutManager() is None
    conventional = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    with layout_manager() as manager:
        assert slicer.app.layoutManager() is manager and manager.layout == conventional
        assert set(manager.sliceViewNames()) == {"Red", "Yellow", "Green"}
        changed = []
        manager.connect("layoutChanged(int)", changed.append)
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        view = manager.sliceWidget("Green")
        assert view.mrmlSliceNode() is view.sliceLogic().GetSliceNode()
        assert view.mrmlSliceNode().GetName() == "Green"
        assert manager.sliceWidget("Blue") is None
        node = manager.layoutLogic().GetLayoutNode()
        description = """<layout type="horizontal"><item><view class="vtkMRMLSliceNode" singletontag="Fused">
            <property name="orientation" action="default">Axial</property></view></item></layout>"""
        node.AddLayoutDescription(4711, description)
        manager.layout = 4711
        assert manager.sliceWidget("Fused").mrmlSliceNode().IsMappedInLayout()
        assert changed == [slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView, 4711]
        volume = slicer.util.addVolumeFromArray(np.ones((4, 5, 60), np.uint8), None, "Wide")
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        assert manager.sliceWidget("Red").mrmlSliceNode().GetFieldOfView()[0] == pytest.approx(60, abs=1)
        with pytest.raises(NotAvailableHeadless):
            manager.threeDWidget(0)
        slicer.mrmlScene.RemoveNode(manager.sliceWidget("Fused").mrmlSliceNode())
    assert slicer.app.layoutManager() is None
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode").GetViewArrangement() == conventional


def test_main_window_selects_modules():
    load_module(EXAMPLE)
    with pytest.raises(RuntimeError, match="main window"):
        slicer.util.selectModule("Volumes")
    with main_window() as window:
        assert slicer.util.mainWindow() is window
        slicer.util.selectModule("ExamplePanel")
        python = slicer.util.getModuleWidget("ExamplePanel")
        assert python.calls == ["enter"] and slicer.util.selectedModule() == "ExamplePanel"
        slicer.util.selectModule("Transforms")
        assert python.calls == ["enter", "exit"] and slicer.util.selectedModule() == "Transforms"
        with pytest.raises(RuntimeError, match="Nothing"):
            slicer.util.selectModule("Nothing")
    assert slicer.util.mainWindow() is None
    close_widget(slicer.modules.examplepanel.widgetRepresentation())


def test_screenshot(panel, tmp_path):
    from PIL import Image

    add_volume("Kopf Größe")
    before = panel.parent.size
    narrow = np.asarray(Image.open(grab(panel.parent, tmp_path / "a.png", width=400)).convert("L"))
    wide = np.asarray(Image.open(grab(panel.parent, tmp_path / "b.png", width=600)).convert("L"))
    assert narrow.shape[1] == 400 and wide.shape[1] == 600 and panel.parent.size == before
    # Light, with dark letters.
    assert np.median(wide) > 200 and (wide < 90).mean() > 0.003
    panel.ui.parametersCollapsibleButton.collapsed = True
    low = np.asarray(Image.open(grab(panel.parent, tmp_path / "c.png", width=600)))
    assert low.shape[0] < wide.shape[0] - 150
    # A letter that the font does not have is drawn as the same empty box as any other.
    labels = [qt.QLabel(text) for text in "Ωλß"]
    pictures = [np.asarray(Image.open(grab(label, tmp_path / "d.png", 40, 40))) for label in labels]
    assert not np.array_equal(pictures[0], pictures[1]) and not np.array_equal(pictures[1], pictures[2])
    with pytest.raises(OSError, match="missing"):
        grab(labels[0], tmp_path / "missing" / "a.png")


def test_qt_is_not_imported_before_it_is_used():
    code = (
        "import sys; from funfuse_cli.headless import boot, module; slicer = boot(); "
        "slicer.app.processEvents(); "
        "assert slicer.util.mainWindow() is None and not slicer.app.settings().contains('a'); "
        "assert not hasattr(slicer, 'qMRMLNothing') and 'PySide6' not in sys.modules; "
        "slicer.qMRMLWidget; assert 'PySide6' in sys.modules"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=EXAMPLE.parents[3], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


LIFTED = """
import importlib, pkgutil, sys
import lifted
for module in pkgutil.walk_packages(lifted.__path__, "lifted."):
    importlib.import_module(module.name)
slicer = lifted.boot()
panel = lifted.module.open_widget(path=sys.argv[1])
assert panel.self().ui.omegaSlider.value == 0.6
lifted.screenshots.grab(panel, "panel.png")
lifted.module.close_widget(panel)
assert not [name for name in sys.modules if name.lower().startswith("funfuse")]
"""


def test_the_folder_works_elsewhere_under_another_name(tmp_path):
    folder = pathlib.Path(start.__file__).parents[1]
    shutil.copytree(folder, tmp_path / "lifted", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (tmp_path / "lifted").rglob("*.*"):
        assert "funfuse" not in file.read_text(encoding="utf-8").lower(), file
    command = [sys.executable, "-c", LIFTED, str(EXAMPLE)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "panel.png").is_file()


def test_without_pyside(monkeypatch):
    def fail():
        raise ImportError("libEGL.so.1 is missing")

    monkeypatch.setattr(start, "start", fail)
    without = start.make_qt_module()
    assert without.QMessageBox.Yes | without.QMessageBox.No == 0x14000
    without.QApplication.setOverrideCursor(without.Qt.WaitCursor)
    with pytest.raises(ImportError, match="libEGL"):
        without.QTimer  # noqa: B018
    with pytest.raises(NotAvailableHeadless):
        without.QMessageBox()
