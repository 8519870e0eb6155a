"""What the tests share: small synthetic pairs, the folder of real data, and a scene."""

import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from FunFuseSlicer.Logic.volumes import brain
from FunFuseSlicer.Logic.volumes.geometry import Volume

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# How long a test takes is the benchmark's to say: computers are busy.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

REAL_IMAGES = "real images, which are not part of the repository"


# Files that take long: were one begun last, its process would work on while the others idle.
LONG = (
    "registration terminal robustness commands faults launcher cohorts panel types output_folder methods "
    "other_methods benchmark properties training self_test brainsfit evaluate library difference "
    "methods_multiscale study_evaluation report"
).split()


def pytest_collection_modifyitems(items):
    """Long files first; within a file, all stays as it is."""
    place = {f"test_{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


def pytest_terminal_summary(terminalreporter):
    """One line for all tests that were skipped: what was not tested, and why."""
    skipped = terminalreporter.stats.get("skipped", ())
    reasons = Counter(report.longrepr[2].replace("Skipped: ", "", 1) for report in skipped)
    if reasons:
        told = "; ".join(f"{reason} ({number} tests)" for reason, number in reasons.most_common())
        terminalreporter.write_line(f"not tested: {told}".replace("(1 tests)", "(1 test)"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the repository; tests that need it skip without it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(REAL_IMAGES)
    return folder


def head_phantom(size=(24, 48, 40), spacing=(3.0, 3.0, 4.0), seed=0):
    """A T1-like and a PET-like volume of one head: (mri, pet), same grid, LPS axes along i, j, k.

    The head is an ellipsoid with a cortex, white matter, two ventricles and one hot spot on the
    patient's left, so that no axis is symmetric.

    :param size: voxels along k, j, i.
    :param spacing: millimeters along i, j, k.
    """
    k, j, i = np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij")
    radius = np.sqrt((i / 0.8) ** 2 + (j / 0.9) ** 2 + (k / 0.85) ** 2)
    cortex, white = (radius < 1) & (radius > 0.75), radius <= 0.75
    ventricle = ((i - 0.15) ** 2 + (j * 0.6) ** 2 + k**2 < 0.03) | (
        (i + 0.15) ** 2 + (j * 0.6) ** 2 + k**2 < 0.03
    )
    front = np.where(j < 0, 1.0, 0.85)
    mri = (120.0 * cortex + 200.0 * white) * front
    mri[ventricle] = 30
    hot = (i - 0.4) ** 2 + (j - 0.2) ** 2 + (k - 0.3) ** 2 < 0.02
    pet = 4000.0 * cortex + 1000.0 * white
    pet[ventricle], pet[hot] = 200, 9000
    noise = np.random.default_rng(seed).normal(0, 1, mri.shape)
    mri = np.where(radius < 1, np.clip(mri + 3 * noise, 1, None), 0).astype(np.float32)
    ijk_to_lps = np.diag([*spacing, 1.0])
    ijk_to_lps[:3, 3] = [-spacing[axis] * (size[2 - axis] - 1) / 2 for axis in range(3)]
    ijk_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_lps
    return Volume(mri, ijk_to_ras, "T1"), Volume(pet.astype(np.float32), ijk_to_ras, "FDG")


@pytest.fixture
def pair():
    """See :func:`head_phantom`."""
    return head_phantom()


_BRAINS = {}


@pytest.fixture
def known_brains(monkeypatch):
    """Many runs on the same few heads: where the brain lies in one is found once, not in each run.

    For tests that ask neither where it lies nor how long anything takes.
    """

    def estimate(mri):
        array = np.ascontiguousarray(mri.array)
        place = array.shape, array.dtype.str, mri.ijk_to_ras.tobytes()
        key = place, hashlib.sha256(array).digest()
        if key not in _BRAINS:
            _BRAINS[key] = original(mri)
        return _BRAINS[key]

    original = brain._estimate
    monkeypatch.setattr(brain, "_estimate", estimate)


@pytest.fixture
def slicer():
    """Slicer with an empty scene; afterwards its slice views are those of before."""
    from funfuse_cli.headless.boot import boot

    slicer = boot()
    slicer.mrmlScene.Clear(False)
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    arrangement, views = layout.GetViewArrangement(), _view_ids(slicer)
    slice_nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    sizes = [(node, node.GetDimensions(), node.GetFieldOfView()) for node in slice_nodes]
    yield slicer
    # Views outlive the scene that is closed, as in Slicer.
    slicer.mrmlScene.Clear(False)
    layout.SetViewArrangement(arrangement)
    for node_id in _view_ids(slicer) - views:
        slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(node_id))
    for node, dimensions, field in sizes:
        node.SetDimensions(*dimensions)
        node.SetFieldOfView(*field)
    kept = [slicer.mrmlScene.GetNthNode(index) for index in range(slicer.mrmlScene.GetNumberOfNodes())]
    silent = [node.GetID() for node in kept if node.GetDisableModifiedEvent()]
    assert not silent, f"nodes whose change was begun and never ended: {silent}"


def _view_ids(slicer) -> set:
    kinds = ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode")
    return {node.GetID() for kind in kinds for node in slicer.util.getNodesByClass(kind)}


@pytest.fixture
def qt_started():
    """Skips where Qt cannot start, for want of its package or of system libraries."""
    try:
        from funfuse_cli.headless.widgets import start

        start.start()
    except ImportError as error:
        pytest.skip(f"Qt cannot start: {error}")


@pytest.fixture
def windows(slicer):
    """Opens the window of a slice view, as Slicer does when a layout first shows it."""
    from funfuse_cli.headless.view_windows import SliceViewWindow
    from FunFuseSlicer.Logic.scene import views

    opened = {}

    def window(name):
        if name not in opened:
            logic = next(x for x in views.slice_logics() if x.GetSliceNode().GetLayoutName() == name)
            opened[name] = SliceViewWindow(logic.GetSliceNode())
        return opened[name]

    yield window
    for view in opened.values():
        view.close()


@pytest.fixture
def panel(slicer, qt_started):
    """The panel with a pair that lies on each other, and its results."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget
    from FunFuseSlicer.Logic.panel.choices import Registration
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node
    from FunFuseSlicer.Logic.self_test import synthetic_head

    widget = open_panel()
    panel = widget.self()
    chosen = panel.session.choices
    chosen.mri, chosen.pet = (
        add_volume_node(volume) for volume in synthetic_head((6, 48, 44), (3.5, 3.5, 12))
    )
    chosen.registration = Registration.ALIGNED
    yield panel
    close_widget(widget)


@pytest.fixture
def library_as_before():
    """A reload makes the library's modules anew: the other tests have the classes of the old ones."""

    def ours():
        return [name for name in sys.modules if name.partition(".")[0] == "FunFuseSlicer"]

    before = {name: sys.modules[name] for name in ours()}
    yield
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)
