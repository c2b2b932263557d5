"""Converts weights of other projects to nets of ours.

    tensors                 a file's tensors by name, read without trusting the file
    source                  a net of another project: our layers with its weights, and how it prepares an image
    cifar10                 a-martyn/resnet and akamaster/pytorch_resnet_cifar10
    torchvision             torchvision and timm; transformers
    caffe                   ResNet-50, 101 and 152 as the paper's authors released them
    keras_applications      keras.applications' ResNet50, 101 and 152
    parity                  our net compared with the source's own computation
    convert                 from a file to a file, with a report

Others are parts of these. Imports spec, nets and weights.
"""
