"""Serialises layers, for a file or a copy, without TensorFlow where that is not the backend."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras.src.utils import module_utils


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Keeps Keras from importing TensorFlow inside the context.

    Keras would import it only to learn that no value has one of its types: the import takes 10 seconds, and
    TensorFlow's loaders write into a progress bar. If TensorFlow is already imported, nothing changes; nor does
    anything after the context.

    Upstream lacks: a `serialize_keras_object` that checks whether TensorFlow is imported; it imports it to check.
    Delete when: saving and `clone_model` on JAX or PyTorch leave "tensorflow" out of `sys.modules`.
    """
    tensorflow: Any = getattr(module_utils, "tensorflow", None)
    if "tensorflow" in sys.modules or getattr(tensorflow, "_available", False) is not None:
        yield
        return
    tensorflow._available = False
    try:
        yield
    finally:
        tensorflow._available = None
