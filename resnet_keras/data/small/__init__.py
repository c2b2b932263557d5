"""Small labelled images in memory: CIFAR-10, a user's arrays, generated shapes.

May import `errors`, `spec`, `data.dataset`, `data.choice`, `data.threads` and `data.photographs.tfds`.
"""
