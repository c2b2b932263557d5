"""What every recipe shares: its options, the choice of a backend, one-line errors and exit codes.

Exit codes: 2 usage, 3 diverged, 4 input or output, 130 interrupted.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from resnet_keras.errors import Diverged, InputOutput, InvalidValue
from resnet_keras.recipe import Recipe

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras's name of a backend, and the package it needs."""
INTERRUPTED = 130


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; its help keeps the lines of the recipe's docstring."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def error(self, message: str) -> NoReturn:
        raise InvalidValue(f"{message[:1].upper()}{message[1:]}. See --help.")


def parser(description: str | None, *, out: str) -> OneLineParser:
    """An argument parser with the options of every recipe.

    Args:
        description: the recipe's docstring.
        out: the default of `--out`, for the help.
    """
    options = OneLineParser(description)
    add = options.add_argument
    add(
        "--data-dir",
        type=Path,
        metavar="PATH",
        help="folder of TensorFlow Datasets with CIFAR-10, or an .npz file with x_train, y_train, x_test, y_test "
        "(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )
    add("--out", type=Path, metavar="FOLDER", help=f"where the run is written (default: {out})")
    add(
        "--iterations",
        type=int,
        metavar="N",
        help="updates in all; the learning rate falls at the same share of them (default: the recipe's)",
    )
    add("--batch-size", type=int, metavar="N", help="images an update (default: the recipe's)")
    add("--learning-rate", type=float, metavar="RATE", help="of the first updates (default: the recipe's)")
    add("--seed", type=int, default=0, metavar="N", help="of weights, order and augmentation, from 0 (default: 0)")
    return options


def recipe_from(options: argparse.Namespace, recipe: Recipe) -> Recipe:
    """The recipe with what the command line changes of it.

    Raises:
        ValueError: a number out of range.
    """
    if options.seed < 0:
        raise InvalidValue(f"A seed is 0 or more. Received: --seed {options.seed}.")
    changed = {name: value for name in ("batch_size", "learning_rate") if (value := getattr(options, name)) is not None}
    if options.iterations is not None:
        if options.iterations < 1:
            raise InvalidValue(f"Training takes 1 iteration or more. Received: --iterations {options.iterations}.")
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
    """Runs a recipe: a known error is printed as one line, without a traceback."""
    try:
        program(sys.argv[1:])
    except (InvalidValue, Diverged, InputOutput) as error:
        _say(error)
        sys.exit(error.exit_code)
    except OSError as error:
        _say(error)
        sys.exit(InputOutput.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _say(message: object) -> None:
    print(f"{Path(sys.argv[0]).name}: {' '.join(str(message).split())}", file=sys.stderr)
