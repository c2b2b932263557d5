"""Small labelled images in memory: CIFAR-10, a user's arrays, generated patterns.

May import `errors`, `spec`, `data.dataset`, `data.choice`, `data.threads` and `data.photographs.tfds`.
"""
