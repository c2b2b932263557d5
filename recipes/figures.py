"""Draw a figure: 1, 4 or 6 of the paper from run folders; 7, gradients or surface from the nets themselves.

    python recipes/figures.py runs/degradation
    python recipes/figures.py runs --figure 1 --axis paper --out figure1
    python recipes/figures.py plain-56.keras runs/ResNet-56-seed0 --figure 7 --data-dir DIR --out figure-7
    python recipes/figures.py --figure gradients --initial 20 56 110 --data-dir DIR
    python recipes/figures.py plain-56.keras ResNet-56.keras --figure surface --line --data-dir DIR

Nothing is trained. 7, gradients and surface measure nets on images and also write what they draw as FILE.csv. A surface
that is interrupted is resumed by the same command.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from resnet_keras import plotting
from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.main import main
from resnet_keras.programs.options import MAX_SEED, PHOTOGRAPHS, SMALL_IMAGES, OneLineParser, file_path
from resnet_keras.reports.console import plain_console
from resnet_keras.runs import reading, storage

FROM_RUNS = {"1": plotting.figure_1, "4": plotting.figure_4, "6": plotting.figure_6}
USUAL = {"7": ("test", None), "gradients": ("train", 1_024), "surface": ("train", 500)}
"""Images of a figure that measures nets: which, and how many where --limit does not say."""


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add(
        "folders",
        type=file_path,
        nargs="*",
        metavar="FOLDER_OR_FILE",
        help="run folders, or folders that hold them; for 7, gradients and surface also .keras files",
    )
    add("--figure", choices=(*FROM_RUNS, *USUAL), default="6", help="number in the paper, or a name (default: 6)")
    add(
        "--axis",
        choices=("fitted", "paper"),
        default="fitted",
        help="of 1, 4 and 6; paper: 0 to 20 %%, 20 to 60 in Figure 4 (default: fitted)",
    )
    add("--out", type=file_path, metavar="FILE", help="without suffix; .png and .svg are written (default: figure-<n>)")
    add("--data-dir", type=file_path, metavar="PATH", help=f"of 7, gradients, surface: {SMALL_IMAGES}; or "
        f"photographs: {PHOTOGRAPHS}")  # fmt: skip
    add("--limit", type=int, metavar="N", help="of images, evenly spread over the data (default: 7 all test images, "
        "gradients 1,024 and surface 500 training images)")  # fmt: skip
    add("--initial", type=int, nargs="+", default=[], metavar="N", help="of gradients: also untrained CIFAR-10 nets of "
        "these depths, plain and residual, with batch normalisation and without")  # fmt: skip
    add("--line", action="store_true", help="of surface: along one direction, not over a plane")
    add("--points", type=int, default=25, metavar="N", help="of surface: along each direction (default: 25)")
    add("--reach", type=float, default=1.0, metavar="STEP", help="of surface: how far each way (default: 1)")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="random seed of directions or untrained nets (default: 0)",
    )
    options = parser.parse(arguments)
    path = options.out or Path(f"figure-{options.figure}")
    if not options.folders and not options.initial:
        raise InvalidValue("A figure needs run folders or files. Received: none. See --help.")
    if options.initial and options.figure != "gradients":
        raise InvalidValue(f"--initial belongs to --figure gradients. Received: --figure {options.figure}.")
    if not 0 <= options.seed <= MAX_SEED:
        raise InvalidValue(f"A seed is a whole number from 0 to {MAX_SEED:,}. Received: --seed {options.seed}.")
    if options.figure in USUAL:
        figure = _measured(options, path)
    else:
        found = [run for folder in options.folders for run in reading.find(folder)]
        if not found:
            raise InputOutput(f"A figure is drawn from run folders. None in: {', '.join(map(str, options.folders))}.")
        figure = FROM_RUNS[options.figure](found, axis=options.axis)
    for written in plotting.save(figure, path):
        print(written)


def _measured(options: Namespace, out: Path) -> Figure:
    storage.check_writable(out.parent)
    choose_backend()
    from resnet_keras.analysis import figures, images, nets, surface  # import Keras, with the backend just chosen

    console = plain_console(sys.stderr)
    across = surface.steps(options.points, options.reach)
    measured = nets.read(options.folders)
    part, limit = USUAL[options.figure]
    shown = images.load(options.data_dir, part, limit if options.limit is None else options.limit)
    match options.figure:
        case "7":
            return figures.responses(measured, shown, out, console)
        case "gradients":
            initial = figures.initial(options.initial, options.seed)
            return figures.gradients(measured, initial, shown, out, console)
        case _:
            steps = across, (0.0,) if options.line else across
            return figures.loss(measured, shown, out, console, steps=steps, seed=options.seed)


if __name__ == "__main__":
    main(program)
