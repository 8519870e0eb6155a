"""How the stand-in says that something of Slicer is missing."""

import types


class NotAvailableHeadless(NotImplementedError, AttributeError):
    """Something that exists in Slicer does not exist here.

    It is an `AttributeError` too, so that `hasattr` on a stand-in answers False instead of raising.
    """

    def __init__(self, name):
        super().__init__(f"{name} is not available headless yet: it needs the Slicer application")


class NotInModuleHeadless(NotImplementedError, ImportError):
    """A name of a Python module of Slicer does not exist here.

    It is an `ImportError` too: "from qt import QWidget" fails as such, and still says why.
    """

    def __init__(self, name):
        super().__init__(f"{name} is not available headless yet: it needs the Slicer application")


def partial_module(name, contents, doc):
    """Return a new Python module that has some names and refuses all others.

    :param name: module name, as shown in error messages, such as "qt".
    :param contents: dict of the names that the module has.
    :param doc: docstring of the module.
    :return: the module; getting any other public name raises `NotInModuleHeadless`.
    """
    module = types.ModuleType(name, doc)
    module.__dict__.update(contents)

    def refuse(attribute):
        # Python's import system and inspection tools probe dunder names: they must see a plain absence.
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        raise NotInModuleHeadless(f"{name}.{attribute}")

    module.__getattr__ = refuse
    return module
