"""What every recipe shares: its options, the choice of backend, one-line errors and exit codes.

Exit codes: 2 usage, 3 diverged, 4 input or output, 5 a damaged file, 128 + n stopped by signal n (Ctrl-C: 130).
"""

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, get_args

from resnet_keras.errors import InvalidValue
from resnet_keras.programs.processes import here
from resnet_keras.runs import events
from resnet_keras.runs.lookup import Resume
from resnet_keras.runs.storage import check_writable
from resnet_keras.spec.recipe import MAX_BATCH_SIZE, MAX_COUNT, MOST_COUNTED, Precision, Recipe

LINK = 12.5
"""Gigabytes per second, as of a network of 100 Gbit/s."""
SLOWEST_LINK, FASTEST_LINK = 1e-6, 1e6
MAX_SEED, MAX_SEEDS = 2**32 - 1, 1_000


BACKEND_HELP = "Set KERAS_BACKEND=tensorflow, jax or torch in the environment to choose the backend."


class _Paragraphs(argparse.HelpFormatter):
    """Wraps the recipe's docstring to fit the terminal, except indented lines, which are commands and lists."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            part if part.startswith(" ") else textwrap.fill(" ".join(part.split()), width, break_on_hyphens=False)
            for part in paragraphs
        )


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and whose help fits the terminal.

    Args:
        description: the recipe's docstring.
        computes: whether the recipe needs a backend; its help then says how to choose one.
    """

    def __init__(self, description: str | None, *, computes: bool = True) -> None:
        super().__init__(
            description=description,
            epilog=BACKEND_HELP if computes else None,
            formatter_class=_Paragraphs,
            allow_abbrev=False,
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parses the options. The error for an unknown one suggests the nearest that exists.

        Raises:
            ValueError: options are unknown or missing, or have invalid values.
        """
        # argparse itself would first complain of a missing --depth that was given as --dpeth.
        known = [option for action in self._actions for option in action.option_strings]
        for name, _, value in (word.partition("=") for word in arguments if word.startswith("--") and word != "--"):
            if value == "--":  # argparse takes this for the end of the options
                self.error(f"argument {name}: invalid value: '--'")
            if name not in known:
                near = get_close_matches(name, known, n=1)
                self.error(f"unknown option {name}{f': did you mean {near[0]}?' if near else ''}")
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        message = message.removesuffix(".")
        raise InvalidValue(f"{message[:1].upper()}{message[1:]}{'' if message.endswith('?') else '.'} See --help.")


def file_path(text: str) -> Path:
    """The type of options that name a file or folder.

    Raises:
        ArgumentTypeError: the text cannot name a file.
    """
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"a path is not blank and has no null character. Received: {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # "~nobody/x", or no home
        raise argparse.ArgumentTypeError(
            f"~ in a path stands for a known home directory. Received: {text!r} ({error})"
        ) from None


SMALL_IMAGES = (
    "CIFAR-10 as stored by TensorFlow Datasets, Keras, torchvision or its own site, or .npz files with x_train, "
    "y_train, x_test, y_test (default: TFDS_DATA_DIR, else ~/tensorflow_datasets, else Keras's folder, else a download)"
)
ALL_IMAGES = (
    "train on all images, as the paper most probably did; validation errors are then those of the test images "
    "(default: hold out 5,000 of CIFAR-10, a tenth of other sets)"
)
DATASET = "which data set in a TensorFlow Datasets folder, such as cifar100 or mnist"


def photograph_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of every recipe that reads photographs."""
    add = parser.add_argument
    add("--skip-bad", type=int, default=0, metavar="N", help="skip up to N damaged photographs (default: 0)")
    add("--workers", type=int, metavar="N", help="number of decoding threads (default: one per core)")


PHOTOGRAPHS = "folder with train/<class>/* and val/<class>/*, or a data set prepared by TensorFlow Datasets"


def training_options(
    description: str | None,
    *,
    out: str,
    data: str = SMALL_IMAGES,
    dataset: str = "the paper's, or the only one",
    data_required: bool = False,
    several_seeds: bool = False,
    several_processes: bool = False,
) -> OneLineParser:
    """An argument parser with the options of every recipe that trains.

    Args:
        description: the recipe's docstring.
        out: the default of `--out`, for the help.
        data: what `--data-dir` names, for the help.
        dataset: the default of `--dataset`, for the help.
        data_required: whether `--data-dir` has no default.
        several_seeds: whether there is `--seeds`, as for recipes that train one net.
        several_processes: whether there are `--processes` and `--devices`.
    """
    options = OneLineParser(description)
    add = options.add_argument
    seed = options.add_mutually_exclusive_group()
    seed.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="random seed for weights, data order and augmentation (default: 0)",
    )
    if several_seeds:
        seed.add_argument(
            "--seeds",
            type=seed_list,
            metavar="N-N,N,...",
            help="several seeds instead of --seed, each in its own folder in --out; with JAX on an accelerator, "
            "all in one program",
        )
    add("--data-dir", type=file_path, metavar="PATH", required=data_required, help=data)
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: {dataset})")
    add("--out", type=file_path, metavar="FOLDER", help=f"where to write the run (default: {out})")
    add(
        "--iterations",
        type=int,
        metavar="N",
        help="updates in total; schedules given in updates are scaled in proportion (default: the recipe's)",
    )
    add("--batch-size", type=int, metavar="N", help="images per update (default: the recipe's)")
    add("--accumulate", type=int, metavar="N", help="compute each batch in N equal parts (default: the recipe's)")
    add(
        "--precision",
        choices=get_args(Precision),
        help="precision of training; weights and the saved net are float32 (default: the recipe's)",
    )
    add(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="initial learning rate, after any warm-up (default: the recipe's)",
    )
    add(
        "--resume",
        choices=get_args(Resume),
        default="auto",
        help="auto: resume the run in --out; fresh: start over in a new folder beside it (default: auto)",
    )
    add("--tensorboard", action="store_true", help="also write TensorBoard events to tensorboard/ in each run folder")
    add("--estimate", action="store_true", help="estimate how long training will take, without training")
    if several_processes:
        add("--processes", type=int, metavar="N", help="train in N processes, started on this machine")
        add(
            "--devices",
            type=int,
            metavar="N",
            help="devices per process (default: one; with JAX in several processes, all that each has)",
        )
        add(
            "--sync-batch-norm",
            action="store_true",
            help="normalise over the whole batch instead of each device's part (JAX always does)",
        )
        add(
            "--link",
            type=float,
            default=LINK,
            metavar="GB/S",
            help=f"bandwidth between two devices, for --estimate with --devices or --processes (default: {LINK:g})",
        )
    add("--fresh", dest="resume", action="store_const", const="fresh", help="the same as --resume fresh")
    return options


