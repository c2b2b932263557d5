"""`load` on crafted, damaged and mutated files: a one-line refusal or the good net, and nothing else happens.

The usual run makes few mutations; `--long` makes 20,000.
"""

import json
import os
from collections import Counter

import model_files
import pytest
from conftest import ROOT, run_python

from faults.hostile import CONFIGS, FILES, PLACES, Good
from resnet_keras import cifar10

pytestmark = pytest.mark.any_backend

NET = cifar10(8, "A", 4, image_size=8)
MAX_SECONDS = 2.0
MAX_MB = 3 * 4 * NET.stored_numbers / 2**20 + 256
SHORT, LONG, AT_ONCE = 300, 20_000, 2_500


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "good.keras"
    model_files.write(path, NET, steps=1)
    return path


def child(*arguments):
    """What `faults.child` reports on each file, and how much its memory grew over all of them."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = run_python("-m", "faults.child", *map(str, arguments), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr[-2000:]
    first, *reports, last = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert first["kind"] == "opened"
    assert not first["touched"]
    return reports, last["growth_mb"]


def check(reports, growth):
    """Each file was refused in one line or opened to the good numbers, within limits and without side effects."""
    for report in reports:
        assert report["kind"] in ("refused", "opened"), report
        assert "\n" not in report["text"], report
        assert len(report["text"]) < 1500, report
        assert not report["touched"], report
        assert not report["changed"], report
        # Time that other programs take is not the file's fault; a hang is.
        assert report["processor_seconds"] < MAX_SECONDS, report
        assert report["seconds"] < 10 * MAX_SECONDS, report
        assert report["peak_mb"] < MAX_MB, report
    assert growth < MAX_MB
    for figure in ("processor_seconds", "seconds", "peak_mb"):
        print(f"most {figure}: {max(report[figure] for report in reports):.2f}")
    print(f"growth_mb over {len(reports):,} files: {growth:.1f}")


def test_every_crafted_file_is_refused_in_one_line_or_does_nothing(good, figure):
    source = Good(good.read_bytes(), model_files.unpack(good))
    names = {}
    assert not FILES.keys() & PLACES.keys()
    for number, (name, make) in enumerate([*FILES.items(), *PLACES.items()]):
        folder = good.parent / f"{number:03}"
        folder.mkdir()
        names[folder.name] = name
        if name in PLACES:
            make(folder / "model.keras", source)
        else:
            content = make(source)
            assert content != source.data, name
            (folder / "model.keras").write_bytes(content)
    reports, growth = child("files", good.parent)
    assert [report["name"] for report in reports] == sorted(names)
    # The config, meant for Keras, is not read: a file with a bad one may open, to the good file's numbers.
    opened = {names[report["name"]] for report in reports if report["kind"] == "opened"}
    assert opened <= CONFIGS.keys()
    check(reports, growth)
    figure("hostile files refused", len(reports) - len(opened), len(reports))
    assert len(reports) >= 100


def test_every_mutated_file_is_refused_or_opens_to_the_same_numbers(good, figure, pytestconfig):
    count = LONG if pytestconfig.getoption("--long") else SHORT
    kinds = Counter()
    for first in range(0, count, AT_ONCE):
        reports, growth = child("mutations", good.parent, first, min(first + AT_ONCE, count))
        check(reports, growth)
        kinds.update(report["kind"] for report in reports)
    figure("mutated files refused", kinds["refused"], count)
    figure("mutated files opened to the same numbers", kinds["opened"], count)
    assert kinds.total() == count
    assert kinds["refused"] > count // 2
