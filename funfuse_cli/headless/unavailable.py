"""How the stand-in says that something of Slicer is missing."""


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
