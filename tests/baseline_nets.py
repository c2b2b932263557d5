"""The comparison systems with few filters; the Inception nets have all layers of their tables, the rest fewer."""

from dataclasses import replace

from resnet_keras import bn_inception, googlenet, prelu_net, vgg
from resnet_keras.spec.baselines.googlenet import Row
from resnet_keras.spec.baselines.layers import ConvStage

CLASSES = 5
_GOOGLENET = replace(
    googlenet(num_classes=CLASSES, image_size=64),
    stem=(8, 8, 12),
    rows=(Row(2, 3, 4, 2, 3, 2),) * 9,
    head_filters=3,
    head_units=6,
)
_BN_INCEPTION = bn_inception(CLASSES, image_size=64)
SMALL = {
    "VGG": replace(
        vgg(16, CLASSES, image_size=40), stages=(ConvStage(4, 2), ConvStage(6, 1), ConvStage(6, 2)), units=8
    ),
    "GoogLeNet": _GOOGLENET,
    "GoogLeNet with heads": replace(_GOOGLENET, auxiliary=True, image_size=80),
    "PReLU-net": replace(
        prelu_net("A", CLASSES, image_size=112),
        stem_filters=4,
        stages=(ConvStage(4, 1), ConvStage(5, 2), ConvStage(6, 1)),
        units=8,
    ),
    "BN-Inception": replace(
        _BN_INCEPTION,
        stem=(4, 4, 6),
        rows=tuple(
            replace(
                row,
                ones=row.ones and 4,
                threes_reduce=3,
                threes=4,
                double_reduce=3,
                double=4,
                pool_projection=row.pool_projection and 2,
            )
            for row in _BN_INCEPTION.rows
        ),
    ),
}
ONE_OUTPUT = {name: net for name, net in SMALL.items() if name != "GoogLeNet with heads"}
