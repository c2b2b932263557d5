"""The main job: see degradation, and how residual learning removes it (Figures 1 and 6 of the paper).

    python recipes/degradation.py           four nets, small images: minutes
    python recipes/degradation.py --paper   Figure 6: over two weeks on a CPU

Trains plain and residual nets at two depths, prints a table and draws the figure. The deeper plain net has the higher
*training* error, so this is not overfitting; with shortcuts, the same net at the same depth does not. Without CIFAR-10
on disk or a network to download it, generated patterns are used, and the output says so. A net already finished in
--out is not trained again, and an interrupted one is resumed.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from resnet_keras import plotting
from resnet_keras.data.small import sources
from resnet_keras.data.small.generated import generated
from resnet_keras.data.small.images import ImageData
from resnet_keras.errors import InvalidValue
from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.main import main
from resnet_keras.programs.options import recipe_from, training_options
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import storage
from resnet_keras.runs.lookup import folder_for
from resnet_keras.runs.storage import check_writable
from resnet_keras.spec.paper_nets import CIFAR10_SIZE, cifar10
from resnet_keras.spec.paper_recipes import cifar10_recipe
from resnet_keras.spec.short_experiment import DEPTHS, IMAGE_SIZE, SHORT, SHORT_ON_PATTERNS

PAPER_PLAIN = (20, 32, 44, 56)
PAPER_RESIDUAL = (20, 32, 44, 56, 110, 1202)


def program(arguments: Sequence[str]) -> None:
    parser = training_options(__doc__, out="runs/degradation, or runs/figure-6 with --paper")
    parser.add_argument("--paper", action="store_true", help="use the nets, images and schedule of Figure 6")
    parser.add_argument(
        "--depths",
        type=int,
        nargs="+",
        metavar="N",
        help=f"depths of the nets, each 6n + 2 (default: {' '.join(map(str, DEPTHS))})",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help=f"average images down to this size: 32, 16 or 8 (default: {IMAGE_SIZE})",
    )
    options = parser.parse(arguments)
    if options.paper and (options.depths or options.image_size is not None):
        raise InvalidValue(
            "--paper sets the depths and the image size. Received: --paper with --depths or --image-size."
        )
    named = options.data_dir is not None or options.dataset is not None
    if options.image_size is not None and not named and (options.image_size < 1 or CIFAR10_SIZE % options.image_size):
        raise InvalidValue(
            f"Images of {CIFAR10_SIZE} pixels are averaged down to a divisor of that size. "
            f"Received: --image-size {options.image_size}."
        )
    depths = sorted(set(options.depths or DEPTHS))
    nets = (
        [cifar10(depth, None) for depth in PAPER_PLAIN] + [cifar10(depth) for depth in PAPER_RESIDUAL]
        if options.paper
        else [cifar10(depth, shortcut) for shortcut in (None, "A") for depth in depths]
    )
    recipe_from(options, SHORT)  # report errors in it before long work, not after
    out = folder_for(options.out or Path("runs/figure-6" if options.paper else "runs/degradation"), options.resume)
    sources.check_folder(options.data_dir, options.dataset)
    if not options.estimate:
        check_writable(out)
    console = plain_console()
    say(console, f"reading {options.data_dir or options.dataset or 'CIFAR-10'} ...")
    choose_backend()
    data = images(options.data_dir, options.dataset, console)
    start_backend(console)
    short = SHORT_ON_PATTERNS if data.generated else SHORT
    recipes = [recipe_from(options, cifar10_recipe(net.depth) if options.paper else short) for net in nets]
    size = options.image_size
    if size is None:
        size = data.image_size if options.paper or data.image_size % IMAGE_SIZE else IMAGE_SIZE
    data = data.averaged_to(size)
    from resnet_keras.experiments.estimate import estimate  # import Keras, with the backend just chosen
    from resnet_keras.experiments.run import inspect, run
    from resnet_keras.reports.progress_bar import clock

    jobs = [
        (
            replace(net, image_size=data.image_size, num_classes=data.num_classes),
            recipe,
            out / f"{net.name}-seed{options.seed}",
        )
        for net, recipe in zip(nets, recipes, strict=True)
    ]
    if options.estimate:
        estimates = [estimate(net, recipe, data, seed=options.seed) for net, recipe, _ in jobs]
        for (net, _, _), one in zip(jobs, estimates, strict=True):
            say(console, net.name, *one.lines())
        say(console, f"all     {clock(sum(one.seconds for one in estimates))}")
        return
    for net, recipe, folder in jobs:  # before hours of work, not after
        inspect(net, recipe, data, seed=options.seed, out=folder)
    said = {"console": console, "tensorboard": options.tensorboard}
    finished = [run(net, recipe, data, seed=options.seed, out=folder, **said) for net, recipe, folder in jobs]
    table = tables.errors(finished)
    storage.atomic_write(out / "table.md", table.markdown().encode())
    axis = "paper" if all(one.follows_paper for one in finished) else "fitted"
    png, svg = plotting.save(plotting.figure_6(finished, axis=axis), out / "degradation")
    say(console, "", f"{data.name}, {data.image_size} x {data.image_size} pixels", style="bold")
    console.print(table.for_terminal())
    say(console, f"figure: {png} and {svg}")


def images(data_dir: Path | None, dataset: str | None, console: Console) -> ImageData:
    """CIFAR-10 or the user's images; generated patterns only if no data set is named and none can be had."""
    try:
        return sources.load(data_dir, dataset)
    except sources.NotAvailable as error:
        if data_dir is not None or dataset is not None:
            raise
        say(console, f"NOT CIFAR-10. {error}", "Using generated patterns instead.", style="bold red")
        return generated()


if __name__ == "__main__":
    main(program)
