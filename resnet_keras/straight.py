"""A functional model that calls its layers one after another, and does nothing else, on PyTorch.

Around every call of a layer Keras checks and converts arguments, enters scopes and looks for masks: a third of a
millisecond, 70 times in an update of ResNet-20, in which PyTorch, which runs op by op, waits. TensorFlow and JAX do
that once, when they trace. Layers that need nothing of it are called directly here.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from resnet_keras.blocks import Tensor

Run = Callable[[Tensor, bool | None], Tensor]
"""From inputs, and whether it is training, to outputs."""


class Call(NamedTuple):
    """Of a layer, when the graph was made."""

    layer: keras.layers.Layer
    inputs: Tensor | list[Tensor]
    output: Tensor


class _Step(NamedTuple):
    run: Run
    inputs: int | list[int]
    output: int
    done_with: tuple[int, ...]
    """Tensors that no later step takes: their memory is free if the gradient does not need them."""


class Recorder:
    """Writes down the calls that `keras.models.clone_model` makes, as its `call_function`.

    Attributes:
        direct: types of layers that are called without Keras's checks, with their inputs and `training`.
    """

    def __init__(self, direct: dict[type, Callable[[Any], Run]]) -> None:
        self.direct = direct
        self._calls: list[Call] = []
        self._plain = True

    def __call__(self, layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
        output = layer(*arguments, **options)
        inputs, *others = arguments
        tensors = [*(inputs if isinstance(inputs, list | tuple) else [inputs]), output]
        told = [value for value in options.values() if value is not None]  # masks, of which there are none
        if others or told or not all(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
            self._plain = False
        self._calls.append(Call(layer, inputs, output))
        return output

    def straight(self, model: keras.Model) -> keras.Model:
        """The same model; where it is more than layers of tensors, as it is."""
        if not self._plain or len(model.inputs) + len(model.outputs) > 2:
            return model
        return _Straight(model, self._run(model))

    def _run(self, model: keras.Model) -> Run:
        needed, calls = {id(model.outputs[0])}, []
        for call in reversed(self._calls):
            if id(call.output) in needed:
                calls.append(call)
                needed |= set(_flat(_ids(call.inputs)))
        last_use = {tensor: call for call in reversed(calls) for tensor in _flat(_ids(call.inputs))}
        steps = [
            _Step(
                self._function(call.layer),
                _ids(call.inputs),
                id(call.output),
                tuple(tensor for tensor, last in last_use.items() if last is call),
            )
            for call in reversed(calls)
        ]
        first, end = id(model.inputs[0]), id(model.outputs[0])

        def run(inputs: Tensor, training: bool | None) -> Tensor:
            held = {first: inputs}
            for step in steps:
                taken = step.inputs
                arguments = [held[one] for one in taken] if isinstance(taken, list) else held[taken]
                output = step.run(arguments, training)
                del arguments
                for tensor in step.done_with:
                    del held[tensor]
                held[step.output] = output
            return held[end]

        return run

    def _function(self, layer: keras.layers.Layer) -> Run:
        if type(layer) in self.direct:
            return self.direct[type(layer)](layer)
        if isinstance(layer, keras.Model):
            return self._run(layer)
        return lambda inputs, training: layer(inputs)  # Keras passes `training` on to whom it concerns


class _Straight(keras.Model):
    def __init__(self, model: keras.Model, run: Run) -> None:
        super().__init__(model.inputs[0], model.outputs[0], name=model.name)
        self._run = run

    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        return self._run(keras.ops.cast(inputs, self.inputs[0].dtype), training)


def _ids(tensors: Tensor | Sequence[Tensor]) -> int | list[int]:
    return [id(tensor) for tensor in tensors] if isinstance(tensors, list | tuple) else id(tensors)


def _flat(ids: int | list[int]) -> list[int]:
    return ids if isinstance(ids, list) else [ids]
