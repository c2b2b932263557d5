"""Turns a `Network` into a `keras.Model` of stock layers: blocks, `build`, the fully convolutional form, recalibration.

May import `errors` and `spec`.
"""
