"""How the learning rate falls: at boundaries (section 4.2), where the error plateaus (3.4), as a cosine, by a factor.

A schedule is a pure function of the iteration and of what was measured so far, so a run that goes on needs nothing but
its rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.checks import is_count
from resnet_keras.spec.records import Row


@dataclass(frozen=True)
class Steps:
    """Divided by 10 at fixed iterations.

    Attributes:
        boundaries: updates made before each division.
    """

    boundaries: tuple[int, ...]

    def __post_init__(self) -> None:
        if list(self.boundaries) != sorted(self.boundaries) or any(boundary < 0 for boundary in self.boundaries):
            raise InvalidValue(f"Boundaries grow from 0. Received: boundaries={self.boundaries!r}.")

    def __str__(self) -> str:
        falls = " and ".join(f"{boundary:,}" for boundary in self.boundaries)
        return f"divided by 10 at {falls}" if falls else "constant"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """What of the first learning rate update number `iteration` of `iterations` is made with."""
        return 1 / 10 ** sum(iteration >= boundary for boundary in self.boundaries)

    def cuts(self) -> tuple[int, ...]:
        """Iterations at which the rate falls, as far as they are known beforehand."""
        return self.boundaries

    def rescaled(self, share: float) -> "Steps":
        """The same for a run of this share of the iterations."""
        return Steps(tuple(round(boundary * share) for boundary in self.boundaries))

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Whether a run begun by another schedule, of this share of the iterations, has kept to this one so far."""
        if not isinstance(begun, Steps) or len(begun.boundaries) != len(self.boundaries):
            return False
        pairs = list(zip(self.boundaries, begun.boundaries, strict=True))
        return all(mine == old for mine, old in pairs) or all(
            abs(mine * share - old) <= 1
            for mine, old in pairs  # shares are rounded
        )


@dataclass(frozen=True)
class Plateau:
    """Divided by 10 "when the error plateaus" (section 3.4): the paper does not say when that is.

    Attributes:
        patience: successive measurements of the validation error without a new lowest one.
        divisions: at most.
    """

    patience: int = 5
    divisions: int = 3

    def __post_init__(self) -> None:
        if not all(is_count(number) and number >= 1 for number in (self.patience, self.divisions)):
            raise InvalidValue(f"Patience and divisions are 1 or more. Received: {self!r}.")

    def __str__(self) -> str:
        return f"divided by 10 after {self.patience} measurements without a lower validation error"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """What of the first learning rate an update after these rows is made with."""
        lowest, without, divided = math.inf, 0, 0
        for row in rows:
            if row.validation_error < lowest:
                lowest, without = row.validation_error, 0
            elif (without := without + 1) == self.patience:
                divided, without = min(divided + 1, self.divisions), 0
        return 1 / 10**divided

    def cuts(self) -> tuple[int, ...]:
        """None are known beforehand."""
        return ()

    def rescaled(self, share: float) -> "Plateau":
        """Itself: its patience stays that many measurements, of which a shorter run makes fewer."""
        return self

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Whether a run begun by another schedule has kept to this one so far."""
        return self == begun


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the first learning rate to 0 (Loshchilov and Hutter 2017, without restarts).

    It falls at each measurement of the errors, as most ports let it fall at each epoch.
    """

    def __str__(self) -> str:
        return "falling as half a cosine"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """What of the first learning rate the updates from number `iteration` of `iterations` on are made with."""
        return (1 + math.cos(math.pi * iteration / iterations)) / 2

    def cuts(self) -> tuple[int, ...]:
        """None: it falls at every measurement."""
        return ()

    def rescaled(self, share: float) -> "Cosine":
        """Itself: it is a function of the share of the run."""
        return self

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Only if the run is as long: a longer one has other rates from the start."""
        return self == begun and share == 1


@dataclass(frozen=True)
class Exponential:
    """Multiplied by a factor every so many iterations (Szegedy et al. 2015: "decreasing by 4 % every 8 epochs").

    It falls at the first measurement of the errors after each of them.

    Attributes:
        factor: between 0 and 1.
        every: iterations.
    """

    factor: float
    every: int

    def __post_init__(self) -> None:
        if not (0 < self.factor < 1 and is_count(self.every) and self.every >= 1):
            raise InvalidValue(f"A rate falls by a factor below 1, every 1 iteration or more. Received: {self!r}.")

    def __str__(self) -> str:
        return f"multiplied by {self.factor:g} every {self.every:,}"

    def share(self, iteration: int, iterations: int, rows: Sequence[Row]) -> float:
        """What of the first learning rate the updates from number `iteration` on are made with."""
        return self.factor ** (iteration // self.every)

    def cuts(self) -> tuple[int, ...]:
        """None: it falls at measurements."""
        return ()

    def rescaled(self, share: float) -> "Exponential":
        """The same for a run of this share of the iterations."""
        return Exponential(self.factor, max(1, round(self.every * share)))

    def is_extension_of(self, begun: "Schedule", share: float) -> bool:
        """Whether a run begun by another schedule has kept to this one so far."""
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
    """Goyal et al. 2017, section 2.2: a large batch's rate is reached by a line from that of a small one, in 5 epochs.

    Theirs rises at every update; this one in stairs, at measurements of the errors, as every rate here.

    Attributes:
        iterations: until the recipe's own rate.
        start: what of it the first updates are made with, as a share.
        stairs: how many.
    """

    iterations: int
    start: float
    stairs: int = 20

    def __post_init__(self) -> None:
        counted = all(is_count(number) and number >= 1 for number in (self.iterations, self.stairs))
        if not (counted and self.stairs <= self.iterations and 0 < self.start <= 1):
            raise InvalidValue(
                f"A ramp rises from a share of the rate, in 1 update or more a stair. Received: {self!r}."
            )

    def __str__(self) -> str:
        return f"rising until iteration {self.iterations:,}"

    def cuts(self) -> tuple[int, ...]:
        """Iterations at which the rate rises."""
        return tuple(round(self.iterations * stair / self.stairs) for stair in range(1, self.stairs + 1))

    def share(self, iteration: int) -> float:
        """What of the recipe's rate the updates of the stair from `iteration` on are made with: its middle's."""
        if iteration >= self.iterations:
            return 1.0
        stair = sum(iteration >= cut for cut in self.cuts())
        return self.start + (1 - self.start) * (stair + 0.5) / self.stairs

    def rescaled(self, share: float) -> "Ramp":
        """The same for a run of this share of the iterations."""
        iterations = max(1, round(self.iterations * share))
        return Ramp(iterations, self.start, min(self.stairs, iterations))


@dataclass(frozen=True)
class Period:
    """Iterations `start` to `stop` (exclusive) at one learning rate; the errors are measured at its end."""

    start: int
    stop: int
