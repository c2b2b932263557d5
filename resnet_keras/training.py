"""`train`: a model, a recipe and images become a run folder (sections 3.4 and 4.2). It rides on `model.fit`."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import keras
import numpy as np
from rich.console import Console

from resnet_keras import snapshot
from resnet_keras.checkpoints import State
from resnet_keras.data.images import ImageData
from resnet_keras.data.stream import Stream
from resnet_keras.errors import Diverged, InvalidValue, Stopped
from resnet_keras.folder import RunFolder
from resnet_keras.progress import TrainingProgress
from resnet_keras.recipe import Period, Recipe
from resnet_keras.records import Results, Row
from resnet_keras.stopping import Stop

EVALUATION_BATCH = 500
"""Divides CIFAR-10's 5,000 and 10,000 images, so a compiled net sees one shape."""


class _Batches(keras.utils.PyDataset):
    """The batches of a `Stream` for updates `start` to `stop` (exclusive), for `fit`."""

    def __init__(self, stream: Stream, start: int, stop: int) -> None:
        super().__init__()
        self._stream, self._start, self._stop = stream, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._stream.batch(self._start + index)


def trainable_twin(model: keras.Model, recipe: Recipe) -> keras.Model:
    """The same layers up to the logits, compiled for training.

    Keras's cross-entropy of probabilities clips them at 1e-7, so that images which a net gets very wrong have no
    gradient.

    Raises:
        ValueError: the model's last layer is no softmax.
    """
    last = model.layers[-1]
    if getattr(last, "activation", None) is not keras.activations.softmax or not isinstance(
        last, keras.layers.Activation
    ):
        raise InvalidValue(f"Training takes a model whose last layer is a softmax Activation. Received: {last.name!r}.")
    twin = keras.Model(model.inputs, last.input, name=f"{model.name}_logits")
    twin.compile(
        # No `weight_decay=`: Keras decouples it from the gradient. The layers' L2 is the paper's.
        optimizer=keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            # `loss` holds the weight decay's penalty as well.
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"),
        ],
    )
    return twin


