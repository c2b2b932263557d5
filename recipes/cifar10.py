"""Train one plain or residual net on CIFAR-10 as in section 4.2 of the paper.

    KERAS_BACKEND=jax python recipes/cifar10.py --depth 56
    KERAS_BACKEND=torch python recipes/cifar10.py --depth 20 --plain --seed 3
    KERAS_BACKEND=jax python recipes/cifar10.py --depth 20 --seeds 0-4

64,000 iterations of 128 images, learning rate 0.1 divided by 10 at 32,000 and 48,000, on 45,000 training images.
Expected test error in percent (paper): 20 layers 8.75, 32 7.51, 44 7.17, 56 6.97, 110 6.43, 1202 7.93.
"""

from collections.abc import Sequence
from dataclasses import replace

from resnet_keras.data.small import sources
from resnet_keras.errors import InvalidValue
from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.main import main
from resnet_keras.programs.options import ALL_IMAGES, check_folders, planned, recipe_from, run_folders, training_options
from resnet_keras.programs.processes import start_processes
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import reading
from resnet_keras.spec.paper_nets import cifar10
from resnet_keras.spec.paper_recipes import cifar10_recipe


def program(arguments: Sequence[str]) -> None:
    parser = training_options(__doc__, out="runs/<net>-seed<seed>", several_seeds=True, several_processes=True)
    parser.add_argument(
        "--depth", type=int, required=True, metavar="N", help="number of weighted layers: 6n + 2, 8 to 1202"
    )
    parser.add_argument("--plain", action="store_true", help="train a plain net, without shortcuts")
    parser.add_argument("--shortcut", metavar="A|B|C", help="shortcut option of section 4.1 (default: A)")
    parser.add_argument("--all-images", action="store_true", help=ALL_IMAGES)
    options = parser.parse(arguments)
    if options.plain and options.shortcut is not None:
        raise InvalidValue(f"A plain net has no shortcuts. Received: --plain with --shortcut {options.shortcut}.")
    architecture = cifar10(options.depth, "A" if options.shortcut is None else options.shortcut)
    if options.plain:
        architecture = replace(architecture, shortcut=None)
    recipe = recipe_from(options, cifar10_recipe(options.depth))
    outs = run_folders(options, architecture.name)
    start_processes(options, recipe)
    sources.check_folder(options.data_dir, options.dataset)
    check_folders(options, outs.values())
    console = plain_console()
    say(console, f"reading {options.data_dir or options.dataset or 'CIFAR-10'} ...")
    choose_backend()
    data = sources.load(options.data_dir, options.dataset, all_images=options.all_images)
    start_backend(console, options)
    architecture = replace(architecture, num_classes=data.num_classes, image_size=data.image_size)
    from resnet_keras.experiments.estimate import estimate  # imports Keras, with the backend just chosen
    from resnet_keras.experiments.run import run_seeds

    if options.estimate:
        say(console, *estimate(architecture, recipe, data, seed=options.seed, **planned(options)).lines())
        return
    finished = run_seeds(
        architecture,
        recipe,
        data,
        outs=outs,
        resume=options.resume,
        console=console,
        tensorboard=options.tensorboard,
    )
    say(console, tables.ending(finished))
    if (file := finished[0].path / reading.MODEL).exists():  # it may have been removed since the run ended
        say(console, f"load it: keras.models.load_model({str(file)!r})")


if __name__ == "__main__":
    main(program)
