"""Builds a net of ours with another project's weights, so that raw RGB pixels give that project's output.

The differences between the two are folded into the weights: the standard deviation and the order of the channels into
the first kernel, biases of convolutions into moving means, another epsilon into moving variances, and the position of
option A's zeros into the order of the channels. All of this is exact, apart from rounding to float32.
"""

import keras
import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.nets.blocks import BATCH_NORM_EPSILON
from resnet_keras.nets.build import build, every_layer, subtract_mean
from resnet_keras.spec.architecture import Unit
from resnet_keras.weights.convert.source import ConvBN, Source


def build_from(source: Source) -> keras.Model:
    """Builds the net.

    Raises:
        OSError: a moving variance is negative, or would be with our epsilon.
    """
    architecture = source.architecture
    model = build(architecture, weight_decay=0.0, precision="float32")
    layers = {layer.name: layer for layer in every_layer(model)}

    def put(name: str, numbers: ConvBN) -> None:
        mean = numbers.mean if numbers.bias is None else numbers.mean - numbers.bias
        variance = numbers.variance.astype(np.float64) + (source.epsilon - BATCH_NORM_EPSILON)
        if numbers.variance.min() < 0 or variance.min() < 0:
            raise InputOutput(
                f"A variance is 0 or more, also with our epsilon, {BATCH_NORM_EPSILON}, in place of "
                f"{source.epsilon}. Received: {variance.min():.3g} at {name}."
            )
        layers[f"{name}_conv"].set_weights([numbers.kernel])
        layers[f"{name}_bn"].set_weights([numbers.gamma, numbers.beta, mean, variance])

    put(architecture.stem_convolution.name, _first(source))
    stream = np.arange(architecture.stem.filters)
    for unit in architecture.units():
        incoming, stream = stream, _stream(source, unit, stream)
        first, *middle, last = (convolution.name for convolution in unit.convolutions)
        numbers = source.layers[first]
        put(first, ConvBN(**vars(numbers) | {"kernel": numbers.kernel[:, :, incoming]}))
        for name in middle:
            put(name, source.layers[name])
        put(last, _filters(source.layers[last], stream))
        if unit.projection:
            numbers = source.layers[unit.projection.name]
            put(unit.projection.name, ConvBN(**vars(numbers) | {"kernel": numbers.kernel[:, :, incoming]}))
    layers["predictions"].set_weights([source.kernel[stream], source.bias])
    mean = source.pixels.subtracted if source.pixels.channels == "RGB" else source.pixels.subtracted[..., ::-1]
    subtract_mean(model, mean.astype(np.float32))
    return model


def _first(source: Source) -> ConvBN:
    """The first convolution, for RGB images from which only the mean is subtracted."""
    numbers = source.layers[source.architecture.stem_convolution.name]
    kernel = numbers.kernel.astype(np.float64) / np.asarray(source.pixels.std)[:, np.newaxis]
    if source.pixels.channels == "BGR":
        kernel = kernel[:, :, ::-1]
    return ConvBN(**vars(numbers) | {"kernel": kernel})


def _stream(source: Source, unit: Unit, incoming: np.ndarray) -> np.ndarray:
    """For each output channel of our unit, its index in the source's.

    Our unit adds zeros after the incoming channels; with "around", half of them come before and half after.
    """
    added = unit.filters - unit.filters_in
    if source.zeros == "after" or unit.shortcut != "pad" or not added:
        return incoming if len(incoming) == unit.filters else np.arange(unit.filters)
    before = added // 2
    zeros = [*range(before), *range(before + unit.filters_in, unit.filters)]
    return np.concatenate([incoming + before, zeros])


def _filters(numbers: ConvBN, order: np.ndarray) -> ConvBN:
    """The convolution with its filters in another order."""
    bias = None if numbers.bias is None else numbers.bias[order]
    gamma, beta, mean, variance = (
        part[order] for part in (numbers.gamma, numbers.beta, numbers.mean, numbers.variance)
    )
    return ConvBN(numbers.kernel[..., order], gamma, beta, mean, variance, bias)
