"""What can go wrong, by what the caller can do about it.

Each error carries one line (the rule, what was received, and the way out) and the exit code that a program ends with.
Library users catch the built-in class behind it: `ValueError`, `OSError`, `ArithmeticError` or `KeyboardInterrupt`.
"""

import re
import signal
from collections.abc import Sequence
from typing import NamedTuple


class InvalidValue(ValueError):
    """An argument, option or label outside what is allowed. Programs exit with 2."""

    exit_code = 2


class Diverged(ArithmeticError):
    """Training left the finite numbers. Programs exit with 3."""

    exit_code = 3


class InputOutput(OSError):
    """A file or folder that cannot be read or written. Programs exit with 4."""

    exit_code = 4


class Difference(NamedTuple):
    """A setting that a run folder holds and that was asked for otherwise."""

    field: str
    held: str
    asked: str


class OtherRun(InputOutput):
    """A run folder holds another run than the one that is asked for. Programs print the differences and exit with 4."""

    def __init__(self, line: str, differences: Sequence[Difference]) -> None:
        super().__init__(line)
        self.differences = tuple(differences)


class Lost(InputOutput):
    """Another process of the same run is gone. Programs exit with 4."""


class Damaged(InputOutput):
    """A file is not as this package wrote it. Programs exit with 5."""

    exit_code = 5


class Stopped(KeyboardInterrupt):
    """A signal ended the program, after it saved what there was to save. Programs exit with 128 + the signal."""

    def __init__(self, signum: int, line: str = "") -> None:
        name = signal.Signals(signum).name
        super().__init__(f"stopped by {name}{f': {line}' if line else ''}")
        self.exit_code = 128 + signum


def shown(value: object, most: int = 80) -> str:
    """A value as an error shows it: its `repr`, cut to `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def first_line(error: BaseException) -> str:
    """What another library's error says in one line: its first that is not blank, or its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def readable(text: str) -> str:
    """Text that every stream, file and font takes: bytes of a file's name that are not UTF-8 as \\xe9."""
    escaped = re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode()
