"""Compares our net with the source's own computation, on the same images."""

from dataclasses import dataclass

import keras
import numpy as np

from resnet_keras.errors import Damaged
from resnet_keras.weights.convert.source import Source

LARGEST = 1e-3
"""Difference in a probability above which a conversion is refused: float32 gives about 1e-5."""
BATCH = 100
"""Images per batch."""


@dataclass(frozen=True)
class Parity:
    """How far our net is from the source.

    Attributes:
        images: how many were compared.
        largest_difference: largest difference in any probability.
        largest_logit_difference: largest difference in any input of the softmax, as a share of the source's largest.
        equal_top1: share of the images whose most probable class is the same.
    """

    images: int
    largest_difference: float
    largest_logit_difference: float
    equal_top1: float


def compare(model: keras.Model, source: Source, images: np.ndarray) -> Parity | None:
    """Compares two nets; None where the source's own computation is not available.

    Args:
        model: ours.
        source: the other net.
        images: RGB, 0..255, (batch, size, size, 3).
    """
    if source.logits is None:
        return None
    theirs = source.logits(images).astype(np.float64)
    both = keras.Model(model.inputs, [model.get_layer("predictions").output, model.output])
    ours, probabilities = both.predict(images, batch_size=BATCH, verbose=0)
    exponents = np.exp(theirs - theirs.max(axis=1, keepdims=True))
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    return Parity(
        images=len(images),
        largest_difference=float(np.abs(probabilities - expected).max()),
        largest_logit_difference=float(np.abs(ours - theirs).max() / np.abs(theirs).max()),
        equal_top1=float(np.mean(probabilities.argmax(axis=1) == expected.argmax(axis=1))),
    )


def check(parity: Parity) -> None:
    """Refuses a net that does not compute what the source's does.

    Raises:
        OSError: a probability, or a logit as a share of the largest, differs by more than `LARGEST`.
    """
    # A net that is sure of one class for every image hides what its logits show. `not ... <=` also refuses NaN.
    if not max(parity.largest_difference, parity.largest_logit_difference) <= LARGEST:
        raise Damaged(
            f"A converted net gives the source's probabilities to within {LARGEST}. Received: a difference of "
            f"{parity.largest_difference:.2g} (logits: {parity.largest_logit_difference:.2g} of the largest) on "
            f"{parity.images} images. Nothing was written; the file holds a variant that has the same tensors."
        )


def noise(size: int, count: int) -> np.ndarray:
    """Generates the same images each time: noise in squares of 1, 2, 4, 8 and 16 pixels, of different contrast.

    Returns:
        uint8, (count, size, size, 3).
    """
    random = np.random.default_rng(0)
    images = []
    for number in range(count):
        square = 2 ** (number % 5)
        low, high = np.sort(random.integers(0, 256, 2))
        coarse = random.integers(low, high + 1, (-(-size // square), -(-size // square), 3))
        images.append(np.kron(coarse, np.ones((square, square, 1), np.int64))[:size, :size])
    return np.asarray(images, np.uint8)
