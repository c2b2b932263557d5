"""How the learning rate falls, against PyTorch's schedulers and by hand; recipes through JSON and at other lengths."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from resnet_keras import CIFAR10, InvalidValue, Recipe, cifar10_recipe
from resnet_keras.spec.augmentation import PaddedCrop, ScaledCrop
from resnet_keras.spec.baselines.recipes import BN_INCEPTION, GOOGLENET, PRELU_NET, VGG
from resnet_keras.spec.paper_recipes import IMAGENET, IMAGENET_LARGE, IMAGENET_MODERN, IMAGENET_STEPS
from resnet_keras.spec.records import Row
from resnet_keras.spec.schedules import Cosine, Exponential, Plateau, Ramp, Steps

pytestmark = pytest.mark.any_backend

RECIPES = {
    "CIFAR-10": CIFAR10,
    "CIFAR-10, 110 layers": cifar10_recipe(110),
    "ImageNet": IMAGENET,
    "ImageNet, steps": IMAGENET_STEPS,
    "ImageNet, modern": IMAGENET_MODERN,
    "ImageNet, large batches": IMAGENET_LARGE,
    "VGG": VGG,
    "PReLU-net": PRELU_NET,
    "GoogLeNet": GOOGLENET,
    "BN-Inception": BN_INCEPTION,
}


def rows(errors):
    return [Row(number, 0.1, 50.0, error, 1.0, 1.0, 100.0, 1.0) for number, error in enumerate(errors, start=1)]


def test_recipe_of_section_3_4():
    assert (IMAGENET.iterations, IMAGENET.batch_size, IMAGENET.learning_rate) == (600_000, 256, 0.1)
    assert (IMAGENET.momentum, IMAGENET.weight_decay) == (0.9, 1e-4)
    assert IMAGENET.augmentation == ScaledCrop((256, 480), 0.1)
    assert isinstance(IMAGENET.schedule, Plateau)
    assert IMAGENET_STEPS.schedule.boundaries == (30 * 5_000, 60 * 5_000)


def test_a_recipe_in_words_has_the_warm_up_of_section_4_2():
    assert str(CIFAR10) == "64,000 iterations of 128 images, learning rate 0.1, divided by 10 at 32,000 and 48,000"
    assert "learning rate 0.1 (0.01 until the training error is below 80 %), divided" in str(cifar10_recipe(110))
    assert f"(rising until iteration {5 * 1_281_167 // 8_192:,})" in str(IMAGENET_LARGE)


def test_a_plateau_by_hand():
    schedule = Plateau(patience=2, divisions=2)
    shares = [schedule.share(0, 100, rows([90, 80, 80, 81, 79, 79.5, 79, 78, 78, 78, 78, 78][:n])) for n in range(13)]
    # New lowest: 90, 80, 79, 78. Two in a row without one: to the 4th, to the 7th and to the 10th, one too many.
    assert shares == [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]


def test_a_plateau_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    for patience in (1, 2, 5):
        errors = np.round(60 * 0.97 ** np.arange(60) + random.normal(0, 2, 60), 1).tolist()
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        # PyTorch's divides only once its patience is exceeded.
        theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=patience - 1, threshold=0, min_lr=1e-4)
        recipe = replace(IMAGENET, schedule=Plateau(patience, divisions=3))
        (first, *_) = recipe.periods()
        for seen in range(len(errors)):
            assert recipe.learning_rate_of(first, rows(errors[:seen])) == pytest.approx(optimizer.param_groups[0]["lr"])
            theirs.step(errors[seen])


def test_a_cosine_falls_from_the_first_rate_to_nothing():
    recipe = Recipe(iterations=100, schedule=Cosine(), learning_rate=0.4, evaluate_every=25)
    rates = [recipe.learning_rate_of(period, ()) for period in recipe.periods()]
    assert rates == pytest.approx([0.4, 0.2 * (1 + math.sqrt(0.5)), 0.2, 0.2 * (1 - math.sqrt(0.5))])


def test_recipes_of_the_comparison_systems():
    """As printed in their papers and in the solver of Caffe's `bvlc_googlenet`."""
    told = {name: (one.batch_size, one.learning_rate, one.weight_decay) for name, one in RECIPES.items()}
    assert told["VGG"] == (256, 0.01, 5e-4)
    assert told["PReLU-net"] == (128, 0.01, 5e-4)
    assert told["GoogLeNet"] == (32, 0.01, 2e-4)
    assert told["BN-Inception"] == (32, 0.045, pytest.approx(4e-5))
    assert (VGG.iterations, VGG.schedule.divisions, PRELU_NET.schedule.divisions) == (370_000, 3, 2)
    assert (GOOGLENET.iterations, GOOGLENET.schedule) == (10_000_000, Exponential(0.96, 320_000))
    assert PRELU_NET.iterations * 128 / 1.28e6 == 80
    assert all(one.momentum == 0.9 for one in RECIPES.values())


