"""How good an estimate is: one number an image, so that a mean over images says which images it is over."""

from course_lib.metrics.image_quality import correlation, edge_preservation, mse, nmse, psnr, snr, ssim
from course_lib.metrics.structural_similarity import ms_ssim, ssim_factors, ssim_map

__all__ = [
    "correlation", "edge_preservation", "ms_ssim", "mse", "nmse", "psnr", "snr", "ssim", "ssim_factors", "ssim_map",
]  # fmt: skip
