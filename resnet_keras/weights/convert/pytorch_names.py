"""What the PyTorch formats share: a net's layers by the names that its project gives them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.spec.architecture import Architecture, Unit
from resnet_keras.weights.convert.source import ConvBN, check_names, shapes_of

_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}


class Pair(NamedTuple):
    """A project's names for a convolution and its batch normalisation."""

    convolution: str
    norm: str


class Layers(NamedTuple):
    """A file's weights in Keras's layout."""

    layers: dict[str, ConvBN]
    kernel: np.ndarray
    bias: np.ndarray


def numbered(architecture: Architecture) -> Iterator[tuple[int, int, Unit]]:
    """Every unit, after the number of its stage and its number within the stage, both from 0."""
    units = architecture.units()
    for stage_number, stage in enumerate(architecture.stages):
        for unit_number in range(stage.units):
            yield stage_number, unit_number, next(units)


def count(arrays: Mapping[str, np.ndarray], prefix: str) -> int:
    """How many numbered parts a stage has: one more than the largest N in the names `<prefix>.N.`."""
    numbers = [name.removeprefix(f"{prefix}.").partition(".")[0] for name in arrays if name.startswith(f"{prefix}.")]
    return max((int(number) for number in numbers if number.isdecimal() and len(number) < 5), default=-1) + 1


def classes(arrays: Mapping[str, np.ndarray], dense: str, what: str) -> int:
    """The number of outputs of the dense layer.

    Raises:
        OSError: there is no dense layer of two or more classes.
    """
    bias = arrays.get(f"{dense}.bias")
    if bias is None or bias.ndim != 1 or bias.size < 2:
        found = "none" if bias is None else f"the shape {bias.shape}"
        raise InputOutput(
            f"A net from {what} ends in a dense layer of two or more classes, {dense}.bias. Received: {found}."
        )
    return bias.size


def take(
    arrays: Mapping[str, np.ndarray], architecture: Architecture, pairs: Mapping[str, Pair], dense: str, what: str
) -> Layers:
    """The weights of a net under the names of our layers, in Keras's layout.

    Args:
        arrays: a state dict.
        architecture: the net that it has to be.
        pairs: the project's names for each convolution of `architecture`.
        dense: the project's name for the dense layer.
        what: the net, for errors.

    Raises:
        OSError: a tensor is missing, unknown, of another shape or not floating-point.
    """
    names: dict[str, dict[str, str]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for convolution in architecture.convolutions():
        pair = pairs[convolution.name]
        own = {"kernel": f"{pair.convolution}.weight"} | {ours: f"{pair.norm}.{name}" for ours, name in _NORM.items()}
        names[convolution.name] = own
        shapes |= {own[part]: shape for part, shape in shapes_of(convolution).items()}
    features = list(architecture.units())[-1].filters
    shapes |= {f"{dense}.weight": (architecture.num_classes, features), f"{dense}.bias": (architecture.num_classes,)}
    check_names(arrays, shapes, what)
    layers = {
        ours: ConvBN(arrays[own["kernel"]].transpose(2, 3, 1, 0), **{part: arrays[own[part]] for part in _NORM})
        for ours, own in names.items()
    }
    return Layers(layers, arrays[f"{dense}.weight"].T, arrays[f"{dense}.bias"])
