"""Tables from run folders: in the terminal, and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table as RichTable

from resnet_keras.reference import cifar10_error
from resnet_keras.runs import Run


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column holds names, the others numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table in Markdown."""
        ruler = ("---", *("---:" for _ in self.head[1:]))
        return "".join(f"| {' | '.join(cells)} |\n" for cells in (self.head, ruler, *self.rows))

    def for_terminal(self) -> RichTable:
        """The table for a `rich.console.Console`."""
        table = RichTable(box=box.SIMPLE_HEAD)
        for index, name in enumerate(self.head):
            table.add_column(name, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*row)
        return table


def errors(runs: Sequence[Run]) -> Table:
    """What finished runs ended with, in percent, in the order given."""
    return Table(
        ("net", "parameters", "training error %", "validation error %", "test error %", "paper, test error %"),
        tuple(
            (
                run.name,
                f"{run.settings['architecture']['parameters']:,}",
                *(f"{error:.2f}" for error in run.results),
                f"{paper:.2f}" if run.follows_paper and (paper := cifar10_error(run.name)) else "",
            )
            for run in runs
            if run.results is not None
        ),
    )
