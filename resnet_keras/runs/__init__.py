"""The run folder, the one contract between training, evaluation, plotting and the docs: storage, checkpoints, reading,
lookup, writing, and who holds the folder: locking, processes. No Keras.

May import `errors` and `spec`.
"""
