"""PyTorch's single kernels for stock layers, on tensors in its order: batch, channels, rows, columns.

In memory these are channels_last, as Keras's tensors are, so nothing is copied between the two.

Upstream lacks: fused batch normalisation on PyTorch (Keras 3.15 has a chain of elementwise operations, each of which
goes through memory), and convolutions and pooling that take channels_last as it is.
Delete when: `benchmarks/training.py --beside "keras step" "own step"` on PyTorch shows no difference between the two.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from resnet_keras.backends import distribution

Tensor = Any
"""A backend's tensor: Keras has no public name for it."""
Kernel = Callable[[Sequence[Tensor], bool | None], Tensor]
"""From the inputs, and whether the net is training, to the output."""
Padding = tuple[int, int]
"""Rows above and below, columns on the left and right."""
NO_PADDING = (0, 0)


class Moments:
    """Means and deviations of one step's batches, by which all moving statistics are updated together at its end.

    Updating each alone takes longer than its few values warrant.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[keras.layers.BatchNormalization, Tensor, Tensor]] = {}

    def see(self, norm: keras.layers.BatchNormalization, mean: Tensor, inverse: Tensor) -> None:
        """Records a batch's mean and 1 / sqrt(variance + epsilon) for each channel."""
        if id(norm) in self._seen:
            self.move()
        self._seen[id(norm)] = norm, mean, inverse

    def move(self) -> None:
        """Updates the moving statistics by what was recorded, as the stock layer does: the variance is divided by n."""
        import torch

        with torch.no_grad():
            for momentum, epsilon in {(norm.momentum, norm.epsilon) for norm, _, _ in self._seen.values()}:
                same = [one for one in self._seen.values() if (one[0].momentum, one[0].epsilon) == (momentum, epsilon)]
                norms, means, inverses = map(list, zip(*same, strict=True))
                variances = torch._foreach_pow(inverses, -2.0)
                torch._foreach_sub_(variances, epsilon)
                torch._foreach_clamp_min_(variances, 0.0)
                torch._foreach_lerp_([norm.moving_mean.value for norm in norms], means, 1.0 - momentum)
                torch._foreach_lerp_([norm.moving_variance.value for norm in norms], variances, 1.0 - momentum)
        self.forget()

    def forget(self) -> None:
        """Discards what was recorded, as of a step that did not finish."""
        self._seen.clear()


class Place(NamedTuple):
    """Where in a net a layer is called.

    Attributes:
        mine: for each input, whether nothing else reads it, so that it may be overwritten.
        padding: zeros that a `ZeroPadding2D` before it would add around the images.
        moments: those of the net.
    """

    mine: Sequence[bool]
    padding: Padding
    moments: Moments


