"""What a network is made of, as the paper draws it (section 3.2, Figure 5): convolutions, and units of two or three."""

from dataclasses import dataclass
from typing import Literal

BATCH_NORM_PARAMETERS = 2
"""Gamma and beta, for each filter."""


@dataclass(frozen=True)
class Convolution:
    """One convolution without bias, followed by batch normalisation. Padding is symmetric, `kernel_size // 2`."""

    name: str
    kernel_size: int
    filters_in: int
    filters: int
    strides: int

    @property
    def parameters(self) -> int:
        return self.kernel_size**2 * self.filters_in * self.filters + BATCH_NORM_PARAMETERS * self.filters

    def output_size(self, size: int) -> int:
        """Side in pixels of the output for an input of `size` pixels."""
        return (size + 2 * (self.kernel_size // 2) - self.kernel_size) // self.strides + 1

    def multiply_adds(self, size: int) -> int:
        """Multiply-adds for one image whose side is `size` pixels at the input of this convolution."""
        return self.kernel_size**2 * self.filters_in * self.filters * self.output_size(size) ** 2


@dataclass(frozen=True)
class Unit:
    """One building block, Eqn. (1) and (2): y = relu(F(x) + shortcut(x)), or relu(F(x)) in a plain net."""

    name: str
    convolutions: tuple[Convolution, ...]
    shortcut: Literal["identity", "pad", "project"] | None
    projection: Convolution | None

    @property
    def filters_in(self) -> int:
        return self.convolutions[0].filters_in

    @property
    def filters(self) -> int:
        return self.convolutions[-1].filters

    @property
    def strides(self) -> int:
        """How much smaller the unit makes its image."""
        strides = 1
        for convolution in self.convolutions:
            strides *= convolution.strides
        return strides
