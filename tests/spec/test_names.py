"""A net has the paper's name if it is the paper's net; if its width differs, the name says so."""

from dataclasses import replace

import pytest
from conftest import BACKEND, ROOT

from resnet_keras import cifar10, imagenet
from resnet_keras.plotting.curves import curves
from resnet_keras.reports.tables import errors, table_6
from resnet_keras.runs import reading
from resnet_keras.spec.kinds import network_from_dict
from resnet_keras.spec.known_data import CIFAR10_FINGERPRINT
from resnet_keras.spec.paper_recipes import cifar10_recipe


def wide(net, *filters):
    """The net with other numbers of filters: the stem's, then each stage's."""
    stem, *others = filters
    stages = tuple(replace(stage, filters=other) for stage, other in zip(net.stages, others, strict=True))
    return replace(net, stem=replace(net.stem, filters=stem), stages=stages)


@pytest.mark.parametrize(
    ("net", "name"),
    [
        *((cifar10(depth), f"ResNet-{depth}") for depth in (20, 32, 44, 56, 110, 1202)),  # Table 6
        *((cifar10(depth, None), f"plain-{depth}") for depth in (20, 32, 44, 56)),  # Figure 6
        *((imagenet(depth, None), f"plain-{depth}") for depth in (18, 34)),  # Table 2
        *((imagenet(34, option), f"ResNet-34{said}") for option, said in (("A", ""), ("B", " B"), ("C", " C"))),
        *((imagenet(depth), f"ResNet-{depth}") for depth in (18, 34, 50, 101, 152)),  # Tables 1 and 3
        (imagenet(50, image_size=64, num_classes=10, stride_in="3x3"), "ResNet-50"),
    ],
)
def test_the_paper_s_nets_have_the_paper_s_names(net, name):
    assert net.name == name


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (wide(cifar10(20), 32, 32, 64, 128), "ResNet-20 width 32"),
        (wide(cifar10(20, None), 8, 8, 16, 32), "plain-20 width 8"),
        (wide(cifar10(20, "B"), 8, 8, 16, 32), "ResNet-20 B width 8"),
        (wide(imagenet(50), 16, 16, 32, 64, 128), "ResNet-50 width 16"),
        (wide(cifar10(20), 16, 16, 32, 32), "ResNet-20 width 16-16-32-32"),
    ],
)
def test_a_net_of_other_widths_says_so(net, name):
    assert net.name == name
    assert network_from_dict(net.to_dict()) == net


@pytest.fixture
def earlier():
    """A run that an earlier version wrote, of a net with 4 filters in the first stage."""
    return reading.read(ROOT / "tests" / "files" / "8d48f2f" / BACKEND / "finished")


def test_files_that_do_not_say_the_width_are_of_the_net_that_they_describe(earlier):
    assert earlier.name == "ResNet-6 width 4"
    written = cifar10(8).to_dict()
    assert network_from_dict(wide(cifar10(8), 8, 8, 16, 32).to_dict() | {"name": "ResNet-8"}).name == "ResNet-8 width 8"
    with pytest.raises(ValueError, match="name of this network is 'ResNet-8'"):
        network_from_dict(written | {"name": "ResNet-8 width 16"})


def test_runs_of_two_widths_are_two_nets_in_tables_and_figures(earlier):
    net, recipe = cifar10(20), reading.json_roundtrip(cifar10_recipe(20).to_dict())
    runs = []
    for one in (net, wide(net, 8, 8, 16, 32)):
        data = earlier.settings["data"] | {"fingerprint": CIFAR10_FINGERPRINT}
        settings = earlier.settings | {"architecture": one.to_dict(), "recipe": recipe, "data": data}
        runs.append(replace(earlier, settings=settings))
    names = ["ResNet-20", "ResNet-20 width 8"]
    assert [curve.name for curve in curves(runs)] == names
    assert [(row[0], row[-1]) for row in errors(runs).rows] == [(names[0], "8.75"), (names[1], "")]
    (row,) = (row for row in table_6(runs).rows if row[0] == "ResNet-20")
    assert row[3] == f"{earlier.results.test_error:.2f}"  # one run's: the other net is not the paper's
