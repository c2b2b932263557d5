"""Batch normalisation, convolutions and pooling each in one kernel while a net trains.

Keras 3.15 computes batch normalisation as a chain of elementwise operations, each of which goes through memory, and on
PyTorch copies the input of each convolution and pooling into the other layout and back. XLA does neither on JAX; on
PyTorch, and for batch normalisation on TensorFlow, `with_backend_kernels` puts the backend's own kernels in the place
of these layers. The variables are those of the stock layers, so what is saved, and all numbers to rounding, stay as
they were.

Upstream lacks: fused batch normalisation on PyTorch and TensorFlow, and convolutions that take channels_last as it is.
Delete when: `benchmarks/training.py --beside "keras step" "own step"` shows no difference between the two.
"""

from collections.abc import Callable, Iterable

import keras

from resnet_keras.backends.direct_calls import Recorder, Run, Tensor


def with_backend_kernels(model: keras.Model) -> keras.Model:
    """The same net on the same variables, with as few passes through memory as the backend has kernels for.

    Args:
        model: a functional model, nested ones included; it stays as it is.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return model

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation of `keras.ops`
        if layer.activity_regularizer is not None:
            return layer  # Keras adds its penalty where it calls the layer
        if type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, 3) and _is_usual(layer):
            return _TorchNormalization(layer) if backend == "torch" else _TensorFlowNormalization(layer)
        if backend == "torch" and type(layer) is keras.layers.Conv2D and _keeps_its_layout(layer):
            return _TorchConvolution(layer)
        if backend == "torch" and type(layer) in _POOLS and _pads_nothing(layer):
            return _TorchPooling(layer)
        return layer

    recorder = Recorder(_DIRECT) if backend == "torch" else None
    clone = keras.models.clone_model(model, clone_function=replaced, call_function=recorder, recursive=True)
    return clone if recorder is None else recorder.with_direct_calls(clone)


def set_kernel_memory_format(variables: Iterable[keras.Variable]) -> None:
    """Moves kernels in memory to where PyTorch's convolutions read them; shapes and numbers stay.

    Keras's order is height, width, in, out, and PyTorch copies a kernel that does not lie as out, height, width, in: in
    the forward pass, in the backward pass, and once more its gradient.

    Args:
        variables: of a net or its optimizer, which has one like each kernel.
    """
    if keras.backend.backend() != "torch":
        return
    for variable in variables:
        if len(variable.shape) == 4:
            held = variable.value
            held.data = held.data.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)


def _is_usual(norm: keras.layers.BatchNormalization) -> bool:
    return bool(norm.scale and norm.center and not norm.renorm and norm.input_spec.ndim == 4)


def _keeps_its_layout(layer: keras.layers.Conv2D) -> bool:
    """Whether it is one of ours, which PyTorch's padding fits: no bias, symmetric."""
    symmetric = layer.padding == "valid" or (layer.strides == (1, 1) and all(side % 2 for side in layer.kernel_size))
    simple = layer.groups == 1 and layer.dilation_rate == (1, 1) and layer.activation is keras.activations.linear
    return bool(layer.data_format == "channels_last" and symmetric and simple and not layer.use_bias)


def _pads_nothing(layer: keras.layers.Layer) -> bool:
    return bool(layer.data_format == "channels_last" and layer.padding == "valid")


class _InPlaceOf(keras.layers.Layer):
    """Computes (batch, height, width, channels) as a stock layer does, on the variables of that layer."""

    def __init__(self, stock: keras.layers.Layer) -> None:
        super().__init__(name=f"{stock.name}_fused", dtype=stock.dtype_policy)
        self.stock = stock
        self.built = True

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        return keras.KerasTensor(self.stock.compute_output_shape(inputs.shape), dtype=self.compute_dtype)


class _Normalization(_InPlaceOf):
    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        norm = self.stock
        if not (training and norm.trainable):
            return norm(inputs, training=False)
        outputs, mean, variance = self.normalise(inputs)
        # As the stock layer does it, with the variance divided by n.
        for moving, now in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
            self.move(moving, now)
        return outputs

    def normalise(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs, and the mean and the variance of each channel of this batch."""
        raise NotImplementedError

    def move(self, moving: keras.Variable, now: Tensor) -> None:
        """Takes a moving statistic on by one update."""
        moving.assign(moving * self.stock.momentum + now * (1.0 - self.stock.momentum))


class _TorchNormalization(_Normalization):
    def normalise(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        import torch

        norm = self.stock
        # A view: in memory it is what PyTorch calls channels_last.
        outputs, mean, inverse = torch.native_batch_norm(
            inputs.movedim(3, 1), norm.gamma.value, norm.beta.value, None, None, True, 0.0, norm.epsilon
        )
        return outputs.movedim(1, 3), mean.detach(), (inverse.detach() ** -2 - norm.epsilon).clamp(min=0)

    def move(self, moving: keras.Variable, now: Tensor) -> None:
        # In place, and without a variable's checks: they take longer than the sum of so few numbers.
        import torch

        with torch.no_grad():
            moving.value.mul_(self.stock.momentum).add_(now, alpha=1.0 - self.stock.momentum)


class _TensorFlowNormalization(_Normalization):
    def normalise(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        import tensorflow as tf

        norm = self.stock
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta), epsilon=norm.epsilon
        )
        # The kernel's variance is divided by n - 1.
        values = tf.cast(tf.size(inputs, tf.int64) // inputs.shape[3], variance.dtype)
        return outputs, mean, variance * (values - 1) / values


class _TorchConvolution(_InPlaceOf):
    def call(self, inputs: Tensor, mask: None = None) -> Tensor:
        import torch

        convolution = self.stock
        padding = [side // 2 for side in convolution.kernel_size] if convolution.padding == "same" else 0
        # Views: in memory the images are what PyTorch calls channels_last.
        kernel = convolution.kernel.value.to(inputs.dtype).permute(3, 2, 0, 1)
        outputs = torch.nn.functional.conv2d(
            inputs.permute(0, 3, 1, 2), kernel, stride=convolution.strides, padding=padding
        )
        return outputs.permute(0, 2, 3, 1)


_POOLS = {keras.layers.MaxPooling2D: "max_pool2d", keras.layers.AveragePooling2D: "avg_pool2d"}
"""And what PyTorch calls them."""


class _TorchPooling(_InPlaceOf):
    def call(self, inputs: Tensor, mask: None = None) -> Tensor:
        import torch

        pool = getattr(torch.nn.functional, _POOLS[type(self.stock)])
        # Views, as above.
        outputs = pool(inputs.permute(0, 3, 1, 2), self.stock.pool_size, self.stock.strides)
        return outputs.permute(0, 2, 3, 1)


def _as_it_is(layer: keras.layers.Layer) -> Run:
    call = layer.call
    return lambda inputs, training: call(inputs)


def _told_of_training(layer: keras.layers.Layer) -> Run:
    call = layer.call
    return lambda inputs, training: call(inputs, training=training)


_DIRECT: dict[type, Callable[[keras.layers.Layer], Run]] = {
    _TorchConvolution: _as_it_is,
    _TorchNormalization: _told_of_training,
    _TorchPooling: _as_it_is,
    keras.layers.ZeroPadding2D: _as_it_is,
    keras.layers.Add: _as_it_is,
    keras.layers.Activation: _as_it_is,
}
"""Layers whose `call` is all of them, where their inputs are of the type that they compute in."""
