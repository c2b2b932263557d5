"""Figure 7: the standard deviation of each 3x3 layer's response, after batch normalisation, before ReLU or addition.

One pass over the images keeps two numbers for each layer, whatever the number and size of the images.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from resnet_keras.analysis.nets import Net
from resnet_keras.backends.kernels import for_testing
from resnet_keras.errors import InvalidValue
from resnet_keras.nets.serializing import without_tensorflow
from resnet_keras.spec.measurements import Responses

BATCH = 256
"""Most images in a batch."""


class Moments(layers.Layer):
    """Mean and variance of each image's response: (images, height, width, channels) to (images, 1, 2)."""

    def call(self, response: Any) -> Any:
        """In float32, whatever the net computes in."""
        response = ops.cast(response, "float32")
        moments = [ops.mean(response, axis=(1, 2, 3)), ops.var(response, axis=(1, 2, 3))]
        return ops.expand_dims(ops.stack(moments, axis=-1), axis=1)


def responses(net: Net, batches: Iterable[np.ndarray]) -> Responses:
    """Measures the responses of all 3x3 convolutions that batch normalisation follows, in prediction mode.

    The standard deviation is over all values of a response together: images, positions and channels. In a bottleneck
    unit, only the 3x3 convolution counts, as in the paper.

    Args:
        net: any functional Keras model.
        batches: images 0..255, (n, size, size, 3) each.

    Returns:
        Layers by name, without the ending "_conv", in the order of the net.

    Raises:
        ValueError: there is no such layer, there are no images, or responses are not finite.
    """
    tapped, names = _tapped(net.model)
    if not names:
        raise InvalidValue(
            "Figure 7 shows 3x3 convolutions followed by batch normalisation. "
            f"Received: {net.subject.name} without any."
        )
    tapped = for_testing(tapped)
    images, mean, square = 0, np.zeros(len(names)), np.zeros(len(names))
    for batch in batches:
        # Float32 within an image, where the mean is of similar values; float64 over images.
        means, variances = np.moveaxis(np.asarray(tapped.predict_on_batch(batch), np.float64), -1, 0)
        images += len(batch)
        mean += means.sum(axis=0)
        square += (variances + means**2).sum(axis=0)
    if images == 0:
        raise InvalidValue("Responses are measured on at least 1 image. Received: none.")
    variance = square / images - (mean / images) ** 2
    if not np.isfinite(variance).all():
        raise InvalidValue(f"Responses are finite. Received: NaN or infinity in {net.subject.name}.")
    std = np.sqrt(np.maximum(variance, 0.0))
    return Responses(net.subject, {name: float(value) for name, value in zip(names, std, strict=True)})


def _tapped(model: keras.Model) -> tuple[keras.Model, list[str]]:
    """The same layers, with the mean and variance of each response as output: (images, layers, 2)."""
    if isinstance(model, keras.Sequential):  # which `clone_model` does not call layer by layer
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    convolved: dict[int, tuple[Any, str]] = {}
    names: list[str] = []
    taps: list[Any] = []

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, keras.Model):
            inner, inner_names = _tapped(layer)
            output = layer(*arguments, **options)
            if inner_names:
                names.extend(inner_names)
                taps.append(inner(*arguments))
            return output
        output = layer(*arguments, **options)
        if isinstance(layer, layers.Conv2D) and layer.kernel_size == (3, 3):
            convolved[id(output)] = (output, layer.name.removesuffix("_conv"))
        elif isinstance(layer, layers.BatchNormalization) and id(arguments[0]) in convolved:
            names.append(convolved[id(arguments[0])][1])
            taps.append(Moments()(output))
        return output

    with without_tensorflow():
        copy = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    if len(taps) > 1:
        taps = [layers.Concatenate(axis=1, dtype="float32")(taps)]
    return keras.Model(copy.input, taps[0]) if taps else copy, names
