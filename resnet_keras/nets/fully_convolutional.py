"""The fully convolutional form of a classifier (section 3.4)."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from resnet_keras.errors import InvalidValue, first_line
from resnet_keras.nets.blocks import Tensor
from resnet_keras.nets.endings import Ending, ending_of
from resnet_keras.nets.serializing import without_tensorflow

Activation = Callable[[Any], Any]
"""Activation of a dense layer."""


def fully_convolutional(model: keras.Model) -> keras.Model:
    """The same net for images of any size: its dense layers become convolutions (section 3.4).

    The logits of the score map are averaged over all positions before the softmax, so at the net's own size the output
    is the net's. After global average pooling, a dense layer is a 1x1 convolution; the average comes after it if it is
    the only one, and before the first if there are several, with activations between them. A dense layer on a flattened
    map is a convolution of the map's size (VGG). On a spatial pyramid it is a sum of convolutions, one per level, with
    taps as far apart as the level's bins, on max pools of stride 1 (He et al. 2015a, "dense" testing).

    Args:
        model: a net that ends with global average pooling, a flattened map or a spatial pyramid, then dense layers with
            their activations and a softmax.

    Returns:
        A new model with copies of the weights, from (batch, height, width, 3) to (batch, classes).

    Raises:
        ValueError: any other ending, or layers that need a fixed image size.
    """
    ending = ending_of(model)
    body = _of_any_size(model, ending)
    x = body.outputs[0]
    if not ending.windows and not ending.is_linear:
        average = layers.GlobalAveragePooling2D(data_format="channels_last", keepdims=True, dtype="float32")
        x = average(x)
    for number, layer in enumerate(ending.layers):
        # The last layer's softmax comes after the average.
        activation = None if layer is ending.layers[-1] else getattr(layer, "activation", None)
        on_windows = number == 0 and ending.windows
        x = _on_windows(x, ending, activation) if on_windows else _at_each_position(x, layer, activation)
    x = layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32", name="score")(x)
    probabilities = layers.Softmax(dtype="float32")(x)
    return keras.Model(body.inputs[0], probabilities, name=f"{model.name}-fully-convolutional")


def _of_any_size(model: keras.Model, ending: Ending) -> keras.Model:
    """The net up to its last feature map, for images of any size."""
    features = keras.Model(model.inputs, ending.map)
    image = keras.Input((None, None, 3), name="image", dtype=model.inputs[0].dtype)
    try:
        with without_tensorflow():
            body = keras.models.clone_model(features, input_tensors=[image])
        for old, new in zip(features.layers, body.layers, strict=True):
            new.set_weights(old.get_weights())
            if isinstance(new, layers.Normalization):
                new.finalize_state()
    except (ValueError, TypeError) as error:
        raise InvalidValue(
            f"Multi-scale testing needs a net that accepts images of any size. Received: {model.name!r} "
            f"({first_line(error)}). Use 1-crop or 10-crop."
        ) from error
    return body


def _on_windows(x: Tensor, ending: Ending, activation: Activation | None) -> Tensor:
    """The first dense layer, applied to every window of the map."""
    dense = ending.layers[0]
    kernel, *bias = dense.get_weights()
    side = ending.map.shape[1]
    parts: list[Tensor] = []
    start = 0
    for window in ending.windows:
        rows = window.bins**2 * x.shape[-1]
        here = kernel[start : start + rows].reshape(window.bins, window.bins, x.shape[-1], dense.units)
        start += rows
        # Pixels at the right and bottom edge of a window that its bins do not cover.
        rest = side - window.size - (window.bins - 1) * window.strides
        y = (
            layers.Cropping2D(((0, rest), (0, rest)), data_format="channels_last", dtype=dense.dtype_policy)(x)
            if rest
            else x
        )
        if window.size > 1:
            y = layers.MaxPooling2D(window.size, strides=1, data_format="channels_last", dtype=dense.dtype_policy)(y)
        convolution = layers.Conv2D(
            dense.units,
            window.bins,
            dilation_rate=window.strides,
            use_bias=bool(bias) and not parts,
            data_format="channels_last",
            dtype=dense.dtype_policy,
            name=f"{dense.name}_{window.bins}x{window.bins}",
        )
        convolution.build(y.shape)
        convolution.set_weights([here, *bias] if not parts else [here])
        parts.append(convolution(y))
    x = layers.Add(dtype="float32")(parts) if len(parts) > 1 else parts[0]
    return layers.Activation(activation, dtype="float32")(x) if activation else x


def _at_each_position(x: Tensor, layer: keras.layers.Layer, activation: Activation | None) -> Tensor:
    """A layer that acts on vectors, applied at each position of the map."""
    weights = layer.get_weights()
    if isinstance(layer, layers.Dense):
        new = layers.Conv2D(
            layer.units,
            1,
            activation=activation,
            use_bias=layer.use_bias,
            data_format="channels_last",
            dtype=layer.dtype_policy,
            name=layer.name,
        )
        weights[0] = weights[0][None, None]
    elif isinstance(layer, layers.PReLU):
        new = layers.PReLU(shared_axes=[1, 2], name=layer.name, dtype=layer.dtype_policy)
        weights = [weights[0].reshape(1, 1, -1)]
    else:
        with without_tensorflow():
            config = layer.get_config()
        new = type(layer).from_config(config | ({"axis": -1} if "axis" in config else {}))
    x = new(x)
    new.set_weights(weights)
    return x
