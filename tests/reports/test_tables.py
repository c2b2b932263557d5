"""Tables 2 to 6: the paper's numbers as printed, ours where measured, blanks elsewhere."""

import csv
import json
from pathlib import Path

import pytest
from conftest import run_python
from made_runs import a_run

from resnet_keras import InputOutput
from resnet_keras.reports import others, published, tables
from resnet_keras.runs.reading import Results, Run
from resnet_keras.spec.known_data import CIFAR10_NONE_HELD_OUT

pytestmark = pytest.mark.any_backend

TABLES = "recipes/tables.py"


def evaluation(path, *nets, protocol="10-crop", top1=(40.0,), ensemble=33.0, training="t", fingerprint="f"):
    """A file as recipes/evaluate.py writes it; a net is (name, sha256)."""
    models = [
        {"name": name, "from": f"runs/{sha}", "training": training and training + name, "sha256": sha}
        | {"image_size": 64, "preprocessing": "raw", "weight": 1.0}
        | {"top1_error": error, "top5_error": error / 4}
        for (name, sha), error in zip(nets, top1, strict=True)
    ]
    said = {"top1_error": ensemble, "top5_error": 8.0, "images": 1000, "protocol": protocol, "scales": None}
    said |= {"models": models, "data": {"name": "imagenette", "fingerprint": fingerprint, "num_classes": 10}}
    path.write_text(json.dumps(said))
    return path


def rows(table):
    return {row[0]: row[1:] for row in table.rows}


def test_the_papers_numbers():
    """As the paper prints them."""
    table_2, table_3, table_4, table_5 = (rows(tables.imagenet(one, [])) for one in published.IMAGENET_TABLES)
    assert {name: cells[0] for name, cells in table_2.items()} == {
        "plain-18": "27.94",
        "ResNet-18": "27.88",
        "plain-34": "28.54",
        "ResNet-34": "25.03",
    }
    assert table_3["ResNet-152"] == ("21.43", "5.71")
    assert table_3["GoogLeNet"] == ("", "9.15")
    assert table_4["ResNet-152"] == ("19.38", "4.49")
    assert table_4["VGG (ILSVRC'14), test set"] == ("", "8.43")
    assert table_5["ResNet (ILSVRC'15), 6 nets"] == ("", "3.57")
    table_6 = rows(tables.table_6([]))
    assert table_6["ResNet-110"] == ("1.7", "6.43", "")
    assert table_6["Highway, 32 layers"] == ("1.25", "8.80", "")
    assert table_6["plain-110"] == ("", "> 60.00", "")


def test_ours_stand_beside_them_by_net_and_protocol(tmp_path):
    one = evaluation(tmp_path / "a.json", ("plain-18", "aa"), ("ResNet-34-B", "bb"), top1=(40.0, 30.0))
    seed = evaluation(tmp_path / "b.json", ("plain-18", "cc"), top1=(42.0,))
    again = evaluation(tmp_path / "c.json", ("plain-18", "aa"), top1=(40.0,))
    other = evaluation(tmp_path / "d.json", ("ResNet-18", "dd"), protocol="multi-scale")
    ours = [measured for path in (one, seed, again, other) for measured in tables.read_evaluation(path)]
    table_2 = tables.imagenet(published.TABLE_2, ours)
    assert table_2.head[3] == "ours on imagenette, 10 classes, 1,000 images, 64 px, top-1 %"
    # Mean and sample standard deviation of 40 and 42, and of 10 and 10.5; the third file is the first net again.
    assert rows(table_2)["plain-18"][2:] == ("41.00 ± 1.41 (2)", "10.25 ± 0.35 (2)")
    assert rows(table_2)["ResNet-18"][2:] == ("", "")
    assert rows(tables.imagenet(published.TABLE_3, ours))["ResNet-34 B"][2:] == ("30.00", "7.50")
    assert not any("ours" in name for name in rows(tables.imagenet(published.TABLE_5, ours)))


