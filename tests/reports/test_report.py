"""The report gives what the runs say, as text, and loads nothing from elsewhere."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from conftest import run_python
from made_runs import a_run

from resnet_keras.reports.published import IMAGENET_TABLES
from resnet_keras.reports.report import Picture, report

pytestmark = pytest.mark.any_backend
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that a page's tags are closed in order, and collects its text and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.tags, self.text = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "srcset", "data") or tag == "link"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "report.html"
    done = run_python("recipes/report.py", "results", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return Page(out.read_text(encoding="utf-8"))


def test_it_loads_nothing(page):
    assert page.loads
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.loads)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)


def test_it_has_figures_tables_commands_versions_and_deviations(page):
    words = " ".join(page.text.split())
    for number in (1, 4, 6, 7):
        assert f"Figure {number}:" in words
    assert "Gradients" in words
    assert "Loss around trained nets" in words
    for table in IMAGENET_TABLES:
        assert f"Table {table.number}:" in words
    assert "Table 6:" in words
    for number in ("8.75", "27.94", "50.90", "3.57"):  # the paper's, except 50.90: plain-18 in results/photographs
        assert number in words
    assert "KERAS_BACKEND=jax python recipes/degradation.py" in words
    assert "keras 3.15.1" in words
    assert "Weight decay reaches every trained number." in words
    assert "8.55" in words  # ResNet-20 in results/cifar10, by the paper's schedule


def test_what_a_run_says_is_text():
    run = a_run(8)
    run = replace(run, settings=run.settings | {"command": "python <script>alert(1)</script> & more"})
    text = report(
        [run], [], [Picture('"><b>', b"<svg/>")], notes=["<i>"], deviations="# T\n\n<b>x</b> [a](b.md) [c](https://d)"
    )
    page = Page(text)
    assert not {"script", "b", "i"} & set(page.tags)
    assert "<script>alert(1)</script> & more" in page.text
    assert re.findall(r'href="([^#"]+)"', text) == ["https://d"]


def test_nothing_to_report_is_one_line(tmp_path):
    done = run_python("recipes/report.py", str(tmp_path), "--out", str(tmp_path / "x.html"))
    assert done.returncode == 4
    assert len(done.stderr.strip().splitlines()) == 1
