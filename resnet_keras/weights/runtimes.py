"""Runs what `export` wrote in the runtime it is for: TensorFlow, ONNX Runtime, LiteRT, OpenVINO. Needs no Keras."""

from collections.abc import Callable
from importlib.util import find_spec
from os import PathLike
from typing import Literal, get_args

import numpy as np

from resnet_keras.errors import InputOutput, InvalidValue, first_line
from resnet_keras.spec.checks import check_choice

Format = Literal["savedmodel", "onnx", "litert", "openvino"]
Run = Callable[[np.ndarray], np.ndarray]
"""From images 0..255, (n, size, size, 3), to probabilities, (n, classes)."""
PACKAGES: dict[Format, tuple[str, ...]] = {
    "savedmodel": ("tensorflow",),
    "onnx": ("onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
    "openvino": ("openvino",),
}
BATCH = 100
"""Images per batch."""


def need(to: Format) -> None:
    """Checks that a runtime is installed.

    Raises:
        ValueError: it is not installed; the message names the extra that provides it.
    """
    missing = [package for package in PACKAGES[to] if find_spec(package) is None]
    if missing:
        extra = "tensorflow" if to == "savedmodel" else "export"
        raise InvalidValue(
            f"{to} needs {', '.join(PACKAGES[to])}. Not installed: {missing[0]}. "
            f'Install it: pip install -e ".[{extra}]"'
        )


def opened(path: str | PathLike[str], to: Format) -> Run:
    """The exported net, ready to run on the CPU.

    Raises:
        ValueError: its runtime is not installed.
        OSError: the runtime cannot open it.
    """
    check_choice("A format", to, get_args(Format), "to")
    need(to)
    try:
        one = _OPENERS[to](str(path))
    except Exception as error:  # whatever a runtime raises on a file that is not its own
        raise InputOutput(f"A net opened as {to} is in that format. Received: {path} ({first_line(error)}).") from None

    def run(images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), BATCH)
        return np.concatenate([one(images[start : start + BATCH].astype(np.float32)) for start in starts])

    return run


def _savedmodel(path: str) -> Run:
    import tensorflow as tf

    net = tf.saved_model.load(path)
    return lambda images: np.asarray(net.serve(images))


def _onnx(path: str) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = (one.name for one in session.get_inputs())
    return lambda images: np.asarray(session.run(None, {name: images})[0])


def _litert(path: str) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path).get_signature_runner()
    (name,), (output,) = runner.get_input_details(), runner.get_output_details()
    return lambda images: np.asarray(runner(**{name: images})[output])


def _openvino(path: str) -> Run:
    import openvino

    # Without the hint, OpenVINO would compute in bfloat16 on processors that have it.
    net = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: np.asarray(net(images)[0])


_OPENERS: dict[Format, Callable[[str], Run]] = {
    "savedmodel": _savedmodel,
    "onnx": _onnx,
    "litert": _litert,
    "openvino": _openvino,
}
