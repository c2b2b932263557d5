"""Fine-tune a trained net on your own images: a new last layer for their classes, the trained weights in all others.

    python recipes/finetune.py resnet-56.keras --data-dir flowers --out flowers
    python recipes/finetune.py runs/ResNet-20-seed0 --data-dir mine.npz \\
        --freeze stages 2 --iterations 800

400 iterations of 32 images, learning rate 0.05 divided by 10 at 200 and 300, a tenth of it in the old layers. FILE is
a run folder or a .keras file written by recipes/convert.py. Images come from an .npz file (x_train, y_train, x_test,
y_test), CIFAR-10, or a folder with train/<class>/* and val/<class>/*, cropped to the net's image size. Frozen layers
keep their weights and the moving statistics of their batch normalisation. The result is a run folder like any other.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from resnet_keras.data.choice import choose
from resnet_keras.data.dataset import Dataset
from resnet_keras.data.photographs import batches as photographs
from resnet_keras.data.small import sources
from resnet_keras.errors import InvalidValue
from resnet_keras.programs.main import main
from resnet_keras.programs.options import (
    check_folders,
    file_path,
    photograph_options,
    planned,
    recipe_from,
    training_options,
)
from resnet_keras.programs.processes import start_processes
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import reading
from resnet_keras.spec.augmentation import ScaledCrop
from resnet_keras.spec.finetune import FineTune, Freeze
from resnet_keras.spec.paper_recipes import FINETUNE


def program(arguments: Sequence[str]) -> None:
    parser = training_options(
        __doc__,
        out="runs/<net>-finetuned-seed<seed>",
        data="images to train on: see above",
        dataset="the only one",
        data_required=True,
        several_processes=True,
    )
    add = parser.add_argument
    add("file", type=file_path, metavar="FILE", help="the net to start from: a run folder or a .keras file")
    add("--freeze", nargs="+", default=["none"], metavar="WHAT", help="layers to freeze: none, all-but-head, or "
        "stages N, which is the stem and the first N stages (default: none)")  # fmt: skip
    add("--old-rate", type=float, default=0.1, metavar="SHARE", help="learning rate of the old layers, as a share of "
        "the new layer's (default: 0.1)")  # fmt: skip
    photograph_options(parser)
    options = parser.parse(arguments)
    freeze, stages = _freeze(options.freeze)
    FineTune("", freeze, stages, options.old_rate)  # before long work, not after
    if options.estimate and freeze != "none":
        raise InvalidValue(
            "--estimate is for training all layers, which takes longest. "
            f"Received: --freeze {' '.join(options.freeze)}."
        )
    recipe = recipe_from(options, FINETUNE)
    start_processes(options, recipe)
    chosen = choose(options.data_dir, options.dataset)
    console = plain_console()
    start_backend(console, options)
    from resnet_keras.experiments.estimate import estimate  # imports Keras, with the backend just chosen
    from resnet_keras.experiments.finetune import finetune, read

    start = read(options.file)
    data: Dataset
    if chosen.small:
        data = sources.load(chosen.path)
    else:
        data = photographs.load(
            chosen.path, start.network.image_size, skip_bad=options.skip_bad, workers=options.workers
        )
        recipe = replace(recipe, augmentation=ScaledCrop())
    if options.estimate:
        say(console, *estimate(start.for_images(data), recipe, data, seed=options.seed, **planned(options)).lines())
        return
    out = options.out or Path("runs") / f"{start.network.name.replace(' ', '-')}-finetuned-seed{options.seed}"
    check_folders(options, [out])
    finished = finetune(
        start,
        data,
        recipe=recipe,
        freeze=freeze,
        stages=stages,
        old_rate=options.old_rate,
        seed=options.seed,
        out=out,
        resume=options.resume,
        tensorboard=options.tensorboard,
    )
    say(console, tables.ending([finished]))
    if (file := finished.path / reading.MODEL).exists():  # it may have been removed since the run ended
        say(console, f"load it: keras.models.load_model({str(file)!r})")


def _freeze(words: Sequence[str]) -> tuple[Freeze, int]:
    match words:
        case ["none" | "all-but-head" as what]:
            return what, 0
        case ["stages", number] if number.isdecimal() and len(number) < 5:
            return "stages", int(number)
    raise InvalidValue(
        f"--freeze is one of {', '.join(get_args(Freeze))}; stages is followed by a number. "
        f"Received: {' '.join(words)}."
    )


if __name__ == "__main__":
    main(program)
