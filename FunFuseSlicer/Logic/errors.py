"""Errors whose message is a sentence for the user: what is wrong, with which volume, what to do.

The technical cause, where there is one, is attached as ``__cause__`` (``raise ... from error``).
"""


class FunFuseError(Exception):
    """Base of all errors that FunFuse raises on purpose; ``str(error)`` is fit to be shown."""


class InputError(FunFuseError):
    """A volume, file or option that cannot be used."""


class OutputError(FunFuseError):
    """A result that cannot be written."""


class ModelError(FunFuseError):
    """Weights that are missing, damaged or not the ones expected."""


class DeviceError(FunFuseError):
    """The computer cannot do it: not enough memory, or PyTorch is missing or fails."""


class RegistrationError(FunFuseError):
    """A registration that failed or whose result is not plausible."""


class Cancelled(FunFuseError):
    """The user asked to stop; nothing was changed."""

    def __init__(self, message: str = "Cancelled."):
        super().__init__(message)
