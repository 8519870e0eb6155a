"""The module's own self test, as Slicer runs it, on Slicer's libraries alone."""

import pytest

from FunFuseSlicer.Logic.self_test import SelfTests

pytestmark = pytest.mark.usefixtures("known_brains")

NAMES = sorted(name for name in dir(SelfTests) if name.startswith("test"))


@pytest.fixture
def panel(slicer, qt_started, library_as_before):
    """The module's panel, as Slicer opens it; closed afterwards."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget

    widget = open_panel()
    yield widget.self()
    close_widget(widget)


@pytest.mark.parametrize("name", NAMES)
def test_self_test(panel, name):
    """It passes, and no warning of VTK is ours, such as of a call that Slicer calls deprecated."""
    from funfuse_cli.headless.messages import collect_vtk_messages
    from FunFuseSlicer import FunFuseSlicerTest

    with collect_vtk_messages() as messages:
        test = FunFuseSlicerTest(name)
        test.setUp()
        getattr(test, name)()
        test.tearDown()
    assert not messages


def test_without_a_main_window_what_needs_views_is_skipped(slicer, panel):
    """As in Slicer started with --no-main-window: then there is no slice logic."""
    import unittest

    from FunFuseSlicer import FunFuseSlicerTest

    # Those that look at slices or layers; the others take minutes, and know nothing of windows.
    seen = ("views", "panes", "pictures", "legend", "layers", "alive", "results", "sliders")
    names = [name for name in NAMES if any(word in name for word in seen)]
    application = slicer.app.applicationLogic()
    logics = application.GetSliceLogics()
    application.SetSliceLogics(None)
    try:
        outcome = unittest.TestResult()
        unittest.TestSuite(FunFuseSlicerTest(name) for name in names).run(outcome)
    finally:
        application.SetSliceLogics(logics)
    assert not outcome.failures and not outcome.errors
    assert {reason for _, reason in outcome.skipped} == {"needs the slice views of a main window"}
    assert 3 <= len(outcome.skipped) < len(names) / 2
