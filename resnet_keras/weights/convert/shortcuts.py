"""Whether a net of basic units has shortcuts, inferred from its weights where the set of its tensors does not say.

A batch normalisation's moving mean is the mean of its convolution's output, which follows from the mean of the
convolution's input. Inside a unit that input is a ReLU of a batch normalisation, whatever the net. Between units it is
the same in a plain net; in a residual net the shortcut is added. A normalised channel is assumed to be Gaussian.

In ten trained nets (plain-20 to plain-56, ResNet-20 to ResNet-56) the squared error within units is 0.0004 to 0.003 of
the moving variance; between units, on the assumption that there are no shortcuts, it is 0.0004 to 0.0006 in plain nets
and 0.17 to 0.51 in residual ones.
"""

import math
from collections.abc import Mapping

import numpy as np

from resnet_keras.spec.architecture import Architecture
from resnet_keras.weights.convert.source import ConvBN

TRUSTED, PLAIN, RESIDUAL = 0.02, 0.01, 0.05
"""Bounds on the error: the largest within units for a net whose statistics are those of its weights; between units, the
largest in a plain net and the smallest in a residual one."""

_PHI = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))


def has_shortcuts(architecture: Architecture, layers: Mapping[str, ConvBN]) -> bool | None:
    """Whether the weights are those of a residual net; None where they do not tell, as in an untrained one.

    Args:
        architecture: a net of basic units and at most identity shortcuts; its own `shortcut` is ignored.
        layers: its layers by the names of its convolutions.
    """
    within, between = [], []
    previous: ConvBN | None = None
    sizes = {convolution.name: size for convolution, size in architecture.sized_convolutions()}
    for unit in architecture.units():
        first, second = unit.convolutions
        inside = layers[first.name]
        if previous is not None:
            between.append(_error(previous, layers[first.name], sizes[first.name], first.strides))
        within.append(_error(inside, layers[second.name], sizes[second.name], second.strides))
        previous = layers[second.name]
    if not between or not np.median(within) < TRUSTED:
        return None
    error = float(np.median(between))
    return False if error < PLAIN else True if error > RESIDUAL else None


def _error(before: ConvBN, after: ConvBN, size: int, strides: int) -> float:
    """Error of the moving mean predicted from `before` and a ReLU: median squared error over the moving variance."""
    scale = np.abs(before.gamma.astype(np.float64)) + 1e-12
    z = before.beta / scale
    mean = before.beta * _PHI(z) + scale * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    # The share of positions at which each tap of a 3x3 kernel is inside the image rather than on its padding.
    positions = np.arange(0, size, strides)
    taps = np.array([np.mean((positions + shift >= 0) & (positions + shift < size)) for shift in (-1, 0, 1)])
    predicted = np.einsum("hwio,h,w,i->o", after.kernel, taps, taps, mean)
    return float(np.median((predicted - after.mean) ** 2 / np.maximum(after.variance, 1e-12)))
