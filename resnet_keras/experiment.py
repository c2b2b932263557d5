"""`run`: one experiment from its settings to its run folder, as every recipe does it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from resnet_keras import machine, runs
from resnet_keras.architectures import Architecture
from resnet_keras.data.images import ImageData
from resnet_keras.models import build, subtract_mean
from resnet_keras.recipe import Recipe
from resnet_keras.training import train


def settings_of(architecture: Architecture, recipe: Recipe, data: ImageData, seed: int) -> dict[str, Any]:
    """What makes a run the run that it is: the first part of `run.json`."""
    return {
        "architecture": architecture.to_dict(),
        "recipe": recipe.to_dict(),
        "data": data.to_dict(),
        "seed": seed,
    }


def run(
    architecture: Architecture, recipe: Recipe, data: ImageData, *, seed: int, out: Path, console: Console | None = None
) -> runs.Run:
    """Builds a network, trains it and writes its run folder; a finished run of the same settings is read instead.

    Args:
        architecture: what to build; its size and classes are those of the data.
        recipe: how to train.
        data: what on.
        seed: of the initial weights, the order and the augmentation.
        out: the run folder.
        console: where the header and the progress go; None is standard output.

    Raises:
        OSError: `out` holds another run, or cannot be written.
        ArithmeticError: training diverged.
    """
    console = console or Console()
    settings = settings_of(architecture, recipe, data, seed)
    if (old := runs.finished(out, settings)) is not None:
        console.print(f"{architecture.name}: finished before, read from {out}", highlight=False, soft_wrap=True)
        return old

    model = build(architecture, weight_decay=recipe.weight_decay, seed=seed)
    subtract_mean(model, data.x_train)
    here = machine.describe(model)
    folder = runs.RunFolder.create(out, settings | here)
    for line in _header(architecture, recipe, data, seed, here, out):
        console.print(line, highlight=False, soft_wrap=True)
    train(model, recipe, data, folder, seed=seed, console=console)
    return runs.read(out)


def _header(
    architecture: Architecture, recipe: Recipe, data: ImageData, seed: int, here: Mapping[str, Any], out: Path
) -> Iterator[str]:
    versions = here["versions"]
    falls = " and ".join(f"{boundary:,}" for boundary in recipe.boundaries) or "no iteration"
    yield (
        f"{architecture.name}  {architecture.parameters:,} parameters, "
        f"{architecture.multiply_adds / 1e6:,.1f} million multiply-adds"
    )
    yield (
        f"  on      {here['backend']} {versions.get(here['backend'], '')} ({here['device']}, {here['compiled']}), "
        f"Keras {versions['keras']}"
    )
    yield (
        f"  data    {data.name}: {len(data.x_train):,} training, {len(data.x_validation):,} validation, "
        f"{len(data.x_test):,} test images of {data.image_size} x {data.image_size} pixels"
    )
    yield (
        f"  recipe  {recipe.iterations:,} iterations of {recipe.batch_size} images, learning rate "
        f"{recipe.learning_rate:g}, divided by 10 at {falls}, seed {seed}"
    )
    yield f"  out     {out}"
