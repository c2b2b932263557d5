"""`train`: a model, a recipe and images become a run folder (sections 3.4 and 4.2). It rides on `model.fit`."""

import math
import time

import keras
import numpy as np
from rich.console import Console

from resnet_keras.data.images import ImageData
from resnet_keras.data.stream import Stream
from resnet_keras.errors import Diverged, InvalidValue
from resnet_keras.progress import TrainingProgress
from resnet_keras.recipe import Period, Recipe
from resnet_keras.runs import Results, Row, RunFolder

EVALUATION_BATCH = 500
"""Divides CIFAR-10's 5,000 and 10,000 images, so a compiled net sees one shape."""


class _Batches(keras.utils.PyDataset):
    """A period's batches of a `Stream`, for `fit`."""

    def __init__(self, stream: Stream, period: Period) -> None:
        super().__init__()
        self._stream, self._period = stream, period

    def __len__(self) -> int:
        return self._period.stop - self._period.start

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._stream.batch(self._period.start + index)


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
    """Trains a model and writes its run folder.

    Args:
        model: raw pixels to probabilities, as `build` makes it; it ends with the trained weights.
        recipe: the schedule.
        data: what to train, validate and test on; the test images are evaluated once, at the end.
        folder: where rows, the model and the results go.
        seed: of order and augmentation.
        console: where progress is shown; None is standard output.

    Returns:
        The errors at the end, in percent.

    Raises:
        ArithmeticError: the loss is no longer finite; rows and earlier files stay.
        OSError: the run folder cannot be written.
        ValueError: images or classes of another size than the model's.
    """
    if model.input_shape[1:] != data.x_train.shape[1:] or model.output_shape[1] != data.num_classes:
        raise InvalidValue(
            f"Model and images fit. Received: a model of {model.input_shape[1:]} and {model.output_shape[1]} classes, "
            f"{data.name} of {data.x_train.shape[1:]} and {data.num_classes}."
        )
    twin = trainable_twin(model, recipe)
    stream = Stream(data.x_train, data.y_train, recipe.batch_size, seed, recipe.pad, recipe.flip)
    warmup = recipe.warmup
    row = None
    begun = time.perf_counter()
    with TrainingProgress(model.name, recipe.iterations, recipe.batch_size, console) as progress:
        for period in recipe.periods():
            rate = warmup.learning_rate if warmup else period.learning_rate
            twin.optimizer.learning_rate = rate
            history = twin.fit(_Batches(stream, period), shuffle=False, verbose=0, callbacks=[progress]).history
            trained = {name: values[-1] for name, values in history.items()}
            held_out = _evaluate(twin, data.x_validation, data.y_validation)
            for loss in (trained["loss"], held_out["loss"]):
                if not math.isfinite(loss):
                    raise Diverged(
                        f"A loss stays finite. Received: {loss} in iterations {period.start} to {period.stop} "
                        f"at learning rate {rate:g}. Lower it."
                    )
            row = Row(
                iteration=period.stop,
                learning_rate=rate,
                train_error=_error(trained),
                validation_error=_error(held_out),
                cross_entropy=trained["cross_entropy"],
                validation_cross_entropy=held_out["cross_entropy"],
                images_per_second=recipe.batch_size * (period.stop - period.start - 1) / progress.step_seconds,
                seconds=time.perf_counter() - begun,
            )
            folder.record(row)
            progress.report(row)
            if warmup and row.train_error < warmup.until_train_error:
                warmup = None
    assert row is not None
    test = _evaluate(twin, data.x_test, data.y_test)
    results = Results(row.train_error, row.validation_error, _error(test))
    # Compiled, so that whoever loads the file can `evaluate` it at once; with the optimizer's state, to train on.
    model.compile(twin.optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    folder.save_model(lambda path: model.save(path))
    folder.finish(results)
    return results


def _evaluate(model: keras.Model, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    return model.evaluate(x, y, batch_size=EVALUATION_BATCH, verbose=0, return_dict=True)


def _error(measured: dict[str, float]) -> float:
    return round(100.0 * (1.0 - measured["accuracy"]), 4)
