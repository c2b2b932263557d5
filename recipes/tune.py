"""Tune hyper-parameters of small nets on CIFAR-10: learning rate, weight decay, depth, shortcut, width, batch size.

    KERAS_BACKEND=jax python recipes/tune.py \\
        --trials 30 --iterations 400 --out runs/search
    KERAS_BACKEND=jax python recipes/tune.py \\
        --search bayesian --trials 30 --iterations 400 --out runs/bayesian

Uses keras-tuner (pip install -e ".[tune]"). Each trial is a run folder in FOLDER/trials; FOLDER/trials.csv has a row
for each. Run the same command again to resume an interrupted search or, with more --trials, to extend a finished one.
--confirm trains the best trial's settings and those of degradation.py again, on other seeds and for equally many
updates. Several processes can search together: one is the chief, which trains nothing, and all run the same command,
without --confirm, which one process runs afterwards:

    export KERASTUNER_ORACLE_IP=127.0.0.1 KERASTUNER_ORACLE_PORT=8000
    KERASTUNER_TUNER_ID=chief python recipes/tune.py ... &
    KERASTUNER_TUNER_ID=tuner0 python recipes/tune.py ... &
    KERASTUNER_TUNER_ID=tuner1 python recipes/tune.py ...
"""

from collections.abc import Sequence
from importlib.util import find_spec

from resnet_keras import plotting
from resnet_keras.data.small import sources
from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.search import parallel_coordinates
from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.main import main
from resnet_keras.programs.options import (
    DATASET,
    MAX_SEED,
    SMALL_IMAGES,
    OneLineParser,
    check_iterations,
    file_path,
    seed_list,
)
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import trials
from resnet_keras.reports.console import plain_console
from resnet_keras.runs import storage
from resnet_keras.spec.short_experiment import IMAGE_SIZE, SHORT

MOST_TRIALS = 10_000
NEEDS = {"keras_tuner": "hyperband", "sklearn": "bayesian", "scipy": "bayesian"}
"""Packages, and the search that needs each."""


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add(
        "--trials",
        type=int,
        required=True,
        metavar="N",
        help="number of trials in total, including those of earlier calls",
    )
    add("--iterations", type=int, required=True, metavar="N", help="updates per trial; Hyperband gives most trials "
        "1/9 or 1/3 of these")  # fmt: skip
    add("--out", type=file_path, required=True, metavar="FOLDER", help="folder for the search")
    add(
        "--search",
        choices=("hyperband", "bayesian", "random"),
        default="hyperband",
        help="search algorithm (default: hyperband)",
    )
    add("--data-dir", type=file_path, metavar="PATH", help=SMALL_IMAGES)
    add("--image-size", type=int, metavar="PIXELS", help=f"average images down to this size (default: {IMAGE_SIZE}, "
        "or unchanged if that does not divide their size)")  # fmt: skip
    add("--dataset", metavar="NAME", help=f"{DATASET} (default: the paper's, or the only one)")
    add("--confirm", type=seed_list, metavar="N-N,N,...", help="after the search, train the best trial's settings and "
        "those of degradation.py on these seeds")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="random seed for proposals and trials (default: 0)")
    options = parser.parse(arguments)
    if not 1 <= options.trials <= MOST_TRIALS:
        raise InvalidValue(f"A search has 1 to {MOST_TRIALS:,} trials. Received: --trials {options.trials}.")
    if not 0 <= options.seed < MAX_SEED:
        raise InvalidValue(f"A seed is a whole number from 0 to {MAX_SEED - 1:,}. Received: --seed {options.seed}.")
    for package, kind in NEEDS.items():
        if find_spec(package) is None and kind in ("hyperband", options.search):
            raise InvalidValue(f'A search needs {package}. Install it: pip install -e ".[tune]"')
    check_iterations(options.iterations)
    recipe = SHORT.rescaled(options.iterations)
    sources.check_folder(options.data_dir, options.dataset)
    storage.check_writable(options.out)
    choose_backend()

    data = sources.load(options.data_dir, options.dataset)
    size = options.image_size
    if size is None:
        size = data.image_size if data.image_size % IMAGE_SIZE else IMAGE_SIZE
    data = data.averaged_to(size)
    console = plain_console()
    start_backend(console)
    from resnet_keras.experiments.confirm import confirm
    from resnet_keras.experiments.tune import Search, search  # imports Keras, with the backend just chosen

    wanted = Search(options.search, recipe, data, options.seed)
    found = search(wanted, options.out, options.trials, console)
    table = trials.table(found)
    storage.atomic_write(options.out / "table.md", table.markdown().encode())
    console.print(table.for_terminal())
    if trials.best_first(found):
        described = f"{data.name}, {data.image_size} x {data.image_size} pixels"
        written = plotting.save(parallel_coordinates(found, data=described), options.out / "trials")
        console.print(*written, options.out / trials.CSV, options.out / "table.md", sep="\n", soft_wrap=True)
    if options.confirm:
        table = confirm(options.out, recipe, data, options.confirm, console)
        storage.atomic_write(options.out / "confirmation.md", table.markdown().encode())
        console.print(table.for_terminal())


if __name__ == "__main__":
    main(program)
