"""Weights of other projects become nets of ours.

    tensors                 a file's tensors by name, read without trusting it
    source                  a net of another project: our layers with its numbers, and how it sees an image
    cifar10                 a-martyn/resnet and akamaster/pytorch_resnet_cifar10
    torchvision             torchvision and timm; transformers
    caffe                   ResNet-50, 101 and 152 as the paper's authors released them
    keras_applications      keras.applications' ResNet50, 101 and 152
    parity                  our net against the source's own computation
    convert                 from a file to a file, with a report

Imports spec, nets and weights.
"""
