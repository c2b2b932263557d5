"""A queue of runs, the cheapest first, and the time left for the rest, estimated from the runs so far."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resnet_keras.errors import InputOutput
from resnet_keras.reports.progress_bar import clock
from resnet_keras.runs import reading
from resnet_keras.spec.network import Network
from resnet_keras.spec.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """One run of the queue.

    Attributes:
        network: the network to train.
        recipe: how to train it.
        seed: random seed of weights, order and augmentation.
        out: its run folder.
    """

    network: Network
    recipe: Recipe
    seed: int
    out: Path

    @property
    def cost(self) -> float:
        """Multiply-adds of all its forward passes, by which the runs of a queue are compared."""
        return float(self.network.multiply_adds) * self.recipe.iterations * self.recipe.batch_size

    @property
    def model(self) -> Path:
        """The file of its trained net."""
        return self.out / reading.MODEL

    def run(self) -> reading.Run:
        """Its run folder as it is now.

        Raises:
            OSError: the run has not begun, or its folder is damaged.
        """
        return reading.read(self.out)

    def done(self) -> tuple[float, float]:
        """How much of its cost is spent, and in how many seconds; none where that cannot be read (yet)."""
        try:
            rows = self.run().rows
        except InputOutput:  # a run may resume from a checkpoint where its other files are lost
            return 0.0, 0.0
        return (self.cost * rows[-1].iteration / self.recipe.iterations, rows[-1].seconds) if rows else (0.0, 0.0)


class Queue:
    """Runs in the order in which they are trained.

    Args:
        jobs: in any order.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = sorted(jobs, key=lambda job: job.cost)

    def time_left(self, number: int) -> str:
        """The time left, for the line of job `number`, counted from 1; empty until a first row shows the speed here."""
        spent = [job.done() for job in self.jobs]
        cost, seconds = (sum(part) for part in zip(*spent, strict=True))
        if not cost:
            return ""
        left = sum(job.cost - done for job, (done, _) in zip(self.jobs, spent, strict=True))
        return f"; about {clock(seconds / cost * left)} left for {len(self.jobs) - number + 1} runs"

    def time_of_all(self, seconds: float) -> str:
        """A line for the screen: the time of all runs if the first, the cheapest, takes this many seconds."""
        all_cost = sum(job.cost for job in self.jobs)
        return (
            f"all     about {clock(seconds * all_cost / self.jobs[0].cost)} for {len(self.jobs)} runs, by multiply-adds"
        )

    def finished(self) -> list[reading.Run]:
        """The runs that have ended, in the order in which they were trained."""
        begun = [job.run() for job in self.jobs if (job.out / reading.RUN).exists()]
        return [run for run in begun if run.results is not None]