def test_an_exponential_schedule_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.96)
    recipe = Recipe(iterations=100, schedule=Exponential(0.96, 8), learning_rate=0.1, evaluate_every=4)
    rates = []
    for period in recipe.periods():
        rates.append(recipe.learning_rate_of(period, ()))
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"])
        for _ in range(period.stop - period.start):
            optimizer.step()
            theirs.step()
    assert len(set(rates)) == 13
    assert recipe.rescaled(25).schedule == Exponential(0.96, 2)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_comes_back_from_json(name):
    for recipe in (RECIPES[name], RECIPES[name].rescaled(700), replace(RECIPES[name], fan="fan_out")):
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_run_of_before_there_was_a_choice_is_the_same_recipe():
    assert not {"fan", "finetune"} & CIFAR10.to_dict().keys()


@pytest.mark.parametrize("name", RECIPES)
def test_a_shortened_recipe_measures_twenty_times_or_a_few_more(name):
    whole, short = RECIPES[name], RECIPES[name].rescaled(4_000)
    stairs = short.warmup.stairs if isinstance(short.warmup, Ramp) else 0
    assert 20 <= len(list(short.periods())) - stairs <= 25 < len(list(whole.periods()))
    assert sum(period.stop - period.start for period in short.periods()) == 4_000


def test_what_a_longer_run_may_go_on_from():
    assert CIFAR10.rescaled(2_000).extends(CIFAR10.rescaled(1_000))
    assert replace(IMAGENET, iterations=700_000).extends(IMAGENET)
    assert not replace(IMAGENET_MODERN, iterations=500_000).extends(IMAGENET_MODERN)  # its rates differ
    assert not IMAGENET_STEPS.extends(replace(IMAGENET_STEPS, schedule=Plateau()))
    assert not replace(IMAGENET, schedule=Plateau(4)).extends(IMAGENET)
    assert replace(GOOGLENET, iterations=11_000_000).extends(GOOGLENET)
    assert not GOOGLENET.rescaled(5_000_000).extends(GOOGLENET)


def test_an_average_reaches_over_the_same_share_of_a_shorter_run():
    assert IMAGENET_MODERN.rescaled(4_500).average_over == 100  # 10,000 of 450,000


def test_large_batches_are_those_of_goyal_et_al():
    """Section 5.1: 0.1 · kn / 256 with kn = 8,192, reached from 0.1 in 5 epochs; divided at 30, 60 and 80 of 90."""
    one = IMAGENET_LARGE
    epoch = 1_280_000 / 8_192
    assert (one.batch_size, one.learning_rate, one.zero_gamma, one.weight_decay) == (8_192, 3.2, True, 1e-4)
    assert one.iterations == round(90 * epoch)
    assert one.schedule == Steps((round(30 * epoch), round(60 * epoch), round(80 * epoch)))
    periods = list(one.periods())
    rates = [one.learning_rate_of(period, ()) for period in periods]
    warm = [(period, rate) for period, rate in zip(periods, rates, strict=True) if period.start < round(5 * epoch)]
    assert len(warm) == 20
    assert warm[-1][0].stop == round(5 * epoch)
    for period, rate in warm:  # their line, at the middle of each stair
        line = 0.1 + (3.2 - 0.1) * (period.start + period.stop) / 2 / (5 * epoch)
        assert rate == pytest.approx(line, abs=0.01)
    assert list(dict.fromkeys(rates[20:])) == pytest.approx([3.2, 0.32, 0.032, 0.0032])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Steps((5, 3)),
        lambda: Plateau(patience=0),
        lambda: Plateau(divisions=0),
        lambda: Exponential(1.0, 10),
        lambda: Exponential(0.9, 0),
        lambda: Ramp(0, 0.1),
        lambda: Ramp(10, 0.0),
        lambda: Ramp(10, 0.1, stairs=11),
        lambda: PaddedCrop(-1),
        lambda: ScaledCrop((100, 480)),
        lambda: ScaledCrop((480, 256)),
        lambda: Recipe(batch_size=100, accumulate=3),
        lambda: Recipe(label_smoothing=1.0),
        lambda: Recipe(label_smoothing=math.nan),
        lambda: Recipe(average_over=-1),
        lambda: Recipe(precision="float16"),
        lambda: Recipe(weight_decay=-1e-4),
        lambda: Recipe(weight_decay=math.nan),
        lambda: Recipe(momentum=5),
        lambda: Recipe(schedule=None),
        lambda: Recipe(augmentation="padded crop"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(wrong):
    with pytest.raises(InvalidValue, match="Received: ") as caught:
        wrong()
    assert "\n" not in str(caught.value)
