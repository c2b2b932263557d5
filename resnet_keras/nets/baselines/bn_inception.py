"""The body of BN-Inception (Ioffe and Szegedy 2015, Figure 5)."""

from resnet_keras.nets.baselines.inception import inception_module
from resnet_keras.nets.baselines.layers import max_pool
from resnet_keras.nets.blocks import LayerFactory, Tensor
from resnet_keras.spec.architecture import Convolution
from resnet_keras.spec.baselines.bn_inception import BnInception
from resnet_keras.spec.baselines.inception import Module
from resnet_keras.spec.baselines.layers import Pool


def bn_inception_body(make: LayerFactory, x: Tensor, net: BnInception) -> Tensor:
    """Maps the mean-subtracted image to probabilities; no dropout or local response normalisation (section 4.2.1)."""
    for layer in net.layers():
        if isinstance(layer, Module):
            x = inception_module(make, x, layer, _conv)
        elif isinstance(layer, Pool):
            x = max_pool(make, x, layer)
        else:
            x = _conv(make, x, layer)
    return make.classifier(x, net.num_classes)


def _conv(make: LayerFactory, x: Tensor, convolution: Convolution) -> Tensor:
    return make.conv_bn(x, convolution, relu=f"{convolution.name}_relu")
