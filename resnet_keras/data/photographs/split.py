"""One part of a set of photographs, as stored.

A `Split` returns photograph number i at any time and to any thread, as an order by (seed, epoch, index) requires.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from resnet_keras.data.photographs.decoding import decode, verify
from resnet_keras.data.threads import available_cores, in_order
from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.spec.class_names import ClassNames, meaningful

Part = Literal["train", "val"]


class Example(NamedTuple):
    """A photograph as stored."""

    image: bytes
    label: int


class Reader(Protocol):
    """Random access to stored photographs, from any thread."""

    def __len__(self) -> int: ...

    def example(self, index: int) -> Example:
        """Photograph number `index` of the part."""
        ...

    def examples(self) -> Iterator[Example]:
        """All photographs of the part, in order, as fast as they can be read."""
        ...

    def location(self, index: int) -> str:
        """Where the photograph is, for an error message."""
        ...


@dataclass(frozen=True)
class Split:
    """One part of a set of photographs.

    Attributes:
        name: the data set's name.
        source: what was read, without this machine's path.
        class_names: labels are 0 to len(class_names) - 1.
        reader: access to the stored photographs.
        fingerprint: 16 digits of a SHA-256 that identifies the part in use: equal if two runs saw the same photographs.
        indices: the reader's indices of the photographs in use, in its order.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    reader: Reader
    fingerprint: str
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def num_classes(self) -> int:
        """Number of classes; labels are 0 to num_classes - 1."""
        return len(self.class_names)

    @property
    def known_classes(self) -> ClassNames | None:
        """What the labels mean; None if the names only number the classes."""
        return meaningful(self.class_names)

    def contents(self) -> str:
        """SHA-256 of the photographs in use and their labels; reads all of them."""
        digest = hashlib.sha256()
        for one in in_order(self._digest, range(len(self)), available_cores()):
            digest.update(one)
        return digest.hexdigest()

    def location(self, index: int) -> str:
        """The path of photograph number `index`."""
        return self.reader.location(int(self.indices[index]))

    def photograph(self, index: int) -> tuple[Image.Image, int]:
        """Photograph number `index`, RGB at its own size, and its label.

        Raises:
            OSError: it cannot be read or decoded; a one-line message with its path.
            ValueError: the label is out of range.
        """
        example = self._example(index)
        return decode(example.image, self.location(index)), example.label

    def limited(self, limit: int | None) -> "Split":
        """At most `limit` photographs, spread evenly over the part, which is often sorted by class."""
        return self if limit is None or limit >= len(self) else self._using(spread(len(self), limit))

    def without(self, bad: Sequence[int]) -> "Split":
        """The part without the given photographs."""
        return self._using(np.setdiff1d(np.arange(len(self)), bad)) if bad else self

    def bad(self, allowed: int, workers: int) -> list[tuple[int, str]]:
        """Reads every photograph once and returns the number and error of each that cannot be decoded.

        Args:
            allowed: reading stops once more than this many are found.
            workers: number of threads.
        """
        found = []
        for index, error in enumerate(in_order(self._error, range(len(self)), workers)):
            if error is not None:
                found.append((index, error))
                if len(found) > allowed:
                    break
        return found

    def repaired(self, allowed: int, workers: int, told: int | None = None) -> tuple["Split", list[str]]:
        """The part without its damaged photographs, and their paths. All are read once to find them.

        Args:
            allowed: number that may be damaged; with 0 and no `told`, none is read.
            workers: number of threads.
            told: the limit that an error message states, if another part has used some of it.

        Raises:
            OSError: more photographs are damaged.
        """
        if not allowed and told is None:
            return self, []
        bad = self.bad(allowed, workers)
        if len(bad) > allowed:
            raise InputOutput(
                f"At most {told or allowed} photographs may be damaged. Received: more, the last: {bad[-1][1]} "
                "Raise --skip-bad, or repair the data set."
            )
        numbers = [index for index, _ in bad]
        return self.without(numbers), [self.location(index) for index in numbers]

    def _example(self, index: int) -> Example:
        example = self.reader.example(int(self.indices[index]))
        if not 0 <= example.label < len(self.class_names):
            raise InvalidValue(
                f"Labels are 0 to {len(self.class_names) - 1}. Received: {example.label} in {self.location(index)}."
            )
        return example

    def _digest(self, index: int) -> bytes:
        example = self._example(index)
        return hashlib.sha256(f"{example.label} ".encode() + example.image).digest()

    def _error(self, index: int) -> str | None:
        try:
            verify(self._example(index).image, self.location(index))
        except InputOutput as error:
            return str(error)
        return None

    def _using(self, chosen: np.ndarray) -> "Split":
        indices = self.indices[chosen]
        digest = hashlib.sha256(self.fingerprint.encode() + indices.astype("<i8").tobytes())
        return replace(self, indices=indices, fingerprint=digest.hexdigest()[:16])


def spread(images: int, limit: int) -> np.ndarray:
    """The indices of `limit` of `images` images, evenly spread over all of them."""
    return np.arange(limit) * images // limit
