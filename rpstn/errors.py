"""The base of every error that a user can cause."""


class RPSTNError(Exception):
    """What a user can cause, and mend: a file, a field, an option, a missing package.

    The message is one line that names the place, what is allowed there and what came. The command
    line prints it and exits with status 1; any other exception is a fault of this package.

    Errors of the rooms are subclasses, most of them of a built-in error as well, so that either
    can be caught:

        >>> from rpstn.pose.boxes import BoxError
        >>> issubclass(BoxError, RPSTNError) and issubclass(BoxError, ValueError)
        True
    """


class BadSequenceError(RPSTNError, ValueError):
    """An annotated sequence that cannot be used: one line with file, field, allowed and found."""


class SettingError(RPSTNError, ValueError):
    """An option or a setting of a config that cannot be, or does not fit the others."""


def one_line(error: BaseException) -> str:
    """The message of an error in one line, its type's name where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of what an error of another package says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
