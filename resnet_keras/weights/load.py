"""`load`: a `model.keras` of ours from anyone, opened without running or trusting what is in it.

Keras's own loader builds what the file describes. This one builds the net of the file's `Architecture` itself, checks
that the file describes that net, and takes the numbers. Nothing from the file reaches Keras but arrays of the expected
shapes.
"""

import json
import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from resnet_keras.errors import InputOutput, InvalidValue, shown
from resnet_keras.nets.blocks import BATCH_NORM_EPSILON
from resnet_keras.nets.build import build
from resnet_keras.spec.architecture import Architecture
from resnet_keras.weights import archive, hdf5
from resnet_keras.weights.archive import Refused, Saved

_LAYERS = [
    *("InputLayer", "Normalization", "Conv2D", "BatchNormalization", "Activation", "ZeroPadding2D", "MaxPooling2D"),
    *("AveragePooling2D", "Add", "GlobalAveragePooling2D", "Dense"),
]
_CLASSES = {
    "keras": ["DTypePolicy"],
    "keras.layers": _LAYERS,
    "keras.initializers": ["VarianceScaling", "Zeros", "Ones"],
    "keras.regularizers": ["L2"],
    "keras.src.models.functional": ["Functional"],
    "keras.losses": ["SparseCategoricalCrossentropy"],
    "keras.metrics": ["SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"],
    "keras.optimizers": ["SGD"],
    "keras.src.backend.torch.optimizers.torch_sgd": ["SGD"],
}
_ALLOWED = {(module, name) for module, names in _CLASSES.items() for name in names}
"""Every class that a file may name: module, class."""
_VARIANCES = re.compile(r"\bbatch_normalization(_\d+)?/vars/3$|\bnormalization/vars/1$")
_TENSOR = "__keras_tensor__"
_DTYPES = {"float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16"}

_NOT_COMPARED = {"shared_object_id", "dtype"} | {
    f"{part}_{kind}" for part in ("kernel", "bias", "beta", "gamma") for kind in ("initializer", "regularizer")
}
"""What may differ between a trained net and one just built: where it was made, how it started, what it was fined."""


class _Expected(NamedTuple):
    """What a file of a net holds."""

    config: Any
    layout: dict[str, Any]
    slots: list[tuple[int, ...]]
    """Shapes of the trained variables, each of which has a momentum."""


MOST_KNOWN = 8
_KNOWN: dict[Architecture, _Expected] = {}
"""Of the nets loaded last."""


