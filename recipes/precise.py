"""Replace the moving statistics of batch normalisation with averages over training images, as in the released nets.

    python recipes/precise.py runs/ResNet-18-seed0 --data-dir photographs \\
        --out precise.keras
    python recipes/evaluate.py precise.keras --data-dir photographs

Runs --images augmented training photographs through the net in training mode, in batches of --batch-size, and prints
the 1-crop validation error before and after. Weights are not changed.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from resnet_keras.data.photographs import batches as photographs
from resnet_keras.data.photographs.sources import load_split
from resnet_keras.errors import InvalidValue
from resnet_keras.evaluation import error_rates
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.programs.main import main
from resnet_keras.programs.options import DATASET, MAX_SEED, OneLineParser, file_path, photograph_options
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import reading, storage
from resnet_keras.spec.network import Network
from resnet_keras.spec.recipe import MAX_BATCH_SIZE, MAX_COUNT
from resnet_keras.weights import archive


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("net", type=file_path, metavar="RUN_OR_FILE", help="a run folder or a .keras file")
    add("--data-dir", type=file_path, required=True, metavar="PATH", help="photographs, as for recipes/evaluate.py")
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: the only one)")
    add(
        "--images",
        type=int,
        default=10_000,
        metavar="N",
        help="average over at least N training photographs (default: 10000)",
    )
    add("--batch-size", type=int, default=256, metavar="N", help="images per batch, as in training (default: 256)")
    add("--seed", type=int, default=0, metavar="N", help="random seed for data order and augmentation (default: 0)")
    add("--limit", type=int, metavar="N", help="test N validation photographs (default: all)")
    add("--out", type=file_path, required=True, metavar="FILE", help="where to write the net; must end in .keras")
    photograph_options(parser)
    options = parser.parse(arguments)
    if not (
        1 <= options.images <= MAX_COUNT
        and 1 <= options.batch_size <= MAX_BATCH_SIZE
        and 0 <= options.seed <= MAX_SEED
        and (options.limit is None or options.limit >= 1)
    ):
        raise InvalidValue(
            f"--images is 1 to {MAX_COUNT:,}, --batch-size 1 to {MAX_BATCH_SIZE:,}, --seed 0 to {MAX_SEED:,}, "
            f"--limit 1 or more. Received: --images {options.images}, --batch-size {options.batch_size}, "
            f"--seed {options.seed}, --limit {options.limit}."
        )
    if options.out.suffix != ".keras":
        raise InvalidValue(f"A net is written to a .keras file. Received: --out {options.out}.")
    file = reading.model_file(options.net).path
    storage.check_file(options.out)
    console = plain_console()
    say(console, f"reading {options.data_dir} ...")
    load_split(options.data_dir, "val", options.dataset)  # before Keras is imported, not after
    start_backend(console)
    from resnet_keras.evaluation import classifier  # import Keras, with the backend just chosen
    from resnet_keras.evaluation.score import score
    from resnet_keras.nets import recalibration
    from resnet_keras.weights.save import write

    net = classifier.read(options.net)
    data = photographs.load(
        options.data_dir,
        net.image_size,
        dataset=options.dataset,
        skip_bad=options.skip_bad,
        workers=options.workers,
    )
    stream = data.stream(options.batch_size, options.seed)

    def error() -> str:
        measured = score(net, data.validation, Protocol("1-crop"), limit=options.limit, console=console)
        return str(error_rates.errors(*measured).top1)

    before = error()
    batches = -(-options.images // options.batch_size)
    images = recalibration.average_statistics(net.model, (stream.batch(number)[0] for number in range(batches)))
    stream.close()
    after = error()
    storage.atomic_replace(options.out, lambda aside: write(net.model, aside, _network(file), net.class_names))
    say(
        console,
        f"{net.name}: averages over {images:,} training photographs",
        f"1-crop top-1 error before {before}, after {after}",
        f"written: {options.out}",
    )


def _network(file: Path) -> Network | None:
    """The network described in the file, so that `load` also opens the file written; None for others' files."""
    with suppress(archive.Refused):
        return archive.read(file).network
    return None


if __name__ == "__main__":
    main(program)
