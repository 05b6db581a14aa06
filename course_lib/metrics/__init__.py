"""How good an estimate is: one number an image, so that a mean over images says which images it is over."""

from course_lib.metrics.image_quality import mse, nmse, psnr, ssim

__all__ = ["mse", "nmse", "psnr", "ssim"]
