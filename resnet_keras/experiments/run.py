"""`run`: one experiment from its settings to its run folder, as in every recipe."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from resnet_keras.backends import device, distribution
from resnet_keras.data.dataset import Dataset
from resnet_keras.errors import InvalidValue
from resnet_keras.experiments import provenance
from resnet_keras.nets.build import build, subtract_mean
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import locking, lookup, reading
from resnet_keras.runs.events import Events
from resnet_keras.runs.lookup import Resume, ResumePoint
from resnet_keras.runs.writing import ReadOnlyFolder, RunFolder
from resnet_keras.spec.network import Network
from resnet_keras.spec.recipe import Recipe
from resnet_keras.training.finetuning import start_from
from resnet_keras.training.train import train


def settings_of(network: Network, recipe: Recipe, data: Dataset, seed: int) -> dict[str, Any]:
    """What identifies a run: the first part of `run.json`."""
    return {
        "architecture": network.to_dict(),
        "recipe": recipe.to_dict(),
        "data": data.description.to_dict(),
        "seed": seed,
    }


def inspect(network: Network, recipe: Recipe, data: Dataset, *, seed: int, out: Path) -> ResumePoint:
    """What the run folder `out` holds of this run.

    Raises:
        OSError: it holds another run, or is damaged beyond its checkpoints.
    """
    settings = settings_of(network, recipe, data, seed)
    return lookup.inspect(out, settings, recipe, keras.backend.backend())


def run(
    network: Network,
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    out: str | PathLike[str],
    resume: Resume = "auto",
    console: Console | None = None,
    start: keras.Model | None = None,
    tensorboard: bool = False,
) -> reading.Run:
    """Builds a network, trains it and writes its run folder; resumes an interrupted run.

    On one backend and machine, an interrupted run ends with the same weights and rows, bit for bit, as an
    uninterrupted one. A finished run of the same settings is read instead, and continued where more iterations are
    asked for.

    Args:
        network: what to build; its size and classes are those of the data.
        recipe: how to train.
        data: what on.
        seed: random seed of the initial weights, the order and the augmentation.
        out: the run folder.
        resume: "auto" resumes an existing run, "fresh" starts over in a new folder beside it.
        console: where the header and the progress go; None is standard output.
        start: the net whose weights `recipe.finetune` starts from; given with it only.
        tensorboard: whether each row of `metrics.csv` becomes a TensorBoard event too, in the folder's `tensorboard/`.

    Raises:
        OSError: `out` holds another run or cannot be written, or another process is writing to it.
        ArithmeticError: training diverged.
        KeyboardInterrupt: a signal arrived; the run is saved.
    """
    (done,) = run_seeds(
        network,
        recipe,
        data,
        outs={seed: out},
        resume=resume,
        console=console,
        start=start,
        tensorboard=tensorboard,
    )
    return done


def run_seeds(
    network: Network,
    recipe: Recipe,
    data: Dataset,
    *,
    outs: Mapping[int, str | PathLike[str]],
    resume: Resume = "auto",
    console: Console | None = None,
    start: keras.Model | None = None,
    tensorboard: bool = False,
) -> list[reading.Run]:
    """As `run`, for several seeds: with JAX on an accelerator all in one program, elsewhere one after the other.

    Each seed's run folder is the one that it would have alone, its numbers equal up to rounding. That also holds after
    an interruption, and bit for bit where a signal stopped all seeds at once, as the program is then the same.

    Args:
        network: as for `run`.
        recipe: as for `run`.
        data: as for `run`.
        outs: the run folder of each seed.
        resume: as for `run`.
        console: as for `run`.
        start: as for `run`.
        tensorboard: as for `run`.

    Raises:
        OSError, ArithmeticError, KeyboardInterrupt: as for `run`.
    """
    where = distribution.current().where
    console = (console or plain_console()) if where.leads else Console(quiet=True)
    where.check(recipe.batch_size, recipe.accumulate)
    seeds = list(outs)
    if (start is None) != (recipe.finetune is None):
        raise InvalidValue(
            "A fine-tuning recipe and a net to start from are given together. Received: only one of them."
        )
    if len(seeds) > 1 and not (train_at_once() and start is None):

        def look() -> None:
            for seed, out in outs.items():
                inspect(network, recipe, data, seed=seed, out=lookup.folder_for(Path(out), resume))

        distribution.shared(look)  # before hours of work, not after
        return [
            run(
                network,
                recipe,
                data,
                seed=seed,
                out=outs[seed],
                resume=resume,
                console=console,
                start=start,
                tensorboard=tensorboard,
            )
            for seed in seeds
        ]
    with ExitStack() as stack:

        def opened() -> tuple[dict[int, Path], dict[int, ResumePoint]]:
            folders = {seed: lookup.folder_for(Path(out), resume) for seed, out in outs.items()}
            for out in folders.values():
                stack.enter_context(locking.lock(out))
            points = {seed: inspect(network, recipe, data, seed=seed, out=out) for seed, out in folders.items()}
            return folders, points

        folders_of, found = distribution.shared(opened)
        for seed, out in folders_of.items():
            for warning in found[seed].warnings:
                say(console, f"WARNING: {warning}", style="bold")
            if (done := found[seed].finished) is not None:
                if tensorboard and where.leads:
                    Events(out, done.settings["started"], done.rows)
                say(console, f"{network.name}: already finished, read from {out}")
        # Resumed runs may have another recipe than new ones: a longer one keeps its rates so far.
        begun = {seed: (folders_of[seed], found[seed]) for seed in seeds if found[seed].finished is None}
        for one in dict.fromkeys(held.recipe for _, held in begun.values()):
            alike = {seed: one_run for seed, one_run in begun.items() if one_run[1].recipe == one}
            with distribution.current().scope():
                _train(network, one, data, alike, console, start, tensorboard=tensorboard)
        return distribution.shared(lambda: [found[seed].finished or reading.read(folders_of[seed]) for seed in seeds])


def train_at_once() -> bool:
    """Whether one program trains several nets faster: on a CPU, XLA is slow at convolutions of several kernels."""
    alone = distribution.current().where.kind == "single"
    return alone and keras.backend.backend() == "jax" and device.name() != "cpu"


def _train(
    network: Network,
    recipe: Recipe,
    data: Dataset,
    begun: Mapping[int, tuple[Path, ResumePoint]],
    console: Console,
    start: keras.Model | None,
    *,
    tensorboard: bool,
) -> None:
    """Trains unfinished runs from where they are."""
    mean = None
    models: list[keras.Model] = []
    folders: list[RunFolder | ReadOnlyFolder] = []
    for seed, (out, found) in begun.items():
        model = build(
            network,
            weight_decay=recipe.weight_decay,
            seed=seed,
            zero_gamma=recipe.zero_gamma,
            fan=recipe.fan,
            precision=recipe.precision,
        )
        if recipe.finetune is not None and start is not None:
            start_from(model, start, recipe.finetune)
        elif found.checkpoint is None:  # a checkpoint holds the mean
            mean = distribution.shared(data.mean) if mean is None else mean
            subtract_mean(model, mean)
        here = provenance.describe(model)
        models.append(model)
        settings = settings_of(network, recipe, data, seed) | here
        if distribution.current().where.leads:
            folders.append(RunFolder(out, settings, found, tensorboard=tensorboard))
        else:
            folders.append(ReadOnlyFolder(out, found))
        if len(models) == 1:
            say(console, *(f"WARNING: {warning}" for warning in data.description.warnings), style="bold")
            say(console, *_header(network, recipe, data, list(begun), here))
        say(console, f"  out     {out}", *_continuation(found, here))
    train(models, recipe, data, folders, seeds=list(begun), console=console)


def _continuation(found: ResumePoint, here: Mapping[str, Any]) -> Iterator[str]:
    if found.checkpoint is None:
        return
    before = found.checkpoint.versions
    changed = [
        f"{name} {before.get(name)} to {now}" for name, now in here["versions"].items() if before.get(name) != now
    ]
    yield f"  resuming from iteration {found.checkpoint.state.iteration:,}"
    if changed:
        yield f"  WARNING: versions have changed, so results may differ: {', '.join(changed)}"


def _parts(recipe: Recipe) -> Iterator[str]:
    """What the header says about several processes or devices."""
    engine = distribution.current()
    where = engine.where
    if where.kind == "single":
        return
    processes, devices = (
        f"{count} {name}{'' if count == 1 else plural}"
        for count, name, plural in ((where.processes, "process", "es"), (where.devices, "device", "s"))
    )
    yield (
        f"  over    {engine.name}: {processes} x {devices}, {recipe.batch_size // where.parts} of "
        f"{recipe.batch_size} images on each device; batch normalisation {engine.normalisation}"
    )


def _header(
    network: Network, recipe: Recipe, data: Dataset, seeds: Sequence[int], here: Mapping[str, Any]
) -> Iterator[str]:
    versions = here["versions"]
    images = data.description
    test = f"{images.test_images:,}" if images.test_images else "no"
    yield (
        f"{network.name}  {network.parameters:,} parameters, {network.multiply_adds / 1e6:,.1f} million multiply-adds"
    )
    yield (
        f"  on      {here['backend']} {versions.get(here['backend'], '')} ({here['device']}, {here['compiled']}), "
        f"Keras {versions['keras']}"
    )
    yield from _parts(recipe)
    yield (
        f"  data    {images.name}: {images.train_images:,} training, {images.validation_images:,} validation, "
        f"{test} test images of {images.image_size} x {images.image_size} pixels"
        + (f", {len(images.skipped)} skipped as damaged" if images.skipped else "")
    )
    yield f"  recipe  {recipe}, {recipe.precision}, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
