"""Draw what a trained net says of test images: each with its likeliest classes and their probabilities.

    KERAS_BACKEND=jax python recipes/predict.py \\
        runs/ResNet-20-seed0 --out prediction

Nothing is trained. The images are spread evenly over the test images: none is picked by hand.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resnet_keras import plotting
from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.predictions import predictions
from resnet_keras.programs.main import main
from resnet_keras.programs.options import DATASET, PHOTOGRAPHS, SMALL_IMAGES, OneLineParser, file_path
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import storage

MOST = 100
"""Images in a figure."""


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("net", type=file_path, metavar="NET", help="a run folder, or a .keras file")
    add("--data-dir", type=file_path, metavar="PATH", help=f"{SMALL_IMAGES}; or photographs: {PHOTOGRAPHS}")
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: the only one)")
    add("--images", type=int, default=8, metavar="N", help="how many (default: 8)")
    add(
        "--out", type=file_path, default=Path("prediction"), metavar="FILE", help="without suffix (default: prediction)"
    )
    options = parser.parse(arguments)
    if not 1 <= options.images <= MOST:
        raise InvalidValue(f"A figure shows 1 to {MOST} images. Received: --images {options.images}.")
    storage.check_writable(options.out.parent)
    console = plain_console()
    start_backend(console)
    from resnet_keras.analysis import images  # imports Keras, with the backend just chosen
    from resnet_keras.evaluation import classifier

    net = classifier.read(options.net)
    shown = images.load(options.data_dir, "test", options.images, options.dataset)
    batches = list(shown.batches(net.image_size, net.num_classes, options.images))
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    probabilities = net.model.predict(pixels, verbose=0)
    names = net.class_names or shown.data.class_names or tuple(map(str, range(net.num_classes)))
    wrong = int((probabilities.argmax(axis=1) != labels).sum())
    say(console, f"{net.name}: {len(labels) - wrong} of {len(labels)} right")
    title = f"{net.name} on test images of {shown.data.name}; blue: what they show"
    figure = predictions(pixels, labels.tolist(), probabilities, names, title=title)
    say(console, *map(str, plotting.save(figure, options.out)))


if __name__ == "__main__":
    main(program)
