"""What a weights file may hold at most, and the error that every reader of one raises."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from resnet_keras.errors import InvalidValue

MAX_BYTES = 1 << 30
"""Of a file, unpacked: ResNet-152 with the momentum of its optimizer has half of it."""
MAX_NUMBERS = 1 << 28
"""Of all tensors: ResNet-152 has 60 million. A small file can claim any shape."""


class Unreadable(ValueError):
    """What is wrong with a file, without its name."""


@dataclass
class Numbers:
    """A count of the numbers in a file, kept before any of them is copied."""

    count: int = 0

    def add(self, shape: Iterable[int]) -> None:
        """Counts a tensor.

        Raises:
            Unreadable: more than `MAX_NUMBERS` in all.
        """
        self.count += math.prod(shape)
        if self.count > MAX_NUMBERS:
            raise Unreadable(f"its tensors claim more than {MAX_NUMBERS:,} numbers")


def need(package: str, what: str, extra: str) -> None:
    """Checks that a package is installed which reads this kind of file.

    Raises:
        ValueError: it is not; the line names the extra that brings it.
    """
    if find_spec(package) is None:
        raise InvalidValue(
            f'{what} is read with {package}, which is not installed. Install it: pip install -e ".[{extra}]"'
        )


def first_line(error: BaseException) -> str:
    """The first line of an error, short, without its full stop."""
    lines = str(error).splitlines() or [type(error).__name__]
    return shown(lines[0].strip().rstrip("."), quoted=False)


def shown(value: object, *, quoted: bool = True) -> str:
    """A value from a file as it can be put into one line."""
    text = repr(value) if quoted else "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= 120 else f"{text[:117]}..."


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first names of many: "a, b, c and 4 more"."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(shown(name, quoted=False) for name in every[:most]) + more
