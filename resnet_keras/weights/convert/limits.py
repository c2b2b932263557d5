"""Limits on what a weights file may hold, and the error that every reader of such files raises."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from resnet_keras import errors
from resnet_keras.errors import InvalidValue

MAX_BYTES = 1 << 30
"""Limit for a file, unpacked: ResNet-152 with its optimizer's momentum takes half of it."""
MAX_NUMBERS = 1 << 28
"""Limit for all tensors together: ResNet-152 has 60 million. A small file can claim any shape."""


class Unreadable(ValueError):
    """A file cannot be read; the text says what is wrong with it, without naming the file."""


@dataclass
class Numbers:
    """Counts the numbers in a file before any of them is copied."""

    count: int = 0

    def add(self, shape: Iterable[int]) -> None:
        """Adds a tensor to the count.

        Raises:
            Unreadable: the total exceeds `MAX_NUMBERS`.
        """
        self.count += math.prod(shape)
        if self.count > MAX_NUMBERS:
            raise Unreadable(f"its tensors claim more than {MAX_NUMBERS:,} numbers")


def need(package: str, what: str, extra: str) -> None:
    """Checks that the package that reads this kind of file is installed.

    Raises:
        ValueError: it is not installed; the message names the extra that provides it.
    """
    if find_spec(package) is None:
        raise InvalidValue(
            f'{what} is read with {package}, which is not installed. Install it: pip install -e ".[{extra}]"'
        )


def first_line(error: BaseException) -> str:
    """The first line of an error, shortened, without its full stop."""
    return shown(errors.first_line(error).rstrip("."), quoted=False)


def shown(value: object, *, quoted: bool = True) -> str:
    """A value from a file, in a form that fits on one line."""
    text = repr(value) if quoted else "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= 120 else f"{text[:117]}..."


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first few of many names: "a, b, c and 4 more"."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(shown(name, quoted=False) for name in every[:most]) + more
