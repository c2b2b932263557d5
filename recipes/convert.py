"""Convert a weights file from another project into a net of this one, and compare the two.

    python recipes/convert.py resnet20-12fca82f.th --out resnet-20.keras \\
        --data-dir tensorflow_datasets
    python recipes/convert.py resnet50-11ad3fa6.pth --out resnet-50.keras

Reads a-martyn/resnet and akamaster/pytorch_resnet_cifar10 (CIFAR-10, any depth of 6n + 2); torchvision, timm,
transformers, keras.applications, KerasHub and the paper's authors' own Caffe files (ImageNet). Files are .pt, .pth,
.th, .safetensors, .npz, .h5, .keras or .caffemodel; no code in them is run. The net written takes raw RGB pixels,
0..255. Its output is compared with the source's own computation, on test images from --data-dir or on noise, and the
net is refused if they differ. A model card is written beside it: NET.md.
"""

import hashlib
import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from resnet_keras.data import part
from resnet_keras.data.photographs.resizing import NET_SIZE
from resnet_keras.errors import InvalidValue
from resnet_keras.programs.main import main
from resnet_keras.programs.options import DATASET, OneLineParser, file_path
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.reports.model_card import MeasuredError, converted_card
from resnet_keras.runs import storage

if TYPE_CHECKING:
    from resnet_keras.weights.convert.convert import Report


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("file", type=file_path, metavar="FILE", help="weights file from another project")
    add("--out", type=file_path, required=True, metavar="FILE", help="where to write the net; must end in .keras")
    add("--architecture", metavar="NAME", help="the net that the file must hold, such as plain-20 or "
        "ResNet-50; any other is refused (default: whatever is found)")  # fmt: skip
    add("--mean", type=file_path, metavar="FILE", help="mean image of a Caffe net, a .binaryproto (default: the "
        "averages of the released mean image)")  # fmt: skip
    add("--data-dir", type=file_path, metavar="PATH", help="compare on test images from here: CIFAR-10, an .npz "
        "file or photographs (default: generated noise)")  # fmt: skip
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: the only one)")
    add("--images", type=int, default=100, metavar="N", help="use at most N test images of the data (default: 100)")
    add("--json", type=file_path, metavar="FILE", help="write the report to this file")
    options = parser.parse(arguments)
    if options.images < 1:
        raise InvalidValue(f"At least 1 image is compared. Received: --images {options.images}.")
    for path in (options.out, options.json):
        if path:
            storage.check_file(path)
    console = plain_console()
    shown = None if options.data_dir is None and options.dataset is None else _images(options)
    start_backend(console)
    from resnet_keras.weights.convert.convert import convert

    report = convert(
        options.file,
        options.out,
        architecture=options.architecture,
        images=None if shown is None else shown.pixels,
        mean=options.mean,
    )
    error = None if shown is None else _error(options.out, shown)
    on = "noise" if shown is None else shown.on
    sha256 = hashlib.sha256(options.out.read_bytes()).hexdigest()
    card = options.out.with_suffix(".md")
    storage.atomic_write(card, converted_card(report.to_dict(), options.out.name, sha256, error, on=on).encode())
    if options.json:
        storage.atomic_write(options.json, (json.dumps(report.to_dict(), indent=2) + "\n").encode())
    measured = [f"test error {error.percent:.2f} % on {error.images:,} images of {error.on}"] if error else []
    if shown is not None and error is None:
        measured = [
            f"no test error: {shown.on} has {shown.classes:,} classes, the net {report.architecture.num_classes:,}"
        ]
    lines = [*_lines(report), *measured, f"written: {options.out} and its card, {card}"]
    say(console, *lines)


class Shown(NamedTuple):
    """Test images, (images, height, width, 3), their labels, the number of classes and the name of the data."""

    pixels: np.ndarray
    labels: np.ndarray
    classes: int
    on: str


def _images(options: Namespace) -> Shown:
    """Evenly spread test images; photographs are centre-cropped, as for a net of Table 1."""
    data = part.load(options.data_dir, "val", options.dataset)
    return Shown(*part.single_views(data, "val", options.images, NET_SIZE), data.num_classes, data.name)


def _error(out: Path, shown: Shown) -> MeasuredError | None:
    """Test error of the net written; None if it has another number of classes, so that labels mean something else."""
    from resnet_keras.weights.load import load

    net = load(out)
    if net.output_shape[-1] != shown.classes:
        return None
    wrong = net.predict(shown.pixels, verbose=0).argmax(axis=1) != shown.labels
    return MeasuredError(100 * float(np.mean(wrong)), len(shown.pixels), shown.on)


def _lines(report: "Report") -> list[str]:
    net = report.architecture
    lines = [f"{net.name} from {report.source}, {net.num_classes} classes, licence {report.licence or 'unknown'}"]
    if compared := report.parity:
        lines.append(
            f"{compared.images:,} images: largest difference in probability {compared.largest_difference:.1e}, "
            f"same top-1 class {compared.equal_top1:.2%}"
        )
    else:
        lines.append(report.to_dict()["compared"])
    return [*lines, *report.folded, *report.notes]


if __name__ == "__main__":
    main(program)
