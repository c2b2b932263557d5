"""Layers of the comparison systems that plain and residual nets do without: biases, PReLU, dropout, Caffe's pools."""

from keras import initializers, layers

from resnet_keras.nets.blocks import LayerFactory, Tensor
from resnet_keras.spec.baselines.layers import Activation, BiasedConvolution, Dense, Pool

FIRST_SLOPE = 0.25
"""Initial slope of a PReLU (He et al. 2015a, section 2.1); slopes have no weight decay there."""
LRN_CHANNELS, LRN_ALPHA, LRN_BETA = 5, 1e-4, 0.75
"""Parameters of local response normalisation in Caffe's `bvlc_googlenet`; its k is 1."""


def convolution(make: LayerFactory, x: Tensor, one: BiasedConvolution) -> Tensor:
    """A convolution with bias, followed by its activation."""
    return activation(make.conv(x, one, use_bias=True), one.activation, one.name, make.precision)


def activation(x: Tensor, kind: Activation, name: str, dtype: str | None) -> Tensor:
    """A ReLU, or a PReLU with one slope per channel, shared by all pixels."""
    if kind == "relu":
        return layers.Activation("relu", dtype=dtype, name=f"{name}_relu")(x)
    return layers.PReLU(
        alpha_initializer=initializers.Constant(FIRST_SLOPE),
        shared_axes=list(range(1, len(x.shape) - 1)) or None,
        dtype=dtype,
        name=f"{name}_prelu",
    )(x)


def max_pool(make: LayerFactory, x: Tensor, pool: Pool) -> Tensor:
    """A max pool; if it rounds up, its input must be 0 or above.

    To round up, it pads with zeros on the right and bottom, which change no window's maximum; Keras's "same" pads other
    sides at other sizes.
    """
    if pool.rounds == "up":
        pad = ((0, pool.strides - 1), (0, pool.strides - 1))
        x = layers.ZeroPadding2D(pad, data_format="channels_last", dtype=make.precision, name=f"{pool.name}_pad")(x)
    return layers.MaxPooling2D(
        pool.size, strides=pool.strides, data_format="channels_last", dtype=make.precision, name=pool.name
    )(x)


def dropout(make: LayerFactory, x: Tensor, rate: float, name: str) -> Tensor:
    """Drops this share of the values during training."""
    return layers.Dropout(rate, seed=make.seed_of(name), dtype="float32", name=name)(x)


def dense_classifier(make: LayerFactory, x: Tensor, dense_layers: tuple[Dense, ...], rate: float) -> Tensor:
    """Dense layers on a vector, each but the last followed by its activation and dropout; then the softmax."""
    *hidden, last = dense_layers
    for dense in hidden:
        x = make.dense(x, dense.units, dense.name)
        if dense.activation:
            x = activation(x, dense.activation, dense.name, "float32")
        x = dropout(make, x, rate, f"{dense.name}_dropout")
    return make.softmax(make.dense(x, last.units, last.name))


def local_response_normalization(x: Tensor, name: str) -> Tensor:
    """x / (1 + alpha / 5 · sum of the squares of five neighbouring channels) ^ beta, in float32.

    Keras has no such layer. In the other data format, the "width" that is padded and averaged is the channel axis. The
    power is an operation of `keras.ops`, as no stock layer computes one.
    """
    squares = layers.Multiply(dtype="float32", name=f"{name}_squares")([x, x])
    side = LRN_CHANNELS // 2
    padded = layers.ZeroPadding2D(
        ((0, 0), (side, side)), data_format="channels_first", dtype="float32", name=f"{name}_pad"
    )(squares)
    mean = layers.AveragePooling2D(
        (1, LRN_CHANNELS), strides=1, data_format="channels_first", dtype="float32", name=f"{name}_mean"
    )(padded)
    base = layers.Rescaling(LRN_ALPHA, offset=1.0, dtype="float32", name=f"{name}_base")(mean)
    return layers.Multiply(dtype="float32", name=name)([x, base**-LRN_BETA])
