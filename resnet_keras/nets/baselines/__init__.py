"""Bodies of the comparison systems of Tables 3 to 5, in stock layers: VGG, GoogLeNet, PReLU-net, BN-Inception.

May import `errors`, `spec` and `nets`.
"""
