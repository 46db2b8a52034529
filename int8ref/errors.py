"""The base of the errors that are told in one line, without a traceback."""


class UserError(Exception):
    """Input that cannot be used, whoever made it: the message says what, where, and what helps."""


class ModelError(UserError):
    """A model that cannot be found or imported."""
