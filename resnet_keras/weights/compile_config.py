"""A model file's compile configuration, made independent of the backend that wrote it. Needs no framework.

Upstream lacks: on PyTorch, Keras gives an optimizer a class of that backend and writes the private module of that
class, which no other backend can import; `jit_compile="auto"` is written as the value it resolved to there, and true
means `torch.compile` on PyTorch, which needs a C++ compiler. Delete when: `Model.get_compile_config` names public
classes and keeps "auto".
"""

from typing import Any

BACKEND_MODULES = "keras.src.backend."
"""Prefix of the Keras modules that only one backend can import."""


def for_every_backend(config: dict[str, Any]) -> dict[str, Any]:
    """A model's `config.json` with an optimizer that every backend has; unchanged if the model is not compiled."""
    if not config.get("compile_config"):
        return config
    return config | {"compile_config": _public(config["compile_config"]) | {"jit_compile": "auto"}}


def _public(value: Any) -> Any:
    """The value with its optimizers, nested ones included, under their public names."""
    if isinstance(value, list):
        return [_public(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = {key: _public(one) for key, one in value.items()}
    if str(named.get("module")).startswith(BACKEND_MODULES):
        named |= {"module": "keras.optimizers", "registered_name": None}
    return named
