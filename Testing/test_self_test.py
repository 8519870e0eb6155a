"""The module's own self test, as Slicer runs it, on Slicer's libraries alone."""

import pytest

from FunFuseSlicer.Logic.self_test import SelfTests

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
    from FunFuseSlicer import FunFuseSlicerTest

    test = FunFuseSlicerTest(name)
    test.setUp()
    getattr(test, name)()
    test.tearDown()


def test_no_warning_of_vtk_is_ours(panel):
    """Such as of a call that Slicer calls deprecated."""
    from funfuse_cli.headless.messages import collect_vtk_messages
    from FunFuseSlicer import FunFuseSlicerTest

    with collect_vtk_messages() as messages:
        for name in (
            "test_registration_brings_the_pet_back",
            "test_four_panes",
            "test_saved_scene_restores_choices_and_results",
        ):
            test = FunFuseSlicerTest(name)
            test.setUp()
            getattr(test, name)()
    assert not messages


def test_without_a_main_window_what_needs_views_is_skipped(slicer, panel):
    """As in Slicer started with --no-main-window: then there is no slice logic."""
    import unittest

    from FunFuseSlicer import FunFuseSlicerTest

    application = slicer.app.applicationLogic()
    logics = application.GetSliceLogics()
    application.SetSliceLogics(None)
    try:
        outcome = unittest.TestResult()
        unittest.TestSuite(FunFuseSlicerTest(name) for name in NAMES).run(outcome)
    finally:
        application.SetSliceLogics(logics)
    assert not outcome.failures and not outcome.errors
    assert {reason for _, reason in outcome.skipped} == {"needs the slice views of a main window"}
    assert len(outcome.skipped) < len(NAMES) / 2
