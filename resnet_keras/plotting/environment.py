"""Environment variables that Matplotlib reads and may reject, though a figure written to a file needs none of them."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def import_matplotlib() -> None:
    """Imports Matplotlib even if MPLBACKEND names no backend it knows; a known one is kept, as notebooks need it.

    Upstream lacks: no backend is loaded before the first window opens, but its name is checked on import. Delete when:
    `MPLBACKEND=foo python -c "import matplotlib"` passes.
    """
    asked = os.environ.get("MPLBACKEND")
    if not asked or "matplotlib" in sys.modules:
        return
    with without("MPLBACKEND"):
        matplotlib = importlib.import_module("matplotlib")
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = asked


@contextmanager
def without(name: str) -> Iterator[None]:
    """Unsets an environment variable within the context."""
    held = os.environ.pop(name, None)
    try:
        yield
    finally:
        if held is not None:
            os.environ[name] = held
