"""How a classifier ends: what turns the last feature map into a vector, and the layers from there to the softmax."""

from dataclasses import dataclass

import keras
from keras import layers

from resnet_keras.errors import InvalidValue
from resnet_keras.nets.blocks import Tensor

ELEMENTWISE = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
"""Layers without weights: on a map they do at each position what they do on a vector."""
LEFT_OUT = (layers.Dropout, layers.GaussianDropout, layers.GaussianNoise, layers.ActivityRegularization)
"""Layers that act only in training."""


@dataclass(frozen=True)
class Window:
    """What the first dense layer sees of each window of the map: `bins` x `bins` maxima, or every pixel.

    Attributes:
        bins: number of bins per side.
        size: side of the max pool that makes one bin; 1 is the pixel itself.
        strides: distance from one bin to the next, in pixels of the map.
    """

    bins: int
    size: int
    strides: int


@dataclass(frozen=True)
class Ending:
    """The end of a classifier.

    Attributes:
        map: the last tensor of shape (batch, height, width, channels).
        windows: what the first dense layer sees of the map, in order; empty after global average pooling.
        layers: from the vector to the logits; the last is a dense layer, whose activation, if any, is the softmax.
    """

    map: Tensor
    windows: tuple[Window, ...]
    layers: tuple[keras.layers.Layer, ...]

    @property
    def is_linear(self) -> bool:
        """Whether the mean of the logits equals the logits of the mean."""
        return len(self.layers) == 1


def ending_of(model: keras.Model) -> Ending:
    """The end of a model: pooling or flattening, dense layers with their activations, a softmax.

    Raises:
        ValueError: any other ending.
    """
    makers = {id(tensor): layer for layer in model.layers for tensor in _output(layer)}
    chain: list[keras.layers.Layer] = []
    tensor = model.outputs[0]
    while (layer := makers.get(id(tensor))) is not None and isinstance(
        layer, (layers.Dense, layers.PReLU, layers.BatchNormalization, layers.Softmax, *ELEMENTWISE, *LEFT_OUT)
    ):
        if not isinstance(layer, LEFT_OUT):
            chain.insert(0, layer)
        tensor = layer.input
    ends = [keras.activations.linear]
    if chain and _is_softmax(chain[-1]):
        chain.pop()
    else:
        ends.append(keras.activations.softmax)
    if layer is not None and chain and isinstance(chain[-1], layers.Dense) and chain[-1].activation in ends:
        if isinstance(layer, layers.GlobalAveragePooling2D) and layer.data_format == "channels_last":
            return Ending(layer.input, (), tuple(chain))
        windows = _windows(layer, makers)
        if windows is not None and isinstance(chain[0], layers.Dense):
            return Ending(*windows, tuple(chain))
    raise InvalidValue(
        "The fully convolutional form needs a net that ends with global average pooling, a flattened map or a spatial "
        f"pyramid, then dense layers with their activations and a softmax. Received: {model.name!r}. "
        "Use 1-crop or 10-crop."
    )


def _output(layer: keras.layers.Layer) -> list[Tensor]:
    try:
        return [layer.output] if isinstance(layer.output, keras.KerasTensor) else []
    except (AttributeError, ValueError):  # called twice, or not in a graph
        return []


def _is_softmax(layer: keras.layers.Layer) -> bool:
    is_one = isinstance(layer, layers.Activation) and layer.activation is keras.activations.softmax
    return is_one or isinstance(layer, layers.Softmax)


def _windows(
    layer: keras.layers.Layer, makers: dict[int, keras.layers.Layer]
) -> tuple[Tensor, tuple[Window, ...]] | None:
    """The map and its windows, if the vector is the flattened map or its flattened max pools; otherwise None."""
    flattened = (
        layer.input if isinstance(layer, layers.Concatenate) and len(layer.output.shape) == 2 else [layer.output]
    )
    maps, windows = [], []
    for tensor in flattened:
        flatten = makers.get(id(tensor))
        if not isinstance(flatten, layers.Flatten) or flatten.data_format != "channels_last":
            return None
        pooled = flatten.input
        if len(pooled.shape) != 4 or pooled.shape[1] != pooled.shape[2]:
            return None
        pool = makers.get(id(pooled))
        if isinstance(layer, layers.Flatten):
            maps.append(pooled)
            windows.append(Window(pooled.shape[1], 1, 1))
        elif isinstance(pool, layers.MaxPooling2D) and pool.padding == "valid" and pool.data_format == "channels_last":
            maps.append(pool.input)
            windows.append(Window(pooled.shape[1], pool.pool_size[0], pool.strides[0]))
        else:
            return None
    return (maps[0], tuple(windows)) if len({id(one) for one in maps}) == 1 else None
