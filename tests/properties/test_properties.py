"""What holds for every value, on values that Hypothesis chooses, each against a reference of a few lines."""

import io
import json
from argparse import ArgumentTypeError
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from resnet_keras import Recipe
from resnet_keras.data.small.stream import AUGMENTATION, ORDER, Stream
from resnet_keras.programs.options import MAX_SEEDS, seed_list
from resnet_keras.runs import checkpoints, reading, storage
from resnet_keras.runs.checkpoints import State
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.schedules import Cosine, Plateau, Steps
from resnet_keras.weights import hdf5

pytestmark = pytest.mark.any_backend
FEW = settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
boundaries = st.lists(st.integers(0, 3_000), max_size=4).map(lambda cuts: Steps(tuple(sorted(cuts))))
schedules = st.one_of(boundaries, st.just(Cosine()), st.builds(Plateau, st.integers(1, 9), st.integers(1, 5)))
recipes = st.builds(
    Recipe, iterations=st.integers(1, 3_000), schedule=schedules, batch_size=st.integers(1, 64),
    evaluate_every=st.integers(1, 3_000),
)  # fmt: skip


@FEW
@given(recipes)
def test_periods_tile_a_run_and_its_rate_changes_only_between_them(recipe):
    periods = list(recipe.periods())
    assert (periods[0].start, periods[-1].stop) == (0, recipe.iterations)
    assert all(one.stop == following.start and one.start < one.stop for one, following in pairwise(periods))
    assert all(one.stop - one.start < 2 * recipe.evaluate_every for one in periods)
    if isinstance(recipe.schedule, Steps):
        for period in periods:
            rate = recipe.learning_rate_of(period, ())
            for iteration in (period.start, period.stop - 1):
                falls = sum(iteration >= boundary for boundary in recipe.schedule.boundaries)
                assert rate == pytest.approx(recipe.learning_rate / 10**falls)


@FEW
@given(recipes)
def test_a_recipe_comes_back_from_json(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@FEW
@given(recipes, st.integers(1, 6_000))
def test_what_extends_a_recipe_is_longer_and_has_kept_its_rates(recipe, iterations):
    assert recipe.extends(recipe)
    longer = recipe.rescaled(iterations)
    if longer.extends(recipe):
        assert iterations >= recipe.iterations
        if iterations > recipe.iterations:
            assert not isinstance(recipe.schedule, Cosine)
            assert not recipe.extends(longer)
    other = Recipe(**{**vars(recipe), "learning_rate": recipe.learning_rate * 2})
    assert not other.extends(recipe)


@FEW
@given(st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True))
def test_seeds_in_words(numbers):
    assert seed_list(",".join(map(str, numbers))) == tuple(numbers)


@FEW
@given(st.integers(0, 500), st.integers(0, MAX_SEEDS - 1))
def test_a_range_of_seeds(first, more):
    assert seed_list(f"{first}-{first + more}") == tuple(range(first, first + more + 1))


@FEW
@given(st.text(alphabet="0123456789-, x", max_size=8))
def test_seeds_are_whole_numbers_each_once_or_refused(text):
    try:
        found = seed_list(text)
    except ArgumentTypeError:
        return
    assert found
    assert len(set(found)) == len(found)
    assert all(type(seed) is int and seed >= 0 for seed in found)


@FEW
@given(
    st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**32), st.integers(0, 2), st.booleans(), st.integers(0, 20)
)
def test_a_batch_at_any_position_is_that_of_a_plain_loop(images, batch_size, seed, pad, flip, iteration):
    x = np.random.default_rng(images).integers(0, 256, (images, 3, 3, 3)).astype(np.uint8)
    stream = Stream(x, np.arange(images, dtype=np.int32), batch_size, seed, PaddedCrop(pad, flip))
    for place, (image, label) in enumerate(zip(*stream.batch(iteration), strict=True)):
        epoch, position = divmod(iteration * batch_size + place, images)
        index = np.random.default_rng([ORDER, seed, epoch]).permutation(images)[position]
        random = np.random.default_rng([AUGMENTATION, seed, epoch])
        (top, left), mirrored = random.integers(0, 2 * pad + 1, (2, images))[:, index], random.random(images)[index]
        padded = np.pad(x[index], ((pad, pad), (pad, pad), (0, 0)))[top : top + 3, left : left + 3]
        np.testing.assert_array_equal(image, padded[:, ::-1] if flip and mirrored < 0.5 else padded)
        assert label == index


