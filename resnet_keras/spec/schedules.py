"""How the learning rate falls: at boundaries (section 4.2), when the error plateaus (3.4), as a cosine or by a factor.

A schedule is a pure function of the iteration and of what was measured so far, so resuming a run needs only its rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.checks import is_count
from resnet_keras.spec.records import Row


@dataclass(frozen=True)
class Steps:
    """Divides the learning rate by 10 at fixed iterations.

    Attributes:
        boundaries: updates made before each division.
    """

    boundaries: tuple[int, ...]

    def __post_init__(self) -> None:
        if list(self.boundaries) != sorted(self.boundaries) or any(boundary < 0 for boundary in self.boundaries):
            raise InvalidValue(
                f"Boundaries are 0 or more, in ascending order. Received: boundaries={self.boundaries!r}."
            )

    def __str__(self) -> str:
        falls = " and ".join(f"{boundary:,}" for boundary in self.boundaries)
        return f"divided by 10 at {falls}" if falls else "constant"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """Share of the initial learning rate used by update number `iteration` of `iterations`."""
        return 1 / 10 ** sum(iteration >= boundary for boundary in self.boundaries)

    def cuts(self) -> tuple[int, ...]:
        """Iterations at which the learning rate falls, as far as they are known in advance."""
        return self.boundaries

    def rescaled(self, share: float) -> "Steps":
        """The same schedule for a run of this share of the iterations."""
        return Steps(tuple(round(boundary * share) for boundary in self.boundaries))

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Whether a run begun with another schedule, for this share of the iterations, has followed this one so far."""
        if not isinstance(begun, Steps) or len(begun.boundaries) != len(self.boundaries):
            return False
        pairs = list(zip(self.boundaries, begun.boundaries, strict=True))
        return all(mine == old for mine, old in pairs) or all(
            abs(mine * share - old) <= 1
            for mine, old in pairs  # shares are rounded
        )


@dataclass(frozen=True)
class Plateau:
    """Divides the learning rate by 10 "when the error plateaus" (section 3.4); the paper does not say when that is.

    Attributes:
        patience: successive measurements of the validation error without a new minimum.
        divisions: largest number of divisions.
    """

    patience: int = 5
    divisions: int = 3

    def __post_init__(self) -> None:
        if not all(is_count(number) and number >= 1 for number in (self.patience, self.divisions)):
            raise InvalidValue(f"Patience and divisions are whole numbers of 1 or more. Received: {self!r}.")

    def __str__(self) -> str:
        return f"divided by 10 after {self.patience} measurements without a lower validation error"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """Share of the initial learning rate used by an update after these rows."""
        lowest, without, divided = math.inf, 0, 0
        for row in rows:
            if row.validation_error < lowest:
                lowest, without = row.validation_error, 0
            elif (without := without + 1) == self.patience:
                divided, without = min(divided + 1, self.divisions), 0
        return 1 / 10**divided

    def cuts(self) -> tuple[int, ...]:
        """None is known in advance."""
        return ()

    def rescaled(self, share: float) -> "Plateau":
        """Itself: the patience stays the same number of measurements, of which a shorter run makes fewer."""
        return self

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Whether a run begun with another schedule has followed this one so far."""
        return self == begun


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the initial learning rate to 0 (Loshchilov and Hutter 2017, without restarts).

    The rate falls at each measurement of the errors, as in most ports it falls at each epoch.
    """

    def __str__(self) -> str:
        return "falling as half a cosine"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """Share of the initial learning rate used by the updates from number `iteration` of `iterations` on."""
        return (1 + math.cos(math.pi * iteration / iterations)) / 2

    def cuts(self) -> tuple[int, ...]:
        """None: the rate falls at every measurement."""
        return ()

    def rescaled(self, share: float) -> "Cosine":
        """Itself: it depends only on the share of the run completed."""
        return self

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Only if the run has the same length: a longer one has other rates from the start."""
        return self == begun and share == 1


@dataclass(frozen=True)
class Exponential:
    """Multiplies the rate by a factor at fixed intervals (Szegedy et al. 2015: less by 4 % every 8 epochs).

    The rate falls at the first measurement of the errors after each interval.

    Attributes:
        factor: between 0 and 1.
        every: interval in iterations.
    """

    factor: float
    every: int

    def __post_init__(self) -> None:
        if not (0 < self.factor < 1 and is_count(self.every) and self.every >= 1):
            raise InvalidValue(
                "A learning rate is multiplied by a factor between 0 and 1, every 1 iteration or more. "
                f"Received: {self!r}."
            )

    def __str__(self) -> str:
        return f"multiplied by {self.factor:g} every {self.every:,}"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """Share of the initial learning rate used by the updates from number `iteration` on."""
        return self.factor ** (iteration // self.every)

    def cuts(self) -> tuple[int, ...]:
        """None: the rate falls at measurements."""
        return ()

    def rescaled(self, share: float) -> "Exponential":
        """The same schedule for a run of this share of the iterations."""
        return Exponential(self.factor, max(1, round(self.every * share)))

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Whether a run begun with another schedule has followed this one so far."""
        return self == begun


Schedule = Steps | Plateau | Cosine | Exponential


@dataclass(frozen=True)
class Warmup:
    """Section 4.2: the 110-layer net starts at 0.01 until the training error is below 80 %, about 400 iterations."""

    learning_rate: float = 0.01
    until_train_error: float = 80.0
    """Percent."""

    def __str__(self) -> str:
        return f"{self.learning_rate:g} until the training error is below {self.until_train_error:g} %"


@dataclass(frozen=True)
class Ramp:
    """Goyal et al. 2017, section 2.2: the rate rises linearly from a small batch's to a large one's in 5 epochs.

    Theirs rises at every update; this one in stairs, at measurements of the errors, like every rate here.

    Attributes:
        iterations: iterations until the recipe's own rate is reached.
        start: share of that rate from which the ramp rises.
        stairs: number of stairs.
    """

    iterations: int
    start: float
    stairs: int = 20

    def __post_init__(self) -> None:
        counted = all(is_count(number) and number >= 1 for number in (self.iterations, self.stairs))
        if not (counted and self.stairs <= self.iterations and 0 < self.start <= 1):
            raise InvalidValue(
                "A ramp starts at a share of the learning rate, above 0 and up to 1, with 1 or more updates per stair. "
                f"Received: {self!r}."
            )

    def __str__(self) -> str:
        return f"rising until iteration {self.iterations:,}"

    def cuts(self) -> tuple[int, ...]:
        """Iterations at which the rate rises."""
        return tuple(round(self.iterations * stair / self.stairs) for stair in range(1, self.stairs + 1))

    def share(self, iteration: int) -> float:
        """Share of the recipe's rate used by the updates of the stair from `iteration` on: that at its middle."""
        if iteration >= self.iterations:
            return 1.0
        stair = sum(iteration >= cut for cut in self.cuts())
        return self.start + (1 - self.start) * (stair + 0.5) / self.stairs

    def rescaled(self, share: float) -> "Ramp":
        """The same ramp for a run of this share of the iterations."""
        iterations = max(1, round(self.iterations * share))
        return Ramp(iterations, self.start, min(self.stairs, iterations))


@dataclass(frozen=True)
class Period:
    """Iterations `start` to `stop` (exclusive) at one learning rate; the errors are measured at its end."""

    start: int
    stop: int
