"""Nets trained by others, as measured here: `results/others/*.json`. Never mixed with ours."""

import json
from dataclasses import dataclass
from pathlib import Path

from resnet_keras.errors import InputOutput


@dataclass(frozen=True)
class OthersNet:
    """A net of Table 6 with weights from another project.

    Attributes:
        name: as `Architecture.name` writes it.
        weights: the project that they come from.
        test_error: on CIFAR-10's test images, measured by us, in percent.
        protocol: how the project trained it, in words.
        source_sha256: hash of the project's file.
    """

    name: str
    weights: str
    test_error: float
    protocol: str
    source_sha256: str


def read(path: Path) -> tuple[OthersNet, ...] | None:
    """The nets in a file of `results/others`; None for a JSON file of another kind.

    Raises:
        OSError: the file cannot be read, or its nets are not in the expected form.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(said, dict) or "nets" not in said:
            return None
        return tuple(
            OthersNet(
                str(net["net"]),
                str(net["weights"]).removeprefix("github.com/"),
                float(net["test_error"]),
                str(net["protocol"]),
                str(net["source_sha256"]),
            )
            for net in said["nets"]
        )
    except FileNotFoundError:
        raise InputOutput(f"Others' nets are described in a JSON file. Not found: {path}.") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputOutput(f"Others' nets are described as in results/others. Received: {path} ({error}).") from None
