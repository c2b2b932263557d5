"""Draw a trained net's predictions: images with their likeliest classes and class probabilities.

    KERAS_BACKEND=jax python recipes/predict.py \\
        runs/ResNet-20-seed0 --out prediction
    KERAS_BACKEND=jax python recipes/predict.py \\
        runs/mine --pictures cat.jpg dog.png

Nothing is trained. Without --pictures the images are spread evenly over the test images, or over the validation
photographs of a folder: none is picked by hand. Photographs are scaled and cropped as in a 1-crop test; pictures that
already have the net's image size are shown as they are.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resnet_keras import plotting
from resnet_keras.data.photographs import decoding
from resnet_keras.data.photographs.split import Split
from resnet_keras.data.photographs.views import SingleView
from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.predictions import predictions
from resnet_keras.programs.main import main
from resnet_keras.programs.options import DATASET, PHOTOGRAPHS, SMALL_IMAGES, OneLineParser, file_path
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import storage

MOST = 100
"""Most images in a figure."""


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("net", type=file_path, metavar="NET", help="a run folder or a .keras file")
    add("--data-dir", type=file_path, metavar="PATH", help=f"{SMALL_IMAGES}; or photographs: {PHOTOGRAPHS}")
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: the only one)")
    add(
        "--pictures",
        type=file_path,
        nargs="+",
        metavar="FILE",
        help="use these pictures instead: JPEG, PNG and the like, of any size",
    )
    add("--images", type=int, default=8, metavar="N", help="number of images (default: 8)")
    add(
        "--out",
        type=file_path,
        default=Path("prediction"),
        metavar="FILE",
        help="output file without suffix (default: prediction)",
    )
    options = parser.parse(arguments)
    asked = len(options.pictures) if options.pictures else options.images
    if not 1 <= asked <= MOST:
        raise InvalidValue(f"A figure shows 1 to {MOST} images. Received: {asked}.")
    if options.pictures and (options.data_dir or options.dataset):
        raise InvalidValue("Images come from --pictures, or from --data-dir and --dataset. Received: both.")
    storage.check_writable(options.out.parent)
    photographs = [decoding.decode(decoding.read(path), str(path)) for path in options.pictures or ()]
    console = plain_console()
    start_backend(console)
    from resnet_keras.analysis import images  # imports Keras, with the backend just chosen
    from resnet_keras.evaluation import classifier

    net = classifier.read(options.net)
    labels: list[int | None]
    if photographs:
        view, whole = SingleView(net.image_size), (net.image_size, net.image_size)
        pixels = np.stack([np.asarray(one) if one.size == whole else view.of(one)[0] for one in photographs])
        names, labels, subject = net.class_names, [None] * asked, "pictures"
    else:
        shown = images.load(options.data_dir, "test", options.images, options.dataset)
        batches = list(
            shown.batches(net.image_size, net.num_classes, options.images, net=net.name, class_names=net.class_names)
        )
        pixels, held = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        names, labels = net.class_names or shown.data.class_names, held.tolist()
        part = "validation" if isinstance(shown.data, Split) else "test"
        subject = f"{part} images of {shown.data.name}; blue: the true class"
    names = names or tuple(map(str, range(net.num_classes)))
    probabilities = net.model.predict(pixels, verbose=0)
    best = probabilities.argmax(axis=1)
    if photographs:
        for path, own, k in zip(options.pictures, probabilities, best, strict=True):
            say(console, f"{path.name}: {names[k]}, {100 * own[k]:.1f} %")
    else:
        say(console, f"{net.name}: {int((best == labels).sum())} of {len(labels)} correct")
    figure = predictions(pixels, labels, probabilities, names, title=f"{net.name} on {subject}")
    say(console, *map(str, plotting.save(figure, options.out)))


if __name__ == "__main__":
    main(program)
