"""How good an estimate is: one number an image, so that a mean over images says which images it is over."""

from course_lib.metrics.image_quality import correlation, edge_preservation, mse, nmse, psnr, snr, ssim
from course_lib.metrics.spots import (
    REACH,
    detected,
    disc,
    false_positives,
    proportion_interval,
    spot_contrast,
    spot_response,
    threshold_at,
)
from course_lib.metrics.structural_similarity import ms_ssim, ssim_factors, ssim_map

__all__ = [
    "REACH", "correlation", "detected", "disc", "edge_preservation", "false_positives", "ms_ssim", "mse", "nmse",
    "proportion_interval", "psnr", "snr", "spot_contrast", "spot_response", "ssim", "ssim_factors", "ssim_map",
    "threshold_at",
]  # fmt: skip
