"""Estimators without learned weights, and the wavelets that they use.

`OrthogonalWavelet` and `UndecimatedWavelet` are linear operators as those of `physics`, where `FiniteDifferences` is.
`noise_level` is that of signals made of lines, not of images.
"""

from course_lib.classical.anscombe_transform import anscombe, denoise_counts, expected_anscombe, inverse_anscombe
from course_lib.classical.baselines import bilateral, gaussian_blur, non_local_means, wavelet_threshold
from course_lib.classical.cramer_rao import cramer_rao_bound, line_amplitudes, refine_lines
from course_lib.classical.dictionary import dictionary_reconstruction, matching_pursuit
from course_lib.classical.fidelity import KullbackLeibler, LeastSquares
from course_lib.classical.grey_level import Threshold, best_threshold
from course_lib.classical.linear_mmse import extract_patches, linear_mmse
from course_lib.classical.linear_solvers import conjugate_gradients, kaczmarz, tikhonov, tikhonov_closed_form
from course_lib.classical.low_rank import LowRankPlusSparse, low_rank_plus_sparse
from course_lib.classical.model_order import aic, mdl, sorte
from course_lib.classical.mri import wavelet_reconstruction, zero_filled
from course_lib.classical.periodogram import (
    WINDOWS,
    frequency_grid,
    periodogram,
    periodogram_frequencies,
    spectrum_peaks,
)
from course_lib.classical.phase_transition import basis_pursuit, donoho_tanner, recovery_rate
from course_lib.classical.proximal import duality_gap, fista, gradient_descent, ista
from course_lib.classical.regularizers import L1, NonNegative, NoRegularizer, NuclearNorm, soft_threshold
from course_lib.classical.solution import ConvergenceWarning, Solution
from course_lib.classical.sparse_lines import (
    beurling_lasso,
    grid_free,
    lasso_frequencies,
    lasso_spectrum,
    noise_level,
    universal_weight,
)
from course_lib.classical.subspace import (
    esprit,
    hankel_matrix,
    matrix_pencil,
    music,
    music_spectrum,
    root_music,
    sample_covariance,
)
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
    "NonNegative", "NuclearNorm", "OrthogonalWavelet", "Solution", "Threshold", "UndecimatedWavelet", "WINDOWS",
    "aic", "anscombe", "basis_pursuit", "best_threshold", "beurling_lasso", "bilateral", "conjugate_gradients",
    "cramer_rao_bound", "denoise_counts", "dictionary_reconstruction", "donoho_tanner", "duality_gap",
    "effective_width", "esprit", "expected_anscombe", "expected_mse", "extract_patches", "filter_symmetric",
    "fista", "frequency_grid", "gain_kernel", "gaussian_blur", "gradient_descent", "grid_free", "hankel_matrix",
    "inverse_anscombe", "ista", "kaczmarz", "lasso_frequencies", "lasso_spectrum", "line_amplitudes", "linear_mmse",
    "low_rank_plus_sparse", "matching_pursuit", "matrix_pencil", "mdl", "music", "music_spectrum", "noise_level",
    "non_local_means", "periodogram", "periodogram_frequencies", "power_spectrum", "primal_dual", "radial_profile",
    "recovery_rate", "refine_lines", "root_music", "sample_covariance", "soft_threshold", "sorte", "spectrum_peaks",
    "tikhonov", "tikhonov_closed_form", "total_variation", "tv_reconstruction", "universal_weight",
    "wavelet_reconstruction", "wavelet_threshold", "wiener_denoise", "wiener_filter", "wiener_gain", "zero_filled",
]  # fmt: skip