def train(
    model: keras.Model,
    recipe: Recipe,
    data: ImageData,
    folder: RunFolder,
    *,
    seed: int = 0,
    console: Console | None = None,
) -> Results:
    """Trains a model and writes its run folder; goes on where `folder.state` says.

    Args:
        model: raw pixels to probabilities, as `build` makes it; it ends with the trained weights.
        recipe: the schedule.
        data: what to train, validate and test on; the test images are evaluated once, at the end.
        folder: where rows, checkpoints, the model and the results go.
        seed: of order and augmentation.
        console: where progress is shown; None is standard output.

    Returns:
        The errors at the end, in percent.

    Raises:
        ArithmeticError: the loss or a weight is no longer finite; rows, checkpoints and earlier files stay.
        KeyboardInterrupt: a signal came; the run is saved and goes on from there.
        OSError: the run folder cannot be written.
        ValueError: images or classes of another size than the model's.
    """
    if model.input_shape[1:] != data.x_train.shape[1:] or model.output_shape[1] != data.num_classes:
        raise InvalidValue(
            f"Model and images fit. Received: a model of {model.input_shape[1:]} and {model.output_shape[1]} classes, "
            f"{data.name} of {data.x_train.shape[1:]} and {data.num_classes}."
        )
    twin = trainable_twin(model, recipe)
    with TrainingProgress(model.name, recipe.iterations, recipe.batch_size, console) as progress, Stop() as stop:
        trainee = _Trainee(twin, recipe, data, folder, seed, progress, stop)
        for period in recipe.periods():
            if period.stop > trainee.state.iteration or (
                period.stop == trainee.state.iteration and trainee.state.inside
            ):
                trainee.train(period)
        test = trainee.evaluate(data.x_test, data.y_test)
        row = trainee.state.rows[-1]
        results = Results(row.train_error, row.validation_error, _error(test))
        # Compiled, so that whoever loads the file can `evaluate` it at once; with the optimizer's state, to train on.
        model.compile(twin.optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        folder.save_model(lambda path: model.save(path))
        folder.finish(results)
        if stop.signum is not None:
            raise Stopped(stop.signum, f"{folder.path} is finished")
    return results


class _Trainee:
    """A net, and how far it has come: `state` is what a checkpoint would hold."""

    def __init__(
        self,
        twin: keras.Model,
        recipe: Recipe,
        data: ImageData,
        folder: RunFolder,
        seed: int,
        progress: TrainingProgress,
        stop: Stop,
    ) -> None:
        self._twin, self._recipe, self._data, self._folder = twin, recipe, data, folder
        self._stream = Stream(data.x_train, data.y_train, recipe.batch_size, seed, recipe.pad, recipe.flip)
        self._progress, self._stop = progress, stop
        twin.optimizer.build(twin.trainable_variables)
        snapshot.build_metrics(twin)
        if folder.state is not None:
            snapshot.put(twin, folder.state.arrays)
        self.state = folder.state or State(0, (), {})
        self._begun = time.perf_counter() - self.state.seconds
        progress.skip(self.state.iteration)

    def train(self, period: Period) -> None:
        """Trains to the end of a period, measures the errors and writes a row and a checkpoint."""
        rate = self._recipe.learning_rate_of(period, self.state.rows)
        speed = self._fit(period, rate)
        trained = {name: float(value) for name, value in self._twin.get_metrics_result().items()}
        metrics = snapshot.take(self._twin, metrics=True)
        self._check(trained["loss"], metrics, period, rate)
        if self._stop.asked:
            self._leave(metrics, speed)
        held_out = self.evaluate(self._data.x_validation, self._data.y_validation, (metrics, speed))
        self._check(held_out["loss"], {}, period, rate)
        seconds = time.perf_counter() - self._begun
        row = Row(
            iteration=period.stop,
            learning_rate=rate,
            train_error=_error(trained),
            validation_error=_error(held_out),
            cross_entropy=trained["cross_entropy"],
            validation_cross_entropy=held_out["cross_entropy"],
            images_per_second=speed,
            seconds=seconds,
        )
        arrays = {name: array for name, array in metrics.items() if not name.startswith(snapshot.METRICS)}
        self._save(State(period.stop, (*self.state.rows, row), arrays, seconds=seconds))
        self._folder.record(row)
        self._progress.report(row)

    def evaluate(
        self, x: np.ndarray, y: np.ndarray, inside: tuple[dict[str, np.ndarray], float] | None = None
    ) -> dict[str, float]:
        """Measures; `inside` is what to save if a signal comes meanwhile."""
        watch = _Watch(self._stop)
        measured = self._twin.evaluate(
            x, y, batch_size=EVALUATION_BATCH, verbose=0, return_dict=True, callbacks=[watch]
        )
        if self._stop.asked:
            self._leave(*inside) if inside else self._leave()
        return measured

    def _fit(self, period: Period, rate: float) -> float:
        """Makes the updates of a period that are still to be made; returns images a second."""
        start = max(period.start, self.state.iteration)
        watch = _Watch(self._stop, self.state.arrays if self.state.inside else {})
        if start == period.stop:  # stopped between the last update and the row
            snapshot.put_metrics(self._twin, self.state.arrays)
            return self.state.images_per_second
        self._twin.optimizer.learning_rate = rate
        batches = _Batches(self._stream, start, period.stop)
        self._twin.fit(batches, shuffle=False, verbose=0, callbacks=[self._progress, watch])
        self.state = replace(self.state, iteration=start + watch.updates)
        return self._recipe.batch_size * (watch.updates - 1) / max(self._progress.step_seconds, 1e-9)

    def _check(self, loss: float, arrays: Mapping[str, np.ndarray], period: Period, rate: float) -> None:
        wild = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
        if math.isfinite(loss) and wild is None:
            return
        what = f"a loss of {loss}" if not math.isfinite(loss) else f"{wild} with NaN or infinity"
        last = self._folder.last_checkpoint
        where = f"Last finite: {last}." if last else "No checkpoint was written before."
        raise Diverged(
            f"Loss and weights stay finite. Received: {what} in iterations {period.start} to {period.stop} "
            f"at learning rate {rate:g}. {where} Lower the rate, with --fresh."
        )

    def _leave(self, arrays: dict[str, np.ndarray] | None = None, speed: float = 0.0) -> NoReturn:
        """Saves a run that a signal stops, if there is something to save."""
        assert self._stop.signum is not None
        if arrays is not None:
            seconds = time.perf_counter() - self._begun
            self._save(replace(self.state, arrays=arrays, inside=True, images_per_second=speed, seconds=seconds))
        raise Stopped(
            self._stop.signum,
            f"saved at iteration {self.state.iteration:,} in {self._folder.path}; the same command goes on from there",
        )

    def _save(self, state: State) -> None:
        self._folder.save_state(state)
        self.state = state


class _Watch(keras.callbacks.Callback):
    """Ends `fit` and `evaluate` after the step in which a signal came, and gives `fit` the metrics to go on with."""

    def __init__(self, stop: Stop, metrics: Mapping[str, np.ndarray] | None = None) -> None:
        super().__init__()
        self.updates = 0
        self._stop, self._metrics = stop, metrics or {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        snapshot.put_metrics(self.model, self._metrics)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.updates += 1
        if self._stop.asked:
            self.model.stop_training = True

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._stop.asked:
            self.model.stop_evaluating = True


def _error(measured: Mapping[str, float]) -> float:
    return round(100.0 * (1.0 - measured["accuracy"]), 4)
