"""Tutorials as notebooks, made from their pages: `python tests/docs/notebooks.py` writes `docs/notebooks/`.

A Python block becomes a cell; a bash block that says how long it trains, a cell of `!` lines; the output that the page
shows, the cell's output. Pictures are embedded in the file; of links to other pages, which a notebook on its own does
not have, only the words remain. The page's first block, the environment, becomes a cell that installs the project where
it is missing, as on Colab.
"""

import base64
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pages
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = ("residual-block", "load-a-checkpoint")
FOLDER = pages.ROOT / "docs/notebooks"
BEGIN = """\
# Run this cell first. Where the project is not installed, as on Colab, it installs it from here: a file uploaded beside
# this notebook, which `git bundle create resnet_keras.bundle HEAD` writes in a clone, or an address to clone from.
REPOSITORY = "resnet_keras.bundle"  # @param {type: "string"}
import importlib.util
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # !python is this one
found = importlib.util.find_spec("resnet_keras")
if found is None and ":" not in REPOSITORY and not Path(REPOSITORY).exists():
    raise FileNotFoundError(f"resnet_keras is installed from {REPOSITORY}. Upload that file, then run this cell again.")
if found is None:
    !git clone --quiet {REPOSITORY} resnet_keras
    %pip install --quiet --editable "resnet_keras[jax,data,plot]"
%cd {"resnet_keras" if found is None else Path(found.origin).parents[1]}"""


def notebook(name: str) -> nbformat.NotebookNode:
    """A tutorial as a notebook, with its cells in the order of the page."""
    page = f"docs/tutorials/{name}.md"
    made = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    places = [(match.start(), match.end()) for match in pages.BLOCK.finditer(text)]
    between = [text[end:start] for (_, end), (start, _) in pairwise([(0, 0), *places, (len(text), 0)])]
    cells = made.cells
    for words, block in zip(between, [*pages.blocks(page), None], strict=True):
        if words.strip():
            cells.append(_words(words.strip(), pages.ROOT / "docs/tutorials"))
        if block is None:
            break
        if block.rule.startswith("output"):
            cells[-1].outputs = [new_output("stream", name="stdout", text=block.text + "\n")]
        elif not any(cell.cell_type == "code" for cell in cells):
            cells.append(new_code_cell(BEGIN))
        elif block.language == "python":
            cells.append(new_code_cell(block.text.strip()))
        elif "--iterations" in block.text:
            cells.append(new_code_cell(_shell(block.text)))
        else:  # the paper's schedule takes hours: "run all" must not run it
            cells.append(new_markdown_cell(f"```bash\n{block.text}\n```"))
    for number, cell in enumerate(cells):
        cell.id = f"{name}-{number}"  # nbformat's own are random
    return made


def _words(text: str, folder: Path) -> nbformat.NotebookNode:
    """A Markdown cell with its pictures embedded, and without links to other pages of the site."""
    pictures = {}

    def inside(match: re.Match[str]) -> str:
        path = folder / match["path"]
        kind = {".svg": "image/svg+xml", ".png": "image/png"}[path.suffix]
        pictures[path.name] = {kind: base64.b64encode(path.read_bytes()).decode()}
        return f"![{match['words']}](attachment:{path.name})"

    text = re.sub(r"!\[(?P<words>[^]]*)\]\((?P<path>\.\./images/[^)]+)\)", inside, text)
    text = re.sub(r"(?<!!)\[([^]]*)\]\((?!https?:)[^)]+\)", r"\1", text)
    return new_markdown_cell(text, attachments=pictures) if pictures else new_markdown_cell(text)


def _shell(text: str) -> str:
    return "\n".join(f"!{line}" for line in re.sub(r"\\\n *", "", text).splitlines() if line.strip())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in NOTEBOOKS:
        nbformat.write(notebook(name), FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    main()
