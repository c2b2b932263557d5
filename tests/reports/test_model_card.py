"""The card of a converted net: it says what the net's report says."""

import pytest

from resnet_keras.reports.model_card import MeasuredError, converted_card

pytestmark = pytest.mark.any_backend
REPORT = {
    "source": "a-martyn/resnet",
    "architecture": "plain-20",
    "depth": 20,
    "parameters": 269_722,
    "num_classes": 10,
    "image_size": 32,
    "kind": "PyTorch",
    "sha256": "0f77" * 16,
    "licence": "BSD-3-Clause",
    "images": 10_000,
    "largest_difference": 1.5e-6,
    "largest_logit_difference": 2e-6,
    "equal_top1": 1.0,
    "preprocessing": {"mean": (125.4, 125.4, 125.4), "std": (63.0, 63.0, 63.0), "channels": "RGB"},
    "folded": ["the standard deviation of the pixels into the first kernel"],
    "notes": ["plain by its moving statistics"],
}


def test_it_says_whose_weights_they_are_and_how_near():
    card = converted_card(REPORT, "plain-20.keras", "ab" * 32, MeasuredError(9.69, 10_000, "CIFAR-10"), on="CIFAR-10")
    for text in (
        "plain-20: 20 weighted layers, 269,722 parameters",
        "a-martyn/resnet, licence BSD-3-Clause",
        "PyTorch, SHA-256 0f770f77",
        "9.69 on 10,000 images of CIFAR-10",
        "not known to be the paper's",
        "1.5e-06, same top-1 class 100.00%, on 10,000 images of CIFAR-10",
        "plain by its moving statistics",
        "standard deviation of the pixels into the first kernel",
        f"| `plain-20.keras` | SHA-256 {'ab' * 32} |",
    ):
        assert text in card


def test_what_was_not_measured_is_said_to_be_so():
    report = REPORT | {"images": 0, "compared": "not compared: no PyTorch", "licence": None, "notes": []}
    card = converted_card(report, "net.keras", "ab" * 32)
    assert "| test error, % | not measured |" in card
    assert "not compared: no PyTorch" in card
    assert "licence unknown" in card
