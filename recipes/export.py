"""Export a net to another runtime: SavedModel (TensorFlow), ONNX, LiteRT or OpenVINO.

    KERAS_BACKEND=torch python recipes/export.py runs/ResNet-20-seed0 \\
        --to onnx --out resnet-20.onnx
    KERAS_BACKEND=tensorflow python recipes/export.py resnet-20.keras \\
        --to litert --precision int8 --data-dir cifar10 --out resnet-20.tflite

FILE is a run folder or a .keras file. Raw pixels 0..255 go in and probabilities come out. The exported net is run in
its own runtime, on test images from --data-dir or on noise, and compared with the original; float32 is refused if it
differs by more than 1e-4. float16 and int8 are made by the runtime's own tool; int8 ranges are calibrated on training
images from --data-dir. With images of as many classes as the net's, the test errors before and after are printed.
SavedModel needs TensorFlow or JAX, LiteRT TensorFlow, OpenVINO TensorFlow or PyTorch; a .keras file opens on each.
"""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from resnet_keras.data import part
from resnet_keras.data.photographs.split import Part
from resnet_keras.data.small.images import ImageData
from resnet_keras.errors import Damaged, InvalidValue
from resnet_keras.programs.main import main
from resnet_keras.programs.options import DATASET, OneLineParser, file_path
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import reading
from resnet_keras.spec.class_names import check_same_classes
from resnet_keras.weights.runtimes import Format, opened

CALIBRATION_IMAGES = 200
"""Training images on which int8 measures its ranges."""
LARGEST = 1e-4
"""Difference between probabilities above which float32 is refused."""
NOISE_IMAGES = 20


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("file", type=file_path, metavar="FILE", help="a run folder or a .keras file")
    add("--to", choices=get_args(Format), required=True, help="target format")
    add("--out", type=file_path, required=True, metavar="PATH", help="where to write the net: a new folder for "
        "SavedModel, otherwise a file that ends in .onnx, .tflite or .xml")  # fmt: skip
    add("--precision", choices=("float32", "float16", "int8"), default="float32", help="number format of "
        "the exported net (default: float32)")  # fmt: skip
    add("--data-dir", type=file_path, metavar="PATH", help="compare on test images from here: CIFAR-10, an .npz "
        "file or photographs (default: generated noise)")  # fmt: skip
    add(
        "--images",
        type=int,
        default=10_000,
        metavar="N",
        help="use at most N test images of the data (default: 10000)",
    )
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: the only one)")
    options = parser.parse(arguments)
    if options.images < 1:
        raise InvalidValue(f"At least 1 image is compared. Received: --images {options.images}.")
    given = options.data_dir is not None or options.dataset is not None
    if options.precision == "int8" and not given:
        raise InvalidValue("int8 is calibrated on training images. Received: neither --data-dir nor --dataset.")
    file = reading.model_file(options.file).path
    console = plain_console()
    backend = start_backend(console)
    from resnet_keras.weights import export  # imports Keras, with the backend just chosen
    from resnet_keras.weights.convert.parity import noise
    from resnet_keras.weights.load import load

    export.check(options.to, options.precision, options.out, backend)
    model = load(file)
    size = model.input_shape[1]
    images, labels, calibration = noise(size, NOISE_IMAGES), None, None
    if given:
        images, labels = _images(options, "val", options.images, model)
    if options.precision == "int8":
        calibration, _ = _images(options, "train", CALIBRATION_IMAGES, model)
    export.export(model, options.out, options.to, precision=options.precision, calibration=calibration)
    ours, theirs = model.predict(images, verbose=0), opened(options.out, options.to)(images)
    difference = float(np.abs(ours - theirs).max())
    if options.precision == "float32" and not difference <= LARGEST:  # NaN is not below it either
        raise Damaged(
            f"An exported net gives the original's probabilities to within {LARGEST}. Received: a difference of "
            f"{difference:.2g} in {options.out}: do not use it."
        )
    same = np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1))
    say(
        console,
        f"{model.name} in {options.to}, {options.precision}: largest difference in probability {difference:.1e}, "
        f"same top-1 class {same:.2%}, {len(images):,} images",
    )
    if given and labels is None:
        say(console, f"no test error: the net has {ours.shape[1]:,} classes, the images have another number")
    if labels is not None:
        before, after = (100 * np.mean(one.argmax(axis=1) != labels) for one in (ours, theirs))
        say(console, f"test error on {options.data_dir or options.dataset}: {before:.2f} %, after export {after:.2f} %")
    say(console, f"written: {options.out}")


def _images(options: Namespace, which: Part, most: int, model: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Evenly spread images of a part, photographs centre-cropped, and their labels if the net has as many classes.

    Raises:
        ValueError: the images have another size, or as many classes as the net but not the same.
    """
    data = part.load(options.data_dir, which, options.dataset)
    size, comparable = model.input_shape[1], data.num_classes == model.output_shape[-1]
    if comparable:
        check_same_classes(model.name, model.class_names, data.name, data.known_classes)
    if isinstance(data, ImageData) and data.image_size != size:
        raise InvalidValue(
            f"The net takes images of {size} pixels. Received: {data.name}, with images of {data.image_size}."
        )
    pixels, labels = part.single_views(data, which, most, size)
    return pixels, labels if comparable else None


if __name__ == "__main__":
    main(program)
