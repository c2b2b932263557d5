"""True averages for batch normalisation: statistics of the training set instead of moving averages.

The nets that the paper's authors released hold means and variances that were averaged over training images after
training, with the weights fixed. `Architecture`, weights and everything else are unchanged.
"""

from collections.abc import Iterable

import keras
import numpy as np

from resnet_keras.errors import InvalidValue
from resnet_keras.nets.build import every_layer


def average_statistics(model: keras.Model, batches: Iterable[np.ndarray]) -> int:
    """Replaces all moving statistics with those of the images, in place.

    Each batch is normalised by its own statistics, as in training. A layer's mean is the mean over all batches; its
    variance is that of all values together: the mean of the batches' variances plus the variance of their means.

    Args:
        model: any Keras model; frozen layers keep their statistics.
        batches: images 0..255, (n, height, width, 3) each, of the size that the net was trained on.

    Returns:
        The number of images.

    Raises:
        ValueError: no images, or no batch normalisation to change; the model is unchanged.
    """
    norms = [
        layer for layer in every_layer(model) if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not norms:
        raise InvalidValue(
            "Recalibration replaces the moving averages of batch normalisation. "
            f"Received: {model.name!r}, which has none to replace."
        )
    before = [(layer.momentum, *_moving(layer)) for layer in norms]
    means = [np.zeros(mean.shape) for _, mean, _ in before]
    squares = [np.zeros(mean.shape) for _, mean, _ in before]
    images = 0
    done = False
    try:
        for layer in norms:
            layer.momentum = 0.0  # the "moving" statistics become those of the last batch
        for batch in batches:
            model(batch, training=True)
            images += len(batch)
            for layer, mean, square in zip(norms, means, squares, strict=True):
                # Every image contributes equally many values to a mean, so batches are weighted by their images.
                batch_mean, batch_variance = (part.astype(np.float64) for part in _moving(layer))
                mean += len(batch) * batch_mean
                square += len(batch) * (batch_variance + batch_mean**2)
        if images == 0:
            raise InvalidValue("Moving averages are computed from images. Received: none.")
        done = True
    finally:
        for layer, (momentum, old_mean, old_variance), mean, square in zip(norms, before, means, squares, strict=True):
            layer.momentum = momentum
            mean, square = mean / max(images, 1), square / max(images, 1)
            _set_moving(layer, *((mean, np.maximum(square - mean**2, 0.0)) if done else (old_mean, old_variance)))
    return images


def _moving(layer: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    return keras.ops.convert_to_numpy(layer.moving_mean), keras.ops.convert_to_numpy(layer.moving_variance)


def _set_moving(layer: keras.layers.Layer, mean: np.ndarray, variance: np.ndarray) -> None:
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
