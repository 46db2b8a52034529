"""The base of the errors that are told in one line, without a traceback."""


class UserError(Exception):
    """Input that cannot be used, whoever made it: the message says what, where, and what helps."""


class ModelError(UserError):
    """A model that cannot be found or imported."""


class WrongTypeError(UserError, TypeError):
    """An argument of another type than the one it is for."""


class WrongValueError(UserError, ValueError):
    """An argument of the right type that cannot be."""


class OutOfRangeError(UserError, IndexError):
    """A token or a position that the model does not have."""
