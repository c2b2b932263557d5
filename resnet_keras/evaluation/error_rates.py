"""From scores to errors: top-1 and top-5 error with an interval, and ensembles (section 4.1, Table 5). NumPy only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from resnet_keras.errors import InvalidValue

Z_95 = 1.959964
"""The normal distribution's 97.5 % quantile."""
TOP = 5
"""Section 4.1: top-1 and top-5 error."""


class ErrorRate(NamedTuple):
    """Share of wrong answers, in percent, and its Wilson 95 % interval."""

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.percent:.2f} % [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Result:
    """Measured error rates.

    Attributes:
        images: number of images.
        top1: share of images whose label does not have the highest score.
        top5: share of images whose label is not among the five highest; None for five classes or fewer.
    """

    images: int
    top1: ErrorRate
    top5: ErrorRate | None

    def to_dict(self) -> dict[str, Any]:
        """Errors and intervals in percent, for JSON."""
        named = {"top1": self.top1, "top5": self.top5}
        return {f"{name}_error": error and round(error.percent, 4) for name, error in named.items()} | {
            f"{name}_interval": error and [round(error.low, 4), round(error.high, 4)] for name, error in named.items()
        }


def averaged(scores: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """An ensemble's scores: the weighted mean of its nets' scores.

    Raises:
        ValueError: there is not one weight for each net, or weights are negative, not finite or all zero.
    """
    shares = shares_of(weights, len(scores))
    return sum(share * score.astype(np.float64) for share, score in zip(shares, scores, strict=True))


def shares_of(weights: Sequence[float], nets: int) -> np.ndarray:
    """Weights that sum to 1.

    Raises:
        ValueError: there is not one weight for each net, or weights are negative, not finite or all zero.
    """
    if len(weights) != nets:
        raise InvalidValue(f"Each net has one weight. Received: {nets} nets and {len(weights)} weights.")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not sum(weights):
        raise InvalidValue(f"Weights are 0 or more, and not all 0. Received: {', '.join(map(str, weights))}.")
    shares = np.asarray(weights, np.float64) / max(weights)  # scaled first, so that no sum is infinite
    return shares / shares.sum()


def errors(scores: np.ndarray, labels: np.ndarray) -> Result:
    """Top-1 and top-5 error.

    Args:
        scores: (images, classes); of equal scores, the lower class ranks higher, as in `argmax`.
        labels: (images,), 0 to classes - 1.

    Raises:
        ValueError: scores are not finite: NaN is neither above nor below another score.
    """
    if not np.isfinite(scores).all():
        raise InvalidValue("Scores are finite. Received: NaN or infinity.")
    own = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    rank = ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
    images = len(labels)
    top5 = wilson(int((rank >= TOP).sum()), images) if scores.shape[1] > TOP else None
    return Result(images, wilson(int((rank >= 1).sum()), images), top5)


def wilson(wrong: int, images: int) -> ErrorRate:
    """Wilson's score interval for a share, in percent (SciPy has it, but five lines are less than SciPy)."""
    share, square = wrong / images, Z_95**2 / images
    centre = (share + square / 2) / (1 + square)
    half = Z_95 / (1 + square) * math.sqrt(share * (1 - share) / images + square / (4 * images))
    return ErrorRate(100 * share, 100 * max(0.0, centre - half), 100 * min(1.0, centre + half))