def convolution(layer: keras.layers.Conv2D, place: Place) -> Kernel | None:
    """The kernel of a convolution; PyTorch pads both sides alike."""
    import torch

    odd = layer.strides == (1, 1) and all(side % 2 for side in layer.kernel_size)
    if layer.data_format != "channels_last" or not (layer.padding == "valid" or (layer.padding == "same" and odd)):
        return None
    if layer.activation is not keras.activations.linear or (layer.padding == "same" and place.padding != NO_PADDING):
        return None
    kernel, bias = layer.kernel.value, layer.bias.value if layer.use_bias else None
    strides, dilation, groups = layer.strides, layer.dilation_rate, layer.groups
    padding = place.padding
    if layer.padding == "same":
        padding = tuple(rate * (side // 2) for rate, side in zip(dilation, layer.kernel_size, strict=True))

    def run(inputs: Sequence[Tensor], training: bool | None) -> Tensor:
        (x,) = inputs
        # A view: `set_kernel_memory_format` has laid out the kernel as PyTorch reads it.
        weight = kernel.to(x.dtype).permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(
            x, weight, None if bias is None else bias.to(x.dtype), strides, padding, dilation, groups
        )

    return run


def normalization(layer: keras.layers.BatchNormalization, place: Place) -> Kernel | None:
    import torch

    if layer.axis not in (-1, 3) or not (layer.scale and layer.center) or layer.renorm or layer.input_spec.ndim != 4:
        distribution.refuse_synchronized(layer.name)
        return None
    gamma, beta = layer.gamma.value, layer.beta.value
    moving_mean, moving_variance = layer.moving_mean.value, layer.moving_variance.value
    epsilon, moments = layer.epsilon, place.moments

    def run(inputs: Sequence[Tensor], training: bool | None) -> Tensor:
        (x,) = inputs
        if not (training and layer.trainable):
            return torch.nn.functional.batch_norm(x, moving_mean, moving_variance, gamma, beta, eps=epsilon)
        if distribution.current().synchronized:
            mean, variance = distribution.current().moments(x)
            inverse = (variance + epsilon).rsqrt()
            moments.see(layer, mean.detach(), inverse.detach())
            scale = (gamma * inverse).view(1, -1, 1, 1)
            return (x * scale + (beta.view(1, -1, 1, 1) - mean.view(1, -1, 1, 1) * scale)).to(x.dtype)
        outputs, mean, inverse = torch.native_batch_norm(x, gamma, beta, None, None, True, 0.0, epsilon)
        moments.see(layer, mean, inverse)
        return outputs

    return run


def max_pooling(layer: keras.layers.MaxPooling2D, place: Place) -> Kernel | None:
    import torch

    if layer.data_format != "channels_last" or layer.padding != "valid":
        return None
    return lambda inputs, training: torch.nn.functional.max_pool2d(inputs[0], layer.pool_size, layer.strides)


def average_pooling(layer: keras.layers.AveragePooling2D, place: Place) -> Kernel | None:
    import torch

    if layer.data_format != "channels_last" or layer.padding != "valid":
        return None
    down, right = layer.strides
    if tuple(layer.pool_size) == (1, 1):  # option A: its gradient is much faster than that of an average
        return lambda inputs, training: inputs[0][:, :, ::down, ::right]
    return lambda inputs, training: torch.nn.functional.avg_pool2d(inputs[0], layer.pool_size, layer.strides)


def global_average_pooling(layer: keras.layers.GlobalAveragePooling2D, place: Place) -> Kernel | None:
    if layer.data_format != "channels_last" or layer.keepdims:
        return None
    return lambda inputs, training: inputs[0].mean((2, 3))


def zero_padding(layer: keras.layers.ZeroPadding2D, place: Place) -> Kernel | None:
    """The kernel of zero padding; with channels_first, it pads what are columns and channels here (option A)."""
    import torch

    (first, second), none = layer.padding, (0, 0)
    rows, columns, channels = (first, second, none) if layer.data_format == "channels_last" else (none, first, second)
    sides = (*columns, *rows, *channels)
    return lambda inputs, training: torch.nn.functional.pad(inputs[0], sides)


def addition(layer: keras.layers.Add, place: Place) -> Kernel | None:
    import torch

    if len(place.mine) != 2:
        return None
    if place.mine[0]:
        return lambda inputs, training: inputs[0].add_(inputs[1])
    if place.mine[1]:
        return lambda inputs, training: inputs[1].add_(inputs[0])
    return lambda inputs, training: torch.add(*inputs)


def activation(layer: keras.layers.Activation, place: Place) -> Kernel | None:
    import torch

    if layer.activation is not keras.activations.relu:
        return None
    relu = torch.relu_ if place.mine[0] else torch.relu
    return lambda inputs, training: relu(inputs[0])


KERNELS: dict[type, Callable[[Any, Place], Kernel | None]] = {
    keras.layers.Conv2D: convolution,
    keras.layers.BatchNormalization: normalization,
    keras.layers.MaxPooling2D: max_pooling,
    keras.layers.AveragePooling2D: average_pooling,
    keras.layers.GlobalAveragePooling2D: global_average_pooling,
    keras.layers.ZeroPadding2D: zero_padding,
    keras.layers.Add: addition,
    keras.layers.Activation: activation,
}
"""Makes the kernel of a layer for the place where it is called; None where PyTorch has none that computes the same."""
OVERWRITABLE = (keras.layers.BatchNormalization, keras.layers.Add)
"""Layers whose gradient does not need their output."""


def padding_of(layer: keras.layers.Layer) -> Padding | None:
    """The padding that a convolution can take over from the layer before it; None where it cannot."""
    if type(layer) is not keras.layers.ZeroPadding2D or layer.data_format != "channels_last":
        return None
    (above, below), (left, right) = layer.padding
    return (above, left) if above == below and left == right else None
