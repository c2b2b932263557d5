"""Every command and block of the README, index, tutorials and how-to pages, executed in short form (see `pages`)."""

import os
import sys

import keras
import numpy as np
import pages
import pytest
from conftest import BACKEND
from photograph_files import picture

TUTORIALS = sorted(str(path.relative_to(pages.ROOT)) for path in (pages.ROOT / "docs/tutorials").glob("*.md"))
PAGES = ["README.md", "docs/index.md", *TUTORIALS]
HOW_TO = [f"docs/how-to/{name}.md" for name in (
    "convert", "finetune", "export", "report", "search", "distribute", "benchmark", "troubleshoot")]  # fmt: skip
"""One session: what a page makes is there for the pages after it, as it is for their reader."""
OUTPUT = ("output", "output, other values")
IMAGES = 60


@pytest.mark.any_backend
@pytest.mark.parametrize("page", [*PAGES, *HOW_TO])
def test_every_block_has_a_language_that_the_session_knows(page):
    found = pages.blocks(page)
    assert len(found) == sum(line.strip().startswith("```") for line in (pages.ROOT / page).open()) / 2
    for block in found:
        assert block.language in pages.EXECUTED + pages.SHOWN, block
        assert block.rule in ("", *OUTPUT) or block.rule.startswith("+ ") or " => " in block.rule, (
            f"{block}: {block.rule}"
        )
        assert block.language not in pages.SHOWN or block.rule in ("", *OUTPUT), block


@pytest.mark.any_backend
def test_each_tutorial_begins_with_its_environment_and_its_backend():
    for page in TUTORIALS:
        first, *others = [block for block in pages.blocks(page) if block.language in pages.EXECUTED]
        assert "source .venv/bin/activate\nexport KERAS_BACKEND=" in first.text, page
        assert not [str(block) for block in others if "KERAS_BACKEND=" in block.text], "it changes on the page"


@pytest.mark.any_backend
def test_the_korean_tutorial_has_the_blocks_of_the_english_one():
    english, korean = (pages.blocks(f"docs/{folder}/degradation.md") for folder in ("tutorials", "ko"))
    assert len(korean) == 4
    assert [(block.rule, block.text) for block in korean] == [(block.rule, block.text) for block in english][:4]


@pytest.mark.any_backend
def test_an_output_that_is_not_printed_is_noticed():
    block = pages.Block("page", 1, "text", "output", "error 12.5 %\nwritten …")
    pages.compare(block, "error 12.5 %\nmore\nwritten file", numbers_differ=False)
    pages.compare(block, "error 3.25 %\nwritten file", numbers_differ=True)
    for printed in ("error 3.25 %\nwritten file", "written file\nerror 12.5 %", "error 12.5 %"):
        with pytest.raises(AssertionError):
            pages.compare(block, printed, numbers_differ=False)


@pytest.fixture
def session(tmp_path, monkeypatch):
    labels = (np.arange(IMAGES) % 10).astype(np.uint8)
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3)).astype(np.uint8)
    rows = np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(IMAGES, -1)], axis=1)
    kept = tmp_path / ".keras/datasets/cifar-10-batches-bin"  # where the first download leaves CIFAR-10
    kept.mkdir(parents=True)
    for number in range(5):
        rows[8 * number : 8 * number + 8].tofile(kept / f"data_batch_{number + 1}.bin")
    rows[40:].tofile(kept / "test_batch.bin")
    train, test = (images[:40], labels[:40, None]), (images[40:], labels[40:, None])
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KERAS_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (train, test))
    monkeypatch.setattr(sys, "argv", ["page"])
    for part, count in (("train", 4), ("val", 2)):  # the reader's photographs, of at least 64 pixels
        for label, name in enumerate(("imagenet", "imagenette2-160", "my-photographs")):
            for which in range(2):
                target = tmp_path / name / part / f"n0{which}"
                target.mkdir(parents=True)
                for number in range(count):
                    picture(100 * label + 10 * which + number, 80, 96).save(target / f"{number}.JPEG")
    (tmp_path / "a-martyn").mkdir()  # someone else's log
    (tmp_path / "a-martyn/resnet20.csv").write_text("epoch,train_loss,train_err,test_err\n0,1.5,0.5,0.4\n1,1,0.3,0.2\n")
    yield pages.Session(tmp_path)
    os.environ["KERAS_BACKEND"] = BACKEND


def run_all(session, names):
    with pages.working_in(session.folder):
        for block in (block for page in names for block in pages.blocks(page)):
            try:
                session.run(block)
            except AssertionError:
                raise
            except BaseException as error:
                raise AssertionError(f"{block}: {type(error).__name__}: {error}\n{block.text}") from error


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs(page, session):
    run_all(session, [page])


@pytest.mark.slow
def test_every_block_of_the_how_to_pages_runs(session):
    assert sorted(HOW_TO) == sorted(
        str(path.relative_to(pages.ROOT)) for path in (pages.ROOT / "docs/how-to").glob("*.md")
    )
    run_all(session, HOW_TO)


@pytest.mark.any_backend
def test_errors_tell_to_install_as_the_pages_do():
    """The package is on no index: `pip install "resnet_keras[jax]"` finds nothing, and the pages say `-e ".[jax]"`."""
    sources = [
        path for folder in ("resnet_keras", "recipes", "benchmarks") for path in (pages.ROOT / folder).rglob("*.py")
    ]
    lines = [
        line for path in sources for line in path.read_text(encoding="utf-8").splitlines() if "pip install" in line
    ]
    assert any('-e ".[' in line for line in lines)
    assert not [line for line in lines if "resnet_keras[" in line]
