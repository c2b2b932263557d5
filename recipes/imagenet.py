"""Train one net on photographs: plain or residual as in section 3.4 of the paper, or one the paper compares with.

    python recipes/imagenet.py --depth 34 --data-dir imagenet
    KERAS_BACKEND=torch python recipes/imagenet.py --depth 50 \\
        --data-dir imagenet --recipe modern --accumulate 8
    python recipes/imagenet.py --architecture googlenet --data-dir imagenet

600,000 iterations of 256 photographs, learning rate 0.1 divided by 10 when the validation error plateaus. --recipe
steps is the schedule of most ports: 90 epochs, divided by 10 after 30 and 60. --recipe modern has a cosine schedule,
label smoothing, averaged weights, residuals that start at 0, and the stride of a bottleneck unit in its 3x3
convolution. --recipe large is for many devices: batches of 8,192 at 32 times the rate, after a warm-up (Goyal et al.
2017).

--architecture vgg-16, vgg-19, googlenet, prelu-net-a, -b, -c or bn-inception trains that net with its own paper's
recipe, GoogLeNet with its two auxiliary classifiers, which are not part of the saved net.

--data-dir holds train/<class>/* and val/<class>/*, or imagenet2012 as prepared by TensorFlow Datasets. Expected top-1
error in percent, 10-crop (paper): 18 layers 27.88, 34 24.19 to 25.03, 50 22.85, 101 21.75, 152 21.43; plain: 18 27.94,
34 28.54. recipes/evaluate.py tests with this and the other protocols.
"""

import shlex
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from resnet_keras.data.choice import choose
from resnet_keras.data.photographs import batches as photographs
from resnet_keras.data.photographs.sources import IMAGENET as IMAGENET_2012
from resnet_keras.errors import InvalidValue
from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.main import main
from resnet_keras.programs.options import (
    PHOTOGRAPHS,
    check_folders,
    photograph_options,
    planned,
    recipe_from,
    run_folders,
    training_options,
)
from resnet_keras.programs.processes import start_processes
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import reading
from resnet_keras.spec.baselines.recipes import COMPARISON_SYSTEMS
from resnet_keras.spec.network import Network
from resnet_keras.spec.paper_nets import imagenet
from resnet_keras.spec.paper_recipes import IMAGENET, IMAGENET_LARGE, IMAGENET_MODERN, IMAGENET_STEPS
from resnet_keras.spec.recipe import Recipe

RECIPES = {"paper": IMAGENET, "steps": IMAGENET_STEPS, "modern": IMAGENET_MODERN, "large": IMAGENET_LARGE}


def asked_for(options: Namespace) -> tuple[Network, Recipe]:
    """The network and recipe that the options ask for.

    Raises:
        ValueError: an option for plain and residual nets is given with another architecture, or one for shortcuts with
            a plain net.
    """
    if options.architecture:
        for option in ("plain", "shortcut", "recipe"):
            if getattr(options, option) not in (False, "paper"):
                raise InvalidValue(
                    f"--{option} applies only to plain and residual nets. Received: it with --architecture."
                )
        system = COMPARISON_SYSTEMS[options.architecture]
        return system.network(options.image_size), system.recipe
    if options.plain and options.shortcut != "paper":
        raise InvalidValue(f"A plain net has no shortcuts. Received: --plain with --shortcut {options.shortcut}.")
    stride_in = "3x3" if options.recipe in ("modern", "large") else "1x1"
    architecture = imagenet(options.depth, options.shortcut, stride_in=stride_in, image_size=options.image_size)
    return replace(architecture, shortcut=None) if options.plain else architecture, RECIPES[options.recipe]


def program(arguments: Sequence[str]) -> None:
    parser = training_options(
        __doc__,
        out="runs/<net>-seed<seed>",
        data=PHOTOGRAPHS,
        data_required=True,
        several_seeds=True,
        several_processes=True,
    )
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--depth", type=int, metavar="N", help="number of weighted layers: 18, 34, 50, 101 or 152")
    which.add_argument(
        "--architecture",
        choices=COMPARISON_SYSTEMS,
        metavar="NAME",
        help=f"a system from the comparison in Tables 3 to 5, with its own recipe: {', '.join(COMPARISON_SYSTEMS)}",
    )
    add("--plain", action="store_true", help="train a plain net, without shortcuts")
    add(
        "--shortcut",
        default="paper",
        metavar="A|B|C",
        help="shortcut option of section 4.1 (default: A up to 34 layers, then B)",
    )
    add("--recipe", choices=RECIPES, default="paper", help="schedule and related settings (default: paper)")
    add("--image-size", type=int, default=224, metavar="PIXELS", help="side of the crops (default: 224)")
    photograph_options(parser)
    options = parser.parse(arguments)
    architecture, recipe = asked_for(options)
    recipe = recipe_from(options, recipe)
    outs = run_folders(options, architecture.name)
    start_processes(options, recipe)
    check_folders(options, outs.values())
    console = plain_console()
    say(console, f"reading {options.data_dir} ...")
    choose_backend()
    data = photographs.load(
        options.data_dir,
        options.image_size,
        dataset=options.dataset,
        skip_bad=options.skip_bad,
        workers=options.workers,
    )
    start_backend(console, options)
    architecture = replace(architecture, num_classes=data.description.num_classes)
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
    if not (finished[0].path / reading.MODEL).exists():  # it may have been removed since the run ended
        return
    words = ["recipes/evaluate.py", str(finished[0].path), "--data-dir", str(options.data_dir), "--protocol", "10-crop"]
    if options.dataset or choose(options.data_dir, usual=IMAGENET_2012).kind == "prepared":
        words += ["--dataset", options.dataset or data.description.name]
    if options.skip_bad:
        words += ["--skip-bad", str(options.skip_bad)]
    say(console, f"test it: python {shlex.join(words)}")


if __name__ == "__main__":
    main(program)
