"""The choice of Keras's backend, before Keras is imported."""

import json
import os
import platform
from importlib.util import find_spec
from pathlib import Path

from resnet_keras.errors import InvalidValue

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras's name for each backend, and the package that it needs."""


def choose_backend() -> str:
    """Settles Keras's backend before Keras is imported, and returns its name.

    The choice is `KERAS_BACKEND`, else the backend in Keras's own configuration file if that is installed, else the
    first of TensorFlow, JAX and PyTorch that is.

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
            if platform.machine() in ("x86_64", "AMD64"):  # by default TensorFlow uses oneDNN on only some of these
                os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
            return name
    missing = f"{asked}, which is not installed" if asked else "none of them is installed"
    raise InvalidValue(
        f"Keras runs on TensorFlow, JAX or PyTorch. Received: {missing}. "
        f'Install it: pip install -e ".[{asked or "jax"}]"'
    )


def _configured() -> str | None:
    folder = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))  # noqa: PTH111  # without a home, as Keras
    try:
        backend = json.loads((folder / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    # Keras itself writes this file, with its default, which means nothing if that backend is not installed.
    return backend if isinstance(backend, str) and backend in BACKENDS and find_spec(BACKENDS[backend]) else None
