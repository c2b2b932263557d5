"""The paper's published numbers, as data with their source. Errors are in percent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cifar10Row:
    """A row of Table 6, or a statement of section 4.2, about a CIFAR-10 net.

    Attributes:
        name: as `Architecture.name` writes it.
        test_error: percent; the paper gives a bound for plain-110.
        bound: "exact", or "above" where the paper gives only a lower bound.
        parameters: as published, in millions; None where the paper gives none.
        source: place in the paper.
    """

    name: str
    test_error: float
    bound: Literal["exact", "above"]
    parameters: float | None
    source: str


CIFAR10_ERRORS: tuple[Cifar10Row, ...] = (
    Cifar10Row("ResNet-20", 8.75, "exact", 0.27, "Table 6"),
    Cifar10Row("ResNet-32", 7.51, "exact", 0.46, "Table 6"),
    Cifar10Row("ResNet-44", 7.17, "exact", 0.66, "Table 6"),
    Cifar10Row("ResNet-56", 6.97, "exact", 0.85, "Table 6"),
    Cifar10Row("ResNet-110", 6.43, "exact", 1.7, "Table 6, best of 5; mean 6.61, std 0.16"),
    Cifar10Row("ResNet-1202", 7.93, "exact", 19.4, "Table 6"),
    Cifar10Row("plain-110", 60.0, "above", None, "Figure 6, caption"),
)
"""Section 4.2: the test errors of the paper's own CIFAR-10 nets."""

CIFAR10_OTHERS: tuple[Cifar10Row, ...] = (
    Cifar10Row("Maxout", 9.38, "exact", None, "Table 6"),
    Cifar10Row("NIN", 8.81, "exact", None, "Table 6"),
    Cifar10Row("DSN", 8.22, "exact", None, "Table 6"),
    Cifar10Row("FitNet, 19 layers", 8.39, "exact", 2.5, "Table 6"),
    Cifar10Row("Highway, 19 layers", 7.54, "exact", 2.3, "Table 6; mean 7.72, std 0.16"),
    Cifar10Row("Highway, 32 layers", 8.80, "exact", 1.25, "Table 6"),
)
"""Table 6: the other systems, as the paper quotes them."""


@dataclass(frozen=True)
class ImageNetRow:
    """A row of Tables 2 to 5.

    Attributes:
        name: as `Architecture.name` writes it, or another system as the paper calls it.
        top1_error, top5_error: percent; None where the table has none.
        on: the images: ImageNet's validation or test set.
        net: the network's name, as `Network.name` writes it, where it differs from the table's.
    """

    name: str
    top1_error: float | None
    top5_error: float | None
    on: Literal["validation", "test"] = "validation"
    net: str | None = None


@dataclass(frozen=True)
class ImageNetTable:
    """One of Tables 2 to 5.

    Attributes:
        number: the table's number in the paper.
        title: what it compares.
        protocol: how the paper's own nets were tested.
        ensembles: whether each row is several nets together.
        rows: in the paper's order.
    """

    number: int
    title: str
    protocol: Literal["10-crop", "multi-scale"]
    ensembles: bool
    rows: tuple[ImageNetRow, ...]


TABLE_2 = ImageNetTable(
    2,
    "plain against residual nets, ImageNet validation set",
    "10-crop",
    False,
    (
        ImageNetRow("plain-18", 27.94, None),
        ImageNetRow("ResNet-18", 27.88, None),
        ImageNetRow("plain-34", 28.54, None),
        ImageNetRow("ResNet-34", 25.03, None),
    ),
)
TABLE_3 = ImageNetTable(
    3,
    "single models, ImageNet validation set",
    "10-crop",
    False,
    (
        ImageNetRow("VGG-16", 28.07, 9.33),
        ImageNetRow("GoogLeNet", None, 9.15),
        ImageNetRow("PReLU-net", 24.27, 7.38, net="PReLU-net C"),
        ImageNetRow("plain-34", 28.54, 10.02),
        ImageNetRow("ResNet-34", 25.03, 7.76),  # option A
        ImageNetRow("ResNet-34 B", 24.52, 7.46),
        ImageNetRow("ResNet-34 C", 24.19, 7.40),
        ImageNetRow("ResNet-50", 22.85, 6.71),
        ImageNetRow("ResNet-101", 21.75, 6.05),
        ImageNetRow("ResNet-152", 21.43, 5.71),
    ),
)
TABLE_4 = ImageNetTable(
    4,
    "single models, ImageNet validation set",
    "multi-scale",
    False,
    (
        ImageNetRow("VGG (ILSVRC'14)", None, 8.43, "test"),
        ImageNetRow("GoogLeNet (ILSVRC'14)", None, 7.89, net="GoogLeNet"),
        ImageNetRow("VGG (v5)", 24.4, 7.1, net="VGG-19"),
        ImageNetRow("PReLU-net", 21.59, 5.71, net="PReLU-net C"),
        ImageNetRow("BN-inception", 21.99, 5.81, net="BN-Inception"),
        ImageNetRow("ResNet-34 B", 21.84, 5.71),
        ImageNetRow("ResNet-34 C", 21.53, 5.60),
        ImageNetRow("ResNet-50", 20.74, 5.25),
        ImageNetRow("ResNet-101", 19.87, 4.60),
        ImageNetRow("ResNet-152", 19.38, 4.49),
    ),
)
TABLE_5 = ImageNetTable(
    5,
    "ensembles, ImageNet test set",
    "multi-scale",
    True,
    (
        ImageNetRow("VGG (ILSVRC'14)", None, 7.32, "test"),
        ImageNetRow("GoogLeNet (ILSVRC'14)", None, 6.66, "test"),
        ImageNetRow("VGG (v5)", None, 6.8, "test"),
        ImageNetRow("PReLU-net", None, 4.94, "test"),
        ImageNetRow("BN-inception", None, 4.82, "test"),
        ImageNetRow("ResNet (ILSVRC'15), 6 nets", None, 3.57, "test"),
    ),
)
IMAGENET_TABLES = (TABLE_2, TABLE_3, TABLE_4, TABLE_5)
"""Section 4.1. Table 5's own ensemble has six nets of different depths, two of them of 152 layers."""


def cifar10_error(name: str) -> float | None:
    """The published test error of a CIFAR-10 net, in percent, or None where the paper gives no number."""
    for row in CIFAR10_ERRORS:
        if row.name == name and row.bound == "exact":
            return row.test_error
    return None
