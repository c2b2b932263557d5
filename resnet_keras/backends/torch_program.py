"""A functional model as a list of PyTorch's kernels.

Keras checks and converts arguments, enters scopes and looks for masks: about 0.15 milliseconds, 70 times in an update
of ResNet-20, during which PyTorch, which runs op by op, waits. TensorFlow and JAX do that once, when they trace. The
list also tells which layers read a tensor: one that only one layer reads is overwritten, and one that no layer reads
any more is freed.

Upstream lacks: a compiled call of a functional model on PyTorch.
Delete when: with batches of 32, `benchmarks/training.py` on PyTorch is as fast where `as_program` returns its model.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from resnet_keras.backends.torch_kernels import (
    KERNELS,
    NO_PADDING,
    OVERWRITABLE,
    Kernel,
    Moments,
    Padding,
    Place,
    Tensor,
    padding_of,
)


class _Call(NamedTuple):
    """A layer's call when the graph was made."""

    layer: keras.layers.Layer
    inputs: Sequence[keras.KerasTensor]
    listed: bool
    """Whether the layer takes its inputs as a list."""
    output: keras.KerasTensor
    padding: Padding = NO_PADDING


class _Step(NamedTuple):
    """A call, with its tensors given by number."""

    run: Kernel
    inputs: list[int]
    output: int
    done_with: tuple[int, ...]
    """Tensors that no later step takes: their memory is freed if the gradient does not need them."""


def as_program(model: keras.Model) -> keras.Model:
    """The model as a program on the same variables; the model itself where it is more than layers of tensors."""
    recorder = _Recorder()
    clone = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=recorder, recursive=True)
    run = recorder.program(clone)
    return model if run is None else _Program(clone, run, recorder.moments)


class _Program(keras.Model):
    def __init__(self, model: keras.Model, run: Kernel, moments: Moments) -> None:
        super().__init__(model.inputs[0], model.outputs[0], name=model.name)
        self._run, self._moments = run, moments

    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        x = keras.ops.convert_to_tensor(inputs, self.inputs[0].dtype)
        if x.device.type == "meta":
            return super().call(inputs, training=training)  # Keras asks for the shapes
        self._moments.forget()
        output = _keras_axes(self._run([_torch_axes(x)], training))
        self._moments.move()
        return output


class _Recorder:
    """Records the calls that `keras.models.clone_model` makes, as its `call_function`."""

    def __init__(self) -> None:
        self.moments = Moments()
        self._calls: list[_Call] = []

    def __call__(self, layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
        output = layer(*arguments, **options)
        # The options are masks, of which there are none.
        told = any(one is not None for value in options.values() for one in _listed(value))
        tensors = [output, *(tensor for one in arguments for tensor in _listed(one))]
        if len(arguments) == 1 and not told and all(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
            self._calls.append(_Call(layer, tensors[1:], isinstance(arguments[0], list | tuple), output))
        return output

    def program(self, model: keras.Model) -> Kernel | None:
        """From the model's input to its output; None where a call between took more than tensors, or was not seen."""
        if not len(model.inputs) == len(model.outputs) == 1:
            return None
        needed, made, calls = {id(model.outputs[0])}, {id(model.inputs[0])}, []
        for call in reversed(self._calls):
            if id(call.output) in needed:
                calls.append(call)
                made.add(id(call.output))
                needed |= {id(tensor) for tensor in call.inputs}
        if not needed <= made:
            return None
        calls = self._without_padding(calls[::-1])
        readers = _readers(calls) + Counter([id(model.outputs[0])])
        overwritable = {id(call.output) for call in calls if type(call.layer) in OVERWRITABLE}
        last_use = {id(tensor): call for call in calls for tensor in call.inputs}
        steps = [
            _Step(
                self._kernel(call, [id(one) in overwritable and readers[id(one)] == 1 for one in call.inputs]),
                [id(tensor) for tensor in call.inputs],
                id(call.output),
                tuple(tensor for tensor, last in last_use.items() if last is call),
            )
            for call in calls
        ]
        first, end = id(model.inputs[0]), id(model.outputs[0])

        def run(inputs: Sequence[Tensor], training: bool | None) -> Tensor:
            held = {first: inputs[0]}
            for step in steps:
                arguments = [held[tensor] for tensor in step.inputs]
                for tensor in step.done_with:
                    del held[tensor]
                held[step.output] = step.run(arguments, training)
            return held[end]

        return run

    def _kernel(self, call: _Call, mine: Sequence[bool]) -> Kernel:
        layer = call.layer
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None) and (run := self.program(layer)):
            return run
        return self._own_kernel(call, mine) or _called_by_keras(layer, call.listed)

    def _own_kernel(self, call: _Call, mine: Sequence[bool]) -> Kernel | None:
        """PyTorch's kernel for a call; None where it has none that computes the same."""
        layer = call.layer
        make, types = KERNELS.get(type(layer)), {tensor.dtype for tensor in call.inputs}
        shapes = {tuple(tensor.shape) for tensor in call.inputs}
        simple = len(shapes) == 1 and len(call.inputs[0].shape) == 4 and all(map(keras.backend.is_float_dtype, types))
        if make is not None and simple and layer.activity_regularizer is None:
            converted = types != {layer.compute_dtype}
            place = Place([one and not converted for one in mine], call.padding, self.moments)
            if (kernel := make(layer, place)) is not None:
                return _converting(kernel, layer.compute_dtype) if converted else kernel
        return None

    def _without_padding(self, calls: Sequence[_Call]) -> list[_Call]:
        """The same calls; a convolution pads its images itself where it alone reads a padding layer's output."""
        readers, made_by = _readers(calls), {id(call.output): call for call in calls}
        kept = {id(call): call for call in calls}
        for call in calls:
            before = made_by.get(id(call.inputs[0]))
            if type(call.layer) is not keras.layers.Conv2D or call.layer.padding != "valid" or before is None:
                continue
            padding = padding_of(before.layer)
            if padding and readers[id(before.output)] == 1 and before.layer.compute_dtype == call.layer.compute_dtype:
                alone = call._replace(inputs=before.inputs, padding=padding)
                if self._own_kernel(alone, [False]) is not None:
                    kept[id(call)] = alone
                    del kept[id(before)]
        return list(kept.values())


def _readers(calls: Sequence[_Call]) -> Counter[int]:
    """How often layers read each tensor."""
    return Counter(id(tensor) for call in calls for tensor in call.inputs)


def _converting(kernel: Kernel, dtype: str) -> Kernel:
    import torch

    wanted = getattr(torch, dtype)
    return lambda inputs, training: kernel([one.to(wanted) for one in inputs], training)


def _called_by_keras(layer: keras.layers.Layer, listed: bool) -> Kernel:
    def run(inputs: Sequence[Tensor], training: bool | None) -> Tensor:
        tensors = [_keras_axes(one) for one in inputs]
        # Keras passes `training` on to the layers that take it.
        return _torch_axes(layer(tensors if listed else tensors[0]))

    return run


def _torch_axes(x: Tensor) -> Tensor:
    """A view of images with channels before rows and columns; other tensors unchanged."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _keras_axes(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _listed(tensors: Any) -> Sequence[Any]:
    return tensors if isinstance(tensors, list | tuple) else [tensors]
