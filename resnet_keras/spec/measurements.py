"""What the analysis measures, as values and as CSV files: what is drawn and what scripts read. No Keras is imported."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

State = Literal["trained", "initial", "initial, no batch norm"]
"""Of the net whose gradients are measured: as its file holds it, as training would start, or that without batch
normalisation."""

RESPONSES_HEAD = ("net", "layer", "std")
GRADIENTS_HEAD = ("net", "unit", "gradient_norm", "shortcut_share")
KERNELS_HEAD = ("net", "layer", "gradient_norm")


class Subject(NamedTuple):
    """A net as files and figures name it."""

    name: str
    """Its own, and where it lies if another net has the same."""
    depth: int
    """Weighted layers."""
    residual: bool
    """Whether it has shortcuts."""


@dataclass(frozen=True)
class Responses:
    """Figure 7's numbers of one net.

    Attributes:
        net: which.
        std: of each 3x3 layer's response, in the order of the layers.
    """

    net: Subject
    std: Mapping[str, float]


class UnitGradient(NamedTuple):
    """What reaches a unit on the way back."""

    norm: float
    """Of the gradient with respect to the unit's output, per image."""
    shortcut_share: float | None
    """Of the gradient with respect to the unit's input, what comes through the shortcut; None without one."""


@dataclass(frozen=True)
class Gradients:
    """The gradients of one net.

    Attributes:
        net: which; its name tells the state too.
        state: of its weights.
        units: of each unit, from input to output.
        kernels: norm of the mean loss's gradient with respect to each convolution's kernel, from input to output.
    """

    net: Subject
    state: State
    units: Mapping[str, UnitGradient]
    kernels: Mapping[str, float]

    @property
    def shown(self) -> Subject:
        """The net without its state, which a panel tells."""
        return self.net._replace(name=self.net.name.removesuffix(f" ({self.state})"))


class Point(NamedTuple):
    """The loss of a net at one place of its scan."""

    alpha: float
    """Steps along the first direction; 0 is the net as it is."""
    beta: float
    """Along the second."""
    loss: float
    """Mean cross-entropy."""
    error: float
    """Percent."""


@dataclass(frozen=True)
class Surface:
    """A scan of one net: a line where all points have beta = 0, else a plane.

    Attributes:
        net: which.
        points: those that have been computed.
    """

    net: Subject
    points: Sequence[Point]


def responses_csv(measured: Iterable[Responses]) -> str:
    """`net,layer,std`."""
    return to_csv(RESPONSES_HEAD, ((one.net.name, *row) for one in measured for row in one.std.items()))


def gradients_csv(measured: Iterable[Gradients]) -> str:
    """`net,unit,gradient_norm,shortcut_share`; the share of a plain net is blank."""
    rows = ((one.net.name, unit, *gradient) for one in measured for unit, gradient in one.units.items())
    return to_csv(GRADIENTS_HEAD, rows)


def kernels_csv(measured: Iterable[Gradients]) -> str:
    """`net,layer,gradient_norm`, of each convolution's kernel."""
    return to_csv(KERNELS_HEAD, ((one.net.name, *row) for one in measured for row in one.kernels.items()))


def to_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated values; numbers with seven digits, which is what float32 has, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([f"{cell:.7g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return text.getvalue()
