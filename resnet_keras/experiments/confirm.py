"""Whether the best trial of a search beats the defaults: both with equal updates, on several seeds.

The best of many trials is partly the luckiest: its own validation error flatters it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from resnet_keras.data.small.images import ImageData
from resnet_keras.errors import InputOutput
from resnet_keras.experiments.run import run
from resnet_keras.reports import trials
from resnet_keras.reports.console import say
from resnet_keras.reports.tables import Table, mean
from resnet_keras.runs import reading
from resnet_keras.spec.kinds import network_from_dict
from resnet_keras.spec.network import Network
from resnet_keras.spec.paper_nets import cifar10
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.short_experiment import DEPTHS

FOLDER = "confirmation"
"""Subfolder of a search for the runs of the best trial's settings and of the short experiment's residual nets."""


def confirm(folder: Path, recipe: Recipe, data: ImageData, seeds: Sequence[int], console: Console) -> Table:
    """Trains the best trial's settings and the short experiment's residual nets anew; resumes if killed.

    Args:
        folder: folder of the search.
        recipe: that of the short experiment, with as many updates as both get.
        data: images to train on.
        seeds: seeds of weights, order and augmentation.
        console: where progress goes.

    Raises:
        OSError: no trial has finished, or a folder cannot be written.
    """
    found, skipped = trials.read(folder)
    say(console, *skipped)
    ended = trials.best_first(found)
    if not ended:
        raise InputOutput(f"The best finished trial of a search is confirmed. Received: {folder} without one.")
    best = reading.read(folder / ended[0].run)
    tuned = best.recipe
    searched = {name: getattr(tuned, name) for name in ("learning_rate", "weight_decay", "batch_size")}
    default = [cifar10(depth, "A", data.num_classes, image_size=data.image_size) for depth in DEPTHS]
    contenders: list[tuple[str, Network, Recipe]] = [
        (f"best trial: {ended[0].run}", network_from_dict(best.settings["architecture"]), replace(recipe, **searched)),
        *((f"default: {net.name}", net, recipe) for net in default),
    ]
    rows = []
    for number, (title, network, own) in enumerate(contenders):
        # A longer search may find another best trial.
        name = Path(ended[0].run).name if number == 0 else network.name
        outs = [(seed, folder / FOLDER / f"{name}-seed{seed}") for seed in seeds]
        done = [run(network, own, data, seed=seed, out=out, console=console) for seed, out in outs]
        results = [one.results for one in done if one.results is not None]
        tests = [one.test_error for one in results if one.test_error is not None]
        rows.append((title, str(own.iterations), mean([one.validation_error for one in results]), mean(tests)))
    return Table(("settings", "updates", "validation error %", "test error %"), tuple(rows))
