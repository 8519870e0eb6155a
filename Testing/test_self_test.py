"""The module's own self test, as Slicer runs it, on Slicer's libraries alone."""

import pytest

from FunFuseSlicer.Logic.self_test import SelfTests

NAMES = sorted(name for name in dir(SelfTests) if name.startswith("test"))


@pytest.fixture
def panel(slicer, qt_started):
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
