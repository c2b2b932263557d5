"""Make Tables 2 to 6 of the paper: its numbers beside ours, without training or testing anything.

    python recipes/tables.py runs results/evaluation/*.json
    python recipes/tables.py results/*.json --table 2 3 --out results
    python recipes/tables.py results/cifar10 results/others/*.json --table 6

Ours come from run folders (Table 6) and from the JSON files of recipes/evaluate.py (Tables 2 to 5); nets trained by
others and measured by us (results/others) have columns of their own. What was not measured is blank. With --out,
tables.md and a .csv file for each table are written.
"""

from collections.abc import Sequence

from resnet_keras.errors import InputOutput
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.reports import others, tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.reports.published import IMAGENET_TABLES
from resnet_keras.runs import reading, storage

NUMBERS = (2, 3, 4, 5, 6)


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__, computes=False)
    parser.add_argument(
        "sources",
        type=file_path,
        nargs="*",
        metavar="FOLDER_OR_JSON",
        help="run folders, or folders containing them, and JSON files of evaluations",
    )
    parser.add_argument(
        "--table",
        type=int,
        nargs="+",
        choices=NUMBERS,
        default=NUMBERS,
        help="numbers of the tables in the paper (default: all)",
    )
    parser.add_argument("--out", type=file_path, metavar="FOLDER", help="write tables.md and table-<n>.csv here")
    options = parser.parse(arguments)
    if missing := [path for path in options.sources if not path.exists()]:
        raise InputOutput(f"Tables are made from run folders and evaluations. Not found: {missing[0]}.")
    files = [path for path in options.sources if path.suffix == ".json"]
    if strange := [path for path in options.sources if path not in files and not path.is_dir()]:
        raise InputOutput(f"Tables are made from run folders and .json files. Received: {strange[0]}.")
    measured = {path: others.read(path) for path in files}
    evaluations = [one for path in files if measured[path] is None for one in tables.read_evaluation(path)]
    console = plain_console()
    found = []
    for path in options.sources:
        if path not in files:
            runs, skipped = reading.find_readable(path)
            found += runs
            say(console, *skipped)

    titles = {published.number: f"{published.protocol}; {published.title}" for published in IMAGENET_TABLES}
    titles[6] = "CIFAR-10 test set"
    made = {published.number: tables.imagenet(published, evaluations) for published in IMAGENET_TABLES}
    made[6] = tables.table_6(found, [net for nets in measured.values() for net in nets or ()])
    text = "Errors in percent. Paper: He et al., *Deep Residual Learning for Image Recognition* (2015).\n"
    for number in sorted(set(options.table)):
        console.print(f"Table {number}: {titles[number]}", style="bold")
        console.print(made[number].for_terminal())
        text += f"\n## Table {number}: {titles[number]}\n\n{made[number].markdown()}"
    if options.out:
        storage.atomic_write(options.out / "tables.md", text.encode())
        for number in sorted(set(options.table)):
            storage.atomic_write(options.out / f"table-{number}.csv", made[number].csv().encode())
        say(console, f"written: {options.out / 'tables.md'} and .csv files")


if __name__ == "__main__":
    main(program)
