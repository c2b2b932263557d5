"""Tables from run folders and evaluations, for the terminal, as Markdown and as CSV. Tables 2 to 6 of the paper."""

import csv
import io
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from resnet_keras.errors import InputOutput
from resnet_keras.reports.others import OthersNet
from resnet_keras.reports.published import CIFAR10_ERRORS, CIFAR10_OTHERS, ImageNetTable, cifar10_error
from resnet_keras.runs.reading import Run


@dataclass(frozen=True)
class Table:
    """Text cells: names in the first column, numbers in the others; notes say what a column's numbers are."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table in Markdown, with its notes below."""
        ruler = ("---", *("---:" for _ in self.head[1:]))
        lines = "".join(f"| {' | '.join(cells)} |\n" for cells in (self.head, ruler, *self.rows))
        return lines + "".join(f"\n{note}\n" for note in self.notes)

    def csv(self) -> str:
        """The table as comma-separated values."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows((self.head, *self.rows))
        return text.getvalue()

    def for_terminal(self) -> RichTable:
        """The table for a `rich.console.Console`."""
        caption = Text("\n".join(self.notes)) if self.notes else None  # text, not markup
        table = RichTable(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
        for index, name in enumerate(self.head):
            table.add_column(name, justify="right" if index else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table


@dataclass(frozen=True)
class Measured:
    """A net, or several together, as recorded in an evaluation's JSON file.

    Attributes:
        names: names of its nets.
        sources: their files or run folders, without a machine's path.
        files: their SHA-256 and weights in the ensemble: what is in two evaluations counts once.
        trainings: what they share with their other seeds, `Run.training`, or the SHA-256 of a file without a run; and
            their weights.
        protocol: how it was tested.
        on: the images, as a table's header names them.
        fingerprint: that of the images.
        top1_error, top5_error: percent.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    files: tuple[tuple[str, float], ...]
    trainings: tuple[tuple[str, float], ...]
    protocol: str
    on: str
    fingerprint: str
    top1_error: float
    top5_error: float | None


def errors(runs: Sequence[Run]) -> Table:
    """Final errors of finished runs, in percent, in the order given."""
    return Table(
        ("net", "parameters", "training error %", "validation error %", "test error %", "paper, test error %"),
        tuple(
            (
                run.name,
                f"{run.settings['architecture']['parameters']:,}",
                *(_number(error) for error in run.results),
                f"{paper:.2f}" if run.follows_paper and (paper := cifar10_error(run.name)) else "",
            )
            for run in runs
            if run.results is not None
        ),
    )


def ending(runs: Sequence[Run]) -> str:
    """Final errors of finished runs of one net, in a sentence; several runs as mean ± standard deviation."""
    done = [run.results for run in runs if run.results is not None]
    tests = [results.test_error for results in done if results.test_error is not None]
    said = [
        f"training error {mean([results.train_error for results in done])} %",
        f"validation error {mean([results.validation_error for results in done])} %",
        *([f"test error {mean(tests)} %"] if tests else []),
    ]
    return f"{runs[0].name}{f', {len(runs)} seeds' if len(runs) > 1 else ''}: {', '.join(said)}"


