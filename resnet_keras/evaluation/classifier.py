"""Image classifiers from files: read, made to end in a softmax, and made fully convolutional (section 3.4)."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import layers

from resnet_keras.data.photographs.resizing import NET_SIZE
from resnet_keras.errors import InputOutput, InvalidValue, first_line
from resnet_keras.nets.fully_convolutional import fully_convolutional
from resnet_keras.runs import reading
from resnet_keras.spec.class_names import ClassNames
from resnet_keras.weights.class_names import class_names_in

Preprocessing = Literal["raw", "caffe", "torch", "tf"]
"""How a net's images are scaled: not at all (the net does it itself), or by a mode of `keras.applications`."""


@dataclass(frozen=True)
class Classifier:
    """A net read from a file.

    Attributes:
        name: name of the run's net, or the model's own name.
        model: maps images of 0..255, preprocessed, to probabilities.
        sha256: hash of the file.
        preprocessing: how the images are scaled first.
        class_names: what the outputs mean; None if the file does not say.
    """

    name: str
    model: keras.Model
    sha256: str
    preprocessing: Preprocessing
    class_names: ClassNames | None = None

    @property
    def image_size(self) -> int:
        """Side of the images that the net takes, in pixels; 224 if it takes any."""
        return self.model.input_shape[1] or NET_SIZE

    @property
    def num_classes(self) -> int:
        """Number of outputs."""
        return self.model.output_shape[-1]

    @cached_property
    def fully_convolutional_model(self) -> keras.Model:
        """The net for images of any size; made, and compiled by its backend, only once."""
        return fully_convolutional(self.model)


def read(path: str | PathLike[str], preprocessing: Preprocessing = "raw") -> Classifier:
    """Reads a net.

    Args:
        path: a run folder, or a `.keras` file.
        preprocessing: "raw" for nets that take pixels 0..255; "caffe", "torch" or "tf", the modes of
            `keras.applications.imagenet_utils.preprocess_input`, for those that expect it to have been applied.

    Raises:
        OSError: there is no such file, Keras cannot load it, or it is not the one of a run that has ended.
        ValueError: the model is not an image classifier, or the preprocessing is unknown.
    """
    if preprocessing not in get_args(Preprocessing):
        raise InvalidValue(f"Preprocessing is {', '.join(get_args(Preprocessing))}. Received: {preprocessing!r}.")
    file, run_name, _ = reading.model_file(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputOutput(f"A net's file is readable. Received: {file} ({error.strerror}).") from None
    if file.suffix == ".keras" and not zipfile.is_zipfile(io.BytesIO(content)):  # Keras would say that there is no file
        raise InputOutput(
            f"A .keras file is a zip archive. Received: {file}, {len(content):,} bytes that are not one: truncated, or "
            "another kind of file. Copy it again."
        )
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras passes on whatever zipfile, JSON, HDF5 and layers raise
        reason = first_line(error)
        raise InputOutput(f"A net is a .keras file of stock layers. Received: {file} ({reason}).") from error
    model = _of_tensors(model, file)
    _check_shapes(model, file)
    sha256, class_names = hashlib.sha256(content).hexdigest(), class_names_in(content)
    return Classifier(run_name or model.name, _with_softmax(model, file), sha256, preprocessing, class_names)


def _of_tensors(model: keras.Model, file: Path) -> keras.Model:
    """The model from one tensor to one, if it takes and returns a dictionary or list of one."""
    inputs: list[Any] = getattr(model, "inputs", None) or []
    outputs: list[Any] = getattr(model, "outputs", None) or []
    if not model.built or len(inputs) != 1 or len(outputs) != 1:
        raise InvalidValue(
            "A net is a built functional or sequential model with one input and one output. "
            f"Received: {file}, {type(model).__name__} with {len(inputs)} and {len(outputs)}"
            f"{'' if model.built else ', not built'}."
        )
    return model if isinstance(model, keras.Sequential) else keras.Model(inputs[0], outputs[0], name=model.name)


def _check_shapes(model: keras.Model, file: Path) -> None:
    taken, given = model.input_shape, model.output_shape
    square = isinstance(taken, tuple) and len(taken) == 4 and taken[1] == taken[2] and taken[3] == 3
    if not square or not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[-1], int):
        raise InvalidValue(
            "An image classifier takes (batch, size, size, 3) and returns (batch, classes). "
            f"Received: {file}, {taken} to {given}."
        )


def _with_softmax(model: keras.Model, file: Path) -> keras.Model:
    """The model, ending in probabilities: one that ends in logits gets a softmax."""
    ends = getattr(model, "operations", model.layers)[-1] is model.layers[-1]
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    activation = keras.activations.softmax if isinstance(last, layers.Softmax) else getattr(last, "activation", None)
    if ends and activation is keras.activations.softmax:
        return model
    if ends and isinstance(last, layers.Dense) and activation is keras.activations.linear:
        return keras.Model(model.inputs[0], layers.Softmax(dtype="float32")(model.outputs[0]), name=model.name)
    other = ends and activation not in (None, keras.activations.linear)  # saturated sigmoids may sum to 1
    if not other and _gives_probabilities(model):  # by an operation, or by layers of another kind
        return model
    raise InvalidValue(f"A classifier ends with a softmax, or with a dense layer's logits. Received: {file}.")


def _gives_probabilities(model: keras.Model) -> bool:
    """Whether the model's outputs for noise are 0 or more and sum to 1."""
    side = model.input_shape[1] or NET_SIZE
    noise = np.random.default_rng(0).integers(0, 256, (4, side, side, 3)).astype(np.float32)
    try:
        given = keras.ops.convert_to_numpy(model.predict_on_batch(noise)).astype(np.float64)
    except Exception:  # whatever the layers raise; the caller's error says what a classifier is
        return False
    return bool((given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=1e-3))
