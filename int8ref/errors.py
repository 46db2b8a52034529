"""Base classes of the errors that a command reports in one line, without a traceback."""


class UserError(Exception):
    """An input is unusable.  The message names the fault and its place, and often a remedy."""


class ModelError(UserError):
    """The engine cannot find or import the model."""


class WrongTypeError(UserError, TypeError):
    """The argument has the wrong type."""


class WrongValueError(UserError, ValueError):
    """The argument has the right type, but an invalid value."""


class OutOfRangeError(UserError, IndexError):
    """The model does not have this token or this position."""
