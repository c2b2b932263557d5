"""Flax (linen) and Optax as in their examples: one jitted step over a `TrainState`, whose buffers are donated."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training import train_state

from native.loop import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, MOMENTUM, WEIGHT_DECAY, Weights
from resnet_keras.spec.architecture import Architecture, Convolution, Unit

he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class ConvBN(nn.Module):
    convolution: Convolution
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        size, strides = self.convolution.kernel_size, self.convolution.strides
        x = nn.Conv(
            self.convolution.filters,
            (size, size),
            strides=(strides, strides),
            padding=size // 2,
            use_bias=False,
            kernel_init=he_normal,
            dtype=self.dtype,
            name="conv",
        )(x)
        return nn.BatchNorm(
            use_running_average=not training,
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            dtype=self.dtype,
            name="bn",
        )(x)


class Residual(nn.Module):
    unit: Unit
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        *inner, last = self.unit.convolutions
        residual = x
        for convolution in inner:
            residual = nn.relu(ConvBN(convolution, self.dtype, name=convolution.name)(residual, training))
        residual = ConvBN(last, self.dtype, name=last.name)(residual, training)
        match self.unit.shortcut:
            case None:
                return nn.relu(residual)
            case "pad":  # option A: every second pixel, and channels of zeros
                strides, added = self.unit.strides, self.unit.filters - self.unit.filters_in
                x = jnp.pad(x[:, ::strides, ::strides], ((0, 0), (0, 0), (0, 0), (0, added)))
            case "project":
                projection = self.unit.projection
                assert projection is not None
                x = ConvBN(projection, self.dtype, name=projection.name)(x, training)
        return nn.relu(x + residual)


class ResNet(nn.Module):
    architecture: Architecture
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        stem = self.architecture.stem_convolution
        x = nn.relu(ConvBN(stem, self.dtype, name=stem.name)(x, training))
        if self.architecture.stem.pool:
            x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for unit in self.architecture.units():
            x = Residual(unit, self.dtype, name=unit.name)(x, training)
        x = x.mean((1, 2), dtype=jnp.float32)
        return nn.Dense(self.architecture.num_classes, kernel_init=he_normal, name="predictions")(x)


class TrainState(train_state.TrainState):
    batch_stats: Any
    loss: jax.Array
    right: jax.Array


class FlaxLoop:
    """See `native.loop.Loop`."""

    def __init__(
        self, architecture: Architecture, mean: np.ndarray, *, bfloat16: bool, learning_rate: float, compiled: bool
    ) -> None:
        # `compiled` changes nothing: a JAX loop always is.
        net = ResNet(architecture, jnp.bfloat16 if bfloat16 else jnp.float32)
        size = architecture.image_size
        variables = jax.jit(partial(net.init, training=False))(jax.random.key(0), jnp.zeros((1, size, size, 3)))
        self.state = TrainState.create(
            apply_fn=net.apply,
            params=variables["params"],
            batch_stats=variables["batch_stats"],
            tx=optax.chain(optax.add_decayed_weights(WEIGHT_DECAY), optax.sgd(learning_rate, MOMENTUM)),
            loss=jnp.zeros(()),
            right=jnp.zeros((), jnp.int32),
        )
        self._step = jax.jit(partial(_step, jnp.asarray(mean, jnp.float32)), donate_argnums=0)
        self._predict = jax.jit(partial(net.apply, training=False))
        self._architecture, self._mean, self._seen = architecture, mean, 0

    @property
    def parameters(self) -> int:
        return sum(array.size for array in jax.tree.leaves(self.state.params))

    def load(self, weights: Weights) -> None:
        params: dict[str, Any] = {}
        stats: dict[str, Any] = {}
        owners = {part.name: unit.name for unit in self._architecture.units() for part in _convolutions(unit)}
        for convolution in self._architecture.convolutions():
            name = convolution.name
            (kernel,) = weights[f"{name}_conv"]
            gamma, beta, mean, variance = weights[f"{name}_bn"]
            into = owners.get(name)
            held, kept = (params.setdefault(into, {}), stats.setdefault(into, {})) if into else (params, stats)
            held[name] = {"conv": {"kernel": kernel}, "bn": {"scale": gamma, "bias": beta}}
            kept[name] = {"bn": {"mean": mean, "var": variance}}
        kernel, bias = weights["predictions"]
        params["predictions"] = {"kernel": kernel, "bias": bias}
        self.state = self.state.replace(
            params=jax.tree.map(jnp.asarray, params), batch_stats=jax.tree.map(jnp.asarray, stats)
        )

    def logits(self, x: np.ndarray) -> np.ndarray:
        variables = {"params": self.state.params, "batch_stats": self.state.batch_stats}
        return np.asarray(self._predict(variables, jnp.asarray(x, jnp.float32) - self._mean))

    def to_device(self, x: np.ndarray, y: np.ndarray) -> tuple[jax.Array, jax.Array]:
        return jax.device_put((x, y))

    def step(self, batch: tuple[jax.Array, jax.Array]) -> None:
        self.state = self._step(self.state, *batch)
        self._seen += len(batch[1])

    def measure(self) -> tuple[float, float]:
        seen = max(self._seen, 1)
        measured = float(self.state.loss) / seen, float(self.state.right) / seen
        self.state = self.state.replace(loss=jnp.zeros(()), right=jnp.zeros((), jnp.int32))
        self._seen = 0
        return measured


def _step(mean: jax.Array, state: TrainState, images: jax.Array, labels: jax.Array) -> TrainState:
    def loss_of(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        apply: Callable[..., Any] = state.apply_fn
        logits, new = apply(variables, images.astype(jnp.float32) - mean, training=True, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, (logits, new["batch_stats"])

    (loss, (logits, batch_stats)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    return state.apply_gradients(
        grads=gradients,
        batch_stats=batch_stats,
        loss=state.loss + loss * len(labels),
        right=state.right + (logits.argmax(1) == labels).sum(),
    )


def _convolutions(unit: Unit) -> list[Convolution]:
    return [*unit.convolutions, *([unit.projection] if unit.projection else [])]
