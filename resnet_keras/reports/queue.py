"""A queue of runs, the cheapest first, and how long the rest of it takes by what its runs took so far."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resnet_keras.reports.progress_bar import clock
from resnet_keras.runs import reading
from resnet_keras.spec.network import Network
from resnet_keras.spec.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """One run of the queue.

    Attributes:
        network: what is trained.
        recipe: how.
        seed: random seed of weights, order and augmentation.
        out: its run folder.
    """

    network: Network
    recipe: Recipe
    seed: int
    out: Path

    @property
    def cost(self) -> float:
        """Multiply-adds of all its forward passes: what runs of one queue are compared by."""
        return float(self.network.multiply_adds) * self.recipe.iterations * self.recipe.batch_size

    @property
    def model(self) -> Path:
        """The file of its trained net."""
        return self.out / reading.MODEL

    def run(self) -> reading.Run:
        """Its run folder as it is now.

        Raises:
            OSError: it has not begun, or is damaged.
        """
        return reading.read(self.out)

    def done(self) -> tuple[float, float]:
        """What of its cost is spent, and in how many seconds."""
        if not (self.out / reading.RUN).exists():
            return 0.0, 0.0
        rows = self.run().rows
        return (self.cost * rows[-1].iteration / self.recipe.iterations, rows[-1].seconds) if rows else (0.0, 0.0)


class Queue:
    """Runs in the order in which they are trained.

    Args:
        jobs: in any order.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = sorted(jobs, key=lambda job: job.cost)

    def time_left(self, number: int) -> str:
        """For the line of job `number`, counted from 1: empty until a first row tells how fast this machine is."""
        spent = [job.done() for job in self.jobs]
        cost, seconds = (sum(part) for part in zip(*spent, strict=True))
        if not cost:
            return ""
        left = sum(job.cost - done for job, (done, _) in zip(self.jobs, spent, strict=True))
        return f"; about {clock(seconds / cost * left)} left for {len(self.jobs) - number + 1} runs"

    def time_of_all(self, seconds: float) -> str:
        """For the screen: what all runs take where the first, the cheapest, takes so many seconds."""
        all_cost = sum(job.cost for job in self.jobs)
        return (
            f"all     about {clock(seconds * all_cost / self.jobs[0].cost)} for {len(self.jobs)} runs, by multiply-adds"
        )

    def finished(self) -> list[reading.Run]:
        """Those that have ended, as they were trained."""
        begun = [job.run() for job in self.jobs if (job.out / reading.RUN).exists()]
        return [run for run in begun if run.results is not None]
