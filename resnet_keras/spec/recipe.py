"""How a network is trained: section 4.2 and "Implementation" (3.4). Every number of a training schedule is kept here.

A `Recipe` counts in iterations, as the paper does. To vary it, change a field: `dataclasses.replace(CIFAR10,
batch_size=64)`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal, get_args

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.augmentation import PaddedCrop, ScaledCrop
from resnet_keras.spec.checks import check_choice, is_count
from resnet_keras.spec.finetune import FineTune
from resnet_keras.spec.records import Row
from resnet_keras.spec.schedules import Cosine, Exponential, Period, Plateau, Ramp, Schedule, Steps, Warmup

MAX_COUNT = 10**9
"""Limit on anything that a recipe counts, so that a typing error is reported before it fills the memory."""
MAX_BATCH_SIZE = 65_536
"""Limit on the images in a batch."""
Precision = Literal["float32", "mixed_bfloat16"]
"""Precision in which layers compute, by Keras's names; weights, means and probabilities are float32 in both.

Not float16, which needs loss scaling and fails with TensorFlow's `channels_first`.
"""
Fan = Literal["fan_in", "fan_out"]
"""He et al. 2015: kernels are initialised with variance 2 / fan-in, Eqn. (10), or 2 / fan-out, Eqn. (14)."""
HALF_AND_THREE_QUARTERS = Steps((32_000, 48_000))
"""Section 4.2: the boundaries for 64,000 iterations."""
MOST_COUNTED = 1 << 24
"""Keras's metrics count in float32, since JAX has no float64 unless it is enabled; above this limit, one more image may
change nothing. After 100 million images in batches of 16, an error of 10.0 % was shown as 6.6 %."""
PADDED_BY_FOUR = PaddedCrop(4)
"""Section 4.2."""


@dataclass(frozen=True)
class Recipe:
    """A schedule of stochastic gradient descent. The defaults are the paper's for CIFAR-10 (section 4.2).

    Attributes:
        iterations: total number of updates.
        schedule: how the learning rate falls.
        learning_rate: rate of the first updates, after any warm-up.
        batch_size: images per update.
        accumulate: parts in which a batch is computed, to save memory; its gradient is the mean of theirs. Batch
            normalisation sees one part at a time.
        momentum: SGD's momentum.
        weight_decay: L2 penalty, added to the gradient as `weight_decay * w` for every trainable parameter; `build`
            takes it, since in Keras each layer carries its own.
        warmup: a lower learning rate at the start, until an error is reached or as a ramp; None for no warm-up.
        augmentation: how the training images are augmented.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016).
        zero_gamma: whether gamma in each residual branch's last normalisation starts at 0 (Goyal et al. 2017), not 1.
        fan: which fan the kernels are initialised by. Nets of other papers are initialised as those papers say
            (docs/deviations.md).
        average_over: updates covered by the exponential moving average of the weights, which is what is measured and
            saved; 0 uses the weights themselves.
        precision: what the layers compute in while they train; the trained net computes in float32.
        evaluate_every: iterations between two measurements of the errors.
        finetune: the weights that training starts from and which of them it changes; None starts from random weights.
    """

    iterations: int = 64_000
    schedule: Schedule = HALF_AND_THREE_QUARTERS
    learning_rate: float = 0.1
    batch_size: int = 128
    accumulate: int = 1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: Warmup | Ramp | None = None
    augmentation: PaddedCrop | ScaledCrop = PADDED_BY_FOUR
    label_smoothing: float = 0.0
    zero_gamma: bool = False
    fan: Fan = "fan_in"
    average_over: int = 0
    precision: Precision = "float32"
    evaluate_every: int = 400
    finetune: FineTune | None = None

    def __post_init__(self) -> None:
        counted = (("iterations", MAX_COUNT), ("batch_size", MAX_BATCH_SIZE), ("accumulate", MAX_BATCH_SIZE))
        for field, most in (*counted, ("evaluate_every", MAX_COUNT)):
            value = getattr(self, field)
            if not is_count(value) or not 1 <= value <= most:
                raise InvalidValue(
                    f"Counts in a recipe are whole numbers from 1 to {most:,}. Received: {field}={value!r}."
                )
        if not 0 < self.learning_rate < math.inf:
            raise InvalidValue(
                f"A learning rate is above 0 and finite. Received: learning_rate={self.learning_rate!r}."
            )
        if not 0 <= self.momentum < 1:
            raise InvalidValue(f"Momentum is at least 0 and below 1. Received: momentum={self.momentum!r}.")
        if not 0 <= self.weight_decay < math.inf:
            raise InvalidValue(f"Weight decay is 0 or more, and finite. Received: weight_decay={self.weight_decay!r}.")
        for field, kinds in (("schedule", SCHEDULES), ("augmentation", AUGMENTATIONS)):
            if type(value := getattr(self, field)) not in kinds.values():
                listed = ", ".join(kind.__name__ for kind in kinds.values())
                raise InvalidValue(f"The {field} is one of {listed}. Received: {value!r}.")
        if self.batch_size % self.accumulate:
            raise InvalidValue(
                "A batch is computed in equal parts. "
                f"Received: batch_size={self.batch_size}, accumulate={self.accumulate}."
            )
        if (images := min(self.evaluate_every, self.iterations) * self.batch_size) > MOST_COUNTED:
            raise InvalidValue(
                f"Between two measurements, at most {MOST_COUNTED:,} images can be counted without rounding errors. "
                f"Received: {images:,}. Lower evaluate_every={self.evaluate_every}."
            )
        if not is_count(self.average_over) or self.average_over < 0:
            raise InvalidValue(
                "Weights are averaged over a whole number of updates, 0 or more. "
                f"Received: average_over={self.average_over!r}."
            )
        if not 0 <= self.label_smoothing < 1:
            raise InvalidValue(
                f"Label smoothing is at least 0 and below 1. Received: label_smoothing={self.label_smoothing!r}."
            )
        check_choice("A fan", self.fan, get_args(Fan), "fan")
        check_choice("A precision", self.precision, get_args(Precision), "precision")

    def __str__(self) -> str:
        warmup = f" ({self.warmup})" if self.warmup else ""
        return (
            f"{self.iterations:,} iterations of {self.batch_size} images, "
            f"learning rate {self.learning_rate:g}{warmup}, {self.schedule}"
        )

    def rescaled(self, iterations: int) -> "Recipe":
        """The same schedule in fewer (or more) iterations: every count of iterations keeps its share of the whole.

        Errors are measured at least twenty times, or every 50 iterations if that is less often; a plateau's patience
        stays the same number of measurements.
        """
        if iterations == self.iterations:
            return self
        share = iterations / self.iterations
        return replace(
            self,
            iterations=iterations,
            schedule=self.schedule.rescaled(share),
            warmup=self.warmup.rescaled(share) if isinstance(self.warmup, Ramp) else self.warmup,
            average_over=self.average_over and max(1, round(self.average_over * share)),
            evaluate_every=max(50, min(self.evaluate_every, iterations // 20)),
        )

    def extends(self, begun: "Recipe") -> bool:
        """Whether this is `begun` with as many iterations or more, and the same learning rates and averages so far."""
        free = {field: getattr(begun, field) for field in ("iterations", "schedule", "evaluate_every")}
        return (
            replace(self, **free) == begun
            and self.iterations >= begun.iterations
            and self.schedule.is_extension_of(begun.schedule, begun.iterations / self.iterations)
        )

    def learning_rate_of(self, period: Period, rows: Sequence[Row]) -> float:
        """The learning rate of a period that follows these rows; a warm-up lasts until one has a low enough error."""
        if isinstance(self.warmup, Ramp):
            rate = self.learning_rate * self.warmup.share(period.start)
            return rate * self.schedule.share(period.start, self.iterations, rows)
        if self.warmup and all(row.train_error >= self.warmup.until_train_error for row in rows):
            return self.warmup.learning_rate
        return self.learning_rate * self.schedule.share(period.start, self.iterations, rows)

    def periods(self) -> Iterator[Period]:
        """The evaluation periods, which end where the learning rate changes and every `evaluate_every` iterations.

        A regular end less than half that many iterations from a change or the end of the run is left out.
        """
        cuts = (*self.schedule.cuts(), *(self.warmup.cuts() if isinstance(self.warmup, Ramp) else ()))
        fixed = {0, self.iterations, *(cut for cut in cuts if cut < self.iterations)}
        every = self.evaluate_every
        beside = {mark for cut in fixed for mark in (cut // every * every, (cut // every + 1) * every)}
        near = {mark for mark in beside if min(abs(mark - cut) for cut in fixed) * 2 < every}
        marks = set(range(0, self.iterations, every)) - near
        for start, stop in pairwise(sorted(fixed | marks)):
            yield Period(start, stop)

    def to_dict(self) -> dict[str, Any]:
        """The fields, for `run.json`; "kind" says which schedule and which augmentation."""
        schedule = {"kind": _kind(SCHEDULES, self.schedule), **asdict(self.schedule)}
        augmentation = {"kind": _kind(AUGMENTATIONS, self.augmentation), **asdict(self.augmentation)}
        fields = asdict(self) | {"schedule": schedule, "augmentation": augmentation}
        for field in ("fan", "finetune"):  # a default is left out, as in files from before the field
            if getattr(self, field) == getattr(Recipe, field):
                del fields[field]
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Recipe":
        """The recipe from which `to_dict`, through JSON, made these fields.

        Raises:
            ValueError, TypeError, KeyError: the fields are not a recipe's.
        """
        made = {
            "warmup": fields["warmup"] and (Ramp if "stairs" in fields["warmup"] else Warmup)(**fields["warmup"]),
            "schedule": _made(SCHEDULES, fields["schedule"]),
            "augmentation": _made(AUGMENTATIONS, fields["augmentation"]),
            "finetune": FineTune(**fields["finetune"]) if fields.get("finetune") else None,
        }
        return cls(**{**fields, **made})


SCHEDULES: dict[str, type[Any]] = {"steps": Steps, "plateau": Plateau, "cosine": Cosine, "exponential": Exponential}
AUGMENTATIONS: dict[str, type[Any]] = {"padded crop": PaddedCrop, "scaled crop": ScaledCrop}


def _kind(kinds: Mapping[str, type[Any]], value: object) -> str:
    return next(kind for kind, made in kinds.items() if type(value) is made)


def _made(kinds: Mapping[str, type[Any]], fields: Mapping[str, Any]) -> Any:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return kinds[str(values.pop("kind"))](**values)
