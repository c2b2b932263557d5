"""Weight decay in the update, against the rule by hand and against Keras's penalty in the loss."""

import keras
import numpy as np
import pytest

from resnet_keras import Recipe, build, cifar10
from resnet_keras.backends.kernels import set_kernel_memory_format
from resnet_keras.training.logits_model import training_model
from resnet_keras.training.optimizer import CoupledSGD, coupled_decays, uncoupled

UPDATES = 20
SHAPES = [(3, 3, 2, 4), (4,), (4, 5)]


def numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize(("momentum", "moved"), [(0.9, "none"), (0.9, "weights"), (0.9, "all"), (0.0, "weights")])
def test_an_update_by_hand(momentum, moved):
    """v = momentum v - rate share (gradient + decay w); w = w + v; the rate falls halfway through."""
    random = np.random.default_rng(0)
    weights, velocities = [random.normal(0, 1, shape) for shape in SHAPES], [np.zeros(shape) for shape in SHAPES]
    variables = [keras.Variable(weight, dtype="float32") for weight in weights]
    decays, shares = [0.1, 0.0, 0.1], [1.0, 1.0, 0.25]
    optimizer = CoupledSGD(decays, shares, 0.1, momentum=momentum)
    optimizer.build(variables)
    # The gradients below are laid out in memory as arrays are.
    set_kernel_memory_format({"none": [], "weights": variables, "all": variables + optimizer.variables}[moved])
    for update in range(UPDATES):
        rate = 0.1 if update < UPDATES // 2 else 0.01
        optimizer.learning_rate = rate
        gradients = [random.normal(0, 1, shape).astype(np.float32) for shape in SHAPES]
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
        for k, gradient in enumerate(gradients):
            velocities[k] = momentum * velocities[k] - rate * shares[k] * (gradient + decays[k] * weights[k])
            weights[k] = weights[k] + velocities[k]
    for variable, by_hand in zip(variables, weights, strict=True):
        np.testing.assert_allclose(numpy(variable), by_hand, atol=2e-6)
    for slot, by_hand in zip(optimizer.momentums, velocities, strict=False):
        np.testing.assert_allclose(numpy(slot), by_hand, atol=2e-6)


def test_a_net_trains_as_with_the_penalty_in_its_loss():
    """Keras's own SGD on the stock net, whose layers have L2(decay / 2); our loss is the cross-entropy alone."""
    net, decay = cifar10(8, "B", 3, image_size=8), 0.05
    x = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    y = np.arange(12) % 3
    stock, ours = (build(net, seed=1, weight_decay=decay) for _ in range(2))
    logits = keras.Model(stock.inputs[0], stock.layers[-1].input)
    logits.compile(
        keras.optimizers.SGD(0.02, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    trained = training_model(ours, Recipe(learning_rate=0.02, weight_decay=decay))
    for update in range(UPDATES):
        if update == UPDATES // 2:
            logits.optimizer.learning_rate = trained.optimizer.learning_rate = 0.002
        penalised = logits.train_on_batch(x, y)
        measured = trained.train_on_batch(x, y, return_dict=True)
    assert float(measured["loss"]) == pytest.approx(float(measured["cross_entropy"]), rel=1e-5)
    assert float(penalised) > float(measured["loss"]) + 1
    for other, mine in zip(stock.weights, ours.weights, strict=True):
        np.testing.assert_allclose(numpy(mine), numpy(other), atol=1e-4, rtol=1e-3, err_msg=mine.path)
    # The net that is saved, and that others may train further, still has its penalties.
    assert sum(map(numpy, ours.losses)) == pytest.approx(sum(map(numpy, stock.losses)), rel=1e-4)


def test_penalties_of_another_kind_stay_in_the_loss():
    image = keras.Input((2,))
    l2, l1 = keras.regularizers.L2(0.05), keras.regularizers.L1(0.5)
    dense = keras.layers.Dense(3, kernel_regularizer=l2, bias_regularizer=l1, bias_initializer="ones")
    model = keras.Model(image, keras.layers.Activation("softmax")(dense(image)))
    assert coupled_decays(model.trainable_variables) == [0.1, 0.0]
    trained = training_model(model, Recipe())
    assert [numpy(one) for one in trained.losses] == [1.5]
    with pytest.raises(RuntimeError, match="inside"), uncoupled(model.trainable_variables):
        raise RuntimeError("inside")
    assert len(model.losses) == 2
