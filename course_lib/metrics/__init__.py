"""How good an estimate is: one number an image, so that a mean over images says which images it is over."""

from course_lib.metrics.image_quality import correlation, edge_preservation, mse, nmse, psnr, snr, ssim
from course_lib.metrics.segmentation import (
    average_surface_distance,
    dice,
    hausdorff,
    iou,
    pixel_accuracy,
    rand_error,
    volume_similarity,
)
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
    "REACH", "average_surface_distance", "correlation", "detected", "dice", "disc", "edge_preservation",
    "false_positives", "hausdorff", "iou", "ms_ssim", "mse", "nmse", "pixel_accuracy", "proportion_interval", "psnr",
    "rand_error", "snr", "spot_contrast", "spot_response", "ssim", "ssim_factors", "ssim_map", "threshold_at",
    "volume_similarity",
]  # fmt: skip
