"""`build`: an `Architecture` becomes a `keras.Model` (section 3.3)."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from resnet_keras.errors import InvalidValue
from resnet_keras.nets.blocks import Blocks, Tensor
from resnet_keras.spec.architecture import Architecture, Unit
from resnet_keras.spec.paper_recipes import CIFAR10
from resnet_keras.spec.recipe import Precision

FLAT_DEPTH = 152
"""Weighted layers up to which the graph is flat. Keras walks it recursively: at Python's limit 182 load, 362 do not."""
UNITS_PER_GROUP = 20
"""Units in each nested model of a deeper net."""
MID_GREY = 127.5
"""Subtracted from pixels of 0..255 while no training set has been seen."""


def build(
    architecture: Architecture,
    *,
    weight_decay: float = CIFAR10.weight_decay,
    seed: int = 0,
    zero_gamma: bool = False,
    precision: Precision | None = None,
) -> keras.Model:
    """Makes the network, with stock Keras layers only: what it saves loads without this package.

    Args:
        architecture: what to build.
        weight_decay: L2 on every trained number, as the paper means it: it adds `weight_decay * w` to the gradient.
        seed: of the initial weights.
        zero_gamma: whether each residual starts at 0, so that the net starts as its shortcuts.
        precision: what layers compute in; None is Keras's policy of this process. Mean, pooling, classifier and
            probabilities are float32 always.

    Returns:
        A model that takes RGB pixels 0..255 of shape (batch, image_size, image_size, 3), uint8 or float, and returns
        probabilities of shape (batch, num_classes). Mid-grey is subtracted until `subtract_mean` has seen a training
        set.
    """
    blocks = Blocks(weight_decay, seed, zero_gamma, precision)
    size = architecture.image_size
    image = keras.Input((size, size, 3), name="image")
    axes = (1, 2, 3) if architecture.mean == "pixel" else -1
    x = layers.Normalization(axis=axes, dtype="float32", name="mean")(image)
    x = blocks.conv_bn(x, architecture.stem_convolution, relu="conv1_relu")
    if architecture.stem.pool:
        x = layers.ZeroPadding2D(1, data_format="channels_last", dtype=precision, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, data_format="channels_last", dtype=precision, name="pool1_pool")(x)

    units = list(architecture.units())
    if architecture.depth <= FLAT_DEPTH:
        x = _chain(blocks, x, units)
    else:
        for start in range(0, len(units), UNITS_PER_GROUP):
            group = units[start : start + UNITS_PER_GROUP]
            name = f"{group[0].name}_to_{group[-1].name}"
            group_input = keras.Input(x.shape[1:], name=f"{name}_input")
            x = keras.Model(group_input, _chain(blocks, group_input, group), name=name)(x)

    model = keras.Model(image, blocks.classifier(x, architecture.num_classes), name=architecture.name.replace(" ", "-"))
    _set_mean(model, np.float32(MID_GREY))
    return model


def subtract_mean(model: keras.Model, mean: np.ndarray) -> None:
    """Sets what the model subtracts (section 4.2: "the per-pixel mean subtracted").

    Args:
        model: one that `build` made.
        mean: of training images on a scale of 0..255: (image_size, image_size, 3) or (3,). A model that subtracts one
            number for each channel takes the mean of the former.

    Raises:
        ValueError: a mean of another shape.
    """
    expected = model.input_shape[1:]
    if mean.shape not in (expected, (3,)):
        raise InvalidValue(f"A mean has the shape {expected} or (3,). Received: an array of {mean.shape}.")
    per_channel = model.get_layer("mean").axis == (-1,)
    _set_mean(model, mean.mean(axis=(0, 1)) if per_channel and mean.ndim == 3 else mean)


def _chain(blocks: Blocks, x: Tensor, units: Sequence[Unit]) -> Tensor:
    for unit in units:
        x = blocks.unit(x, unit)
    return x


def _set_mean(model: keras.Model, mean: np.ndarray | np.floating) -> None:
    # `adapt` would also divide by the standard deviation, which the paper does not: the variance stays 1.
    layer = model.get_layer("mean")
    shape, count = layer.get_weights()[0].shape, 0
    layer.set_weights([np.broadcast_to(mean, shape), np.ones(shape), np.array(count)])
    layer.finalize_state()
