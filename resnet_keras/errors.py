"""What can go wrong, by what the caller can do about it.

Each error carries one line (what holds, what came, the way out) and the exit code that a program ends with.
Library users catch the built-in class behind it: `ValueError` or `OSError`.
"""


class InvalidValue(ValueError):
    """An argument, option or label outside what is allowed. Programs exit with 2."""

    exit_code = 2


class Diverged(ArithmeticError):
    """Training left the finite numbers. Programs exit with 3."""

    exit_code = 3


class InputOutput(OSError):
    """A file or folder that cannot be read or written. Programs exit with 4."""

    exit_code = 4
