"""Redraw the diagrams of the documentation, and its CIFAR-10 images.

    python recipes/diagrams.py --out docs/images
    python recipes/diagrams.py --out docs/images --data-dir tensorflow_datasets

Nothing is trained and no backend is needed. Shapes and rates come from the frozen networks and recipes, the errors of
trained nets from results/others/cifar10.json. --data-dir adds cifar10.png: training images at 32 and 16 pixels, and
augmented.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resnet_keras.data.small import sources
from resnet_keras.data.small.images import ImageData
from resnet_keras.data.small.stream import Stream
from resnet_keras.plotting import diagrams, style
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.runs import storage
from resnet_keras.spec.augmentation import PaddedCrop

MEASURED = Path(__file__).parents[1] / "results" / "others" / "cifar10.json"
IMAGES = 10
DRAWN_FROM = "github.com/a-martyn/resnet"


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__, computes=False)
    parser.add_argument("--out", type=file_path, required=True, metavar="FOLDER", help="where to write the pictures")
    parser.add_argument(
        "--data-dir", type=file_path, metavar="PATH", help="also draw cifar10.png, from CIFAR-10 in this folder"
    )
    options = parser.parse(arguments)
    data = None if options.data_dir is None else sources.load(options.data_dir)
    storage.check_writable(options.out)
    drawn = {
        "unit": diagrams.unit(),
        "shortcuts": diagrams.shortcuts(),
        "bottleneck": diagrams.bottleneck(),
        "nets": diagrams.nets(),
        "schedule": diagrams.schedule(),
        "protocols": diagrams.protocols(),
        "trained": diagrams.degradation_by_depth(
            trained(),
            f"CIFAR-10, whole schedule; weights and training errors of {DRAWN_FROM}, test errors measured here",
        ),
    }
    for name, figure in drawn.items():
        # One file, where `plotting.save` writes two: the pages need only the SVG, or for photographs only the PNG.
        style.write(figure, path := options.out / f"{name}.svg")
        print(path)
    if data is not None:
        style.write(diagrams.images(cifar10_rows(data)), path := options.out / "cifar10.png", dpi=130)
        print(path)


def cifar10_rows(data: ImageData) -> dict[str, np.ndarray]:
    """Ten training images as they are, averaged, and as augmented in four epochs."""
    shown = data.x_train[:IMAGES]
    stream = Stream(shown, data.y_train[:IMAGES], IMAGES, 0, PaddedCrop(4))
    rows = {"32 x 32": shown, "16 x 16": data.averaged_to(16).x_train[:IMAGES]}
    for epoch in range(4):
        in_order = np.argsort(stream.crops(epoch)[:, 0])
        rows[f"epoch {epoch + 1}"] = stream.batch(epoch)[0][in_order]
    return rows


def trained() -> list[diagrams.DepthErrors]:
    """Plain and residual nets of 20 to 56 layers, trained by others and measured here."""
    rows = [row for row in json.loads(MEASURED.read_text())["nets"] if row["weights"] == DRAWN_FROM]
    kinds = []
    for name in ("plain", "ResNet"):
        of = sorted((int(row["net"].rpartition("-")[2]), row) for row in rows if row["net"].startswith(name))
        depths, found = zip(*of, strict=True)
        kinds.append(
            diagrams.DepthErrors(
                "plain" if name == "plain" else "residual",
                depths,
                tuple(row["training_error_of_the_source"] for row in found),
                tuple(row["test_error"] for row in found),
            )
        )
    return kinds


if __name__ == "__main__":
    main(program)
