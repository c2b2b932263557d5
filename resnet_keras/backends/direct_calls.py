"""A functional model that calls layers directly where they need nothing of what Keras does around a call, on PyTorch.

Keras checks and converts arguments, enters scopes and looks for masks: about 0.15 milliseconds, 70 times in an update
of ResNet-20, in which PyTorch, which runs op by op, waits. TensorFlow and JAX do that once, when they trace.

Upstream lacks: a compiled call of a functional model on PyTorch.
Delete when: with batches of 32, `benchmarks/training.py` on PyTorch is as fast where `with_direct_calls` does nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

Tensor = Any
"""A `keras.KerasTensor` or a backend's tensor: Keras has no public name for either."""
Run = Callable[[Tensor, bool | None], Tensor]
"""From inputs, and whether it is training, to outputs."""


class _Call(NamedTuple):
    """Of a layer, when the graph was made."""

    layer: keras.layers.Layer
    inputs: Tensor | list[Tensor]
    output: Tensor


class _Step(NamedTuple):
    """A call by the numbers of its tensors."""

    run: Run
    inputs: list[int]
    listed: bool
    """Whether the layer takes them as a list."""
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
        self._calls: list[_Call] = []

    def __call__(self, layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
        output = layer(*arguments, **options)
        # Masks, of which there are none.
        told = any(one is not None for value in options.values() for one in _listed(value))
        tensors = [output, *(tensor for one in arguments for tensor in _listed(one))]
        if len(arguments) == 1 and not told and all(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
            self._calls.append(_Call(layer, arguments[0], output))
        return output

    def with_direct_calls(self, model: keras.Model) -> keras.Model:
        """The same model; where it is more than layers of tensors, as it is."""
        run = self._run(model)
        return model if run is None else _DirectlyCalled(model, run)

    def _run(self, model: keras.Model) -> Run | None:
        """None where a call that leads to its output was of more than tensors, or was not seen."""
        if not len(model.inputs) == len(model.outputs) == 1:
            return None
        needed, made, calls = {id(model.outputs[0])}, {id(model.inputs[0])}, []
        for call in reversed(self._calls):
            if id(call.output) in needed:
                calls.append(call)
                made.add(id(call.output))
                needed |= {id(tensor) for tensor in _listed(call.inputs)}
        if not needed <= made:
            return None
        last_use = {id(tensor): call for call in reversed(calls) for tensor in _listed(call.inputs)}
        steps = [
            _Step(
                self._function(call),
                [id(tensor) for tensor in _listed(call.inputs)],
                isinstance(call.inputs, list | tuple),
                id(call.output),
                tuple(tensor for tensor, last in last_use.items() if last is call),
            )
            for call in reversed(calls)
        ]
        first, end = id(model.inputs[0]), id(model.outputs[0])

        def run(inputs: Tensor, training: bool | None) -> Tensor:
            held = {first: inputs}
            for step in steps:
                arguments = [held[tensor] for tensor in step.inputs]
                output = step.run(arguments if step.listed else arguments[0], training)
                del arguments
                for tensor in step.done_with:
                    del held[tensor]
                held[step.output] = output
            return held[end]

        return run

    def _function(self, call: _Call) -> Run:
        layer = call.layer
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None) and (run := self._run(layer)) is not None:
            return run
        converted = any(tensor.dtype != layer.compute_dtype for tensor in _listed(call.inputs))
        if type(layer) in self.direct and not converted and layer.activity_regularizer is None:
            return self.direct[type(layer)](layer)
        return lambda inputs, training: layer(inputs)  # Keras passes `training` on to whom it concerns


class _DirectlyCalled(keras.Model):
    def __init__(self, model: keras.Model, run: Run) -> None:
        super().__init__(model.inputs[0], model.outputs[0], name=model.name)
        self._run = run

    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        return self._run(keras.ops.convert_to_tensor(inputs, self.inputs[0].dtype), training)


def _listed(tensors: Any) -> Sequence[Any]:
    return tensors if isinstance(tensors, list | tuple) else [tensors]
