"""`build` turns a `Network` into a `keras.Model` of stock layers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

import keras
import numpy as np
from keras import Operation, layers

from resnet_keras.errors import InvalidValue
from resnet_keras.nets.baselines.bn_inception import bn_inception_body
from resnet_keras.nets.baselines.googlenet import googlenet_body
from resnet_keras.nets.baselines.prelu_net import prelu_net_body
from resnet_keras.nets.baselines.vgg import vgg_body
from resnet_keras.nets.blocks import HE, LayerFactory, Tensor
from resnet_keras.nets.residual import residual_body
from resnet_keras.nets.serializing import without_tensorflow
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.baselines.bn_inception import BnInception
from resnet_keras.spec.baselines.googlenet import GoogLeNet
from resnet_keras.spec.baselines.prelu_net import PReluNet
from resnet_keras.spec.baselines.vgg import Vgg
from resnet_keras.spec.checks import check_choice
from resnet_keras.spec.class_names import ClassNames
from resnet_keras.spec.network import CHANNELS, Network
from resnet_keras.spec.paper_recipes import CIFAR10
from resnet_keras.spec.recipe import Fan, Precision

Body = Callable[[LayerFactory, Tensor, Any], Tensor | list[Tensor]]
"""Maps the mean-subtracted image to probabilities, ending with a softmax `Activation`; with auxiliary classifiers, to a
list, the net's own first."""
BODIES: dict[type[Network], Body] = {
    Architecture: residual_body,
    Vgg: vgg_body,
    GoogLeNet: googlenet_body,
    PReluNet: prelu_net_body,
    BnInception: bn_inception_body,
}
"""How each kind of network in `spec.kinds.NETWORKS` is built."""
MID_GREY = 127.5
"""Subtracted from pixels 0..255 until the mean of a training set is known."""


def build(
    network: Network,
    *,
    weight_decay: float = CIFAR10.weight_decay,
    seed: int = 0,
    zero_gamma: bool = False,
    fan: Fan = "fan_in",
    precision: Precision | None = None,
) -> keras.Model:
    """Builds the network from stock Keras layers only, so that a saved model loads without this package.

    Args:
        network: what to build.
        weight_decay: L2 on every trained weight but the slopes of PReLU, in the paper's sense: it adds
            `weight_decay * w` to the gradient.
        seed: random seed of the initial weights.
        zero_gamma: whether each residual starts at 0, so that the net starts as its shortcuts alone.
        fan: fan that scales the initial kernels (He et al. 2015); VGG, GoogLeNet and PReLU-net have ways of their own.
        precision: what layers compute in; None is Keras's global dtype policy. Mean, global average pooling, classifier
            and probabilities are always float32.

    Returns:
        A model that takes RGB pixels 0..255 of shape (batch, image_size, image_size, 3), uint8 or float, and returns
        probabilities of shape (batch, num_classes); a GoogLeNet with auxiliary classifiers returns three such
        outputs, the net's own first. Mid-grey is subtracted until `subtract_mean` sets the mean of a training set.

    Raises:
        InvalidValue: any other fan.
    """
    check_choice("A fan", fan, get_args(Fan), "fan")
    image = keras.Input((network.image_size, network.image_size, CHANNELS), name="image", dtype="float32")
    axes = (1, 2, 3) if network.mean == "pixel" else -1
    x = layers.Normalization(axis=axes, dtype="float32", name="mean")(image)
    make = LayerFactory(weight_decay, seed, zero_gamma, precision, HE[fan])
    probabilities = BODIES[type(network)](make, x, network)
    model = keras.Model(image, probabilities, name=network.name.replace(" ", "-"))
    model.network = network
    _set_mean(model, np.float32(MID_GREY))
    return model


def network_of(model: keras.Model) -> Network | None:
    """The network that `build` or `load` made the model from; None for any other model."""
    return getattr(model, "network", None)


def every_layer(model: keras.Model) -> Iterator[layers.Layer]:
    """The model's layers, and those of the nested models that nets of more than 152 layers have."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)
        else:
            yield layer


def without_auxiliary(model: keras.Model) -> keras.Model:
    """The net without auxiliary classifiers, which only training needs, on the same variables; others as they are."""
    network = network_of(model)
    if not isinstance(network, GoogLeNet) or not network.auxiliary:
        return model
    served = keras.Model(model.inputs, model.outputs[0], name=model.name)
    served.network = replace(network, auxiliary=False)
    return served


def in_float32(model: keras.Model) -> keras.Model:
    """A copy of a net that computes in float32, whatever precision the net computes in."""

    def copied(operation: Operation) -> Operation:
        if not isinstance(operation, layers.Layer):
            return operation  # one of `keras.ops`, which has no dtype and no state
        return type(operation).from_config(operation.get_config() | {"dtype": "float32"})

    with without_tensorflow():
        copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copy.set_weights(model.get_weights())
    for layer in every_layer(copy):
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # its mean is derived from its variables only once
    copy.network, copy.class_names = network_of(model), class_names_of(model)
    return copy


def class_names_of(model: keras.Model) -> ClassNames | None:
    """Class names of a model that was trained or loaded here; None if unknown.

    To train a net for other classes, first set `model.class_names = None`.
    """
    names = getattr(model, "class_names", None)
    return None if names is None else tuple(map(str, names))  # TensorFlow wraps the tuple


def subtract_mean(model: keras.Model, mean: np.ndarray) -> None:
    """Sets the mean that the model subtracts (section 4.2: "the per-pixel mean subtracted").

    Args:
        model: one that `build` made.
        mean: mean of the training images, on a scale of 0..255: (image_size, image_size, 3) or (3,). A model that
            subtracts one value per channel averages the former over its pixels.

    Raises:
        ValueError: a mean of another shape.
    """
    expected = model.input_shape[1:]
    if mean.shape not in (expected, (CHANNELS,)):
        raise InvalidValue(f"A mean has the shape {expected} or (3,). Received: an array of shape {mean.shape}.")
    per_channel = model.get_layer("mean").axis == (-1,)
    _set_mean(model, mean.mean(axis=(0, 1)) if per_channel and mean.ndim == 3 else mean)


def _set_mean(model: keras.Model, mean: np.ndarray | np.floating) -> None:
    # `adapt` would also divide by the standard deviation, which the paper does not do: the variance stays 1.
    layer = model.get_layer("mean")
    shape, count = layer.get_weights()[0].shape, 0
    layer.set_weights([np.broadcast_to(mean, shape), np.ones(shape), np.array(count)])
    layer.finalize_state()
