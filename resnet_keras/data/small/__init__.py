"""Small labelled images in memory: CIFAR-10, a user's arrays, generated shapes.

May import `errors`, `spec`, `data.dataset` and `data.threads`.
"""