def read_evaluation(path: Path) -> list[Measured]:
    """What `recipes/evaluate.py --json` wrote: each net, and all of them together where there are several.

    Raises:
        OSError: no such file, or one of another kind.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        data = said["data"]

        def measured(models: Sequence[dict[str, Any]], of: dict[str, float]) -> Measured:
            sizes = " and ".join(sorted({f"{model['image_size']} px" for model in models}))
            scales = f", scales {', '.join(map(str, said['scales']))}" if said["scales"] else ""
            on = f"{data['name']}, {data['num_classes']:,} classes, {said['images']:,} images, {sizes}{scales}"
            names = tuple(str(model["name"]) for model in models)
            sources = tuple(str(model.get("from") or f"file {model['sha256'][:12]}") for model in models)
            weights = [model["weight"] if len(models) > 1 else 1.0 for model in models]
            files = tuple(zip((model["sha256"] for model in models), weights, strict=True))
            trainings = tuple(zip((model.get("training") or model["sha256"] for model in models), weights, strict=True))
            return Measured(
                names, sources, files, trainings, said["protocol"], on, str(data.get("fingerprint", "")),
                of["top1_error"], of["top5_error"],
            )  # fmt: skip

        singles = [measured([model], model) for model in said["models"]]
        return singles + ([measured(said["models"], said)] if len(singles) > 1 else [])
    except FileNotFoundError:
        raise InputOutput(f"An evaluation is a JSON file. Not found: {path}.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputOutput(f"An evaluation is a file from recipes/evaluate.py --json. Received: {path}.") from None


def imagenet(published: ImageNetTable, evaluations: Iterable[Measured]) -> Table:
    """One of Tables 2 to 5 with a pair of columns for each of our sets of images; blank where nothing was measured.

    Several seeds of a net, trained alike, share a cell: mean ± standard deviation (n). Nets of one name that were
    trained differently, or whose training is not known, have rows of their own, named by their files; so have
    ensembles.
    """
    once = {(one.files, one.protocol, one.on, one.fingerprint): one for one in _told_apart(evaluations)}
    ours = [
        one
        for one in once.values()
        if one.protocol == published.protocol and (len(one.names) > 1) == published.ensembles
    ]
    paper_names = {_key(row.net or row.name) for row in published.rows}
    if not published.ensembles:
        ours = [one for one in ours if _key(one.names[0]) in paper_names]
    every_set = sorted({one.on for one in ours})
    rows = []
    for row in published.rows:
        mine = [] if published.ensembles else [one for one in ours if _key(one.names[0]) == _key(row.net or row.name)]
        name = f"{row.name}, test set" if row.on == "test" and not published.ensembles else row.name
        groups = _trained_alike(mine)
        cells = _cells(mine, every_set) if len(groups) == 1 else [""] * 2 * len(every_set)
        rows.append((name, _number(row.top1_error), _number(row.top5_error), *cells))
        if len(groups) > 1:
            rows.extend((f"{row.name}: {source}", "", "", *_cells(group, every_set)) for source, group in groups)
    if published.ensembles:
        for names in sorted({one.names for one in ours}):
            groups = _trained_alike([one for one in ours if one.names == names])
            for source, group in groups:
                told = f" ({source})" if len(groups) > 1 else ""
                rows.append((f"ours: {' + '.join(names)}{told}", "", "", *_cells(group, every_set)))
    own = [f"ours on {on}, {top}-{k} %" for on in every_set for top, k in (("top", 1), ("top", 5))]
    return Table(("net", "paper, top-1 %", "paper, top-5 %", *own), tuple(rows))


def table_6(runs: Iterable[Run], others: Sequence[OthersNet] = ()) -> Table:
    """CIFAR-10 test errors: the paper's rows, and the mean of our runs on CIFAR-10 with the paper's schedule.

    Args:
        runs: our runs. Those that had no images held out are in a column of their own.
        others: nets trained by others, measured by us: a column for each project, and a note with its protocol, which
            is not the paper's.
    """
    finished: dict[tuple[str, bool], list[float]] = {}
    for run in runs:
        if run.results is not None and run.results.test_error is not None and run.follows_paper:
            finished.setdefault((run.name, run.all_images), []).append(run.results.test_error)
    ours = {False: "ours, test error %"}
    if any(all_images for _, all_images in finished):
        ours[True] = "ours, no images held out, test error %"
    projects = list(dict.fromkeys(net.weights for net in others))
    measured = {(net.name, net.weights): net.test_error for net in others}
    rows = [*CIFAR10_OTHERS, *CIFAR10_ERRORS]
    published = {row.name for row in rows}
    measured_here = [*(name for name, _ in finished), *(net.name for net in others)]
    beside = [name for name in dict.fromkeys(measured_here) if name not in published]
    cells = [
        (
            row.name,
            "" if row.parameters is None else f"{row.parameters:g}",
            f"{'> ' if row.bound == 'above' else ''}{row.test_error:.2f}",
        )
        for row in rows
    ] + [(name, "", "") for name in beside]
    return Table(
        (
            *("net", "parameters, millions", "paper, test error %", *ours.values()),
            *(f"weights of {project}, measured by us, test error %" for project in projects),
        ),
        tuple(
            (
                *row,
                *(mean(finished.get((row[0], all_images), [])) for all_images in ours),
                *(_number(measured.get((row[0], project))) for project in projects),
            )
            for row in cells
        ),
        tuple(
            f"Weights of {project}, trained by others, not by the paper's protocol: {'; '.join(protocols)}."
            for project in projects
            if (protocols := dict.fromkeys(net.protocol for net in others if net.weights == project))
        ),
    )


def _told_apart(evaluations: Iterable[Measured]) -> list[Measured]:
    """The evaluations, with fingerprints in the headers of different images that would have the same one."""
    every = list(evaluations)
    kinds = {(one.on, one.fingerprint) for one in every}
    shared = {on for on, count in Counter(on for on, _ in kinds).items() if count > 1}
    return [replace(one, on=f"{one.on}, {one.fingerprint or 'unknown'}") if one.on in shared else one for one in every]


def _trained_alike(measured: Sequence[Measured]) -> list[tuple[str, list[Measured]]]:
    """Groups of seeds, each with where its first one lies; all in one if no set of images has two groups."""
    groups: dict[tuple[tuple[str, float], ...], list[Measured]] = {}
    for one in measured:
        groups.setdefault(one.trainings, []).append(one)
    on = Counter(on for group in groups.values() for on in {one.on for one in group})
    if not on or max(on.values()) == 1:
        return [("", list(measured))]
    named = []
    for group in groups.values():
        sources = list(dict.fromkeys(" + ".join(one.sources) for one in group))
        named.append((sources[0] + (f" and {len(sources) - 1} more" if len(sources) > 1 else ""), group))
    return named


def _cells(measured: Sequence[Measured], every_set: Sequence[str]) -> list[str]:
    cells = []
    for on in every_set:
        here = [one for one in measured if one.on == on]
        cells.append(mean([one.top1_error for one in here]))
        cells.append(mean([one.top5_error for one in here if one.top5_error is not None]))
    return cells


def mean(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation (n); a single value as it is, none as empty text."""
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else ""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f} ({len(values)})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _key(name: str) -> str:
    """The name to compare by: a saved model's has no spaces."""
    return name.replace(" ", "-")
