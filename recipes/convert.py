"""Convert a weights file of another project into a net of this one, and compare the two.

    python recipes/convert.py resnet20-12fca82f.th --out resnet-20.keras \\
        --data-dir tensorflow_datasets
    python recipes/convert.py resnet50-11ad3fa6.pth --out resnet-50.keras

Reads a-martyn/resnet and akamaster/pytorch_resnet_cifar10 (CIFAR-10, any depth of 6n + 2); torchvision, timm,
transformers and keras.applications (ImageNet). Files are .pt, .pth, .th, .safetensors, .npz, .h5 or .keras; none of
them runs code. The net written takes raw RGB pixels, 0..255. What it computes is
compared with the source's own computation, on test images of --data-dir or on noise, and refused where it differs.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnet_keras.data import part
from resnet_keras.data.photographs.resizing import NET_SIZE
from resnet_keras.data.photographs.split import spread
from resnet_keras.data.photographs.views import SingleView
from resnet_keras.data.small.images import ImageData
from resnet_keras.errors import InvalidValue
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import storage

if TYPE_CHECKING:
    from resnet_keras.weights.convert.convert import Report


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("file", type=file_path, metavar="FILE", help="of another project")
    add("--out", type=file_path, required=True, metavar="FILE", help="where the net is written; it ends in .keras")
    add("--architecture", metavar="NAME", help="the net that the file should hold, like plain-20 or ResNet-50: "
        "another is refused (default: what is found)")  # fmt: skip
    add("--data-dir", type=file_path, metavar="PATH", help="compare on test images from here: CIFAR-10, an .npz "
        "file or photographs (default: generated noise)")  # fmt: skip
    add("--images", type=int, default=100, metavar="N", help="of --data-dir, at most (default: 100)")
    add("--json", type=file_path, metavar="FILE", help="write the report to this file")
    options = parser.parse(arguments)
    if options.images < 1:
        raise InvalidValue(f"At least 1 image is compared. Received: --images {options.images}.")
    console = plain_console()
    images = None if options.data_dir is None else _images(options.data_dir, options.images)
    start_backend(console)
    from resnet_keras.weights.convert.convert import convert

    report = convert(options.file, options.out, architecture=options.architecture, images=images)
    if options.json:
        storage.atomic_write(options.json, (json.dumps(report.to_dict(), indent=2) + "\n").encode())
    say(console, *_text(report, options.out).splitlines())


def _images(data_dir: Path, most: int) -> np.ndarray:
    """Test images, evenly spread; of photographs the centre, as a net of Table 1 sees them."""
    data = part.load(data_dir, "val")
    if isinstance(data, ImageData):
        return data.x_test[spread(len(data.x_test), min(most, len(data.x_test)))]
    split = data.limited(min(most, len(data)))
    return np.stack([SingleView(NET_SIZE).of(split.photograph(number)[0])[0] for number in range(len(split))])


def _text(report: "Report", out: Path) -> str:
    net = report.architecture
    lines = [f"{net.name} of {report.source}, {net.num_classes} classes, licence {report.licence or 'unknown'}"]
    if compared := report.parity:
        lines.append(
            f"{compared.images:,} images: largest difference of a probability {compared.largest_difference:.1e}, "
            f"equal top-1 {compared.equal_top1:.2%}"
        )
    else:
        lines.append(report.to_dict()["compared"])
    return "\n".join([*lines, *report.folded, *report.notes, f"written: {out}"])


if __name__ == "__main__":
    main(program)
