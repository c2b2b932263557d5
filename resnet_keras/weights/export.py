"""`export`: writes a net for another runtime with Keras's own `model.export`: SavedModel, ONNX, LiteRT, OpenVINO.

Raw pixels 0..255 go in and probabilities come out, as with the net itself. What works on which backend was found by
running each with Keras 3.15.1; a `.keras` file opens on any backend.
"""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.nets.serializing import without_tensorflow
from resnet_keras.runs import storage
from resnet_keras.spec.checks import check_choice
from resnet_keras.weights.runtimes import Format, need

Precision = Literal["float32", "float16", "int8"]
"""Number type of the stored weights; with int8 also of the computation, where the runtime supports it."""
BACKENDS: dict[Format, tuple[str, ...]] = {
    "savedmodel": ("tensorflow", "jax"),
    "onnx": ("torch", "tensorflow", "jax"),
    "litert": ("tensorflow",),
    "openvino": ("torch", "tensorflow"),
}
"""The backends on which each format can be written."""
PRECISIONS: dict[Format, tuple[Precision, ...]] = {
    "savedmodel": ("float32",),
    "onnx": ("float32", "float16", "int8"),
    "litert": ("float32", "float16", "int8"),
    "openvino": ("float32", "float16"),
}
"""The precisions that each runtime's own tool produces."""
TOOLS: dict[tuple[Format, str], str] = {("onnx", "tensorflow"): "tf2onnx", ("onnx", "jax"): "jax2onnx"}
"""The separate package that Keras needs to write a format on a backend, if any. jax2onnx brings JAX and more."""
SUFFIXES: dict[Format, str] = {"savedmodel": "", "onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}
"""Suffix of what is written: a SavedModel is a folder, and OpenVINO keeps its weights in a `.bin` beside the `.xml`."""
CALIBRATION_BATCH = 50
"""Images per batch."""


def check(to: Format, precision: Precision, out: str | PathLike[str], backend: str) -> None:
    """Checks, before any work is done, that a net can be written as asked.

    Raises:
        ValueError: the format does not allow this backend, precision or ending, or a package is not installed.
    """
    check_choice("A format", to, get_args(Format), "to")
    check_choice("A precision", precision, get_args(Precision), "precision")
    if backend not in BACKENDS[to]:
        raise InvalidValue(
            f"{to} is written with the backend {' or '.join(BACKENDS[to])}. Received: {backend}. "
            f"A .keras file opens on any backend: KERAS_BACKEND={BACKENDS[to][0]}"
        )
    if precision not in PRECISIONS[to]:
        raise InvalidValue(f"{to} is written in {', '.join(PRECISIONS[to])}. Received: {precision}.")
    if Path(out).suffix != SUFFIXES[to]:
        ending = f"a file that ends in {SUFFIXES[to]}" if SUFFIXES[to] else "a folder without a suffix"
        raise InvalidValue(f"{to} is written to {ending}. Received: {out}.")
    need(to)
    tool = TOOLS.get((to, backend))
    if tool is not None and find_spec(tool) is None:
        raise InvalidValue(
            f"On {backend}, {to} is written with {tool}, which is not installed. Install it: pip install {tool}"
        )
    if to == "savedmodel" and Path(out).exists():
        raise InputOutput(f"A SavedModel is written to a new folder. Received: {out}, which already exists.")


def export(
    model: keras.Model,
    out: str | PathLike[str],
    to: Format,
    *,
    precision: Precision = "float32",
    calibration: np.ndarray | None = None,
) -> None:
    """Writes a net for another runtime, completely or not at all.

    Args:
        model: a net from raw pixels to probabilities, as `build` or `load` makes it.
        out: a folder for "savedmodel"; otherwise a file that ends in `.onnx`, `.tflite` or `.xml`.
        to: the format.
        precision: number type of the weights.
        calibration: for int8, images 0..255, (n, size, size, 3), on which ranges are measured.

    Raises:
        ValueError: the format does not allow this backend or precision, there are no images to calibrate with, or a
            package is not installed.
        OSError: the net cannot be written.
    """
    check(to, precision, out, keras.backend.backend())
    if precision == "int8" and (calibration is None or not len(calibration)):
        raise InvalidValue("int8 needs calibration images. Received: none.")
    target = Path(out)
    storage.check_writable(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        aside = Path(folder) / target.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from tracing: what is written is compared with the net
            _WRITERS[to](_with_constant_mean(model), aside, precision, calibration)
        if to == "openvino":  # the weights first: the .xml is what is opened
            storage.atomic_replace(target.with_suffix(".bin"), lambda path: _move(aside.with_suffix(".bin"), path))
        if to == "savedmodel":
            aside.rename(target)
        else:
            storage.atomic_replace(target, lambda path: _move(aside, path))


def _move(made: Path, path: Path) -> None:
    shutil.copyfile(made, path)


def _with_constant_mean(model: keras.Model) -> keras.Model:
    """The same net with its mean as a constant: on TensorFlow, `Normalization` turns it into inputs in ONNX."""

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.Normalization):
            return layer
        mean, variance = (keras.ops.convert_to_numpy(part) for part in (layer.mean, layer.variance))
        # As the layer itself computes it; its variance is 1 in nets of this package.
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        return keras.layers.Rescaling(scale[0], offset=(-mean * scale)[0], dtype=layer.dtype_policy, name=layer.name)

    with without_tensorflow():
        copy = keras.models.clone_model(model, clone_function=replaced)
    copy(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras exports only a model that has been called
    return copy


def _savedmodel(model: keras.Model, path: Path, precision: Precision, images: np.ndarray | None) -> None:
    model.export(str(path), format="tf_saved_model", verbose=False)


def _onnx(model: keras.Model, path: Path, precision: Precision, images: np.ndarray | None) -> None:
    if precision == "float32":
        model.export(str(path), format="onnx", verbose=False)
        return
    plain = path.with_name("float32.onnx")
    model.export(str(plain), format="onnx", verbose=False)
    if precision == "float16":
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(str(plain)), keep_io_types=True), str(path))
        return
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    assert images is not None
    (name,) = (one.name for one in model.inputs)
    batches = iter({name: batch} for batch in _batches(images))

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    ready = path.with_name("ready.onnx")
    quant_pre_process(str(plain), str(ready))  # as its documentation asks: infers shapes, folds batch norm
    quantize_static(str(ready), str(path), Reader(), per_channel=True)


def _litert(model: keras.Model, path: Path, precision: Precision, images: np.ndarray | None) -> None:
    options: dict[str, Any] = {}
    if precision != "float32":
        import tensorflow as tf

        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            options["target_spec"] = {"supported_types": [tf.float16]}
        else:
            assert images is not None
            options["representative_dataset"] = lambda: ([image[np.newaxis]] for image in images.astype(np.float32))
    model.export(str(path), format="litert", verbose=False, **options)


def _openvino(model: keras.Model, path: Path, precision: Precision, images: np.ndarray | None) -> None:
    model.export(str(path), format="openvino", verbose=False)
    if precision == "float16":
        import openvino

        whole = path.with_name("float32.xml")
        for suffix in (".xml", ".bin"):
            path.with_suffix(suffix).rename(whole.with_suffix(suffix))
        openvino.save_model(openvino.Core().read_model(whole), path, compress_to_fp16=True)


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), CALIBRATION_BATCH):
        yield images[start : start + CALIBRATION_BATCH].astype(np.float32)


_WRITERS: dict[Format, Callable[[keras.Model, Path, Precision, np.ndarray | None], None]] = {
    "savedmodel": _savedmodel,
    "onnx": _onnx,
    "litert": _litert,
    "openvino": _openvino,
}
