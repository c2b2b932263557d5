"""Search for hyper-parameters with keras-tuner: each trial is a run folder, trained by `experiments.run`.

    FOLDER/search.json       what is searched: space, budget, images, seed
    FOLDER/trials/trial-<n>  a run folder for each trial
    FOLDER/trials.csv        a row for each trial
    FOLDER/keras-tuner/      the oracle's state

keras-tuner proposes trials (random, Bayesian, Hyperband) and serves several processes. What its own `Tuner` makes of a
trial (a model, a `fit` and a checkpoint that nothing else here reads) is replaced.
"""

import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import keras_tuner
from keras_tuner.errors import FailedTrialError, FatalError, FatalRuntimeError
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle
from rich.console import Console

from resnet_keras.data.small.images import ImageData
from resnet_keras.errors import Difference, Diverged, InputOutput, OtherRun
from resnet_keras.experiments.run import run
from resnet_keras.reports import trials
from resnet_keras.reports.console import say
from resnet_keras.runs import reading, storage
from resnet_keras.runs.locking import lock
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.paper_nets import cifar10
from resnet_keras.spec.recipe import Recipe

Kind = Literal["hyperband", "bayesian", "random"]
ORACLES: dict[Kind, type[keras_tuner.Oracle]] = {
    "hyperband": HyperbandOracle,
    "bayesian": BayesianOptimizationOracle,
    "random": RandomSearchOracle,
}
SETTINGS, STATE = "search.json", "keras-tuner"
OBJECTIVE = "validation_error"
PLAIN = "none"
"""A plain net among the shortcuts: hyper-parameters cannot be None."""
PATIENCE_S = 60.0
PARTS = 9
"""Hyperband gives a trial 1, 3 or 9 ninths of the iterations. A promoted one starts anew: its schedule differs."""
DEPTHS, WIDTHS, BATCH_SIZES = (8, 14, 20, 26), (8, 16, 32), (32, 64, 128)
RATES, WEIGHT_DECAYS = (0.005, 0.5), (1e-5, 1e-2)


@dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes:
        kind: how the oracle proposes trials.
        recipe: how trials are trained, apart from what is searched; with the most iterations that one can be given.
        data: images to train on.
        seed: seed of proposals, and of each trial's weights, order and augmentation.
    """

    kind: Kind
    recipe: Recipe
    data: ImageData
    seed: int

    def settings(self) -> dict[str, Any]:
        """What has to be the same for a search to resume."""
        described = {"kind": self.kind, "recipe": self.recipe.to_dict(), "data": self.data.description.to_dict()}
        return described | {"seed": self.seed, "space": _space().get_config()}

    def oracle(self, most: int) -> keras_tuner.Oracle:
        """The oracle for at most so many trials.

        Upstream lacks: files that stay whole where a process is killed, and a way to resume where a trial was
        written before the state. Delete when: `Oracle.save` replaces its file, and `reload` drops what no state knows.
        """
        # Trials that diverge are results, not failures; keras-tuner treats a seed of 0 as none.
        options: dict[str, Any] = {
            "objective": keras_tuner.Objective(OBJECTIVE, "min"),
            "hyperparameters": _space(),
            "seed": self.seed + 1,
            "max_consecutive_failed_trials": most + 1,
        }
        if self.kind == "hyperband":
            options |= {"max_epochs": PARTS, "factor": 3, "hyperband_iterations": most}
        kind = ORACLES[self.kind]

        class Whole(kind):  # type: ignore[misc, valid-type]
            def save(self) -> None:
                storage.atomic_write(Path(self._get_oracle_fname()), json.dumps(self.get_state()).encode())

            def _save_trial(self, trial: Any) -> None:
                path = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
                storage.atomic_write(path, json.dumps(trial.get_state()).encode())

            def reload(self) -> None:
                super().reload()
                self.trials: dict[str, Any] = {name: self.trials[name] for name in self.start_order}

        made = Whole(**options)
        made.max_trials = most  # Hyperband's own has no such option
        return made

    def trial(self, values: Mapping[str, Any]) -> tuple[Architecture, Recipe]:
        """The net and the recipe for the oracle's values."""
        shortcut = None if values["shortcut"] == PLAIN else values["shortcut"]
        net = cifar10(values["depth"], shortcut, self.data.num_classes, image_size=self.data.image_size)
        share = values.get("tuner/epochs", PARTS) / PARTS
        recipe = self.recipe.rescaled(max(1, round(self.recipe.iterations * share)))
        searched = {name: values[name] for name in ("learning_rate", "weight_decay", "batch_size")}
        return widened(net, values["width"]), replace(recipe, **searched)


