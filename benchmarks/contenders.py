"""Who takes turns: this project's training, `fit` alone, the bare Keras step, the native step and the native loop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import keras
import numpy as np
from keras_steps import KerasSteps
from native.loop import Loop
from rich.console import Console
from setting import Backend, Setting

from resnet_keras.data.images import ImageData
from resnet_keras.data.stream import Stream
from resnet_keras.folder import RunFolder
from resnet_keras.models import build, subtract_mean
from resnet_keras.recipe import CIFAR10, Recipe
from resnet_keras.records import Row
from resnet_keras.training import train

Name = Literal[
    "train",
    "fit",
    "keras step",
    "native step",
    "native loop",
    "compiled native step",
    "compiled native loop",
    "keras.applications fit",
]
"""
- `train`: ours as its users run it, with data, augmentation, metrics, callbacks.
- `fit`: `model.fit` of the same net with one batch over and over, no callbacks but a clock, no metrics but the loss.
- `keras step`: see `keras_steps`.
- `native step`: the framework's own net with one batch over and over.
- `native loop`: the same with the order and augmentation of `train`, in the same NumPy code.
- `compiled ...`: by `torch.compile` or XLA.
- `keras.applications fit`: its ResNet50, as `fit`. It has biases in its convolutions, and no weight decay.
"""

LEARNING_RATE = 1e-3
"""So small that the deepest net stays finite on noise; it costs what 0.1 does."""
MEAN_IMAGES = 1000
"""Of which the subtracted mean is taken."""


@dataclass(frozen=True)
class Contender:
    """Something that makes updates.

    Attributes:
        name: see `Name`.
        run: makes so many updates, returns when the device has finished, and gives the seconds that all but the first
            of them took: `fit` sets up its data before the first, and `train` is timed so.
    """

    name: Name
    run: Callable[[int], float]

    def images_per_second(self, steps: int, batch_size: int) -> float:
        """Its speed over so many updates."""
        return (steps - 1) * batch_size / self.run(steps)


def names(setting: Setting) -> tuple[Name, ...]:
    """The contenders of a setting, in the order of their turns."""
    chosen: list[Name] = ["train", "fit", "keras step", "native step", "native loop"]
    if setting.compiled and setting.backend != "jax":
        chosen += ["compiled native step", "compiled native loop"]
    if setting.net == "resnet-50":
        chosen += ["keras.applications fit"]
    return tuple(chosen)


def make(name: Name, setting: Setting, data: ImageData) -> Contender:
    """A contender that is not `train`, which is not called but calls: see `train_in_periods`."""
    match name:
        case "fit":
            return Contender(name, _fit(trainable(our_model(setting, data)), _batch(setting, data)))
        case "keras step":
            steps = KerasSteps(trainable(our_model(setting, data)))
            return Contender(name, _repeat(steps.step, steps.wait, steps.place(*_batch(setting, data))))
        case "native step" | "compiled native step":
            loop = native_loop(setting, _mean(setting, data), compiled=name != "native step")
            return Contender(name, _repeat(loop.step, loop.measure, loop.place(*_batch(setting, data))))
        case "native loop" | "compiled native loop":
            loop = native_loop(setting, _mean(setting, data), compiled=name != "native loop")
            return Contender(name, _loop(loop, _stream(data, recipe_for(setting))))
        case "keras.applications fit":
            return Contender(name, _fit(_applications(setting), _batch(setting, data)))
        case "train":
            raise ValueError("train is not made: it runs through train_in_periods")


def native_loop(setting: Setting, mean: np.ndarray, *, compiled: bool = False) -> Loop:
    """The hand-written loop of a backend's own framework."""
    return _loop_class(setting.backend)(
        setting.architecture,
        mean,
        bfloat16=setting.precision == "bfloat16",
        learning_rate=LEARNING_RATE,
        compiled=compiled,
    )


def _loop_class(backend: Backend) -> Callable[..., Loop]:
    # Each needs its framework: only the one that is asked for is imported.
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


def our_model(setting: Setting, data: ImageData) -> keras.Model:
    """The net as `resnet_keras.run` builds it."""
    keras.config.set_dtype_policy("mixed_bfloat16" if setting.precision == "bfloat16" else "float32")
    model = build(setting.architecture)
    subtract_mean(model, data.x_train[:MEAN_IMAGES])
    return model


def trainable(model: keras.Model) -> keras.Model:
    """The net up to its logits, compiled with the recipe's optimizer and no metrics."""
    twin = keras.Model(model.inputs, model.layers[-1].input)
    return _compiled(twin, from_logits=True)


