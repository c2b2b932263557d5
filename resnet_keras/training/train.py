"""`train` turns a model, a recipe and images into a run folder (sections 3.4 and 4.2)."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import NoReturn

import keras
from rich.console import Console

from resnet_keras.backends import distribution
from resnet_keras.backends.device_images import resident
from resnet_keras.data.dataset import Batches, Dataset
from resnet_keras.errors import Diverged, InvalidValue, Stopped
from resnet_keras.nets.build import class_names_of
from resnet_keras.runs.writing import ReadOnlyFolder, RunFolder
from resnet_keras.signals import Stop
from resnet_keras.spec.class_names import check_same_classes
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.records import Results
from resnet_keras.spec.schedules import Period
from resnet_keras.training.loop import KerasLoop, Loop, Stopping
from resnet_keras.training.parallel import AgreedStop, ParallelLoop
from resnet_keras.training.progress import TrainingProgress
from resnet_keras.training.seed_run import SeedRun, error_percent
from resnet_keras.training.vectorised import VectorisedLoop


def train(
    models: Sequence[keras.Model],
    recipe: Recipe,
    data: Dataset,
    folders: Sequence[RunFolder | ReadOnlyFolder],
    *,
    seeds: Sequence[int] = (0,),
    console: Console | None = None,
) -> list[Results]:
    """Trains a model, or at once several that differ in their seed, and writes a run folder for each.

    Each run resumes where its `folder.state` says.

    Args:
        models: from raw pixels to probabilities, as `build` makes them; they end with the trained weights. Several are
            trained in one program, which is possible on JAX only.
        recipe: the schedule.
        data: images to train, validate and test on; test images, if any, are evaluated once, at the end.
        folders: where the rows, checkpoints, model and results of each run go.
        seeds: seed of each run's image order and augmentation.
        console: where progress is shown; None is standard output.

    Returns:
        The final errors of each model, in percent.

    Raises:
        ArithmeticError: a loss or a weight is no longer finite; rows, checkpoints and earlier files stay, and the other
            models are trained to the end.
        KeyboardInterrupt: a signal came; the runs are saved and resume from there.
        OSError: a run folder cannot be written.
        ValueError: the image size, the number of classes or their names differ from the model's, or several models
            are given where the backend is not JAX.
    """
    images = data.description
    shape = (images.image_size, images.image_size, 3)
    for model in models:
        classes = model.outputs[0].shape[1]
        if model.input_shape[1:] != shape or classes != images.num_classes:
            raise InvalidValue(
                f"Model and images match in size and number of classes. Received: a model for {model.input_shape[1:]} "
                f"and {classes} classes, {images.name} with {shape} and {images.num_classes}."
            )
        check_same_classes(model.name, class_names_of(model), images.name, images.class_names)
        model.class_names = images.class_names or class_names_of(model)
    engine = distribution.current()
    rows = None if engine.where.processes == 1 else engine.where.rows(recipe.batch_size // recipe.accumulate)
    with ExitStack() as stack:
        stack.enter_context(_parting())
        held_out = stack.enter_context(closing(_share(data.validation_batches())))
        progress = stack.enter_context(TrainingProgress(models[0].name, recipe, console))
        own = stack.enter_context(Stop())
        stop: Stopping = own if engine.where.processes == 1 else AgreedStop(own)
        part = recipe.batch_size // recipe.accumulate
        streams = [stack.enter_context(closing(data.stream(part, seed, recipe.augmentation, rows))) for seed in seeds]
        seed_runs = []
        for model, folder, seed, stream in zip(models, folders, seeds, resident(streams), strict=True):
            name = model.name if len(models) == 1 else f"{model.name} seed {seed}"
            seed_runs.append(SeedRun(name, model, recipe, stream, folder))
        trainer = _Trainer(seed_runs, recipe, held_out, progress, stop)
        trainer.train()
        for seed_run in trainer.seed_runs:
            seed_run.settle()
        tested = data.test_batches()
        errors: list[float | None] = [None] * len(trainer.seed_runs)
        if tested is not None:
            tested = stack.enter_context(closing(_share(tested)))
            progress.now("testing")
            errors = [error_percent(one) for one in trainer.evaluate(trainer.seed_runs, tested)]
        progress.now("saving")
        results = [seed_run.finish(error) for seed_run, error in zip(trainer.seed_runs, errors, strict=True)]
        if trainer.diverged:
            raise trainer.diverged[0]
        if stop.signum is not None:
            raise Stopped(stop.signum, f"{_names(seed_runs)} finished")
    return results


class _Trainer:
    """Trains nets through the periods of a recipe; those that have come equally far are trained together."""

    def __init__(
        self,
        seed_runs: Sequence["SeedRun"],
        recipe: Recipe,
        held_out: Batches,
        progress: TrainingProgress,
        stop: Stopping,
    ) -> None:
        self.seed_runs = list(seed_runs)
        """Runs whose loss and weights are finite so far."""
        self.diverged: list[Diverged] = []
        """Errors of the other runs."""
        self._recipe, self._held_out = recipe, held_out
        self._progress, self._stop = progress, stop
        averaged = recipe.average_over > 0
        self._loop: Loop
        if distribution.current().where.kind != "single":
            self._loop = ParallelLoop(progress, stop, recipe.accumulate, averaged=averaged)
        else:
            kind = KerasLoop if len(seed_runs) == 1 else VectorisedLoop
            self._loop = kind(progress, stop, recipe.accumulate, averaged=averaged)
        progress.skip(min(seed_run.state.iteration for seed_run in seed_runs))

    def train(self) -> None:
        """Trains all nets to the end of the recipe."""
        while True:
            ahead = [
                (seed_run, period) for seed_run in self.seed_runs if (period := seed_run.next_period()) is not None
            ]
            if not ahead:
                return
            # A process that ends between the checkpoints of two nets leaves one behind the other.
            first, period = min(ahead, key=lambda pair: (pair[1].stop, pair[0].state.iteration))
            where = (first.state.iteration, first.state.inside)
            group = [seed_run for seed_run, _ in ahead if (seed_run.state.iteration, seed_run.state.inside) == where]
            self._period(group, period)

    def evaluate(self, group: Sequence["SeedRun"], batches: Batches) -> list[dict[str, float]]:
        """Evaluates nets; if a signal comes meanwhile, saves them as they are."""
        if not group:
            return []
        measured = self._loop.evaluate([seed_run.learner for seed_run in group], batches)
        if self._stop.asked:
            self._leave(group)
        return measured

    def _period(self, group: Sequence["SeedRun"], period: Period) -> None:
        """Trains to the end of a period, measures the errors and writes a row and a checkpoint for each net."""
        group = self._fit(group, period)
        if self._stop.asked:
            self._leave(group)
        self._progress.now("validating")
        for seed_run, held_out in zip(group, self.evaluate(group, self._held_out), strict=True):
            with self._dropped(seed_run):
                self._progress.report(seed_run.name, seed_run.measured(held_out, period))

    @contextmanager
    def _dropped(self, seed_run: "SeedRun") -> Iterator[None]:
        """Inside the context, a net that diverges is dropped; the others continue."""
        try:
            yield
        except Diverged as error:
            self.seed_runs.remove(seed_run)
            self.diverged.append(error)

    def _fit(self, group: Sequence["SeedRun"], period: Period) -> list["SeedRun"]:
        """Makes the remaining updates of a period; returns the nets that are finite afterwards."""
        for seed_run in group:
            seed_run.begin(period)
        start, parts = max(period.start, group[0].state.iteration), self._recipe.accumulate
        batches, speed = 0, group[0].state.images_per_second
        if start < period.stop:
            wanted = range(start * parts, period.stop * parts)
            metrics = [seed_run.metrics for seed_run in group]
            batches = self._loop.fit([seed_run.learner for seed_run in group], wanted, metrics)
            images = self._recipe.batch_size // parts * (batches - 1)
            speed = images / max(self._progress.step_seconds, 1e-9)
        for seed_run in group:
            with self._dropped(seed_run):
                seed_run.fitted(period, start + batches // parts, speed)
        return [seed_run for seed_run in group if seed_run in self.seed_runs]

    def _leave(self, group: Sequence["SeedRun"]) -> NoReturn:
        """Saves whatever is unsaved of runs that a signal stops, and raises."""
        assert self._stop.signum is not None
        for seed_run in group:
            seed_run.save_inside()
        if not group:
            raise self.diverged[-1]
        raise Stopped(
            self._stop.signum,
            f"saved at iteration {group[0].state.iteration:,} in {_names(group)}; run the same command again to resume",
        )


@contextmanager
def _parting() -> Iterator[None]:
    """When processes end in an orderly way, none ends before the others."""
    try:
        yield
    except (Stopped, Diverged):
        distribution.current().part()
        raise
    distribution.current().part()


def _share(batches: Batches) -> Batches:
    """This process's share of the images to evaluate on."""
    where = distribution.current().where
    return batches if where.processes == 1 else batches.share(where.share(batches.images))


def _names(seed_runs: Sequence[SeedRun]) -> str:
    first, *others = (seed_run.path for seed_run in seed_runs)
    return f"{first} and {len(others)} more" if others else str(first)
