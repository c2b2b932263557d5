"""Who computes what in a run: what launchers say, each process's rows, and one order for any number of processes."""

import json

import numpy as np
import pytest
from conftest import small_data_

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.distribution import Distribution, launched

WORKERS = {"worker": ["a:1", "b:1"]}
SECOND = {"type": "worker", "index": 1}
SAID = {
    "torchrun": ("torch", {"RANK": "1", "WORLD_SIZE": "2"}, (1, 2)),
    "no torchrun": ("torch", {"WORLD_SIZE": "2"}, (0, 1)),
    "workers": ("tensorflow", {"TF_CONFIG": json.dumps({"cluster": WORKERS, "task": SECOND})}, (1, 2)),
    "a chief and workers": (
        "tensorflow",
        {"TF_CONFIG": json.dumps({"cluster": WORKERS | {"chief": ["c:1"]}, "task": SECOND})},
        (2, 3),
    ),
    "an empty TF_CONFIG": ("tensorflow", {"TF_CONFIG": "{}"}, (0, 1)),
    "keras.distribution": (
        "jax",
        {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "4",
            "KERAS_DISTRIBUTION_PROCESS_ID": "3",
        },
        (3, 4),
    ),
    "srun": ("jax", {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_STEP_NODELIST": "n[1-2]"}, (5, 8)),
    "a batch script, without srun": ("jax", {"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, (0, 1)),
    "a TPU pod": ("jax", {"TPU_WORKER_HOSTNAMES": "a,b,c,d", "TPU_WORKER_ID": "2"}, (2, 4)),
    "one TPU host": ("jax", {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}, (0, 1)),
    "another backend's": ("jax", {"RANK": "1", "WORLD_SIZE": "2"}, (0, 1)),
}  # fmt: skip

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("case", SAID)
def test_what_a_launcher_says(case):
    backend, environment, (rank, processes) = SAID[case]
    assert launched(backend, environment) == Distribution(rank, processes)


@pytest.mark.parametrize(
    ("backend", "environment", "named"),
    [
        ("torch", {"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2, WORLD_SIZE=2"),
        ("torch", {"RANK": "one", "WORLD_SIZE": "2"}, "RANK=one"),
        ("tensorflow", {"TF_CONFIG": "{"}, "JSONDecodeError"),
        ("tensorflow", {"TF_CONFIG": "[" * 100_000}, "RecursionError"),
        ("tensorflow", {"TF_CONFIG": json.dumps({"cluster": WORKERS, "task": {"type": "ps", "index": 0}})}, "chief"),
    ],
)
def test_variables_that_contradict_each_other_are_one_line(backend, environment, named):
    with pytest.raises(InvalidValue, match=named) as error:
        launched(backend, environment)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_the_rows_of_all_processes_are_the_batches_of_one(processes):
    data, augmentation = small_data_(), PaddedCrop(1)
    whole = data.stream(16, 3, augmentation)
    places = [Distribution(rank, processes) for rank in range(processes)]
    parts = [data.stream(16, 3, augmentation, place.rows(16)) for place in places]
    for iteration in range(2 * len(data.x_train) // 16 + 1):  # across the ends of epochs
        images, labels = zip(*(part.batch(iteration) for part in parts), strict=True)
        assert np.array_equal(np.concatenate(images), whole.batch(iteration)[0])
        assert np.array_equal(np.concatenate(labels), whole.batch(iteration)[1])
    held_out = data.test_batches()
    shares = [held_out.share(place.share(held_out.images)) for place in places]
    assert np.array_equal(np.concatenate([share.y for share in shares]), data.y_test)


def test_a_batch_that_cannot_be_divided_is_told_with_those_that_can():
    Distribution(0, 3, 2).check(126)
    with pytest.raises(
        InvalidValue, match=r"128 \(processes: 3, devices per process: 2\)\. Nearest: --batch-size 126 or 132\."
    ):
        Distribution(0, 3, 2).check(128)
    with pytest.raises(
        InvalidValue, match=r"of 4 in 4 parts \(processes: 2, devices per process: 1\)\. Nearest: --batch-size 8"
    ):
        Distribution(0, 2).check(4, 4)
