"""The text of a figure of runs: its title, and the line of settings under it."""

from collections.abc import Sequence
from dataclasses import replace

from resnet_keras.runs.reading import Run
from resnet_keras.spec.paper_nets import CIFAR10_SIZE, IMAGENET_SIZE


def title(runs: Sequence[Run]) -> str:
    """The data set, and how it differs from the paper's; without runs, the data set of others' curves."""
    if not runs:
        return "CIFAR-10"
    data = runs[0].settings["data"]
    name, size = data["name"], data["image_size"]
    if data["generated"]:
        return f"{name}, {size} x {size} pixels: a stand-in, not CIFAR-10"
    none_held_out = ", no images held out" if runs[0].all_images else ""
    averaged = f" averaged to {size} x {size} pixels" if name == "CIFAR-10" and size != CIFAR10_SIZE else ""
    cropped = f", {size} x {size} pixels" if name != "CIFAR-10" and size != IMAGENET_SIZE else ""
    return f"{name}{averaged}{cropped}{none_held_out}"


def settings_line(runs: Sequence[Run], *, others: bool = False) -> str:
    """The line under the figure: what was run.

    Args:
        runs: the runs in the figure.
        others: whether it also has curves of other projects.
    """
    if not runs:
        return "curves of other projects; no run of ours"
    seeds = sorted({run.settings["seed"] for run in runs})
    backends = " and ".join(sorted({run.settings["backend"] for run in runs}))
    recipe, some = runs[0].recipe, ""
    if len({run.recipe.warmup for run in runs}) > 1:
        recipe = replace(recipe, warmup=None)
        some = f"{' and '.join(sorted({run.name for run in runs if run.recipe.warmup}))} warmed up; "
    precision = "" if recipe.precision == "float32" else f", {recipe.precision}"
    numbered = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    several = "; mean ± standard deviation" if len(runs) > len({run.name for run in runs}) else ""
    whose = "ours: " if others else ""
    return f"{whose}{recipe}; {some}{numbered}{several}; Keras on {backends}{precision}"
