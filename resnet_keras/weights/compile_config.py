"""What a model file says of how its net was compiled, without the backend that wrote it. No framework.

Upstream lacks: on PyTorch Keras gives an optimizer a class of that backend's and writes its private module, which no
other backend can import; `jit_compile="auto"` goes into the file as what it was there, and true is `torch.compile` on
PyTorch, which needs a C++ compiler. Delete when: `Model.get_compile_config` names public classes and keeps "auto".
"""

from typing import Any

BACKEND_MODULES = "keras.src.backend."
"""What the modules of Keras begin with that only one backend can import."""


def for_every_backend(config: dict[str, Any]) -> dict[str, Any]:
    """`config.json` of a model, with the optimizer that every backend has; one that is not compiled is as it was."""
    if not config.get("compile_config"):
        return config
    return config | {"compile_config": _public(config["compile_config"]) | {"jit_compile": "auto"}}


def _public(value: Any) -> Any:
    """Optimizers, also one within another, by their public names."""
    if isinstance(value, list):
        return [_public(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = {key: _public(one) for key, one in value.items()}
    if str(named.get("module")).startswith(BACKEND_MODULES):
        named |= {"module": "keras.optimizers", "registered_name": None}
    return named
