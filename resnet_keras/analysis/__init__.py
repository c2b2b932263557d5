"""Why it works, measured: layer responses (Figure 7), gradients, and the loss along a line or over a plane.

May import everything but the experiments: nets, weights, data, evaluation, runs, and what is below them.
"""