names = st.text(alphabet="abcdefghij_0123456789", min_size=1, max_size=9)
arrays = st.tuples(st.lists(st.integers(1, 4), max_size=4), st.sampled_from(["<f4", "<i4", "<i8"]))
layouts = st.recursive(arrays, lambda inner: st.dictionaries(names, inner, max_size=12), max_leaves=30)


@FEW
@given(st.dictionaries(names, layouts, min_size=1, max_size=20), st.integers(0, 2**32))
def test_hdf5_is_read_as_h5py_wrote_it(layout, seed):
    h5py = pytest.importorskip("h5py")
    random, written, file = np.random.default_rng(seed), {}, io.BytesIO()

    def put(group, path, inner):
        expected = {}
        for name, value in inner.items():
            where = f"{path}{name}"
            if isinstance(value, dict):
                expected[name] = put(group.create_group(name), f"{where}/", value)
            else:
                shape, kind = tuple(value[0]), value[1]
                written[where] = random.integers(-9, 9, shape).astype(kind)
                group.create_dataset(name, data=written[where])
                expected[name] = hdf5.Array(shape, (kind,))
        return expected

    with h5py.File(file, "w") as whole:
        expected = put(whole, "", layout)
    found = hdf5.read(memoryview(file.getvalue()), expected)
    assert found.keys() == written.keys()
    for name, array in written.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@FEW
@given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=50)), min_size=1, max_size=12))
def test_what_two_writers_put_in_turn_is_the_whole_of_the_last(tmp_path, writes):
    """Each writer starts before the other has finished, as far as one process can imitate that."""
    target = tmp_path / "file"
    for first, (who, data) in zip([None, *writes], writes, strict=False):

        def make(aside, who=who, data=data, first=first):
            if first is not None:
                storage.atomic_write(target, first[1])  # the other writer, meanwhile
            assert "new-" in aside.name
            aside.write_bytes(who.encode() + data)

        storage.atomic_replace(target, make)
        assert target.read_bytes() == who.encode() + data
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@FEW
@given(st.lists(st.tuples(st.integers(0, 10**9), st.booleans()), min_size=1, max_size=8, unique=True))
def test_checkpoints_are_newest_first_and_come_back(tmp_path_factory, states):
    folder = tmp_path_factory.mktemp("run")
    for iteration, inside in states:
        array = np.full(3, iteration % 97, np.float32)
        checkpoints.save(folder, State(iteration, (), {"weights/a": array}, inside), {"recipe": {}}, {})
    found = [checkpoints.read(path).state for path in checkpoints.generations(folder)]
    # Of two at one iteration, the one at the end of its period is the newer.
    assert [(one.iteration, one.inside) for one in found] == sorted(
        states, key=lambda s: (s[0], not s[1]), reverse=True
    )
    assert all((one.arrays["weights/a"] == one.iteration % 97).all() for one in found)


words = st.text(alphabet='ab"\\0é\n{', max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@FEW
@given(st.dictionaries(st.sampled_from(sorted(reading.SETTINGS - {"sha256"})), json_values), st.data())
def test_a_sealed_run_json_comes_back_and_any_changed_byte_is_found(values, data):
    sealed = reading.seal({**values, "files": {}})
    assert reading.unseal(sealed) == {**values, "files": {}}
    place, bit = data.draw(st.integers(0, len(sealed) - 1)), data.draw(st.integers(0, 7))
    broken = bytearray(sealed)
    broken[place] ^= 1 << bit
    assume(bytes(broken) != sealed)
    with pytest.raises(ValueError):  # noqa: PT011  # JSON's, UTF-8's or our own
        reading.unseal(bytes(broken))
