"""Draw a figure: 1, 4 or 6 of the paper from run folders; 7, gradients or surface from the nets themselves; or --all.

    python recipes/figures.py runs/degradation
    python recipes/figures.py runs --figure 1 --axis paper --out figure1
    python recipes/figures.py runs/figure-6 --others a-martyn/*.csv
    python recipes/figures.py plain-56.keras runs/ResNet-56-seed0 --figure 7
    python recipes/figures.py --figure gradients --initial 20 56 110
    python recipes/figures.py plain-56.keras ResNet-56.keras --figure surface
    python recipes/figures.py --all runs --line --out figures

Nothing is trained. Each figure is a .png, a .svg and a .csv of the values drawn. 7, gradients and surface measure nets
on images; run the same command again to resume an interrupted surface. With --all, a line reports each figure that
cannot be drawn.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from resnet_keras import plotting
from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.plotting import from_runs
from resnet_keras.programs.main import main
from resnet_keras.programs.options import DATASET, MAX_SEED, PHOTOGRAPHS, SMALL_IMAGES, OneLineParser, file_path
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import reading, storage

MEASURED = ("7", "gradients", "surface")


def program(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    console = plain_console(sys.stderr)
    others = [plotting.read_curve(file) for file in options.others]
    if options.figure in MEASURED and not options.all:
        path = options.out or Path(f"figure-{options.figure}")
        _print(_measured(options, [options.figure], options.folders, {options.figure: path}, console), console)
        return
    files = [path for path in options.folders if path.suffix == ".keras"]
    found, skipped = from_runs.find([path for path in options.folders if path not in files])
    say(console, *skipped)
    if not found and not others and not (options.all and (files or options.initial)):
        raise InputOutput(f"A figure is drawn from run folders. None found in: {', '.join(map(str, options.folders))}.")
    if not options.all:
        drawing = from_runs.draw(options.figure, found, axis=options.axis, others=others)
        _print(drawing.save(options.out or Path(drawing.name)), console)
        return
    out = options.out or Path("figures")
    for one in from_runs.draw_all(found, axis=options.axis, others=others):
        _print([one] if isinstance(one, str) else one.save(out / one.name), console)
    nets = list(files)
    for path in (run.path for run in found if (run.path / reading.MODEL).exists()):
        try:
            reading.model_file(path)
        except InputOutput as error:
            say(console, f"{path} was not measured: {error}")
        else:
            nets.append(path)
    outs = {name: out / (f"figure-{name}" if name == "7" else name) for name in MEASURED}
    _print(_measured(options, MEASURED, nets, outs, console), console)


def _measured(options: Namespace, names: Sequence[str], paths: Sequence[Path], outs: dict[str, Path], console: Console):
    """Draws figures of nets and yields their files and, with --all, lines about those that cannot be drawn."""
    if not paths and not options.initial:
        yield f"Figures {', '.join(names)} were not drawn: no {reading.MODEL} of a finished run."
        return
    storage.check_writable(outs[names[0]].parent)
    start_backend(console)
    from resnet_keras.analysis import figures, images, nets, surface  # import Keras, with the backend just chosen

    across = surface.steps(options.points, options.reach)
    how = figures.Settings(options.limit, (across, (0.0,) if options.line else across), options.initial, options.seed)
    trained, skipped = nets.read(paths)
    yield from skipped
    for name in names:
        part, limit = figures.FIGURES[name]
        try:
            shown = images.load(
                options.data_dir, part, limit if options.limit is None else options.limit, options.dataset
            )
            fit, lines = figures.fitting(trained, shown) if options.all else (trained, [])
            yield from lines if name == names[0] else ()
            yield from plotting.save(figures.measure(name, fit, shown, outs[name], console, how), outs[name])
            yield figures.csv_of(outs[name])
        except (InvalidValue, InputOutput) as error:
            if not options.all:
                raise
            yield f"{name} was not drawn: {error}"


def _print(written, console: Console) -> None:
    """Prints paths to standard output, and lines about what is not drawn to standard error."""
    for one in written:
        if isinstance(one, Path):
            say(plain_console(), str(one))
        else:
            say(console, one)


def _options(arguments: Sequence[str]) -> Namespace:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("folders", type=file_path, nargs="*", metavar="FOLDER_OR_FILE",
        help="run folders, or folders containing them; with --figure 7, gradients or surface, also "
        ".keras files")  # fmt: skip
    figure = parser.add_mutually_exclusive_group()
    figure.add_argument("--figure", choices=(*from_runs.NUMBERS, *MEASURED), default="6",
        help="figure number in the paper, or a name (default: 6)")  # fmt: skip
    figure.add_argument("--all", action="store_true", help="draw every figure into the folder --out")
    add("--axis", choices=("fitted", "paper"), default="fitted",
        help="with --figure 1, 4 or 6: error axis; paper: 0 to 20 %%, 20 to 60 %% in Figure 4 (default: "
        "fitted)")  # fmt: skip
    add("--others", type=file_path, nargs="+", default=[], metavar="FILE", help="with --figure 1 or 6: curves "
        "from other projects, in CSV files named after their net, with columns epoch,train_loss,train_err,test_err or "
        "iteration,minibatch_loss,minibatch_accuracy,test_loss,test_accuracy")  # fmt: skip
    add("--out", type=file_path, metavar="FILE", help="output file without suffix (default: figure-<n>); with "
        "--all, a folder (default: figures)")  # fmt: skip
    add("--data-dir", type=file_path, metavar="PATH", help=f"with --figure 7, gradients or surface: {SMALL_IMAGES}; "
        f"or photographs: {PHOTOGRAPHS}")  # fmt: skip
    add("--dataset", metavar="NAME", help=f"with --figure 7, gradients or surface: {DATASET} (default: the only one)")
    add("--limit", type=int, metavar="N", help="with --figure 7, gradients or surface: use N images, evenly "
        "spread over the data (default: all test images for 7, 1,024 training images for gradients and 500 for "
        "surface)")  # fmt: skip
    add("--initial", type=int, nargs="+", default=[], metavar="N", help="with --figure gradients: also untrained "
        "CIFAR-10 nets of these depths, plain and residual, with and without batch normalisation")  # fmt: skip
    add("--line", action="store_true", help="with --figure surface: along one direction instead of over a plane")
    add(
        "--points",
        type=int,
        default=25,
        metavar="N",
        help="with --figure surface: points along each direction (default: 25)",
    )
    add(
        "--reach",
        type=float,
        default=1.0,
        metavar="STEP",
        help="with --figure surface: how far to go each way (default: 1)",
    )
    add("--seed", type=int, default=0, metavar="N",
        help="random seed for directions or untrained nets (default: 0)")  # fmt: skip
    options = parser.parse(arguments)
    if options.out is not None and options.out.suffix in (".png", ".svg") and not options.all:
        options.out = options.out.with_suffix("")
    if not (options.folders or options.initial or options.others):
        raise InvalidValue("A figure needs run folders or files. Received: none. See --help.")
    if options.initial and options.figure != "gradients" and not options.all:
        raise InvalidValue(
            f"--initial applies only to --figure gradients and --all. Received: --figure {options.figure}."
        )
    if options.others and options.figure not in ("1", "6"):
        raise InvalidValue(f"--others applies only to --figure 1, 6 and --all. Received: --figure {options.figure}.")
    if not 0 <= options.seed <= MAX_SEED:
        raise InvalidValue(f"A seed is a whole number from 0 to {MAX_SEED:,}. Received: --seed {options.seed}.")
    return options


if __name__ == "__main__":
    main(program)
