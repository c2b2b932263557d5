"""Every kind of network by its name in files, and how a network is rebuilt from its description."""

from collections.abc import Mapping
from typing import Any

from resnet_keras.errors import InvalidValue, shown
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.baselines.bn_inception import BnInception
from resnet_keras.spec.baselines.googlenet import GoogLeNet
from resnet_keras.spec.baselines.prelu_net import PReluNet
from resnet_keras.spec.baselines.vgg import Vgg
from resnet_keras.spec.checks import check_choice, check_type
from resnet_keras.spec.network import Network
from resnet_keras.spec.strict import read_fields

NETWORKS: dict[str, type[Network]] = {kind.kind: kind for kind in (Architecture, Vgg, GoogLeNet, PReluNet, BnInception)}
"""A new kind of network needs its class here and its body in `nets.build.BODIES`."""
MAX_DEPTH, MAX_PARAMETERS = 1202, 1 << 29
"""Limits for a network read from a file: the paper's deepest, and more than the largest of Tables 3 to 5."""


def as_now(description: Mapping[str, Any]) -> dict[str, Any]:
    """The description in today's form: earlier files gave neither a network's kind nor the width in its name.

    A description that is not of a network is left as it is.
    """
    given = {"kind": Architecture.kind, **description}
    try:
        return given | {"name": network_from_dict(given).name}
    except InvalidValue:
        return given


def network_from_dict(description: object) -> Network:
    """The network that `Network.to_dict` described, read strictly: the description may come from anyone.

    Raises:
        ValueError: a name is missing or unknown, a value is of the wrong type or out of range, or a derived value is
            not that of the network.
    """
    if not isinstance(description, Mapping):
        raise InvalidValue(f"A network is described by a JSON object. Received: {shown(description)}.")
    given = {"kind": Architecture.kind, **description}
    check_type(given["kind"], str, "kind")
    check_choice("A kind of network", given["kind"], tuple(NETWORKS), "kind")
    kind = NETWORKS[given["kind"]]
    network = read_fields(kind, given, beside=("kind", "name", "depth", "parameters", "multiply_adds"))
    if network.depth > MAX_DEPTH or network.parameters > MAX_PARAMETERS:
        raise InvalidValue(
            f"A network has at most {MAX_DEPTH} weighted layers and {MAX_PARAMETERS:,} parameters. "
            f"Received: {network.depth} and {network.parameters:,}."
        )
    for name, value in network.derived().items():
        check_type(given[name], type(value), name)
        if given[name] not in (value, network.former_name if name == "name" else value):
            raise InvalidValue(f"{name} of this network is {value!r}. Received: {shown(given[name])}.")
    return network
