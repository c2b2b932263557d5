"""Report on run folders in one HTML page: figures, Tables 2 to 6, commands, versions and deviations. Needs no network.

    python recipes/report.py runs --out report.html
    python recipes/report.py results evaluations --out report.html

Figures 1, 4 and 6 are drawn; figures of nets and searches that recipes/figures.py and recipes/tune.py left in the same
folders, and the JSON files of recipes/evaluate.py, are used as they are. A line reports each figure that cannot be
drawn.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from resnet_keras.errors import InputOutput
from resnet_keras.plotting import from_runs
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.reports import report
from resnet_keras.reports.console import plain_console
from resnet_keras.runs import storage

DEVIATIONS = Path(__file__).parents[1] / "docs" / "deviations.md"


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__, computes=False)
    add = parser.add_argument
    add("folders", type=file_path, nargs="+", metavar="RUNS", help="run folders, or folders containing them")
    add(
        "--out",
        type=file_path,
        default=Path("report.html"),
        metavar="FILE",
        help="HTML page to write (default: report.html)",
    )
    options = parser.parse(arguments)
    found, notes = from_runs.find(options.folders)
    evaluations = report.found_evaluations(options.folders)
    drawn = report.found_pictures(options.folders)
    if not (found or evaluations or drawn):
        raise InputOutput(f"A report is made from run folders. None found in: {', '.join(map(str, options.folders))}.")
    storage.check_file(options.out)
    pictures = []
    with tempfile.TemporaryDirectory() as folder:
        for one in from_runs.draw_all(found):
            if isinstance(one, str):
                notes.append(one)
            else:
                _, svg, _ = one.save(Path(folder) / one.name)
                pictures.append(report.Picture(one.caption, svg.read_bytes()))
    page = report.report(
        found, evaluations, [*pictures, *drawn], notes=notes, deviations=DEVIATIONS.read_text(encoding="utf-8")
    )
    storage.atomic_write(options.out, page.encode())
    plain_console(sys.stderr).print(*notes, sep="\n", end="\n" if notes else "", soft_wrap=True)
    print(options.out)


if __name__ == "__main__":
    main(program)
