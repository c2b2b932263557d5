"""`Loop`: what every hand-written training loop can do, so that one program can time them all.

All of them train as the recipe does: cross-entropy of the logits, momentum 0.9, weight decay 1e-4 on every trained
number, coupled (added to the gradient), batch normalisation with momentum 0.9 and epsilon 1e-5, He initialisation. Each
step also adds up loss and accuracy on the device, as loops that people write do, and `measure` reads them.

Like Keras, a loop takes uint8 pixels of shape (n, size, size, 3) and subtracts the mean inside the net.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
BATCH_NORM_MOMENTUM = 0.9
"""Share of the old moving statistics that is kept."""
BATCH_NORM_EPSILON = 1e-5

Weights = Mapping[str, Sequence[np.ndarray]]
"""By the name of a Keras layer, what its `get_weights` gives: kernels are (height, width, in, out)."""


class Loop(Protocol):
    """A net and how it is trained."""

    @property
    def parameters(self) -> int:
        """Trained numbers."""

    def load(self, weights: Weights) -> None:
        """Takes over the weights of the Keras net of the same architecture."""

    def logits(self, x: np.ndarray) -> np.ndarray:
        """What the net says of images, with its moving statistics."""

    def to_device(self, x: np.ndarray, y: np.ndarray) -> Any:
        """A batch, on the device."""

    def step(self, batch: Any) -> None:
        """One update; it need not have ended on return."""

    def measure(self) -> tuple[float, float]:
        """Mean loss and accuracy since the last call, when all updates have ended."""
