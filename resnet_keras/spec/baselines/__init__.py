"""The systems that Tables 3 to 5 compare with, as their papers describe them: VGG, GoogLeNet, PReLU-net, BN-Inception.

May import `errors` and `spec`.
"""
