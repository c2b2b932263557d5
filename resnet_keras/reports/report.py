"""A report of run folders as one self-contained HTML page: figures, Tables 2 to 6, commands, versions.

Whatever a run says is text here, never markup; pictures are data, in which no script runs; the page may load nothing.
"""

import base64
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from markdown_it import MarkdownIt

from resnet_keras.errors import InputOutput
from resnet_keras.reports import tables
from resnet_keras.reports.published import IMAGENET_TABLES
from resnet_keras.reports.tables import Measured, Table
from resnet_keras.runs import reading
from resnet_keras.runs.reading import Run

DRAWN_FROM = {
    "net,layer,std": "Figure 7: standard deviations of layer responses",
    "net,unit,gradient_norm,": "Gradients at each unit, and the share of the shortcut",
    "net,alpha,beta,": "Loss around trained nets",
    "run,learning_rate,": "Trials of a search",
}
"""What a figure shows, keyed by the beginning of the CSV file beside it."""
NOT_EVALUATIONS = (reading.RUN, "search.json")
RELATIVE_LINK = re.compile(r'<a href="(?!https?:)[^"]*">(.*?)</a>', re.DOTALL)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 0 auto;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; } h3 { margin-top: 1.8rem; }
nav a { margin-right: 1rem; white-space: nowrap; display: inline-block; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: 0.9rem; }
.wide { overflow-x: auto; overflow-wrap: normal; } table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
table.text td, table.text th { text-align: left; }
table.text td:last-child { min-width: 16rem; overflow-wrap: anywhere; }
code { font-size: 0.9em; background: #f4f4f4; }
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        caption: what the figure shows, and where it is from.
        svg: the file's bytes.
    """

    caption: str
    svg: bytes


def report(
    runs: Sequence[Run],
    evaluations: Sequence[Measured],
    pictures: Sequence[Picture],
    *,
    notes: Sequence[str],
    deviations: str,
) -> str:
    """The report as an HTML page.

    Args:
        runs: finished or not.
        evaluations: evaluations for Tables 2 to 5.
        pictures: figures, in order.
        notes: lines about what is left out.
        deviations: the section on deviations, in Markdown.
    """
    sections = [
        ("Runs", _table(_errors(runs)) + _list(notes)),
        ("Figures", "".join(map(_figure, pictures)) or "<p>None could be drawn.</p>"),
        ("Tables", _paper_tables(runs, evaluations)),
        ("Commands", _table(_commands(runs), "text")),
        ("Versions", _table(_versions(runs), "text")),
        ("Deviations", _markdown(deviations)),
    ]
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name, _ in sections)
    body = "".join(f'<section id="{name.lower()}"><h2>{name}</h2>{text}</section>\n' for name, text in sections)
    made = datetime.now(UTC).isoformat(timespec="minutes")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>resnet_keras: report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        "<h1>Deep Residual Learning, measured</h1>\n"
        f"<p>{len(runs)} run{'' if len(runs) == 1 else 's'} of resnet_keras, {made}. Errors in percent.</p>\n"
        f"<nav>{links}</nav>\n{body}</body>\n</html>\n"
    )


def found_pictures(folders: Iterable[Path]) -> list[Picture]:
    """Figures of nets and searches drawn earlier: SVG files, recognised by the CSV file beside them."""
    pictures = []
    for folder in folders:
        for svg in sorted(folder.rglob("*.svg")):
            try:
                with svg.with_suffix(".csv").open(encoding="utf-8") as file:
                    head = file.readline()
                data = svg.read_bytes()
            except (OSError, UnicodeDecodeError):
                continue
            for begin, caption in DRAWN_FROM.items():
                if head.startswith(begin):
                    pictures.append(Picture(f"{caption}. {svg.relative_to(folder)}", data))
    return pictures


def found_evaluations(folders: Iterable[Path]) -> list[Measured]:
    """What `recipes/evaluate.py --json` wrote, found among any other JSON files."""
    found = []
    for folder in folders:
        for file in sorted(folder.rglob("*.json")):
            if file.name not in NOT_EVALUATIONS:
                try:
                    found += tables.read_evaluation(file)
                except InputOutput:
                    continue
    return found


def _errors(runs: Sequence[Run]) -> Table:
    rows = []
    for run in runs:
        data, recipe = run.settings["data"], run.settings["recipe"]
        reached = run.rows[-1].iteration if run.rows else 0
        shown = (
            [run.results.train_error, run.results.validation_error, run.results.test_error]
            if run.results
            else [run.rows[-1].train_error, run.rows[-1].validation_error, None]
            if run.rows
            else [None] * 3
        )
        rows.append(
            (
                f"{run.name}, seed {run.settings['seed']}",
                f"{data['name']}, {data['image_size']} px",
                f"{reached:,} of {recipe['iterations']:,}",
                *("" if error is None else f"{error:.2f}" for error in shown),
            )
        )
    return Table(("net", "images", "iterations", "training", "validation", "test"), tuple(rows))


def _paper_tables(runs: Sequence[Run], evaluations: Sequence[Measured]) -> str:
    made = [
        (f"Table {one.number}: {one.protocol}; {one.title}", tables.imagenet(one, evaluations))
        for one in IMAGENET_TABLES
    ]
    made.append(("Table 6: CIFAR-10 test set", tables.table_6(runs)))
    return "".join(f"<h3>{html.escape(title)}</h3>{_table(table)}" for title, table in made)


def _commands(runs: Sequence[Run]) -> Table:
    rows = [
        (f"{run.name}, seed {run.settings['seed']}", _said(run, "started"), _said(run, "ended") or "not ended",
         _said(run, "commit"), _said(run, "command"))
        for run in runs
    ]  # fmt: skip
    return Table(("net", "started", "ended", "commit", "command"), tuple(rows))


def _versions(runs: Sequence[Run]) -> Table:
    """Each combination of versions and machine once, with the number of runs that had it."""
    counts: dict[tuple[str, str], int] = {}
    for run in runs:
        versions = ", ".join(f"{name} {version}" for name, version in (run.settings.get("versions") or {}).items())
        hardware = run.settings.get("hardware") or {}
        machine = f"{hardware.get('processor')}, {hardware.get('cores')} cores; {_said(run, 'device')}"
        key = (versions, machine)
        counts[key] = counts.get(key, 0) + 1
    return Table(
        ("runs", "machine", "versions"), tuple((str(n), machine, said) for (said, machine), n in counts.items())
    )


def _said(run: Run, field: str) -> str:
    return str(run.settings.get(field) or "")


def _table(table: Table, kind: str = "numbers") -> str:
    def row(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in table.rows)
    head = row(table.head, "th")
    return f'<div class="wide"><table class="{kind}"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _figure(picture: Picture) -> str:
    data, caption = base64.b64encode(picture.svg).decode(), html.escape(picture.caption)
    image = f'<img alt="{caption}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>\n"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def _markdown(text: str) -> str:
    """Renders Markdown without its title, with headings one level lower and no links to pages outside the report."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    rendered = re.sub(r"<h1>.*?</h1>", "", rendered, flags=re.DOTALL)
    rendered = re.sub(r"(</?h)2>", r"\g<1>3>", rendered)
    return RELATIVE_LINK.sub(r"\1", rendered)