def seed_list(text: str) -> tuple[int, ...]:
    """The type of `--seeds`: "0-4", "1,3", "0-2,7".

    Raises:
        ArgumentTypeError: the text is no such list, or a seed is repeated or out of range.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash) and max(len(first), len(last)) <= 10):
            raise argparse.ArgumentTypeError(f"seeds are a range or a list, such as 0-4 or 0,2,7. Received: {text!r}")
        low, high = int(first), int(last or first)
        if low > high:
            raise argparse.ArgumentTypeError(f"a range of seeds is ascending, such as 0-4. Received: {part!r}")
        if high > MAX_SEED or high - low >= MAX_SEEDS - len(found):
            raise argparse.ArgumentTypeError(
                f"there are at most {MAX_SEEDS} seeds, each up to {MAX_SEED:,}. Received: {text!r}"
            )
        found += range(low, high + 1)
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"each seed is given once. Received: {text!r}")
    return tuple(found)


def run_folders(options: argparse.Namespace, name: str) -> dict[int, Path]:
    """The run folder of each seed, by default `runs/<net>-seed<seed>`.

    Raises:
        ValueError: several seeds with an estimate, which is for one.
    """
    if options.seeds is not None and options.estimate:
        raise InvalidValue("--estimate gives the time for one seed. Received: --estimate with --seeds.")
    if options.seeds is None:
        named = Path("runs") / f"{name.replace(' ', '-')}-seed{options.seed}"
        return {options.seed: options.out or named}
    parent = options.out or Path("runs")
    return {seed: parent / f"{name.replace(' ', '-')}-seed{seed}" for seed in options.seeds}


def check_folders(options: argparse.Namespace, folders: Iterable[Path]) -> None:
    """Checks that the run folders can be written, if this process will write them.

    Raises:
        OSError: a folder cannot be written.
    """
    for folder in folders if here().leads and not options.estimate else ():
        check_writable(folder)


def planned(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `estimate` for several devices, of which this machine may have only one.

    Raises:
        ValueError: the link's speed is out of range.
    """
    if not SLOWEST_LINK <= options.link <= FASTEST_LINK:
        raise InvalidValue(
            f"A link has a bandwidth of {SLOWEST_LINK:g} to {FASTEST_LINK:g} GB/s. Received: --link {options.link:g}."
        )
    return {"devices": (options.processes or 1) * (options.devices or 1), "link": options.link * 1e9}


def check_iterations(iterations: int) -> None:
    """Checks `--iterations`.

    Raises:
        ValueError: it is out of range.
    """
    if not 1 <= iterations <= MAX_COUNT:
        raise InvalidValue(f"Training takes 1 to {MAX_COUNT:,} iterations. Received: --iterations {iterations}.")


def recipe_from(options: argparse.Namespace, recipe: Recipe) -> Recipe:
    """The recipe with the changes from the command line.

    Raises:
        ValueError: a number is out of range, or TensorBoard is asked for and not installed.
    """
    if not 0 <= options.seed <= MAX_SEED:
        raise InvalidValue(f"A seed is a whole number from 0 to {MAX_SEED:,}. Received: --seed {options.seed}.")
    if options.tensorboard:
        events.check_installed()
    names = ("batch_size", "learning_rate", "accumulate", "precision")
    changed = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.iterations is not None:
        check_iterations(options.iterations)
        recipe = recipe.rescaled(options.iterations)
    if options.batch_size and options.batch_size <= MAX_BATCH_SIZE:  # a larger one is refused by its own name
        changed["evaluate_every"] = min(recipe.evaluate_every, MOST_COUNTED // options.batch_size)
    return replace(recipe, **changed)
