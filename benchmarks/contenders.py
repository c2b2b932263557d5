"""The contenders: this project's training, `fit` alone, the bare Keras step, the native step and the native loop.

Keras is imported only for the contenders that use it, so that a native loop starts as fast as it does alone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
from native.loop import Loop
from setting import LEARNING_RATE, Backend, Name, Setting, mean_of, recipe_for, repeat

from resnet_keras.data.small.images import ImageData
from resnet_keras.data.small.stream import Stream


@dataclass(frozen=True)
class Contender:
    """A way of making updates.

    Attributes:
        name: see `Name`.
        run: makes a given number of updates, waits for the device to finish, and returns the seconds that all but the
            first took: `fit` sets up its data before the first, and `train` is timed this way.
    """

    name: Name
    run: Callable[[int], float]

    def images_per_second(self, steps: int, batch_size: int) -> float:
        """Its speed over this number of updates."""
        return (steps - 1) * batch_size / self.run(steps)


def make(name: Name, setting: Setting, data: ImageData) -> Contender:
    """Makes a contender other than `train`, which calls rather than is called: see `ours.train_in_periods`."""
    batch = data.x_train[: setting.batch_size], data.y_train[: setting.batch_size]
    match name:
        case "fit" | "own step" | "keras step" | "keras.applications fit":
            import ours

            return Contender(name, ours.runner(name, setting, data, batch))
        case "native step" | "compiled native step":
            loop = native_loop(setting, mean_of(setting, data), compiled=name != "native step")
            return Contender(name, repeat(loop.step, loop.measure, loop.to_device(*batch)))
        case "native loop" | "compiled native loop":
            loop = native_loop(setting, mean_of(setting, data), compiled=name != "native loop")
            recipe = recipe_for(setting)
            return Contender(name, _loop(loop, data.stream(recipe.batch_size, 0, recipe.augmentation)))
        case "train":
            raise ValueError("train is not made: it runs through ours.train_in_periods")


def native_loop(setting: Setting, mean: np.ndarray, *, compiled: bool = False) -> Loop:
    """The hand-written loop in the backend's own framework."""
    return _loop_class(setting.backend)(
        setting.architecture,
        mean,
        bfloat16=setting.precision == "bfloat16",
        learning_rate=LEARNING_RATE,
        compiled=compiled,
    )


def _loop_class(backend: Backend) -> Callable[..., Loop]:
    # Each needs its framework: only the requested one is imported.
    match backend:
        case "torch":
            from native.torch_loop import TorchLoop

            return TorchLoop
        case "jax":
            from native.flax_loop import FlaxLoop

            return FlaxLoop
        case "tensorflow":
            from native.tf_loop import TensorFlowLoop

            return TensorFlowLoop


def _loop(loop: Loop, stream: Stream) -> Callable[[int], float]:
    batches = (stream.batch(iteration) for iteration in count())

    def run(steps: int) -> float:
        loop.step(loop.to_device(*next(batches)))
        loop.measure()
        start = time.perf_counter()
        for _ in range(steps - 1):
            loop.step(loop.to_device(*next(batches)))
        loop.measure()
        return time.perf_counter() - start

    return run
