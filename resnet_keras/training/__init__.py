"""Training: a model, a recipe and images become a run folder.

May import everything below it but `plotting` and `programs`.
"""