def test_nets_that_were_trained_differently_are_not_averaged(tmp_path):
    """A torchvision ResNet-50 and ours have one name, as have those of two recipes."""
    files = [
        evaluation(tmp_path / "a.json", ("ResNet-50", "aa"), top1=(24.0,)),
        evaluation(tmp_path / "b.json", ("ResNet-50", "bb"), top1=(26.0,)),
        evaluation(tmp_path / "c.json", ("ResNet-50", "cc"), top1=(30.0,), training="another"),
        evaluation(tmp_path / "d.json", ("ResNet-50", "dd"), top1=(40.0,), training=None),
        evaluation(tmp_path / "e.json", ("ResNet-50", "ee"), top1=(50.0,), training=None, fingerprint="g"),
    ]
    table = tables.imagenet(published.TABLE_3, [one for file in files for one in tables.read_evaluation(file)])
    found = rows(table)
    assert found["ResNet-50"] == ("22.85", "6.71", "", "", "", "")
    assert found["ResNet-50: runs/aa and 1 more"][2:] == ("25.00 ± 1.41 (2)", "6.25 ± 0.35 (2)", "", "")
    assert found["ResNet-50: runs/cc"][2:] == ("30.00", "7.50", "", "")
    assert found["ResNet-50: runs/dd"][2:] == ("40.00", "10.00", "", "")
    assert found["ResNet-50: runs/ee"][2:] == ("", "", "50.00", "12.50")
    assert [head.split(", ")[-2] for head in table.head[3:]] == ["f", "f", "g", "g"]
    one_set = tables.imagenet(published.TABLE_3, [*tables.read_evaluation(files[0]), *tables.read_evaluation(files[4])])
    assert rows(one_set)["ResNet-50"][2:] == ("24.00", "6.00", "50.00", "12.50")


def test_the_comparison_systems_are_found_by_their_own_names(tmp_path):
    """PReLU-net is model C and "VGG (v5)" is VGG-19; a saved model's name has no spaces."""
    nets = [("VGG-19", "v"), ("GoogLeNet", "g"), ("PReLU-net-C", "c"), ("PReLU-net-A", "a"), ("BN-Inception", "b")]
    file = evaluation(tmp_path / "a.json", *nets, protocol="multi-scale", top1=(1, 2, 3, 4, 5))
    table_4 = rows(tables.imagenet(published.TABLE_4, tables.read_evaluation(file)))
    names = ("VGG (v5)", "GoogLeNet (ILSVRC'14)", "PReLU-net", "BN-inception", "VGG (ILSVRC'14), test set")
    assert [table_4[name][2] for name in names] == ["1.00", "2.00", "3.00", "5.00", ""]
    file = evaluation(tmp_path / "b.json", ("VGG-16", "v"), ("GoogLeNet", "g"), ("PReLU-net-C", "c"), top1=(1, 2, 3))
    table_3 = rows(tables.imagenet(published.TABLE_3, tables.read_evaluation(file)))
    assert [table_3[name][2] for name in ("VGG-16", "GoogLeNet", "PReLU-net")] == ["1.00", "2.00", "3.00"]


def test_ensembles_have_rows_of_their_own(tmp_path):
    path = evaluation(tmp_path / "a.json", ("ResNet-18", "a"), ("plain-18", "b"), protocol="multi-scale", top1=(1, 2))
    table = rows(tables.imagenet(published.TABLE_5, tables.read_evaluation(path)))
    assert table["ours: ResNet-18 + plain-18"] == ("", "", "33.00", "8.00")