def recipe_for(setting: Setting, *, period: int = 1, periods: int = 1) -> Recipe:
    """The paper's, where no period of so many updates is cut by its schedule before `periods` are over."""
    recipe = CIFAR10.shortened(4 * period * (periods + 1))
    return replace(recipe, batch_size=setting.batch_size, learning_rate=LEARNING_RATE, evaluate_every=period)


class _Enough(Exception):
    """Ends `train` from inside."""


def train_in_periods(
    setting: Setting, data: ImageData, *, period: int, periods: int, after: Callable[[Row], None]
) -> None:
    """Trains as users do, and calls `after` at the end of each period: that is where others take their turns.

    Training runs once, so nothing is compiled twice. The first period holds what is compiled.
    """

    class Folder(RunFolder):
        def record(self, row: Row) -> None:
            super().record(row)
            after(row)
            if row.iteration >= period * periods:
                raise _Enough

    model = our_model(setting, data)
    with TemporaryDirectory(prefix="benchmark-") as folder, (Path(folder) / "log").open("w") as log:
        try:
            recipe = recipe_for(setting, period=period, periods=periods)
            train(model, recipe, data, Folder(Path(folder), {}), console=Console(file=log))
        except _Enough:
            return


@contextmanager
def called_after_first_step(then: Callable[[], None]) -> Iterator[None]:
    """Inside, whatever calls `fit` calls `then` at the end of its first update too."""

    class First(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            if batch == 0:
                float((logs or {"loss": 0.0})["loss"])  # waits for the device
                then()

    fit = keras.Model.fit

    def watched(model: keras.Model, *arguments: Any, callbacks: Any = (), **options: Any) -> Any:
        return fit(model, *arguments, callbacks=[*callbacks, First()], **options)

    keras.Model.fit = watched
    try:
        yield
    finally:
        keras.Model.fit = fit


class _SameBatch(keras.utils.PyDataset):
    def __init__(self, batch: tuple[np.ndarray, np.ndarray], steps: int) -> None:
        super().__init__()
        self._batch, self._steps = batch, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._batch


class _Clock(keras.callbacks.Callback):
    """When the first update ended."""

    first_step_end = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.first_step_end = self.first_step_end or time.perf_counter()


def _fit(model: keras.Model, batch: tuple[np.ndarray, np.ndarray]) -> Callable[[int], float]:
    def run(steps: int) -> float:
        clock = _Clock()
        model.fit(_SameBatch(batch, steps), shuffle=False, verbose=0, callbacks=[clock])
        return time.perf_counter() - clock.first_step_end

    return run


def _repeat(step: Callable[[Any], None], wait: Callable[[], Any], batch: Any) -> Callable[[int], float]:
    def run(steps: int) -> float:
        step(batch)
        wait()
        start = time.perf_counter()
        for _ in range(steps - 1):
            step(batch)
        wait()
        return time.perf_counter() - start

    return run


def _loop(loop: Loop, stream: Stream) -> Callable[[int], float]:
    batches = (stream.batch(iteration) for iteration in count())

    def run(steps: int) -> float:
        loop.step(loop.place(*next(batches)))
        loop.measure()
        start = time.perf_counter()
        for _ in range(steps - 1):
            loop.step(loop.place(*next(batches)))
        loop.measure()
        return time.perf_counter() - start

    return run


def _applications(setting: Setting) -> keras.Model:
    keras.config.set_dtype_policy("mixed_bfloat16" if setting.precision == "bfloat16" else "float32")
    net = setting.architecture
    size = net.image_size
    model = keras.applications.ResNet50(weights=None, input_shape=(size, size, 3), classes=net.num_classes)
    return _compiled(model, from_logits=False)


def _compiled(model: keras.Model, *, from_logits: bool) -> keras.Model:
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=CIFAR10.momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
    )
    return model


def _stream(data: ImageData, recipe: Recipe) -> Stream:
    return Stream(data.x_train, data.y_train, recipe.batch_size, seed=0, pad=recipe.pad, flip=recipe.flip)


def _batch(setting: Setting, data: ImageData) -> tuple[np.ndarray, np.ndarray]:
    return data.x_train[: setting.batch_size], data.y_train[: setting.batch_size]


def _mean(setting: Setting, data: ImageData) -> np.ndarray:
    """What our net subtracts, (size, size, 3) or (3,)."""
    mean = data.x_train[:MEAN_IMAGES].mean(axis=0, dtype=np.float64)
    return mean if setting.architecture.mean == "pixel" else mean.mean(axis=(0, 1))
