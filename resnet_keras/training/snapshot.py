"""The state of a Keras model in training, as arrays and back: weights, optimizer state, running metrics."""

from collections.abc import Mapping

import keras
import numpy as np

from resnet_keras.errors import Damaged

WEIGHTS, OPTIMIZER, METRICS = "weights", "optimizer", "metrics"


def take(model: keras.Model, *, metrics: bool) -> dict[str, np.ndarray]:
    """Copies the state of a compiled model out of the backend.

    Args:
        model: a compiled model, not inside `fit`.
        metrics: whether the running metrics are part of the state, as they are inside a period.
    """
    return {
        name: np.array(keras.ops.convert_to_numpy(variable.value))
        for name, variable in _variables(model, metrics=metrics).items()
    }


def put(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Sets the state of a compiled model, except for the running metrics, which `fit` would reset to zero.

    Raises:
        OSError: the arrays belong to another model.
    """
    variables = _variables(model, metrics=False)
    rest = {name for name in arrays if not name.startswith(f"{METRICS}/")}
    if rest != variables.keys():
        odd = min(rest ^ variables.keys())
        raise Damaged(f"A checkpoint has the same variables as its net. Received: one that differs in {odd}.")
    for name, variable in variables.items():
        array = arrays[name]
        if array.shape != tuple(variable.shape):
            raise Damaged(f"{name} has the shape {tuple(variable.shape)}. Received: a checkpoint with {array.shape}.")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # its mean is derived from its variables only once


def put_metrics(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Sets the running metrics of a model, if the arrays hold any."""
    for name, variable in _named(METRICS, model.metrics_variables).items():
        if name in arrays:
            variable.assign(arrays[name])


def build_metrics(model: keras.Model) -> None:
    """Creates the metrics' variables, which Keras does only at the first batch."""
    classes = model.output_shape[-1]
    model.compute_metrics(None, np.zeros(1, np.int32), np.zeros((1, classes), np.float32))
    model.reset_metrics()


def _variables(model: keras.Model, *, metrics: bool) -> dict[str, keras.Variable]:
    weights = _named(WEIGHTS, [*model.trainable_weights, *model.non_trainable_weights])
    # The random state of dropout; Keras numbers these variables per process, not per net.
    known = {id(variable) for variable in model.weights}
    drawn = [variable for variable in model.non_trainable_variables if id(variable) not in known]
    weights |= {f"{WEIGHTS}/seed_{number}": variable for number, variable in enumerate(drawn)}
    # "sgd/", "sgd_1/": the number counts the optimizers of this process.
    optimizer = {f"{OPTIMIZER}/{variable.path.partition('/')[2]}": variable for variable in model.optimizer.variables}
    return weights | optimizer | (_named(METRICS, model.metrics_variables) if metrics else {})


def _named(prefix: str, variables: list[keras.Variable]) -> dict[str, keras.Variable]:
    return {f"{prefix}/{variable.path}": variable for variable in variables}
