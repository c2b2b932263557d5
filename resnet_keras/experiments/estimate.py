"""`estimate`: how long a run will take, before it starts, beside the least time that the hardware allows.

The bound is a roofline (Williams et al. 2009): an update takes at least as long as its arithmetic at the machine's best
rate, and at least as long as its memory traffic at the machine's best rate. Both rates are measured, by a product of
large matrices and a sum of long vectors on the same backend and device.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import keras
import numpy as np
from rich.console import Console

from resnet_keras.backends.device_images import resident
from resnet_keras.backends.feeding import fed
from resnet_keras.data.dataset import Dataset
from resnet_keras.errors import Stopped
from resnet_keras.nets.build import build
from resnet_keras.reports.progress_bar import clock
from resnet_keras.signals import Stop
from resnet_keras.spec.cost import Cost, cost
from resnet_keras.spec.network import Network
from resnet_keras.spec.recipe import Precision, Recipe
from resnet_keras.training.logits_model import training_model
from resnet_keras.training.loop import KerasLoop, Learner
from resnet_keras.training.progress import TrainingProgress

MATRIX, VECTOR = 2048, 1 << 26
"""Side of the matrices, length of the vectors: beyond any cache."""
SECONDS = 8.0
"""Seconds for which updates are measured, about; the first ones, which compile, are not counted."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        update: seconds that an update takes, the median of those measured.
        cost: cost of an update.
        operations_per_second, bytes_per_second: the machine's best rates.
        measurement: seconds that one measurement of the validation error takes.
        recipe: the recipe asked for.
        devices: that compute an update together, each its part of the batch; `update` and `cost` are of one part.
        exchange: seconds that they take to sum their gradients.
    """

    update: float
    cost: Cost
    operations_per_second: float
    bytes_per_second: float
    measurement: float
    recipe: Recipe
    devices: int = 1
    exchange: float = 0.0

    @cached_property
    def periods(self) -> int:
        """Number of measurements of the validation error in the run."""
        return sum(1 for _ in self.recipe.periods())

    @property
    def seconds(self) -> float:
        """Seconds that the whole run takes."""
        return self.recipe.iterations * (self.update + self.exchange) + self.periods * self.measurement / self.devices

    @property
    def bound(self) -> float:
        """The least seconds that an update can take."""
        return max(self.cost.operations / self.operations_per_second, self.cost.bytes / self.bytes_per_second)

    def lines(self) -> Iterator[str]:
        """The lines shown on the screen."""
        arithmetic = self.cost.operations / self.operations_per_second
        memory = self.cost.bytes / self.bytes_per_second
        yield (
            f"  update  {1000 * self.update:,.1f} ms measured, "
            f"{self.recipe.batch_size / self.devices / self.update:,.0f} images/s; "
            f"at least {1000 * self.bound:,.1f} ms ({self.bound / self.update:.0%})"
        )
        yield (
            f"  bound   {1000 * arithmetic:,.1f} ms for {self.cost.operations / 1e9:,.1f} GFLOP at "
            f"{self.operations_per_second / 1e9:,.0f} GFLOP/s, {1000 * memory:,.1f} ms for "
            f"{self.cost.bytes / 1e6:,.0f} MB at {self.bytes_per_second / 1e9:,.1f} GB/s: "
            f"{'memory' if memory > arithmetic else 'arithmetic'} is the limit"
        )
        if self.devices > 1:
            together = self.update + self.exchange
            yield (
                f"  over    {self.devices} devices, {self.recipe.batch_size // self.devices} images on each: "
                f"{1000 * self.update:,.1f} ms to compute and {1000 * self.exchange:,.1f} ms to sum the gradients, "
                f"{self.recipe.batch_size / together:,.0f} images/s, {self.update / together:.0%} of the time computing"
            )
        yield (
            f"  run     {self.recipe.iterations:,} updates and {self.periods:,} measurements "
            f"of {self.measurement:,.1f} s: {clock(self.seconds)}"
        )


def exchange(parameters: int, devices: int, link: float) -> float:
    """Seconds that devices in a ring take to sum their gradients.

    2 (N - 1) / N of the bytes pass each link (Patarasuk and Yuan 2009), without overlap with computation.

    Args:
        parameters: number of float32 parameters.
        devices: number of devices, N.
        link: bytes per second.
    """
    return 2 * (devices - 1) / devices * 4 * parameters / link


def estimate(
    network: Network, recipe: Recipe, data: Dataset, *, seed: int = 0, devices: int = 1, link: float = 12.5e9
) -> Estimate:
    """Trains for a few seconds on the actual images and discards the net.

    Args:
        network: what to build; its size and classes are those of the data.
        recipe: how to train.
        data: images to train on.
        seed: random seed of the initial weights, the order and the augmentation.
        devices: number that will compute together; what is measured is one device's part of a batch, on this one.
        link: bytes per second between two of them.
    """
    asked, recipe = recipe, replace(recipe, batch_size=recipe.batch_size // devices)
    model = build(network, weight_decay=recipe.weight_decay, seed=seed, precision=recipe.precision)
    trained = training_model(model, recipe)
    trained.optimizer.learning_rate = recipe.learning_rate / 1000  # weights need only stay finite
    parts = recipe.accumulate
    with (
        closing(data.stream(recipe.batch_size // parts, seed, recipe.augmentation)) as stream,
        closing(data.validation_batches()) as held_out,
        TrainingProgress(model.name, recipe, Console(quiet=True)) as progress,
        Stop() as stop,
    ):
        loop = KerasLoop(progress, stop, parts, averaged=False)
        learner = Learner(trained, *resident([stream]))

        def stopped() -> None:
            if stop.signum is not None:
                raise Stopped(stop.signum, "nothing was trained")

        def updates(start: int, count: int) -> float:
            """Seconds per update over so many updates, not counting the first batch, as in a run."""
            loop.fit([learner], range(start * parts, (start + count) * parts), [{}])
            stopped()
            return progress.step_seconds / (count * parts - 1) * parts

        once = updates(0, 3)
        count = max(3, round(SECONDS / 3 / once))
        measured = [updates(3 + number * count, count) for number in range(3)]

        def validated(batches: int) -> float:
            begun = time.perf_counter()
            with fed(held_out.__getitem__, range(batches)) as taken:
                trained.evaluate(taken, verbose=0)
            stopped()
            return time.perf_counter() - begun

        few = min(3, len(held_out))
        validated(few)
        first, all_of_them = validated(1), validated(few)
        each = max(0.0, all_of_them - first) / (few - 1) if few > 1 else 0.0
        measurement = first + each * (len(held_out) - 1)
    update = float(np.median(measured))
    rates = operations_per_second(recipe.precision), bytes_per_second()
    summed = exchange(network.parameters, devices, link) * parts  # a sum for each part of a batch
    return Estimate(update, cost(network, recipe), *rates, measurement, asked, devices, summed)


def operations_per_second(precision: Precision) -> float:
    """The machine's best rate, from a product of two matrices."""
    dtype = "float32" if precision == "float32" else "bfloat16"
    matrix = keras.ops.ones((MATRIX, MATRIX), dtype)
    return 2 * MATRIX**3 / _best(lambda: keras.ops.matmul(matrix, matrix))


def bytes_per_second() -> float:
    """The machine's best rate, from a sum that reads one long vector and writes another."""
    vector = keras.ops.ones((VECTOR,), "float32")
    return 2 * 4 * VECTOR / _best(lambda: keras.ops.add(vector, 1.0))


def _best(work: Callable[[], object]) -> float:
    """Seconds until the device has done the work, the least of a few times."""
    times = []
    for _ in range(6):
        begun = time.perf_counter()
        result = work()
        keras.ops.convert_to_numpy(keras.ops.ravel(result)[:1])
        times.append(time.perf_counter() - begun)
    return min(times[1:])
