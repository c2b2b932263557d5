"""The start of a program's backend: without its loaders' noise, and with a one-line error for a missing device."""

import importlib
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console

from resnet_keras.errors import InputOutput, InvalidValue, first_line
from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.memory import keep_freed_memory
from resnet_keras.reports.console import say
from resnet_keras.spec.distribution import launched

ASKED = ("KERAS_TORCH_DEVICE", "JAX_PLATFORMS", "JAX_PLATFORM_NAME", "CUDA_VISIBLE_DEVICES")
"""Environment variables that request a device."""


def start_backend(console: Console, options: Namespace | None = None) -> str:
    """Chooses the backend, imports it with Keras, creates a number with it, and returns its name. For programs.

    Args:
        console: where the start is announced, as it takes seconds.
        options: the options of a program that several processes may run; None for one that runs alone.

    Raises:
        ValueError: as for `choose_backend`, a missing device or platform, or several processes of a program that runs
            alone.
        OSError: the other processes are missing.
    """
    name = choose_backend()
    where = launched(name, os.environ)
    if options is None and where.processes > 1:
        raise InvalidValue(f"This program runs in one process. Received: {where.processes}, started by a launcher.")
    say(console, f"starting {name} ...")
    # Keras imports Matplotlib, which fails on a backend that it does not know. A program's figures are files.
    os.environ.pop("MPLBACKEND", None)
    keep_freed_memory()
    with _quiet():
        keras = _keras()
        if options is not None:
            devices = None if options.estimate else options.devices
            importlib.import_module("resnet_keras.backends.distribution").start(
                where, devices, synchronized=options.sync_batch_norm
            )
        try:
            keras.ops.convert_to_numpy(keras.ops.zeros(()))
        except Exception as error:  # each backend reports a missing device in its own way
            asked = ", ".join(f"{key}={os.environ[key]}" for key in ASKED if key in os.environ) or "its default device"
            raise (InvalidValue if where.leads else InputOutput)(
                f"A backend needs a device that is available. Received: {name} with {asked} ({first_line(error)})."
            ) from error
    return name


def _keras() -> Any:
    # By name: this wing imports no framework, and here the user has just chosen one.
    try:
        return importlib.import_module("keras")
    except (ImportError, OSError):
        raise
    except Exception as error:  # whatever it raises for a file that holds something else
        raise InvalidValue(
            f"Keras reads its settings from keras.json in KERAS_HOME or ~/.keras. Received: {first_line(error)}. "
            "Fix or remove that file."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Discards what the process writes to standard error and output inside the block, unless an import fails.

    Upstream lacks: TensorFlow's loaders write before any of their settings is read, and `TF_CPP_MIN_LOG_LEVEL` is not
    read by TensorFlow 2.21; JAX's Gloo reports its connections. Delete when: `import tensorflow` is silent on a machine
    without a GPU, and `recipes/cifar10.py --processes 2` with JAX prints no line from Gloo.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    held = {}
    for number in (1, 2):
        with suppress(OSError):  # a process without this stream
            held[number] = os.dup(number)
    with tempfile.TemporaryFile() as aside:
        for number in held:
            os.dup2(aside.fileno(), number)
        try:
            yield
        except (InvalidValue, InputOutput):
            raise
        except BaseException:
            aside.seek(0)
            if 2 in held:
                os.write(held[2], aside.read())
            raise
        finally:
            for number, stream in held.items():
                os.dup2(stream, number)
                os.close(stream)
