"""A program that several processes run: who of them speaks, and `--processes`, which starts them here."""

import importlib
import os
import sys
from argparse import Namespace

from resnet_keras.errors import InvalidValue
from resnet_keras.programs.backend import choose_backend
from resnet_keras.spec.distribution import Distribution, launched
from resnet_keras.spec.recipe import Recipe


def here() -> Distribution:
    """This process among those that a launcher started; a single one where nothing says so or no backend is there."""
    try:
        return launched(choose_backend(), os.environ)
    except InvalidValue:  # which is told where it matters
        return Distribution()


def start_processes(options: Namespace, recipe: Recipe) -> None:
    """With `--processes`, starts them, and ends the program with them; in each of them, and without, it returns.

    Raises:
        ValueError: a launcher has started another number, or a batch has no equal part for each.
        OSError: one of the processes was killed.
    """
    backend = choose_backend()
    where, asked = launched(backend, os.environ), options.processes
    if where.processes > 1 and asked not in (None, where.processes):
        raise InvalidValue(f"The launcher says how many processes there are: {where.processes}. Received: {asked}.")
    planned = where if asked is None else Distribution(0, asked)
    Distribution(0, planned.processes, options.devices or 1).check(recipe.batch_size, recipe.accumulate)
    if asked in (None, 1) or where.processes > 1 or options.estimate:
        return
    launching = importlib.import_module("resnet_keras.backends.distributed.launching")  # by name, as the backend
    sys.exit(launching.launch(backend, asked, sys.argv))
