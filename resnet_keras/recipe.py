"""How a network is trained: section 4.2 and the paragraphs "Implementation" (3.4). Every number of a schedule lives
here.

A `Recipe` counts in iterations, as the paper does. A variant is a changed field: `dataclasses.replace(CIFAR10,
batch_size=64)`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from resnet_keras.errors import InvalidValue, is_count
from resnet_keras.records import Row

MOST = 10**9
"""Of anything that a recipe counts: a slip of the finger is told before it fills the memory."""
MOST_IMAGES = 65_536
"""Of a batch."""


@dataclass(frozen=True)
class Warmup:
    """Section 4.2: the 110-layer net starts at 0.01 until the training error is below 80 %, about 400 iterations."""

    learning_rate: float = 0.01
    until_train_error: float = 80.0
    """Percent."""


@dataclass(frozen=True)
class Period:
    """Iterations `start` to `stop` (exclusive) at one learning rate; the errors are measured at its end."""

    start: int
    stop: int
    learning_rate: float


@dataclass(frozen=True)
class Recipe:
    """A schedule of stochastic gradient descent. The defaults are the paper's for CIFAR-10 (section 4.2).

    Attributes:
        iterations: updates in all.
        boundaries: updates made before each division of the learning rate by 10.
        learning_rate: of the first updates, after the warm-up if there is one.
        batch_size: images an update.
        momentum: of SGD.
        weight_decay: L2, added to the gradient as `weight_decay * w` for every trained number; `build` takes it, since
            in Keras a layer carries its own.
        warmup: a lower learning rate at the start, or None.
        pad: pixels padded on each side before the random crop; 0 crops nothing.
        flip: whether half of the images are mirrored.
        evaluate_every: iterations between two measurements of the errors.
    """

    iterations: int = 64_000
    boundaries: tuple[int, ...] = (32_000, 48_000)
    learning_rate: float = 0.1
    batch_size: int = 128
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: Warmup | None = None
    pad: int = 4
    flip: bool = True
    evaluate_every: int = 400

    def __post_init__(self) -> None:
        for field, most in (("iterations", MOST), ("batch_size", MOST_IMAGES), ("evaluate_every", MOST)):
            value = getattr(self, field)
            if not is_count(value) or not 1 <= value <= most:
                raise InvalidValue(f"A recipe counts whole numbers from 1 to {most:,}. Received: {field}={value!r}.")
        if not 0 < self.learning_rate < math.inf:
            raise InvalidValue(
                f"A learning rate is above 0 and finite. Received: learning_rate={self.learning_rate!r}."
            )
        if list(self.boundaries) != sorted(self.boundaries) or any(boundary < 0 for boundary in self.boundaries):
            raise InvalidValue(f"Boundaries grow from 0. Received: boundaries={self.boundaries!r}.")
        if not is_count(self.pad) or self.pad < 0:
            raise InvalidValue(f"Padding adds pixels. Received: pad={self.pad!r}.")

    def shortened(self, iterations: int) -> "Recipe":
        """The same schedule in fewer (or more) iterations: its boundaries keep their share of the whole."""
        if iterations == self.iterations:
            return self
        share = iterations / self.iterations
        return replace(
            self,
            iterations=iterations,
            boundaries=tuple(round(boundary * share) for boundary in self.boundaries),
            evaluate_every=max(50, min(self.evaluate_every, iterations // 20)),
        )

    def lengthens(self, begun: "Recipe") -> bool:
        """Whether this recipe is `begun` with more iterations: its boundaries at the same places or the same shares."""
        alike = replace(
            self, **{field: getattr(begun, field) for field in ("iterations", "boundaries", "evaluate_every")}
        )
        share = begun.iterations / self.iterations
        places = list(zip(self.boundaries, begun.boundaries, strict=False))
        return (
            alike == begun
            and self.iterations >= begun.iterations
            and len(self.boundaries) == len(begun.boundaries)
            and (
                all(mine == old for mine, old in places)
                or all(abs(mine * share - old) <= 1 for mine, old in places)  # shares are rounded
            )
        )

    def learning_rate_at(self, iteration: int) -> float:
        """The learning rate of update number `iteration`, counted from 0, without the warm-up."""
        return self.learning_rate / 10 ** sum(iteration >= boundary for boundary in self.boundaries)

    def learning_rate_of(self, period: Period, rows: Sequence[Row]) -> float:
        """The learning rate of a period after these rows: the warm-up lasts until one has a low enough error."""
        if self.warmup and all(row.train_error >= self.warmup.until_train_error for row in rows):
            return self.warmup.learning_rate
        return period.learning_rate

    def periods(self) -> Iterator[Period]:
        """The schedule, cut where the learning rate changes and every `evaluate_every`, but not within half of it."""
        fixed = {0, self.iterations, *(boundary for boundary in self.boundaries if boundary < self.iterations)}
        marks = {
            mark
            for mark in range(0, self.iterations, self.evaluate_every)
            if min(abs(mark - other) for other in fixed) * 2 >= self.evaluate_every
        }
        cuts = sorted(fixed | marks)
        for start, stop in pairwise(cuts):
            yield Period(start, stop, self.learning_rate_at(start))

    def to_dict(self) -> dict[str, Any]:
        """The fields, for `run.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Recipe":
        """The recipe of which `to_dict`, through JSON, made these fields.

        Raises:
            ValueError, TypeError, KeyError: they are not a recipe's.
        """
        warmup = fields["warmup"] and Warmup(**fields["warmup"])
        return cls(**{**fields, "boundaries": tuple(fields["boundaries"]), "warmup": warmup})


CIFAR10 = Recipe()
"""Section 4.2, below 110 layers."""

WARMED_DEPTH = 110
"""Section 4.2 warms up its 110-layer net, and trains the 1202-layer net as that one."""


def cifar10_recipe(depth: int) -> Recipe:
    """The paper's recipe for a CIFAR-10 net of `depth` layers: from 110 layers on with the warm-up."""
    return replace(CIFAR10, warmup=Warmup()) if depth >= WARMED_DEPTH else CIFAR10
