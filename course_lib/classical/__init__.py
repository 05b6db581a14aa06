"""Estimators without learned weights."""

from course_lib.classical.anscombe_transform import anscombe, denoise_counts, expected_anscombe, inverse_anscombe
from course_lib.classical.baselines import bilateral, gaussian_blur, non_local_means, wavelet_threshold
from course_lib.classical.dictionary import dictionary_reconstruction, matching_pursuit
from course_lib.classical.fidelity import KullbackLeibler, LeastSquares
from course_lib.classical.linear_mmse import extract_patches, linear_mmse
from course_lib.classical.linear_solvers import conjugate_gradients, kaczmarz, tikhonov, tikhonov_closed_form
from course_lib.classical.low_rank import LowRankPlusSparse, low_rank_plus_sparse
from course_lib.classical.mri import wavelet_reconstruction, zero_filled
from course_lib.classical.phase_transition import basis_pursuit, donoho_tanner, recovery_rate
from course_lib.classical.proximal import duality_gap, fista, gradient_descent, ista
from course_lib.classical.regularizers import L1, NonNegative, NoRegularizer, NuclearNorm, soft_threshold
from course_lib.classical.solution import ConvergenceWarning, Solution
from course_lib.classical.thresholding import Threshold, best_threshold
from course_lib.classical.total_variation import Analysis, primal_dual, total_variation, tv_reconstruction
from course_lib.classical.wavelets import OrthogonalWavelet, UndecimatedWavelet
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
    "Analysis", "ConvergenceWarning", "KullbackLeibler", "L1", "LeastSquares", "LowRankPlusSparse", "NoRegularizer",
    "NonNegative", "NuclearNorm", "OrthogonalWavelet", "Solution", "Threshold", "UndecimatedWavelet", "anscombe",
    "basis_pursuit", "best_threshold", "bilateral", "conjugate_gradients", "denoise_counts",
    "dictionary_reconstruction", "donoho_tanner", "duality_gap", "effective_width", "expected_anscombe",
    "expected_mse", "extract_patches", "filter_symmetric", "fista", "gain_kernel", "gaussian_blur",
    "gradient_descent", "inverse_anscombe", "ista", "kaczmarz", "linear_mmse", "low_rank_plus_sparse",
    "matching_pursuit", "non_local_means", "power_spectrum", "primal_dual", "radial_profile", "recovery_rate",
    "soft_threshold", "tikhonov", "tikhonov_closed_form", "total_variation", "tv_reconstruction",
    "wavelet_reconstruction", "wavelet_threshold", "wiener_denoise", "wiener_filter", "wiener_gain", "zero_filled",
]  # fmt: skip
