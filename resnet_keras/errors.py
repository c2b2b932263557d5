"""Errors, grouped by what the caller can do about them.

Each error carries a one-line message (the rule, what was received and the way out) and the program's exit code.
Library users can catch its built-in base class: `ValueError`, `OSError`, `ArithmeticError` or `KeyboardInterrupt`.
"""

import re
import signal
from collections.abc import Sequence
from typing import NamedTuple


class InvalidValue(ValueError):
    """An argument, option or label is not among those allowed. Programs exit with 2."""

    exit_code = 2


class Diverged(ArithmeticError):
    """Training produced values that are not finite. Programs exit with 3."""

    exit_code = 3


class InputOutput(OSError):
    """A file or folder cannot be read or written. Programs exit with 4."""

    exit_code = 4


class Difference(NamedTuple):
    """A setting whose requested value differs from the one in the run folder."""

    field: str
    held: str
    asked: str


class OtherRun(InputOutput):
    """The run folder holds a different run from the one requested. Programs print the differences and exit with 4."""

    def __init__(self, line: str, differences: Sequence[Difference]) -> None:
        super().__init__(line)
        self.differences = tuple(differences)


class Lost(InputOutput):
    """Another process of the same run is gone. Programs exit with 4."""


class Damaged(InputOutput):
    """A file is not as this package wrote it. Programs exit with 5."""

    exit_code = 5


class Stopped(KeyboardInterrupt):
    """A signal ended the program after it saved what there was to save. Programs exit with 128 + the signal number."""

    def __init__(self, signum: int, line: str = "") -> None:
        name = signal.Signals(signum).name
        super().__init__(f"stopped by {name}{f': {line}' if line else ''}")
        self.exit_code = 128 + signum


def shown(value: object, most: int = 80) -> str:
    """The `repr` of a value, cut to `most` characters, for an error message."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def first_line(error: BaseException) -> str:
    """The first non-blank line of another library's error, or its type if the message is blank."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def readable(text: str) -> str:
    """Text that every stream, file and font accepts: bytes of a file name that are not UTF-8 are written as \\xe9."""
    escaped = re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode()
