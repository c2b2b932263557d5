"""Layers as configurations, for a file or a copy, without TensorFlow where that is not the backend."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras.src.utils import module_utils


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Inside, Keras does not import TensorFlow only to learn that no value is one of its types: that takes 10 seconds,
    and its loaders write into a progress bar. Where TensorFlow is imported nothing changes, and nothing does after.

    Upstream lacks: `serialize_keras_object` that looks whether TensorFlow is imported; it imports it to look. Delete
    when: saving and `clone_model` on JAX or PyTorch leave "tensorflow" out of `sys.modules`.
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
