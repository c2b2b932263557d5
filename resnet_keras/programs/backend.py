"""The choice of Keras's backend, before Keras is imported."""

import json
import os
import platform
from importlib.util import find_spec
from pathlib import Path

from resnet_keras.errors import InvalidValue

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras's name of a backend, and the package it needs."""


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
            if platform.machine() in ("x86_64", "AMD64"):  # TensorFlow takes oneDNN by itself on some of these only
                os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
            return name
    missing = f"{asked} is not installed" if asked else "none is installed"
    raise InvalidValue(
        f"Keras computes with TensorFlow, JAX or PyTorch. Received: {missing}. "
        f'Install it: pip install -e ".[{asked or "jax"}]"'
    )


def _configured() -> str | None:
    folder = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))  # noqa: PTH111  # without a home, as Keras
    try:
        backend = json.loads((folder / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    # Keras writes this file by itself, with its default: it says nothing where that is not installed.
    return backend if isinstance(backend, str) and backend in BACKENDS and find_spec(BACKENDS[backend]) else None