def test_table_6_takes_runs_of_the_papers_experiment_alone():
    def run(depth, error, **options):
        one = a_run(depth, **options)
        return Run(one.path, one.settings, one.rows, Results(1.0, 2.0, error))

    found = [run(20, 8.5), run(20, 8.9, seed=1), run(32, 20.0, iterations=400), run(44, 7.0, size=16)]
    table = rows(tables.table_6(found))
    assert table["ResNet-20"][2] == "8.70 ± 0.28 (2)"
    assert table["ResNet-32"][2] == table["ResNet-44"][2] == ""
    assert "plain-20" not in table
    assert rows(tables.table_6([run(20, 9.6, shortcut=None)]))["plain-20"] == ("", "", "9.60")
    every = run(20, 8.0)
    every.settings["data"]["fingerprint"] = CIFAR10_NONE_HELD_OUT
    table = tables.table_6([*found, every])
    assert table.head[3:] == ("ours, test error %", "ours, no images held out, test error %")
    assert rows(table)["ResNet-20"][2:] == ("8.70 ± 0.28 (2)", "8.00")


def test_files_that_are_no_evaluation_are_one_line(tmp_path):
    (tmp_path / "other.json").write_text("[1]")
    (tmp_path / "deep.json").write_text("[" * 100_000)  # deeper than Python's parser can follow
    for name in ("other.json", "absent.json", "deep.json"):
        with pytest.raises(InputOutput, match=name) as caught:
            tables.read_evaluation(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputOutput, match=r"deep.json"):
        others.read(tmp_path / "deep.json")


def test_the_recipe_writes_markdown_and_csv(tmp_path):
    path = evaluation(tmp_path / "a.json", ("plain-18", "aa"))
    done = run_python(TABLES, str(path), "results", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "Table 4" in done.stdout
    assert "| plain-18 | 27.94 |  | 40.00 | 10.00 |" in (tmp_path / "out" / "tables.md").read_text()
    with Path(tmp_path / "out" / "table-2.csv").open(newline="") as file:
        assert next(line for line in csv.reader(file) if line[0] == "plain-18") == [
            "plain-18",
            "27.94",
            "",
            "40.00",
            "10.00",
        ]
    (tmp_path / "notes.txt").write_text("no table")
    for words, code in ((["--table", "7"], 2), ([str(tmp_path / "notes.txt")], 4)):
        again = run_python(TABLES, *words)
        assert again.returncode == code
        assert len(again.stderr.strip().splitlines()) == 1


def test_weights_of_others_have_columns_of_their_own(tmp_path):
    """Numbers from results/others, as measured there, are never in our column; plain nets get rows of their own."""
    others_file = Path(__file__).parents[2] / "results" / "others" / "cifar10.json"
    nets = others.read(others_file)
    table = tables.table_6([a_run(20)], nets)
    head = list(table.head)
    martyn = head.index("weights of a-martyn/resnet, measured by us, test error %")
    akamaster = head.index("weights of akamaster/pytorch_resnet_cifar10, measured by us, test error %")
    rows = {row[0]: row for row in table.rows}
    assert [rows[f"plain-{depth}"][martyn] for depth in (20, 32, 44, 56)] == ["9.69", "10.04", "11.56", "13.07"]
    assert [rows[f"ResNet-{depth}"][martyn] for depth in (20, 32, 44, 56)] == ["8.04", "7.79", "7.51", "7.46"]
    assert [rows[f"ResNet-{depth}"][akamaster] for depth in (20, 32, 56)] == ["8.27", "", "6.61"]
    ours = head.index("ours, test error %")
    assert [row[ours] for row in table.rows if row[ours]] == ["36.00"]
    assert len(table.notes) == 2
    assert all("50,000 training images" in note and "not by the paper's protocol" in note for note in table.notes)
    assert "best epoch on the test set" in table.notes[1]
    assert table.notes[0] in table.markdown()
    assert others.read(_json(tmp_path / "evaluation.json", {"models": []})) is None
    with pytest.raises(InputOutput, match="as in results/others"):
        others.read(_json(tmp_path / "odd.json", {"nets": [{"net": "plain-20"}]}))


def _json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
