"""Every published net under results/: a bare process on each backend measures the error that its run records."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import run_python

from resnet_keras.data.small import sources
from resnet_keras.programs.backend import BACKENDS
from resnet_keras.runs import reading

RESULTS = Path(__file__).parents[2] / "results"
MODELS = sorted(RESULTS.rglob("model.keras"))
MEASURE = """
import json, sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
images, labels = np.load(sys.argv[2]), np.load(sys.argv[3])
wrong = model.predict(images, batch_size=500, verbose=0).argmax(axis=1) != labels
print(json.dumps({"error": 100 * float(wrong.mean()), "package_imported": "resnet_keras" in sys.modules}))
"""


@pytest.fixture(scope="session")
def test_images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar-10")
    data = sources.load(os.environ["TFDS_DATA_DIR"])
    np.save(folder / "images.npy", data.x_test)
    np.save(folder / "labels.npy", data.y_test)
    return folder / "images.npy", folder / "labels.npy"


@pytest.mark.any_backend
@pytest.mark.real_data
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.parent.name)
def test_a_published_model_has_its_printed_error(model, backend, test_images):
    if find_spec(BACKENDS[backend]) is None:
        pytest.skip(f"{backend} is not installed")
    recorded = reading.read(model.parent).results.test_error
    done = run_python("-P", "-c", MEASURE, str(model), *map(str, test_images), backend=backend)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["package_imported"] is False
    assert measured["error"] == pytest.approx(recorded, abs=0.05)
