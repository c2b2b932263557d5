"""Notebooks match their pages, and run from top to bottom in a kernel of their own."""

import nbformat
import numpy as np
import pages
import pytest
from conftest import small_arrays
from nbclient import NotebookClient
from notebooks import FOLDER, NOTEBOOKS, notebook

STANDS_IN = """
%cd {folder}
import keras, numpy as np
arrays = np.load("small.npz")
labels = [arrays[name][:, None] for name in ("y_train", "y_test")]
keras.datasets.cifar10.load_data = lambda: ((arrays["x_train"], labels[0]), (arrays["x_test"], labels[1]))
"""


@pytest.mark.any_backend
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_its_page(name):
    made = notebook(name)
    nbformat.validate(made)
    kept = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert kept == nbformat.writes(made) + "\n", "python tests/docs/notebooks.py writes it again"
    assert sum(cell.cell_type == "code" for cell in made.cells) > 5
    assert made.cells[1].source.startswith("# Run this cell first")


@pytest.mark.any_backend
def test_the_residual_block_runs_as_a_notebook_and_prints_what_it_shows():
    """Including its first cell, which finds the project installed."""
    made = notebook("residual-block")
    shown = [_printed(cell) for cell in made.cells]
    _run(made, str(pages.ROOT / "docs/notebooks"))
    assert [_printed(cell) for cell in made.cells][2:] == shown[2:]
    assert str(pages.ROOT) in _printed(made.cells[1])


@pytest.mark.slow
def test_load_a_checkpoint_runs_as_a_notebook(tmp_path):
    np.savez(tmp_path / "small.npz", **small_arrays(size=32, classes=10))
    made = notebook("load-a-checkpoint")
    made.cells[1].source += STANDS_IN.format(folder=tmp_path)
    (tmp_path / "recipes").symlink_to(pages.ROOT / "recipes")
    for cell in made.cells:
        cell.source = cell.source.replace("--iterations 400", "--iterations 2 --batch-size 8 --data-dir small.npz")
    _run(made, str(tmp_path))
    assert "test error" in "".join(_printed(cell) for cell in made.cells)


def _run(made, folder):
    NotebookClient(made, timeout=900, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()


def _printed(cell):
    return "".join(output.text for output in cell.get("outputs", []) if output.output_type == "stream")
