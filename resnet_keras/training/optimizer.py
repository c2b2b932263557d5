"""SGD as in the authors' Caffe: v = momentum * v - rate * (gradient + decay * w), w = w + v (section 3.4).

Weight decay as a penalty in the loss has the same gradient, but goes over all weights once more in the forward pass
and twice in the backward pass; here it is part of the update, as in the frameworks' own loops.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import keras


class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum whose weight decay is coupled: it is added to the gradient.

    Upstream lacks: coupled decay (Keras's `weight_decay=` is decoupled from the gradient and from momentum); a learning
    rate per variable; on PyTorch, an update in one pass over memory.

    Args:
        decays: weight decay of each variable, in order, equivalent to the penalty L2(decay / 2).
        shares: share of the learning rate for each variable. Momentum is linear in the gradient, so scaling the
            gradient scales the rate.
        arguments: as for `keras.optimizers.SGD`.
        options: as for `keras.optimizers.SGD`.
    """

    def __init__(self, decays: Sequence[float], shares: Sequence[float], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._terms = list(zip(decays, shares, strict=True))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """As `keras.optimizers.SGD.update_step`, for one variable."""
        decay, share = self._terms[self._get_variable_index(variable)]
        if decay:
            gradient = gradient + decay * variable
        super().update_step(gradient if share == 1 else share * gradient, variable, learning_rate)

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        """Updates all variables; on PyTorch together, as Keras's own SGD does, but in PyTorch's one-pass kernel."""
        if keras.backend.backend() != "torch":
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        import torch
        from torch.optim.sgd import sgd

        def terms(pair: tuple[Any, int]) -> tuple[float, float]:
            return self._terms[pair[1]]

        indices = [self._get_variable_index(variable) for variable in trainable_variables]
        rate, momentum = float(learning_rate), self.momentum
        for (decay, share), pairs in groupby(sorted(zip(grads, indices, strict=True), key=terms), terms):
            gradients, group = map(list, zip(*pairs, strict=True))
            weights = [self._trainable_variables[index].value for index in group]
            velocities = [self.momentums[index].value for index in group] if momentum else []
            lists = (weights, gradients, *([velocities] if velocities else []))
            # The fused kernel goes through memory by address, so strides must match.
            alike = all(len({one.stride() for one in ones}) == 1 for ones in zip(*lists, strict=True))
            # PyTorch's v is ours over -rate, which changes: at rate -1, with the rate in the dampening, it is ours.
            its_rate, dampening = (-1.0, 1.0 + rate * share) if momentum else (rate * share, 0.0)
            with torch.no_grad():
                sgd(
                    weights,
                    gradients,
                    velocities or [None] * len(weights),
                    fused=alike,
                    foreach=not alike,
                    weight_decay=decay,
                    momentum=momentum,
                    lr=its_rate,
                    dampening=dampening,
                    nesterov=False,
                    maximize=False,
                )


def coupled_decays(variables: Sequence[keras.Variable]) -> list[float]:
    """What each variable's L2 penalty adds to its gradient, as a share of its value; 0 for no or another penalty."""
    return [2 * variable.regularizer.l2 if _is_coupled(variable) else 0.0 for variable in variables]


@contextmanager
def uncoupled(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Inside the context, the variables are without the penalties that `coupled_decays` covers."""
    held = [(variable, variable.regularizer) for variable in variables if _is_coupled(variable)]
    for variable, _ in held:
        variable.regularizer = None
    try:
        yield
    finally:
        for variable, penalty in held:
            variable.regularizer = penalty


def _is_coupled(variable: keras.Variable) -> bool:
    return type(variable.regularizer) is keras.regularizers.L2
