"""A program run by several processes: which of them prints, and `--processes`, which starts them here."""

import importlib
import os
import sys
from argparse import Namespace

from resnet_keras.errors import InvalidValue
from resnet_keras.programs.backend import choose_backend
from resnet_keras.spec.distribution import Distribution, launched
from resnet_keras.spec.recipe import Recipe


def here() -> Distribution:
    """This process among those started by a launcher; a single one if there is no launcher or no backend."""
    try:
        return launched(choose_backend(), os.environ)
    except InvalidValue:  # which is reported where it matters
        return Distribution()


def start_processes(options: Namespace, recipe: Recipe) -> None:
    """Starts the processes of `--processes` and exits when they end; returns in each of them, or without the option.

    Raises:
        ValueError: a launcher has started another number, or a batch cannot be divided equally.
        OSError: one of the processes was killed.
    """
    backend = choose_backend()
    where, asked = launched(backend, os.environ), options.processes
    if where.processes > 1 and asked not in (None, where.processes):
        raise InvalidValue(
            f"The launcher sets the number of processes: {where.processes}. Received: --processes {asked}."
        )
    if options.devices is not None and options.devices < 1:
        raise InvalidValue(f"A process computes on 1 device or more. Received: --devices {options.devices}.")
    planned = where if asked is None else Distribution(0, asked)
    Distribution(0, planned.processes, options.devices or 1).check(recipe.batch_size, recipe.accumulate)
    if asked in (None, 1) or where.processes > 1 or options.estimate:
        return
    launching = importlib.import_module("resnet_keras.backends.distributed.launching")  # by name, like the backend
    sys.exit(launching.launch(backend, asked, sys.argv))
