"""Progress shown while a network trains: a live line in a terminal, one line per evaluation period in a log file."""

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import ProgressColumn, Task, TextColumn
from rich.text import Text

from resnet_keras.reports.console import plain_console, say
from resnet_keras.reports.progress_bar import clock, progress_bar
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.records import Row

REFRESH_SECONDS = 0.5
"""Time between two readings of the running error, each of which waits for the device."""


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.fields["images_per_second"]
        return Text("" if speed is None else f"{speed:,.0f} images/s")


class TrainingProgress(keras.callbacks.Callback):
    """Follows a run across its calls to `fit`; use as a context manager.

    Args:
        name: name of the network.
        recipe: recipe of the whole run.
        console: where to write.
    """

    def __init__(self, name: str, recipe: Recipe, console: Console | None = None) -> None:
        super().__init__()
        self.step_seconds = 0.0
        """Time from the end of a period's first step to the end of its last."""
        self._console = console or plain_console()
        self._iterations, self._parts = recipe.iterations, recipe.accumulate
        self._batch_images = recipe.batch_size // recipe.accumulate
        self._first_step_end = self._shown = 0.0
        self._compiled = False
        self._bar = progress_bar(self._console, TextColumn("{task.fields[doing]}", markup=False), _ImagesPerSecond())
        self._task = self._bar.add_task(name, total=recipe.iterations, doing="starting", images_per_second=None)

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def skip(self, iterations: int) -> None:
        """Counts iterations made earlier."""
        self._bar.update(self._task, completed=iterations)

    def now(self, doing: str) -> None:
        """Shows what takes time outside training steps: "compiling", "validating", "testing"."""
        self._bar.update(self._task, doing=doing, refresh=True)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._first_step_end = 0.0
        self.now("training" if self._compiled else "compiling")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._first_step_end and logs:
            float(logs["loss"])  # waits: a step sent to the device is not yet finished
        now = time.perf_counter()
        self._first_step_end = self._first_step_end or now
        self._compiled = True
        if self._bar.disable:
            return
        if (batch + 1) % self._parts == 0:
            self._bar.advance(self._task)
        if logs and now - self._shown > REFRESH_SECONDS:
            error = f"training error {100 * (1 - float(logs['accuracy'])):.1f} %"  # waits
            self._shown = time.perf_counter()
            seconds = self._shown - self._first_step_end
            # As in the line of the period: without the first step, in which the backend compiles.
            speed = self._batch_images * batch / seconds if batch else None
            self._bar.update(self._task, doing=error, images_per_second=speed)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.step_seconds = time.perf_counter() - self._first_step_end

    def report(self, name: str, row: Row) -> None:
        """Writes a net's line for a period."""
        left = row.seconds / row.iteration * (self._iterations - row.iteration)
        say(
            self._console,
            f"{name}  iteration {row.iteration:,} of {self._iterations:,}  rate {row.learning_rate:g}  "
            f"training error {row.train_error:.2f} %  validation error {row.validation_error:.2f} %  "
            f"{row.images_per_second:,.0f} images/s  {clock(left)} left",
        )
