"""How good an estimate is: one number an image, so that a mean over images says which images it is over."""

from course_lib.metrics.image_quality import correlation, edge_preservation, mse, nmse, psnr, snr, ssim
from course_lib.metrics.lines import (
    chamfer,
    count_accuracy,
    f1,
    false_negative_rate,
    false_positive_rate,
    frequency_errors,
    match_lines,
    missed_lines,
    spurious_lines,
)
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
    "REACH", "average_surface_distance", "chamfer", "correlation", "count_accuracy", "detected", "dice", "disc",
    "edge_preservation", "f1", "false_negative_rate", "false_positive_rate", "false_positives", "frequency_errors",
    "hausdorff", "iou", "match_lines", "missed_lines", "ms_ssim", "mse", "nmse", "pixel_accuracy",
    "proportion_interval", "psnr", "rand_error", "snr", "spot_contrast", "spot_response", "spurious_lines", "ssim",
    "ssim_factors", "ssim_map", "threshold_at", "volume_similarity",
]  # fmt: skip
