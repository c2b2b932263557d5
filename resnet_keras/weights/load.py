"""`load`: opens a `model.keras` of ours from anyone, without running or trusting what is in it.

Keras's own loader builds what the file's `config.json` describes. This one never reads it: it builds the network that
the file's metadata names and takes only the weights. All that reaches Keras is arrays of the expected shapes.
"""

import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnet_keras.errors import InputOutput, InvalidValue, shown
from resnet_keras.nets.blocks import BATCH_NORM_EPSILON
from resnet_keras.nets.build import build
from resnet_keras.weights import archive, hdf5
from resnet_keras.weights.archive import Saved
from resnet_keras.weights.strict_json import Refused

_VARIANCES = re.compile(r"\bbatch_normalization(_\d+)?/vars/3$|\bnormalization/vars/1$")


def load(path: str | PathLike[str], *, sha256: str | None = None) -> keras.Model:
    """Opens a `model.keras` that `run` has written, whoever it comes from.

    The network that the file names is built here; the archive, the names in it, every shape and every number are
    checked against it. No code from the file runs, nothing outside it is read except a `run.json` beside it, and no
    Keras setting changes.

    Without a hash, nothing shows whether the weights are those that were trained.

    Args:
        path: the file.
        sha256: the expected hash of the file; None takes it from `run.json` beside the file, if that has one.

    Returns:
        The net with its weights, compiled for `evaluate`, without weight decay or momentum. It computes in the dtype
        policy of this process, like a net from `build`.

    Raises:
        ValueError: `sha256` is not a hash.
        OSError: the file cannot be read, is damaged, or is not a file of ours.
    """
    if sha256 is not None and not archive.is_sha256(sha256):
        raise InvalidValue(f"A SHA-256 is 64 hexadecimal digits. Received: {shown(sha256)}.")
    try:
        return _load(archive.read(Path(path), sha256=sha256))
    except Refused as error:
        reason = str(error)
    except OSError as error:
        why = error.strerror or error
        raise InputOutput(f"A model file is readable. Received: {_one_line(path)} ({_one_line(why)}).") from None
    except Exception as error:  # whatever a parser or Keras raises on malformed bytes
        reason = f"{type(error).__name__}: {error}"
    raise InputOutput(
        f"A model file is unchanged since resnet_keras wrote it. Received: {_one_line(path)} ({_one_line(reason)}). "
        "keras.models.load_model opens other files, at your own risk."
    )


def _load(file: Saved) -> keras.Model:
    model = build(file.network, weight_decay=0.0)
    model.class_names = file.class_names
    slots = [tuple(variable.shape) for variable in model.trainable_variables]
    try:
        arrays = hdf5.read(file.weights, _layout(model) | _optimizer_layout(file.weights, slots))
    except hdf5.Unexpected as error:
        raise Refused(f"{archive.WEIGHTS}: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Refused(f"{archive.WEIGHTS}: {name} holds numbers that are not finite")
        if _VARIANCES.search(name) and array.min() <= -BATCH_NORM_EPSILON:
            raise Refused(f"{archive.WEIGHTS}: {name} holds negative variances")
    _set_weights(model, "", arrays)
    # Named explicitly: the default name takes a number from a process-wide counter.
    accuracy = [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32") for _ in model.outputs]
    optimizer, loss = keras.optimizers.SGD(name="sgd"), "sparse_categorical_crossentropy"
    if len(model.outputs) == 1:
        model.compile(optimizer, loss, metrics=accuracy)
    else:  # auxiliary classifiers
        model.compile(optimizer, [loss] * len(accuracy), metrics=[[one] for one in accuracy])
    return model


def _layout(model: keras.Model) -> dict[str, Any]:
    """How Keras lays out a functional model in HDF5: a group for each layer, numbered within its class."""
    groups = {}
    for name, layer in _named(model):
        if isinstance(layer, keras.Model):
            groups[name] = _layout(layer)
        else:
            variables = {str(number): _array(variable) for number, variable in enumerate(layer.weights)}
            groups[name] = {"vars": variables}
    return {"vars": {}, "layers": groups}


def _named(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()  # PReLU: p_re_lu
        count = counts[kind] = counts.get(kind, -1) + 1
        yield (f"{kind}_{count}" if count else kind), layer


def _array(variable: keras.Variable) -> hdf5.Array:
    # `Normalization` keeps a count of images, which TensorFlow saves in 64 bits.
    whole = "int" in variable.dtype
    return hdf5.Array(tuple(variable.shape), ("<i4", "<i8") if whole else ("<f4",))


def _optimizer_layout(weights: memoryview, slots: list[tuple[int, ...]]) -> dict[str, Any]:
    """The layout of SGD's step, learning rate and momentum, where the file holds them."""
    names = hdf5.names(weights, "optimizer", "vars")
    if names is None:
        return {}
    arrays = [hdf5.Array((), ("<i4", "<i8")), hdf5.Array(())]
    if len(names) > len(arrays):
        arrays += [hdf5.Array(shape) for shape in slots]
    return {"optimizer": {"vars": {str(number): array for number, array in enumerate(arrays)}}}


def _set_weights(model: keras.Model, path: str, arrays: dict[str, np.ndarray]) -> None:
    for name, layer in _named(model):
        inside = f"{path}layers/{name}/"
        if isinstance(layer, keras.Model):
            _set_weights(layer, inside, arrays)
            continue
        # Copies: the views may not be aligned, and would keep the file's bytes in memory.
        layer.set_weights([arrays[f"{inside}vars/{number}"].copy() for number in range(len(layer.weights))])
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _one_line(value: object) -> str:
    text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(value)[:400])
    return text.rstrip(".")
