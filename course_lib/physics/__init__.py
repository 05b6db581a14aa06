"""How a clean image becomes data: linear operators, and noise apart from them."""

from course_lib.physics.noise import add_gaussian_noise
from course_lib.physics.operators import CircularConvolution, LinearOperator, gaussian_gain

__all__ = ["CircularConvolution", "LinearOperator", "add_gaussian_noise", "gaussian_gain"]
