"""From nets and images to a figure and its CSV file, with progress: the parts that `recipes/figures.py` combines."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from resnet_keras.analysis import gradients as gradients_
from resnet_keras.analysis import nets, surface
from resnet_keras.analysis import responses as responses_
from resnet_keras.analysis.images import Batches, Images, Part
from resnet_keras.analysis.nets import Net
from resnet_keras.data.photographs.resizing import NET_SIZE
from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.gradients import gradients_figure
from resnet_keras.plotting.responses import figure_7
from resnet_keras.plotting.surface import surface_figure
from resnet_keras.reports.console import say
from resnet_keras.runs import storage
from resnet_keras.spec import measurements
from resnet_keras.spec.measurements import State
from resnet_keras.spec.paper_nets import cifar10

_Item = TypeVar("_Item")


FIGURES: dict[str, tuple[Part, int | None]] = {"7": ("test", None), "gradients": ("train", 1_024),
                                               "surface": ("train", 500)}  # fmt: skip
"""Figures that measure nets, each with the images it uses and their default number."""


@dataclass(frozen=True)
class Settings:
    """How nets are measured.

    Attributes:
        limit: number of images; None is the figure's own.
        steps: steps of the surface, along its two directions.
        initial: depths of untrained nets whose gradients are drawn too.
        seed: seed of directions and untrained nets.
    """

    limit: int | None
    steps: tuple[Sequence[float], Sequence[float]]
    initial: Sequence[int]
    seed: int


def measure(name: str, trained: Sequence[Net], images: Images, out: Path, console: Console, how: Settings) -> Figure:
    """Draws the figure of this name; its data are written beside it.

    Raises:
        ValueError, OSError: there is no net to measure, or as the figure's own function does.
    """
    if not trained and not (name == "gradients" and how.initial):
        raise InvalidValue("A figure of nets needs one that takes the images. Received: none.")
    match name:
        case "7":
            return responses(trained, images, out, console)
        case "gradients":
            return gradients(trained, initial(how.initial, how.seed), images, out, console)
        case _:
            return loss(trained, images, out, console, steps=how.steps, seed=how.seed)


def fitting(trained: Sequence[Net], images: Images) -> tuple[list[Net], list[str]]:
    """The nets that take these images, and a line about each of the others."""
    fit, lines = [], []
    for net in trained:
        try:
            _batches(net, images, 1)
        except InvalidValue as error:
            lines.append(f"{net.subject.name} was not measured: {error}")
        else:
            fit.append(net)
    return fit, lines


def responses(measured: Sequence[Net], images: Images, out: Path, console: Console) -> Figure:
    """Draws Figure 7; writes `net,layer,std`."""
    every = [_batches(net, images, responses_.BATCH) for net in measured]
    found = [
        responses_.responses(net, (x for x, _ in _followed(batches, len(batches), net.subject.name, console)))
        for net, batches in zip(measured, every, strict=True)
    ]
    storage.atomic_write(csv_of(out), measurements.responses_csv(found).encode())
    return figure_7(found, data=_described(images, every[0]))


def gradients(
    trained: Sequence[Net], initial: Sequence[tuple[Net, State]], images: Images, out: Path, console: Console
) -> Figure:
    """Draws the gradients; writes `net,unit,gradient_norm,shortcut_share`, and those of kernels beside it."""
    states: list[tuple[Net, State]] = [*((net, "trained") for net in trained), *initial]
    every = [_batches(net, images, gradients_.BATCH) for net, _ in states]
    found = [
        gradients_.gradients(
            net, _followed(batches, len(batches), net.subject.name, console), state=state, most=gradients_.BATCH
        )
        for (net, state), batches in zip(states, every, strict=True)
    ]
    storage.atomic_write(csv_of(out), measurements.gradients_csv(found).encode())
    storage.atomic_write(out.with_name(f"{out.name}-kernels.csv"), measurements.kernels_csv(found).encode())
    return gradients_figure(found, data=_described(images, every[0]))


def initial(depths: Iterable[int], seed: int) -> list[tuple[Net, State]]:
    """Untrained CIFAR-10 nets of these depths: plain and residual, with batch normalisation and without."""
    states: tuple[State, State] = "initial", "initial, no batch norm"
    return [
        (nets.initial(cifar10(depth, shortcut), state, seed=seed), state)
        for state in states
        for shortcut in (None, "A")
        for depth in depths
    ]


def loss(
    measured: Sequence[Net],
    images: Images,
    out: Path,
    console: Console,
    *,
    steps: tuple[Sequence[float], Sequence[float]],
    seed: int,
) -> Figure:
    """Draws the loss over the steps; resumes from an existing file."""
    every = [_batches(net, images, surface.BATCH) for net in measured]
    scan = surface.Scan(csv_of(out), measured, every, steps, seed=seed)
    left = sum(len(scan.missing(net)) for net in measured)
    for _ in _followed(scan.compute(), left, f"loss at {left:,} points", console):
        pass
    return surface_figure(scan.surfaces(), data=_described(images, every[0]))


def csv_of(out: Path) -> Path:
    """The CSV file beside a figure, which is named without a suffix."""
    return out.with_name(f"{out.name}.csv")


def _batches(net: Net, images: Images, most: int) -> Batches:
    size, classes = net.model.input_shape[1] or NET_SIZE, net.model.output_shape[-1]
    return images.batches(size, classes, most, net=net.subject.name, class_names=net.class_names)


def _followed(items: Iterable[_Item], total: int, what: str, console: Console) -> Iterator[_Item]:
    if console.is_terminal:
        yield from track(items, escape(what), total=total, console=console)
    else:
        say(console, what)
        yield from items


def _described(images: Images, batches: Batches) -> str:
    data: Any = images.data
    return f"{data.name}, {batches.images:,} {'training' if images.part == 'train' else 'test'} images"
