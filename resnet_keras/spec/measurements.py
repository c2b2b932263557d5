"""What the analysis measures, as values to draw and as CSV files for scripts to read. Keras is not imported."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

State = Literal["trained", "initial", "initial, no batch norm"]
"""State of the net whose gradients are measured: as in its file, as training would start, or the latter without batch
normalisation."""

RESPONSES_HEAD = ("net", "layer", "std")
GRADIENTS_HEAD = ("net", "unit", "gradient_norm", "shortcut_share")
KERNELS_HEAD = ("net", "layer", "gradient_norm")


class Subject(NamedTuple):
    """A net as files and figures name it."""

    name: str
    """Its own name, with its location if another net has the same name."""
    depth: int
    """Weighted layers."""
    residual: bool
    """Whether it has shortcuts."""


@dataclass(frozen=True)
class Responses:
    """Figure 7's values for one net.

    Attributes:
        net: the net measured.
        std: standard deviation of each 3x3 layer's response, in the order of the layers.
    """

    net: Subject
    std: Mapping[str, float]


class UnitGradient(NamedTuple):
    """The gradient that reaches a unit in the backward pass."""

    norm: float
    """Norm of the gradient with respect to the unit's output, per image."""
    shortcut_share: float | None
    """The shortcut's share of the gradient with respect to the unit's input; None without a shortcut."""


@dataclass(frozen=True)
class Gradients:
    """The gradients of one net.

    Attributes:
        net: the net measured; its name includes the state.
        state: state of its weights.
        units: gradient at each unit, from input to output.
        kernels: norm of the mean loss's gradient with respect to each convolution's kernel, from input to output.
    """

    net: Subject
    state: State
    units: Mapping[str, UnitGradient]
    kernels: Mapping[str, float]

    @property
    def shown(self) -> Subject:
        """The net without the state in its name, since the panel gives it."""
        return self.net._replace(name=self.net.name.removesuffix(f" ({self.state})"))


class Point(NamedTuple):
    """The loss of a net at one point of its scan."""

    alpha: float
    """Steps along the first direction; 0 is the net itself."""
    beta: float
    """Steps along the second direction."""
    loss: float
    """Mean cross-entropy."""
    error: float
    """Percent."""


@dataclass(frozen=True)
class Surface:
    """A scan of one net: a line if all points have beta = 0, otherwise a plane.

    Attributes:
        net: the net scanned.
        points: the points computed so far.
    """

    net: Subject
    points: Sequence[Point]


def responses_csv(measured: Iterable[Responses]) -> str:
    """CSV text with the columns `net,layer,std`."""
    return to_csv(RESPONSES_HEAD, ((one.net.name, *row) for one in measured for row in one.std.items()))


def gradients_csv(measured: Iterable[Gradients]) -> str:
    """CSV text with the columns `net,unit,gradient_norm,shortcut_share`; the share of a plain net is blank."""
    rows = ((one.net.name, unit, *gradient) for one in measured for unit, gradient in one.units.items())
    return to_csv(GRADIENTS_HEAD, rows)


def kernels_csv(measured: Iterable[Gradients]) -> str:
    """CSV text with the columns `net,layer,gradient_norm`, for each convolution's kernel."""
    return to_csv(KERNELS_HEAD, ((one.net.name, *row) for one in measured for row in one.kernels.items()))


def to_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV text: floats with seven digits, the precision of float32, and None as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([f"{cell:.7g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return text.getvalue()
