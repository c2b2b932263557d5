"""Test one net, or several as an ensemble, by a protocol of the paper (sections 3.4 and 4.1; Tables 2 to 5).

    python recipes/evaluate.py runs/ResNet-20-seed0
    python recipes/evaluate.py runs/ResNet-34-seed0 --data-dir imagenet \\
        --protocol 10-crop --json resnet-34.json
    python recipes/evaluate.py runs/ResNet-50-seed0 runs/ResNet-101-seed0 \\
        --data-dir imagenet --protocol multi-scale

Reads run folders and .keras files of any Keras image classifier. Photographs are those in val/<class>/, or the
validation split of a data set from TensorFlow Datasets; with CIFAR-10 and .npz files, nets are tested on the test
images, 1-crop. Prints top-1 and top-5 error in percent with a 95 % interval, for each net and for all together. With
--cache, a net that was tested before is not run again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from resnet_keras.data import part
from resnet_keras.data.photographs.split import Split
from resnet_keras.data.threads import MAX_WORKERS, available_cores
from resnet_keras.errors import InvalidValue
from resnet_keras.evaluation import error_rates
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.programs.main import main
from resnet_keras.programs.options import (
    DATASET,
    PHOTOGRAPHS,
    SMALL_IMAGES,
    OneLineParser,
    file_path,
    photograph_options,
)
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import reading, storage


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add(
        "nets",
        type=file_path,
        nargs="+",
        metavar="RUN_OR_FILE",
        help="run folders or .keras files; several form an ensemble",
    )
    add("--data-dir", type=file_path, metavar="PATH", help=f"{SMALL_IMAGES}; or photographs: {PHOTOGRAPHS}")
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: the only one)")
    add(
        "--protocol",
        choices=("1-crop", "10-crop", "multi-scale"),
        default="1-crop",
        help="test protocol (default: 1-crop)",
    )
    add("--scales", metavar="N,N,...", help="shorter sides for multi-scale, in pixels (default: "
        "224,256,384,480,640, in proportion to the net's image size)")  # fmt: skip
    add("--weights", type=float, nargs="+", metavar="W", help="weight of each net in the ensemble (default: equal)")
    add("--preprocessing", nargs="+", metavar="MODE", choices=("raw", "caffe", "torch", "tf"), default=["raw"],
        help="how pixels are scaled, once or per net: raw, or caffe, torch, tf as in Keras (default: raw)")  # fmt: skip
    add("--limit", type=int, metavar="N", help="test N images, evenly spread over the data (default: all)")
    add("--json", type=file_path, metavar="FILE", help="write the result to this file")
    add("--cache", type=file_path, metavar="FOLDER", help="cache each net's scores here (default: no cache)")
    photograph_options(parser)
    options = parser.parse(arguments)
    if options.skip_bad < 0 or not (options.workers is None or 1 <= options.workers <= MAX_WORKERS):
        raise InvalidValue(
            f"--skip-bad is 0 or more, --workers 1 to {MAX_WORKERS:,}. Received: --skip-bad "
            f"{options.skip_bad}, --workers {options.workers}."
        )
    if options.limit is not None and options.limit < 1:
        raise InvalidValue(f"At least 1 image is tested. Received: --limit {options.limit}.")
    if len(options.preprocessing) not in (1, len(options.nets)):
        raise InvalidValue(
            f"--preprocessing is given once, or once for each net. Received: {len(options.preprocessing)} for "
            f"{len(options.nets)} nets."
        )
    weights = options.weights or [1.0] * len(options.nets)
    modes = options.preprocessing * (len(options.nets) if len(options.preprocessing) == 1 else 1)
    protocol = Protocol(options.protocol, _scales(options.scales))
    error_rates.shares_of(weights, len(options.nets))  # before long work, not after
    trainings = [reading.model_file(path).training for path in options.nets]
    if options.json:
        storage.check_file(options.json)
    if options.cache:
        storage.check_writable(options.cache)
    console = plain_console()
    say(console, f"reading {options.data_dir or options.dataset or 'CIFAR-10'} ...")
    data = part.load(options.data_dir, "val", options.dataset)
    if isinstance(data, Split):
        data, _ = data.repaired(options.skip_bad, options.workers or available_cores())
    start_backend(console)
    from resnet_keras.evaluation import classifier  # import Keras, with the backend just chosen
    from resnet_keras.evaluation.cache import Cache

    cache = Cache(options.cache)
    measured, rows, models = [], [], []
    for path, weight, mode, training in zip(options.nets, weights, modes, trainings, strict=True):
        net = classifier.read(path, mode)
        own, labels = cache.score(net, data, protocol, limit=options.limit, workers=options.workers, console=console)
        measured.append(own)
        rows.append((net.name, weight, result := error_rates.errors(own, labels)))
        models.append({"name": net.name, "from": _named(path), "training": training,
                       "sha256": net.sha256, "image_size": net.image_size, "preprocessing": mode,
                       "weight": weight} | result.to_dict())  # fmt: skip
    together = error_rates.errors(error_rates.averaged(measured, weights), labels)
    if len(rows) > 1:
        rows.append(("ensemble", sum(weights), together))
    table = tables.Table(
        ("net", "weight", "top-1 error % [95 %]", "top-5 error % [95 %]"),
        tuple((name, f"{weight:g}", str(one.top1), str(one.top5 or "")) for name, weight, one in rows),
    )
    say(console, f"{data.name}, {together.images:,} images, {protocol.name}", style="bold")
    console.print(table.for_terminal())
    if options.json:
        content = together.to_dict() | {"images": together.images, "protocol": protocol.name,
               "scales": protocol.scales, "limit": options.limit, "models": models, "data": {"name": data.name,
               "source": data.source, "fingerprint": data.fingerprint, "num_classes": data.num_classes}}  # fmt: skip
        storage.atomic_write(options.json, (json.dumps(content, indent=2) + "\n").encode())


def _named(path: Path) -> str:
    """The path as it was given, but without this machine's folders; a `model.keras` is told apart by its folder."""
    if not path.is_absolute():
        return path.as_posix()
    return f"{path.parent.name}/{path.name}" if path.name == reading.MODEL else path.name


def _scales(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidValue(f"--scales are whole numbers separated by commas. Received: {text}.") from None


if __name__ == "__main__":
    main(program)
