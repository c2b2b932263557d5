"""The paper's published numbers, as data with their source. Errors are in percent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cifar10Row:
    """A row of Table 6, or a statement of section 4.2, about a CIFAR-10 net.

    Attributes:
        name: as `Architecture.name` writes it.
        test_error: percent; the paper gives a bound for plain-110.
        bound: "exact", or "above" where the paper says no more than that.
        parameters: as published, in millions; None where the paper gives none.
        source: where in the paper.
    """

    name: str
    test_error: float
    bound: Literal["exact", "above"]
    parameters: float | None
    source: str


CIFAR10_ERRORS = (
    Cifar10Row("ResNet-20", 8.75, "exact", 0.27, "Table 6"),
    Cifar10Row("ResNet-32", 7.51, "exact", 0.46, "Table 6"),
    Cifar10Row("ResNet-44", 7.17, "exact", 0.66, "Table 6"),
    Cifar10Row("ResNet-56", 6.97, "exact", 0.85, "Table 6"),
    Cifar10Row("ResNet-110", 6.43, "exact", 1.7, "Table 6, best of 5; mean 6.61, std 0.16"),
    Cifar10Row("ResNet-1202", 7.93, "exact", 19.4, "Table 6"),
    Cifar10Row("plain-110", 60.0, "above", None, "Figure 6, caption"),
)
"""Section 4.2: the test errors of the paper's own CIFAR-10 nets."""


def cifar10_error(name: str) -> float | None:
    """The published test error of a CIFAR-10 net, in percent, or None where the paper gives no number."""
    for row in CIFAR10_ERRORS:
        if row.name == name and row.bound == "exact":
            return row.test_error
    return None