def load(path: str | PathLike[str], *, sha256: str | None = None) -> keras.Model:
    """Opens a `model.keras` that `run` has written, whoever it comes from.

    The archive, its names, the layers that it describes, every shape and every number are checked against the net that
    it says it holds; that net is then built here. No code from the file runs, nothing outside it is read but a
    `run.json` beside it, and no setting of Keras changes.

    Without a hash nothing tells whether the numbers are those that were trained.

    Args:
        path: the file.
        sha256: the hash that the file has to have; None takes it from `run.json` beside the file, where that has it.

    Returns:
        The net with its weights, compiled for `evaluate`, without weight decay and momentum. It computes in the dtype
        policy of this process, as one from `build` does.

    Raises:
        ValueError: `sha256` is no hash.
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
        raise InputOutput(f"A model file can be read. Received: {_one_line(path)} ({_one_line(why)}).") from None
    except Exception as error:  # whatever a parser or Keras says of bytes that are not as they should be
        reason = f"{type(error).__name__}: {error}"
    raise InputOutput(
        f"A model file is as resnet_keras wrote it. Received: {_one_line(path)}, but {_one_line(reason)}. "
        "keras.models.load_model opens others' files, at your own risk."
    )


def _load(file: Saved) -> keras.Model:
    _check_references(file.config)
    _check_counts(file.config, file.architecture)
    expected, model = _expected(file.architecture)
    if difference := _difference(_compared(file.config), expected.config):
        raise Refused(f"{archive.CONFIG} is not of {file.architecture.name}: {difference}")
    try:
        arrays = hdf5.read(file.weights, expected.layout | _optimizer_layout(file.weights, expected.slots))
    except hdf5.Unexpected as error:
        raise Refused(f"{archive.WEIGHTS}: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Refused(f"{archive.WEIGHTS}: {name} holds numbers that are not finite")
        if _VARIANCES.search(name) and array.min() <= -BATCH_NORM_EPSILON:
            raise Refused(f"{archive.WEIGHTS}: {name} holds negative variances")

    model = model or build(file.architecture, weight_decay=0.0)
    _set_weights(model, "", arrays)
    # A name of its own: the default takes a number from a counter of the process.
    model.compile(keras.optimizers.SGD(name="sgd"), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _expected(architecture: Architecture) -> tuple[_Expected, keras.Model | None]:
    """What a file of the net holds, and the net itself where it had to be built to know: a deep one takes seconds."""
    if (known := _KNOWN.get(architecture)) is not None:
        return known, None
    model = build(architecture, weight_decay=0.0)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    slots = [tuple(variable.shape) for variable in model.trainable_variables]
    while len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.pop(next(iter(_KNOWN)))
    _KNOWN[architecture] = _Expected(_compared(config), _layout(model), slots)
    return _KNOWN[architecture], model


def _check_references(config: Any) -> None:
    """Every class that a configuration names is one of ours, wherever it stands."""
    level = [config]
    while level:
        objects = [value for value in level if isinstance(value, dict)]
        for value in objects:
            if value.keys() & {"module", "class_name", "registered_name", "custom_objects"}:
                _check_reference(value)
            dtype = value.get("dtype", "float32")
            if not isinstance(dtype, dict) and not (isinstance(dtype, str) and dtype in _DTYPES):
                raise Refused(f"{archive.CONFIG} names the type {shown(dtype)}")
        level = [inner for value in objects for inner in value.values()] + [
            inner for value in level if isinstance(value, list) for inner in value
        ]


def _check_reference(value: dict[str, Any]) -> None:
    module, name, registered = (value.get(key) for key in ("module", "class_name", "registered_name"))
    if name == _TENSOR and module is None and registered is None:
        return
    if not (isinstance(module, str) and isinstance(name, str)) or (module, name) not in _ALLOWED:
        raise Refused(f"{archive.CONFIG} names {shown(f'{module}.{name}')}, which no net of the paper holds")
    if registered not in (None, name):
        raise Refused(f"{archive.CONFIG} names {shown(registered)}, which no net of the paper holds")
    if name == "DTypePolicy" and value.get("config") not in [{"name": dtype} for dtype in _DTYPES]:
        raise Refused(f"{archive.CONFIG} names the type {shown(value.get('config'))}")


def _check_counts(config: Any, architecture: Architecture) -> None:
    """Before anything is built, which takes a deep net seconds: whether the file may describe it at all."""
    found = sum(layer.get("class_name") == "Conv2D" for layer in _layer_configs(config))
    needed = sum(1 for _ in architecture.convolutions())
    if found != needed:
        raise Refused(f"{archive.CONFIG} has {found} convolutions, and {architecture.name} has {needed}")


def _layer_configs(config: Any) -> Iterator[dict[str, Any]]:
    inner = config.get("config") if isinstance(config, dict) else None
    rows = inner.get("layers") if isinstance(inner, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            yield row
            yield from _layer_configs(row)


def _compared(config: Any) -> Any:
    """What a configuration says of the computation: how it is compiled, and what else may differ, left out."""
    if isinstance(config, dict):
        config = {key: value for key, value in config.items() if key not in ("compile_config", "build_config")}
    return _without(config)


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in _NOT_COMPARED}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


def _difference(found: Any, expected: Any, path: str = "") -> str | None:
    """The first place where two configurations differ; a field that only one of them has has to be null."""
    if isinstance(found, dict) and isinstance(expected, dict):
        rows = [(found.get(key), expected.get(key), f"{path}/{key}") for key in (expected | found)]
    elif isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            return f"{shown(path)} has {len(found)} entries, not {len(expected)}"
        rows = [(*pair, f"{path}/{number}") for number, pair in enumerate(zip(found, expected, strict=True))]
    else:
        same = type(found) is type(expected) and found == expected
        return None if same else f"{shown(path)} is {shown(found)}, not {shown(expected)}"
    return next((text for row in rows if (text := _difference(*row))), None)


def _layout(model: keras.Model) -> dict[str, Any]:
    """How Keras lays a functional model out in HDF5: a group for each layer, numbered within its class."""
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
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", type(layer).__name__).lower()
        count = counts[kind] = counts.get(kind, -1) + 1
        yield (f"{kind}_{count}" if count else kind), layer


def _array(variable: keras.Variable) -> hdf5.Array:
    # `Normalization` counts images, which TensorFlow saves with 64 bits.
    whole = "int" in variable.dtype
    return hdf5.Array(tuple(variable.shape), ("<i4", "<i8") if whole else ("<f4",))


def _optimizer_layout(weights: memoryview, slots: list[tuple[int, ...]]) -> dict[str, Any]:
    """SGD's step, rate and momentum, where a file holds them."""
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
        # Copies: the views may not be aligned, and would keep the file's bytes.
        layer.set_weights([arrays[f"{inside}vars/{number}"].copy() for number in range(len(layer.weights))])
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _one_line(value: object) -> str:
    text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(value)[:400])
    return text.rstrip(".")
