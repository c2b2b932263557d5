"""`Loop`: the interface of every hand-written training loop, so that one program can time them all.

All of them train as the recipe does: cross-entropy of the logits, momentum 0.9, coupled weight decay (added to the
gradient) of 1e-4 on every trainable weight, batch normalisation with momentum 0.9 and epsilon 1e-5, He initialisation.
Each step also accumulates loss and accuracy on the device, as loops written in practice do, and `measure` reads them.

Like the Keras net, a loop takes uint8 pixels of shape (n, size, size, 3) and subtracts the mean inside the net.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
BATCH_NORM_MOMENTUM = 0.9
"""Share of the old moving statistics that is kept in each update."""
BATCH_NORM_EPSILON = 1e-5

Weights = Mapping[str, Sequence[np.ndarray]]
"""What `get_weights` of each Keras layer returns, by layer name; kernels are (height, width, in, out)."""


class Loop(Protocol):
    """A net and its training loop."""

    @property
    def parameters(self) -> int:
        """Number of trainable weights."""

    def load(self, weights: Weights) -> None:
        """Loads the weights of the Keras net of the same architecture."""

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The net's logits for images, computed with its moving statistics."""

    def to_device(self, x: np.ndarray, y: np.ndarray) -> Any:
        """Moves a batch to the device."""

    def step(self, batch: Any) -> None:
        """Makes one update; it may return before the update has finished."""

    def measure(self) -> tuple[float, float]:
        """Waits for all updates and returns mean loss and accuracy since the last call."""
