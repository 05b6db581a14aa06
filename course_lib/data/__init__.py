"""Clean images, all of them offline, and readers for a folder of your own."""

from course_lib.data.brain import brain_anatomy
from course_lib.data.line_files import LineTestSet, line_test_set
from course_lib.data.line_spectra import LineSpectra, exponentials, line_counts, line_spectra, wrap
from course_lib.data.mammogram_files import (
    Finding,
    MammogramFile,
    MiasInfo,
    breast_region,
    mammogram_files,
    read_dicom,
    read_mammogram,
    read_mias_info,
)
from course_lib.data.mammograms import Mammogram, mammogram
from course_lib.data.mri_files import FastMRIVolume, centre_crop, read_fastmri, read_nifti_slices
from course_lib.data.nerve_tissue import NerveTissue, nerve_tissue
from course_lib.data.phantoms import (
    SHEPP_LOGAN,
    Ellipse,
    ellipse_kspace,
    ellipse_phantom,
    ellipse_sinogram,
    moving_phantom,
)
from course_lib.data.photographs import (
    NETWORK_TEST_PHOTOGRAPHS,
    NETWORK_TRAINING_PHOTOGRAPHS,
    NETWORK_VALIDATION_PHOTOGRAPHS,
    PHOTOGRAPHS,
    TEST_PHOTOGRAPHS,
    TRAINING_PHOTOGRAPHS,
    photographs,
    whole_photographs,
    with_symmetries,
)
from course_lib.data.population import TISSUES, BrainTissue, brain_population, brain_subject, brain_tissue
from course_lib.data.power_law import gaussian_images, power_law_spectrum
from course_lib.data.readers import image_files, luminance, read_image
from course_lib.data.segmentation_files import SegmentedImage, segmented_images

__all__ = [
    "BrainTissue", "Ellipse", "FastMRIVolume", "Finding", "LineSpectra", "LineTestSet", "Mammogram", "MammogramFile",
    "MiasInfo", "NETWORK_TEST_PHOTOGRAPHS", "NETWORK_TRAINING_PHOTOGRAPHS", "NETWORK_VALIDATION_PHOTOGRAPHS",
    "NerveTissue", "PHOTOGRAPHS", "SHEPP_LOGAN", "SegmentedImage", "TEST_PHOTOGRAPHS", "TISSUES",
    "TRAINING_PHOTOGRAPHS", "brain_anatomy", "brain_population", "brain_subject", "brain_tissue", "breast_region",
    "centre_crop", "ellipse_kspace", "ellipse_phantom", "ellipse_sinogram", "exponentials", "gaussian_images",
    "image_files", "line_counts", "line_spectra", "line_test_set", "luminance", "mammogram", "mammogram_files",
    "moving_phantom", "nerve_tissue", "photographs", "power_law_spectrum", "read_dicom", "read_fastmri", "read_image",
    "read_mammogram", "read_mias_info", "read_nifti_slices", "segmented_images", "whole_photographs", "with_symmetries",
    "wrap",
]  # fmt: skip