class RunTuner(keras_tuner.Tuner):
    """Runs trials in `FOLDER/trials`.

    Args:
        search: what is searched.
        folder: folder of the search.
        most: most trials in all, including those of earlier calls.
        console: where a line for each trial goes.
    """

    def __init__(self, search: Search, folder: Path, most: int, console: Console) -> None:
        self._search, self._folder, self._console = search, folder, console
        super().__init__(oracle=search.oracle(most), directory=str(folder), project_name=STATE)

    def on_search_begin(self) -> None:
        """Saves a state to resume from before the first trial ends."""
        self.save()

    def save(self) -> None:
        """Saves the state as the oracle does, whole or not at all."""
        if not self._is_worker():
            self.oracle.save()
        storage.atomic_write(Path(self._get_tuner_fname()), json.dumps(self.get_state()).encode())

    def run_trial(self, trial: Any, **_: Any) -> dict[str, float]:
        """Trains one trial, or reads or resumes its run folder."""
        net, recipe = self._search.trial(trial.hyperparameters.values)
        out = self._folder / trials.FOLDER / f"trial-{int(trial.trial_id)}"
        quiet = self._console if self._console.is_terminal else Console(quiet=True)
        said = (
            f"{out.name}  {net.name}, rate {recipe.learning_rate:.3g}, weight decay {recipe.weight_decay:.3g}, "
            f"{recipe.iterations:,} iterations of {recipe.batch_size} images"
        )
        try:
            done = run(net, recipe, self._search.data, seed=self._search.seed, out=out, console=quiet)
            assert done.results is not None
            self._console.print(f"{said}: validation error {done.results.validation_error:.2f} %", soft_wrap=True)
            return {OBJECTIVE: done.results.validation_error}
        except Diverged as error:
            self._console.print(f"{said}: diverged", soft_wrap=True)
            raise FailedTrialError(str(error)) from error
        except Exception as error:  # keras-tuner would go on with the next trial
            raise FatalRuntimeError(str(error)) from error
        finally:
            keras.utils.clear_session()
            self._write_csv()

    def _write_csv(self) -> None:
        try:
            write_csv(self._folder)
        except OSError as error:  # keras-tuner would count the trial as failed
            raise FatalRuntimeError(str(error)) from error


def search(wanted: Search, folder: Path, most: int, console: Console) -> list[trials.Trial]:
    """Runs trials until there are `most`, resuming the search that the folder holds.

    In a process that is keras-tuner's chief (KERASTUNER_TUNER_ID=chief), serves the processes that run them.

    Raises:
        OSError: the folder holds another search, or cannot be written.
        KeyboardInterrupt: a signal arrived; the trial is saved.
    """
    storage.check_writable(folder)
    with _turn(folder):
        _check(wanted.settings(), folder)
    try:
        with warnings.catch_warnings():  # a fit to a few trials may end at a bound
            warnings.filterwarnings("ignore", module=r"sklearn\.gaussian_process")
            RunTuner(wanted, folder, most, console).search(verbose=0)
    except FatalError as error:
        raise error.__cause__ or error from None
    found, skipped = write_csv(folder)
    say(console, *skipped)
    return found


def write_csv(folder: Path) -> tuple[list[trials.Trial], list[str]]:
    """Writes `trials.csv` from the run folders, whichever process trained them; returns what `trials.read` does.

    Raises:
        OSError: it cannot be written.
    """
    with _turn(folder):  # the last one to write has read last
        found, skipped = trials.read(folder)
        storage.atomic_write(folder / trials.CSV, trials.csv(found).encode())
    return found, skipped


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """The lock of the search's folder, once other processes have finished their brief work in it."""
    until = time.monotonic() + PATIENCE_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(folder))
                break
            except InputOutput:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield


def widened(net: Architecture, width: int) -> Architecture:
    """The net with `width` filters in its first stage, and as many more or fewer in the others."""
    first = net.stages[0].filters
    stages = tuple(replace(stage, filters=stage.filters * width // first) for stage in net.stages)
    return replace(net, stem=replace(net.stem, filters=net.stem.filters * width // first), stages=stages)


def _space() -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    space.Float("learning_rate", *RATES, sampling="log")
    space.Float("weight_decay", *WEIGHT_DECAYS, sampling="log")
    space.Choice("depth", list(DEPTHS))
    space.Choice("shortcut", [PLAIN, "A", "B", "C"])
    space.Choice("width", list(WIDTHS))
    space.Choice("batch_size", list(BATCH_SIZES))
    return space


def _check(settings: Mapping[str, Any], folder: Path) -> None:
    path = folder / SETTINGS
    asked = reading.json_roundtrip(settings)
    if not path.exists():
        storage.atomic_write(path, (json.dumps(asked, indent=2) + "\n").encode())
        return
    try:
        held = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError):
        held = {}
    if held != asked:
        differences = [
            Difference(name, json.dumps(held.get(name)), json.dumps(asked[name]))
            for name in asked
            if held.get(name) != asked[name]
        ]
        line = f"A folder holds one search. Received: {folder} with another. Choose another --out."
        raise OtherRun(line, differences)
