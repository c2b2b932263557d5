"""What every recipe shares: its options, the choice of a backend, one-line errors and exit codes.

Exit codes: 2 usage, 3 diverged, 4 input or output, 5 a damaged file, 128 + n stopped by signal n (Ctrl-C: 130).
"""

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, TextIO, get_args

from resnet_keras import signals
from resnet_keras.errors import Diverged, InputOutput, InvalidValue, OtherRun, Stopped
from resnet_keras.runs.writing import Resume
from resnet_keras.spec.recipe import MOST, Precision, Recipe

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras's name of a backend, and the package it needs."""
INTERRUPTED = 130
MOST_SEED, MOST_SEEDS = 2**32 - 1, 1_000
LONGEST_LINE = 1_000
"""Characters of an error that are shown: a value on the command line can be of any length."""


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; its help keeps the lines of the recipe's docstring."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options. An unknown one is named with the nearest that there is.

        Raises:
            ValueError: options that are not known, missing or no values of theirs.
        """
        # argparse itself would complain of a missing --depth first, where it is there as --dpeth.
        known = [option for action in self._actions for option in action.option_strings]
        for name, _, value in (word.partition("=") for word in arguments if word.startswith("--") and word != "--"):
            if value == "--":  # argparse takes it for the end of the options
                self.error(f"argument {name}: invalid value: '--'")
            if name not in known:
                near = get_close_matches(name, known, n=1)
                self.error(f"unknown option {name}{f': did you mean {near[0]}?' if near else ''}")
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        message = message.removesuffix(".")
        raise InvalidValue(f"{message[:1].upper()}{message[1:]}{'' if message.endswith('?') else '.'} See --help.")


def path(text: str) -> Path:
    """The type of options that name a file or folder.

    Raises:
        ArgumentTypeError: a text that no file can be named by.
    """
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"a path has a name. Received: {text!r}")
    return Path(text)


SMALL_IMAGES = (
    "folder of TensorFlow Datasets with CIFAR-10, or an .npz file with x_train, y_train, x_test, y_test "
    "(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)"
)
PHOTOGRAPHS = "folder with train/<class>/* and val/<class>/*, or a data set prepared by TensorFlow Datasets"


def parser(
    description: str | None,
    *,
    out: str,
    data: str = SMALL_IMAGES,
    data_required: bool = False,
    several_seeds: bool = False,
) -> OneLineParser:
    """An argument parser with the options of every recipe that trains.

    Args:
        description: the recipe's docstring.
        out: the default of `--out`, for the help.
        data: what `--data-dir` names, for the help.
        data_required: whether `--data-dir` has no default.
        several_seeds: whether there is `--seeds`, as for recipes that train one net.
    """
    options = OneLineParser(description)
    add = options.add_argument
    seed = options.add_mutually_exclusive_group()
    seed.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of weights, order and augmentation, from 0 (default: 0)"
    )
    if several_seeds:
        seed.add_argument(
            "--seeds",
            type=seeds,
            metavar="N-N,N,...",
            help="several instead of --seed, each in its own folder in --out; one program with JAX on an accelerator",
        )
    add("--data-dir", type=path, metavar="PATH", required=data_required, help=data)
    add("--out", type=path, metavar="FOLDER", help=f"where the run is written (default: {out})")
    add(
        "--iterations",
        type=int,
        metavar="N",
        help="updates in all; what is told in updates keeps its share of them (default: the recipe's)",
    )
    add("--batch-size", type=int, metavar="N", help="images an update (default: the recipe's)")
    add("--accumulate", type=int, default=1, metavar="N", help="parts that a batch is computed in (default: 1)")
    add(
        "--precision",
        choices=get_args(Precision),
        default="float32",
        help="what layers compute in; weights stay float32 (default: float32)",
    )
    add("--learning-rate", type=float, metavar="RATE", help="of the first updates (default: the recipe's)")
    add(
        "--resume",
        choices=get_args(Resume),
        default="auto",
        help="auto: go on with the run that is in --out; fresh: start over in a new folder beside it (default: auto)",
    )
    add("--estimate", action="store_true", help="say how long it will take, and train nothing")
    add("--fresh", dest="resume", action="store_const", const="fresh", help="the same as --resume fresh")
    return options


def seeds(text: str) -> tuple[int, ...]:
    """The type of `--seeds`: "0-4", "1,3", "0-2,7".

    Raises:
        ArgumentTypeError: a text that is no such list, or a seed twice or out of range.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash) and max(len(first), len(last)) <= 10):
            raise argparse.ArgumentTypeError(f"seeds are 0-4 or 0,2,7. Received: {text!r}")
        low, high = int(first), int(last or first)
        if low > high:
            raise argparse.ArgumentTypeError(f"a range of seeds goes up, like 0-4. Received: {part!r}")
        if high > MOST_SEED or high - low >= MOST_SEEDS - len(found):
            raise argparse.ArgumentTypeError(f"at most {MOST_SEEDS} seeds up to {MOST_SEED:,}. Received: {text!r}")
        found += range(low, high + 1)
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"each seed is given once. Received: {text!r}")
    return tuple(found)


