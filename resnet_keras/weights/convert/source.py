"""A net of another project: its weights under the names of our layers, and how it prepares an image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.spec.architecture import Architecture, Convolution
from resnet_keras.weights.convert.limits import listed

Logits = Callable[[np.ndarray], np.ndarray]
"""A net's own computation: from RGB pixels 0..255, (batch, size, size, 3), to its softmax's input, (batch, classes)."""


@dataclass(frozen=True)
class Pixels:
    """How a project prepares an image: `(image - mean) / std`, on a scale of 0..255.

    Attributes:
        mean, std: of each channel, in the order of `channels`.
        channels: the order in which the net takes the channels.
        mean_image: (size, size, 3), for a source that subtracts a mean per pixel; `mean` then holds its averages.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["RGB", "BGR"] = "RGB"
    mean_image: np.ndarray | None = None

    @property
    def subtracted(self) -> np.ndarray:
        """The mean that is subtracted, (3,) or (size, size, 3), in the order of `channels`."""
        return np.asarray(self.mean) if self.mean_image is None else self.mean_image

    def to_dict(self) -> dict[str, Any]:
        """Values that JSON can hold; for a mean image, its averages."""
        return {"mean": self.mean, "std": self.std, "channels": self.channels}

    def of(self, images: np.ndarray) -> np.ndarray:
        """RGB images 0..255, (batch, size, size, 3), prepared as the net takes them, in float32."""
        ordered = images if self.channels == "RGB" else images[..., ::-1]
        return ((ordered.astype(np.float64) - self.subtracted) / self.std).astype(np.float32)


@dataclass(frozen=True)
class ConvBN:
    """A convolution and its batch normalisation, in Keras's layout.

    Attributes:
        kernel: (height, width, channels in, filters).
        gamma, beta, mean, variance: (filters,).
        bias: (filters,), where the convolution has one.
    """

    kernel: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class Source:
    """A net as its project's file holds it.

    Attributes:
        project: the project whose format it is.
        licence: of the project's released weights, if known.
        architecture: our architecture for it.
        layers: its layers by the names of `architecture.convolutions()`.
        kernel, bias: weights of the dense layer, (features, classes) and (classes,).
        epsilon: of its batch normalisation.
        pixels: how it prepares an image.
        zeros: where option A puts the added channels: after the others (ours), or half on each side.
        logits: its own computation; None where that cannot run here.
        notes: what a reader of the report should know.
    """

    project: str
    licence: str | None
    architecture: Architecture
    layers: Mapping[str, ConvBN]
    kernel: np.ndarray
    bias: np.ndarray
    epsilon: float
    pixels: Pixels
    logits: Logits | None
    zeros: Literal["after", "around"] = "after"
    notes: tuple[str, ...] = field(default=())


def check_names(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    """Checks what a file has against what a net needs: every name, with its shape, and no other.

    Raises:
        OSError: a tensor is missing, unknown, of another shape or not floating-point.
    """
    if missing := [name for name in shapes if name not in arrays]:
        raise InputOutput(f"{what} has {len(shapes)} tensors. Missing: {listed(missing)}.")
    if unknown := [name for name in arrays if name not in shapes]:
        raise InputOutput(f"{what} has {len(shapes)} tensors. Received also: {listed(unknown)}.")
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise InputOutput(f"{what} has {name} of shape {shape}. Received: {arrays[name].shape}.")
        if arrays[name].dtype.kind != "f":
            raise InputOutput(f"{what} has floating-point tensors. Received: {name} of type {arrays[name].dtype}.")


def shapes_of(convolution: Convolution) -> dict[str, tuple[int, ...]]:
    """The shapes of a convolution and its batch normalisation, the kernel's in PyTorch's layout."""
    size, filters = convolution.kernel_size, (convolution.filters,)
    kernel = (convolution.filters, convolution.filters_in, size, size)
    return {"kernel": kernel, "gamma": filters, "beta": filters, "mean": filters, "variance": filters}
