"""The systems that Tables 3 to 5 compare with: VGG, GoogLeNet, PReLU-net and BN-Inception, as their papers describe them.

May import `errors` and `spec`.
"""
