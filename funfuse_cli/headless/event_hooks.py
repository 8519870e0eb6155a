"""What runs when Slicer's application would handle its events: `slicer.app.processEvents` calls each hook.

A stand-in for something that reports back later, such as a command line module, adds a function
without arguments to `HOOKS`.
"""

HOOKS = []


def call_hooks():
    """Call every hook once, in the order in which they were added."""
    for hook in list(HOOKS):
        hook()
