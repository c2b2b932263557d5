"""Learning curves: the runs of each net, grouped, and a CSV file of what is drawn. Keras is not imported."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from resnet_keras.errors import InvalidValue
from resnet_keras.runs.reading import Run
from resnet_keras.spec.augmentation import ScaledCrop
from resnet_keras.spec.measurements import to_csv
from resnet_keras.spec.paper_recipes import cifar10_recipe
from resnet_keras.spec.records import Row

HEAD = ("net", "source", "seeds", "iteration", "train_error", "train_error_std", "validation_error",
        "validation_error_std")  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """The runs of one net that differ only in their seed.

    Attributes:
        name: name of the net.
        depth: its number of weighted layers.
        residual: whether it has shortcuts.
        seeds: number of runs.
        iteration: shape (points,).
        train_error, validation_error: shape (seeds, points), in percent.
        source: whose measurement it is; None for ours.
    """

    name: str
    depth: int
    residual: bool
    seeds: int
    iteration: np.ndarray
    train_error: np.ndarray
    validation_error: np.ndarray
    source: str | None = None


def curves(runs: Iterable[Run]) -> list[Curve]:
    """Groups runs by net, from shallow to deep; seeds are compared at the iterations they share.

    Runs that have no row yet are left out.

    Raises:
        ValueError: the runs are on different images or have different schedules (apart from the warm-up), which one
            figure cannot compare, or a net and seed occur twice.
    """
    experiments = kinds(runs)
    if len(experiments) > 1:
        paths = ", ".join(str(run.path) for kind in experiments for run in kind)
        raise InvalidValue(
            f"A figure compares runs with the same schedule and images. Received: {len(experiments)} kinds in {paths}."
        )
    ordered = experiments[0] if experiments else []
    seeds = Counter((run.name, run.settings["seed"]) for run in ordered)
    for (name, seed), count in seeds.items():
        if count > 1:
            raise InvalidValue(f"A curve has one run of each seed. Received: {count} of {name} with seed {seed}.")
    return [_curve(list(group)) for _, group in groupby(ordered, key=lambda run: run.name)]


def kinds(runs: Iterable[Run]) -> list[list[Run]]:
    """Groups runs that one figure can compare: those on the same images with the same schedule, apart from the warm-up.

    Runs that have no row yet are left out. Each kind is sorted from shallow to deep; the kind with most runs comes
    first.
    """
    found: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.settings["architecture"]["depth"], run.name)):
        if run.rows:
            settings = [run.data_identity, run.settings["recipe"] | _warmup(run)]
            found.setdefault(json.dumps(settings), []).append(run)
    return sorted(found.values(), key=len, reverse=True)


def _warmup(run: Run) -> dict[str, None]:
    """The warm-up the paper's rule gives this depth does not count as a difference between nets; any other does."""
    usual = cifar10_recipe(run.settings["architecture"]["depth"]).warmup
    return {"warmup": None} if run.recipe.warmup == usual else {}


def on_photographs(run: Run) -> bool:
    """Whether the run was trained as in section 3.4 (Figure 4) rather than section 4.2 (Figures 1 and 6).

    Raises:
        OSError: the run was written by another version of this program.
    """
    return isinstance(run.recipe.augmentation, ScaledCrop)


def curves_csv(shown: Iterable[Curve]) -> str:
    """Mean and sample standard deviation at each point; blank for the deviation of one seed and for our own source."""

    def rows() -> Iterable[Sequence[object]]:
        for curve in shown:
            parts = [part for errors in (curve.train_error, curve.validation_error) for part in _moments(errors)]
            for iteration, *values in zip(curve.iteration.tolist(), *parts, strict=True):
                yield (curve.name, curve.source, curve.seeds, iteration, *values)

    return to_csv(HEAD, rows())


def _moments(errors: np.ndarray) -> tuple[Sequence[float], Sequence[float | None]]:
    several = len(errors) > 1
    return errors.mean(axis=0).tolist(), errors.std(axis=0, ddof=1).tolist() if several else [None] * errors.shape[1]


def _curve(runs: list[Run]) -> Curve:
    # By iteration: a lengthened run is evaluated at other iterations than one that was that long from the start.
    rows = [{row.iteration: row for row in run.rows} for run in runs]
    shared = sorted(set(rows[0]).intersection(*rows))
    if not shared:
        paths = ", ".join(str(run.path) for run in runs)
        raise InvalidValue(
            "Seeds of one net are compared at iterations where all were measured. "
            f"Received: no such iteration in {paths}."
        )

    def values(field: Callable[[Row], float]) -> np.ndarray:
        return np.array([[field(by_iteration[iteration]) for iteration in shared] for by_iteration in rows])

    architecture = runs[0].settings["architecture"]
    return Curve(
        name=runs[0].name,
        depth=architecture["depth"],
        residual=architecture.get("shortcut") is not None,
        seeds=len(runs),
        iteration=np.array(shared),
        train_error=values(lambda row: row.train_error),
        validation_error=values(lambda row: row.validation_error),
    )
