"""How long the window does not answer during a user's run: load, Apply, sliders, alignment, Evaluate,
Export.

In Slicer:            Slicer --python-script Testing/tick_gaps.py MRI PET
In the stand-in:      .venv/bin/python Testing/tick_gaps.py MRI PET

It prints the longest gaps between ticks of a 10 ms timer for each step, and what was at work. Nothing is
asserted: times depend on the computer.
"""

import sys
import tempfile
import time
from pathlib import Path


def open_panel():
    """The module's panel, in Slicer or in the stand-in."""
    try:
        import slicer

        if not hasattr(slicer, "app"):
            raise ImportError
        slicer.util.selectModule("FunFuseSlicer")
        return slicer.util.getModuleWidget("FunFuseSlicer")
    except ImportError:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        from funfuse_cli.extension import open_panel as open_in_stand_in
        from funfuse_cli.headless.boot import boot

        boot()
        return open_in_stand_in().self()


def steps(panel):
    """(name, what to do) of each step."""
    import slicer

    chosen, names = panel.session.choices, ("Off", "Flicker", "Checkerboard", "Edges")

    def slide(name, values):
        for value in values:
            setattr(chosen, name, value)
            slicer.app.processEvents()

    def settle():
        end = time.monotonic() + 120.0
        while time.monotonic() < end and (
            panel.live.active or panel.display.settle_timer.active or panel.display.painting is not None
        ):
            slicer.app.processEvents()

    yield "Apply", panel.onApplyButton
    yield "Ω, 10 steps", lambda: slide("omega", [0.05 * n for n in range(10)])
    yield "the whole volume", settle
    yield "λ", lambda: slide("lam", [0.3])
    yield "the whole volume", settle
    for index in (1, 2, 3, 0):
        yield names[index], lambda index=index: setattr(panel.ui.alignmentComboBox, "currentIndex", index)
    yield "four panes", lambda: setattr(panel.ui.fourPanesButton, "checked", True)
    yield "back", lambda: setattr(panel.ui.fourPanesButton, "checked", False)
    yield "Apply again", panel.onApplyButton
    yield "Evaluate", panel.results.onEvaluateButton
    with tempfile.TemporaryDirectory() as folder:
        yield "Export", lambda: panel.results.export_to(folder)


def main(mri, pet):
    panel = open_panel()
    import slicer

    from FunFuseSlicer.Logic.tick_counter import TickCounter

    chosen = panel.session.choices
    chosen.mri, chosen.pet = (slicer.util.loadVolume(path) for path in (mri, pet))
    for name, act in steps(panel):
        began = time.monotonic()
        with TickCounter() as counter:
            act()
            slicer.app.processEvents()
        print(f"{name}: {time.monotonic() - began:.2f} s\n{counter.report()}", flush=True)
    print(panel.ui.statusLabel.text)


if __name__ == "__main__":
    main(*sys.argv[1:3])
