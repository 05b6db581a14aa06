"""Estimators without learned weights."""

from course_lib.classical.baselines import bilateral, gaussian_blur
from course_lib.classical.linear_mmse import extract_patches, linear_mmse
from course_lib.classical.wiener import (
    effective_width,
    expected_mse,
    filter_symmetric,
    gain_kernel,
    power_spectrum,
    radial_profile,
    wiener_denoise,
    wiener_filter,
    wiener_gain,
)

__all__ = [
    "bilateral", "effective_width", "expected_mse", "extract_patches", "filter_symmetric", "gain_kernel",
    "gaussian_blur", "linear_mmse", "power_spectrum", "radial_profile",
    "wiener_denoise", "wiener_filter", "wiener_gain",
]  # fmt: skip
