"""A `Network` becomes a `keras.Model` of stock layers: blocks, `build`, the fully convolutional form, recalibration.

May import `errors` and `spec`.
"""