def outs(options: argparse.Namespace, name: str) -> dict[int, Path]:
    """The run folder of each seed, by default `runs/<net>-seed<seed>`.

    Raises:
        ValueError: several seeds where time is estimated, which is that of one.
    """
    if options.seeds is not None and options.estimate:
        raise InvalidValue("--estimate says how long one seed takes. Received: --seeds with it.")
    if options.seeds is None:
        named = Path("runs") / f"{name.replace(' ', '-')}-seed{options.seed}"
        return {options.seed: options.out or named}
    parent = options.out or Path("runs")
    return {seed: parent / f"{name.replace(' ', '-')}-seed{seed}" for seed in options.seeds}


def recipe_from(options: argparse.Namespace, recipe: Recipe) -> Recipe:
    """The recipe with what the command line changes of it.

    Raises:
        ValueError: a number out of range.
    """
    if not 0 <= options.seed <= MOST_SEED:
        raise InvalidValue(f"A seed is a whole number from 0 to {MOST_SEED:,}. Received: --seed {options.seed}.")
    names = ("batch_size", "learning_rate", "accumulate", "precision")
    changed = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.iterations is not None:
        if not 1 <= options.iterations <= MOST:
            raise InvalidValue(f"Training takes 1 to {MOST:,} iterations. Received: --iterations {options.iterations}.")
        recipe = recipe.shortened(options.iterations)
    return replace(recipe, **changed)


def choose_backend() -> str:
    """Settles Keras's backend before Keras is imported, and returns its name.

    `KERAS_BACKEND`, else what Keras's own configuration file names if that is installed, else the first that is:
    TensorFlow, JAX, PyTorch.

    Raises:
        ValueError: an unknown backend, or one that is not installed.
    """
    asked = os.environ.get("KERAS_BACKEND") or _configured()
    if asked is not None and asked not in BACKENDS:
        raise InvalidValue(f"A backend is one of {', '.join(BACKENDS)}. Received: KERAS_BACKEND={asked}.")
    candidates = [asked] if asked else list(BACKENDS)
    for name in candidates:
        if find_spec(BACKENDS[name]) is not None:
            os.environ["KERAS_BACKEND"] = name
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Keras may import TensorFlow on any backend
            return name
    missing = f"{asked} is not installed" if asked else "none is installed"
    raise InvalidValue(
        f"Keras computes with TensorFlow, JAX or PyTorch. Received: {missing}. "
        f'Install it: pip install "resnet_keras[{asked or "jax"}]"'
    )


def _configured() -> str | None:
    folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        backend = json.loads((folder / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    # Keras writes this file by itself, with its default: it says nothing where that is not installed.
    return backend if isinstance(backend, str) and backend in BACKENDS and find_spec(BACKENDS[backend]) else None


def main(program: Callable[[Sequence[str]], None]) -> NoReturn:
    """Runs a recipe: a known error is printed as one line, without a traceback; a signal ends it in one line too."""
    signals.raise_on_signals()
    # A viewer that is closed, a full disk under a log: not a reason to lose a run.
    sys.stdout, sys.stderr = _Lasting(sys.stdout), _Lasting(sys.stderr)
    try:
        program(sys.argv[1:])
    except OtherRun as error:
        _say(error)
        _say_differences(error)
        sys.exit(error.exit_code)
    except (InvalidValue, Diverged, InputOutput, Stopped) as error:
        _say(error)
        sys.exit(error.exit_code)
    except OSError as error:
        _say(error)
        sys.exit(InputOutput.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    sys.exit(0)


class _Lasting:
    """A stream that swallows what can no longer be written, instead of ending the program."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]  # a path of any bytes

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except OSError:
            # From now on to nowhere, also what Python itself flushes at the end.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _say(message: object) -> None:
    line = textwrap.shorten(str(message), LONGEST_LINE, placeholder=" ...")
    print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)


def _say_differences(error: OtherRun) -> None:
    rows = [("", "in the folder", "asked for"), *error.differences]
    widths = [min(60, max(len(row[column]) for row in rows)) for column in (0, 1)]
    for field, held, asked in rows:
        print(f"  {field:{widths[0]}}  {held:{widths[1]}}  {asked}".rstrip(), file=sys.stderr)
