"""How a clean image becomes data: linear operators, and noise apart from them.

Finite differences are here. The transforms in which estimators are sparse, the wavelets, are operators too, and are in
`classical`.
"""

from course_lib.physics.differences import FiniteDifferences
from course_lib.physics.masks import line_mask, radial_mask, variable_density_mask
from course_lib.physics.mri import (
    CoilSampling,
    FourierSampling,
    coil_sensitivities,
    fourier,
    inverse_fourier,
    point_spread_function,
)
from course_lib.physics.noise import add_gaussian_noise, add_noise_at_snr, add_poisson_noise
from course_lib.physics.operators import CircularConvolution, LinearOperator, MatrixOperator, gaussian_gain
from course_lib.physics.radon import Radon
from course_lib.physics.simulate import Scan, scan, smooth_phase
from course_lib.physics.single_pixel import HadamardSampling, SplitHadamardSampling, sequency_mask, walsh_matrix
from course_lib.physics.xray import USUAL_DOSE, attenuation_image, attenuation_noise, transmission, xray_counts

__all__ = [
    "CircularConvolution", "CoilSampling", "FiniteDifferences", "FourierSampling", "HadamardSampling",
    "LinearOperator", "MatrixOperator", "Radon", "Scan", "SplitHadamardSampling", "USUAL_DOSE", "add_gaussian_noise",
    "add_noise_at_snr", "add_poisson_noise", "attenuation_image", "attenuation_noise", "coil_sensitivities",
    "fourier", "gaussian_gain", "inverse_fourier", "line_mask", "point_spread_function", "radial_mask", "scan",
    "sequency_mask", "smooth_phase", "transmission", "variable_density_mask", "walsh_matrix", "xray_counts",
]  # fmt: skip
