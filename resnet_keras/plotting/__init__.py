"""The paper's figures, drawn from run folders. Keras is not imported: a figure takes two seconds.

May import `errors`, `spec`, `runs` and `reports`.
"""

from resnet_keras.plotting.environment import import_matplotlib

import_matplotlib()

from resnet_keras.plotting.curves import Curve, curves  # noqa: E402
from resnet_keras.plotting.error_figures import figure_1, figure_4, figure_6  # noqa: E402
from resnet_keras.plotting.others import read_curve  # noqa: E402
from resnet_keras.plotting.style import save  # noqa: E402

__all__ = ["Curve", "curves", "figure_1", "figure_4", "figure_6", "read_curve", "save"]
