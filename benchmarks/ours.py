"""The contenders that use Keras: this project's training, `fit`, the bare step, and keras.applications."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
from keras_steps import KerasSteps
from rich.console import Console
from setting import LEARNING_RATE, Name, Setting, mean_of, recipe_for, repeat

from resnet_keras.data.small.images import ImageData
from resnet_keras.nets.build import build, subtract_mean
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec.paper_recipes import CIFAR10
from resnet_keras.spec.records import Row
from resnet_keras.training.logits_model import training_model
from resnet_keras.training.train import train

Batch = tuple[np.ndarray, np.ndarray]


def runner(name: Name, setting: Setting, data: ImageData, batch: Batch) -> Callable[[int], float]:
    """The `Contender.run` of a contender that repeats one batch."""
    match name:
        case "fit":
            return _fit(trainable(our_model(setting, data)), batch)
        case "keras.applications fit":
            return _fit(_applications(setting), batch)
        case "keras step" | "own step":
            model = our_model(setting, data)
            own = name == "own step"
            steps = KerasSteps(training_model(model, recipe_for(setting)) if own else trainable(model))
            return repeat(steps.step, steps.wait, steps.to_device(*batch))
        case _:
            raise ValueError(f"{name} is not a Keras contender that repeats one batch")


def our_model(setting: Setting, data: ImageData) -> keras.Model:
    """The net as `resnet_keras.run` builds it."""
    keras.config.set_dtype_policy("mixed_bfloat16" if setting.precision == "bfloat16" else "float32")
    model = build(setting.architecture)
    subtract_mean(model, mean_of(setting, data))
    return model


def trainable(model: keras.Model) -> keras.Model:
    """The net up to its logits, compiled with the recipe's optimizer and no metrics."""
    twin = keras.Model(model.inputs, model.layers[-1].input)
    return compiled(twin, from_logits=True)


class _Enough(Exception):
    """Raised inside `train` to end it."""


def train_in_periods(
    setting: Setting, data: ImageData, *, period: int, periods: int, after: Callable[[Row], None]
) -> None:
    """Trains as users do, and calls `after` at the end of each period, when the other contenders take their turns.

    Training runs once, so nothing is compiled twice. The first period includes compilation.
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
            train([model], recipe, data, [Folder(Path(folder), {})], console=Console(file=log))
        except _Enough:
            return


@contextmanager
def called_after_first_step(then: Callable[[], None]) -> Iterator[None]:
    """Within the context, `fit` also calls `then` at the end of its first update, whoever calls it."""

    class First(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            if batch == 0:
                float((logs or {"loss": 0.0})["loss"])  # waits for the device
                then()

    fit = keras.Model.fit

    def watched(model: keras.Model, *arguments: Any, callbacks: Any = (), **options: Any) -> Any:
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.callbacks.append(first := First())
            first.set_model(model)
            return fit(model, *arguments, callbacks=callbacks, **options)
        return fit(model, *arguments, callbacks=[*callbacks, First()], **options)

    keras.Model.fit = watched
    try:
        yield
    finally:
        keras.Model.fit = fit


class _SameBatch(keras.utils.PyDataset):
    def __init__(self, batch: Batch, steps: int) -> None:
        super().__init__()
        self._batch, self._steps = batch, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Batch:
        return self._batch


class _Clock(keras.callbacks.Callback):
    """Seconds from the end of the first update to the end of the last, as `train` measures them."""

    seconds = _first_step_end = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._first_step_end = self._first_step_end or time.perf_counter()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.seconds = time.perf_counter() - self._first_step_end


def _fit(model: keras.Model, batch: Batch) -> Callable[[int], float]:
    def run(steps: int) -> float:
        clock = _Clock()
        model.fit(_SameBatch(batch, steps), shuffle=False, verbose=0, callbacks=[clock])
        return clock.seconds

    return run


def _applications(setting: Setting) -> keras.Model:
    keras.config.set_dtype_policy("mixed_bfloat16" if setting.precision == "bfloat16" else "float32")
    net = setting.architecture
    size = net.image_size
    model = keras.applications.ResNet50(weights=None, input_shape=(size, size, 3), classes=net.num_classes)
    return compiled(model, from_logits=False)


def compiled(model: keras.Model, *, from_logits: bool) -> keras.Model:
    """Compiles a model with the recipe's optimizer, the loss, and no metrics."""
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=CIFAR10.momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
    )
    return model
