"""Train for Table 6 of the paper: every plain and residual net of section 4.2, one after the other, cheapest first.

    KERAS_BACKEND=jax python recipes/table6.py --only ResNet-20 plain-20
    python recipes/table6.py --iterations 16000 --only plain-56 ResNet-56
    KERAS_BACKEND=jax python recipes/table6.py --seeds 0-4

The nets form a queue: finished ones are skipped, and each line says how long the rest will take. Run the same command
again to resume an interrupted one. Every net leaves its run folder in --out, with a model card; of several seeds, only
the first keeps its model.keras. Takes days on two CPU cores: about 70 hours for one seed, of which the 20-layer nets
take 7.

Expected test error in percent (paper): 20 layers 8.75, 32 7.51, 44 7.17, 56 6.97, 110 6.43 (best of 5), 1202 7.93.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from resnet_keras.data.small import sources
from resnet_keras.errors import InvalidValue
from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.main import main
from resnet_keras.programs.options import ALL_IMAGES, recipe_from, training_options
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.reports.model_card import model_card
from resnet_keras.reports.queue import Job, Queue
from resnet_keras.runs import checkpoints, storage
from resnet_keras.runs.lookup import folder_for
from resnet_keras.spec.paper_nets import TABLE_6_DEPTHS, cifar10
from resnet_keras.spec.paper_recipes import cifar10_recipe

NETS = {net.name: net for depth in TABLE_6_DEPTHS for net in (cifar10(depth, None), cifar10(depth))}
USUAL = (*(name for name, net in NETS.items() if net.depth <= 56), "ResNet-110")
"""Figure 6 shows these; plain-110 failed to train, and 1202 layers take a day on a GPU."""


def program(arguments: Sequence[str]) -> None:
    parser = training_options(__doc__, out="results/cifar10, or results/cifar10-<iterations>", several_seeds=True)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NET",
        default=USUAL,
        help=f"nets to train, of {', '.join(NETS)} (default: up to 56 layers, and ResNet-110)",
    )
    parser.add_argument("--all-images", action="store_true", help=ALL_IMAGES)
    options = parser.parse(arguments)
    if unknown := [name for name in options.only if name not in NETS]:
        raise InvalidValue(f"Table 6 has {', '.join(NETS)}. Received: --only {unknown[0]}.")
    seeds = options.seeds or (options.seed,)
    name = "cifar10" if options.iterations is None else f"cifar10-{options.iterations}"
    out = options.out or Path("results") / name
    nets = [NETS[name] for name in dict.fromkeys(options.only)]
    jobs = [
        Job(net, recipe_from(options, cifar10_recipe(net.depth)), seed, out / f"{net.name}-seed{seed}")
        for net in nets
        for seed in seeds
    ]
    sources.check_folder(options.data_dir, options.dataset)
    if not options.estimate:
        storage.check_writable(out)
    console = plain_console()
    say(console, f"reading {options.data_dir or options.dataset or 'CIFAR-10'} ...")
    choose_backend()
    data = sources.load(options.data_dir, options.dataset, all_images=options.all_images)
    start_backend(console)
    from resnet_keras.experiments.estimate import estimate  # imports Keras, with the backend just chosen
    from resnet_keras.experiments.run import inspect, run

    jobs = [
        replace(job, network=replace(job.network, num_classes=data.num_classes, image_size=data.image_size))
        for job in jobs
    ]
    queue = Queue(jobs)
    if options.estimate:
        first = queue.jobs[0]
        one = estimate(first.network, first.recipe, data, seed=first.seed)
        say(console, first.network.name, *one.lines(), queue.time_of_all(one.seconds))
        return
    # A folder that --fresh chose holds nothing yet: it is chosen once, and read again under the same name.
    queue = Queue([replace(job, out=folder_for(job.out, options.resume)) for job in queue.jobs])
    for job in queue.jobs:  # before hours of work, not after
        inspect(job.network, job.recipe, data, seed=job.seed, out=job.out)
    for number, job in enumerate(queue.jobs, start=1):
        say(console, f"{number} of {len(jobs)}: {job.network.name}, seed {job.seed}{queue.time_left(number)}")
        run(
            job.network,
            job.recipe,
            data,
            seed=job.seed,
            out=job.out,
            console=console,
            tensorboard=options.tensorboard,
        )
        _publish(job, keep_model=job.seed == seeds[0])
    finished = queue.finished()
    table = tables.table_6(finished) if all(one.follows_paper for one in finished) else tables.errors(finished)
    storage.atomic_write(out / "table.md", table.markdown().encode())
    console.print(table.for_terminal())
    say(console, f"written: {out / 'table.md'}")


def _publish(job: Job, *, keep_model: bool) -> None:
    """Keeps of a finished run what belongs in a repository."""
    storage.atomic_write(job.out / "README.md", model_card(job.run()).encode())
    checkpoints.prune(job.out, set())
    if not keep_model:
        job.model.unlink(missing_ok=True)


if __name__ == "__main__":
    main(program)
