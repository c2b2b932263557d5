"""Where a run happens: backend, device, compile mode, versions, as shown in the header and recorded in `run.json`."""

import keras


def name() -> str:
    """The device that holds the weights and computes, in the backend's own words: "cpu", "NVIDIA ..."."""
    weight = keras.ops.zeros(())
    match keras.backend.backend():
        case "jax":
            return str(next(iter(weight.devices())).device_kind)
        case "torch":
            import torch

            return torch.cuda.get_device_name(weight.device) if weight.device.type == "cuda" else weight.device.type
        case "tensorflow":
            import tensorflow

            gpus = tensorflow.config.list_physical_devices("GPU")
            details = tensorflow.config.experimental.get_device_details(gpus[0]) if gpus else {}
            return str(details.get("device_name", "gpu")) if gpus else "cpu"
        case other:
            return str(other)


def compile_mode(model: keras.Model) -> str:
    """How the backend runs a training step of this model."""
    if model.run_eagerly:
        return "eager"
    compiled = {"jax": "XLA", "tensorflow": "graph and XLA", "torch": "torch.compile"}
    plain = {"jax": "op by op", "tensorflow": "graph", "torch": "eager"}
    return (compiled if model.jit_compile else plain)[keras.backend.backend()]
