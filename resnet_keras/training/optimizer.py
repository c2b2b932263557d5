"""SGD as the authors' Caffe has it: v = momentum * v - rate * (gradient + decay * w), w = w + v (section 3.4).

Weight decay as a penalty in the loss has the same gradient, and passes over all weights once more on the way forward
and twice on the way back; here it is part of the update, as in the frameworks' own loops.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import keras


class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum whose weight decay is coupled: it is added to the gradient.

    Upstream lacks: Keras's `weight_decay=` is decoupled from the gradient and from momentum; a learning rate of a
    variable's own; on PyTorch, an update in one pass over memory.

    Args:
        decays: of each variable, in their order: what L2(decay / 2) would be.
        shares: of the learning rate, for each; momentum is linear in the gradient, so a share of it is one of the rate.
        arguments: as of `keras.optimizers.SGD`.
        options: as of `keras.optimizers.SGD`.
    """

    def __init__(self, decays: Sequence[float], shares: Sequence[float], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._terms = list(zip(decays, shares, strict=True))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """As `keras.optimizers.SGD.update_step`, of one variable."""
        decay, share = self._terms[self._get_variable_index(variable)]
        if decay:
            gradient = gradient + decay * variable
        super().update_step(gradient if share == 1 else share * gradient, variable, learning_rate)

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        """All variables; where Keras's own SGD of PyTorch takes them together, in its kernel of one pass."""
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
            # The one kernel goes through memory by addresses.
            alike = all(len({one.stride() for one in ones}) == 1 for ones in zip(*lists, strict=True))
            # Its v is ours over -rate, which changes: at a rate of -1, and with the rate in the dampening, it is ours.
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
    """What the L2 penalty of each adds to its gradient, as a share of its value; 0 for no penalty or another kind."""
    return [2 * variable.regularizer.l2 if _is_coupled(variable) else 0.0 for variable in variables]


@contextmanager
def uncoupled(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Inside, the variables are without the penalties that `coupled_decays` tells of."""
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
