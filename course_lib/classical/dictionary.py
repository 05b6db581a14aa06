"""Dictionary-learning MRI: patches of the image, sparse in a dictionary learned from the image itself.

Ravishankar and Bresler (2011); deck 001's DLTG (Caballero et al. 2014) is the same idea on films.
"""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Complex, Float

from course_lib import expect
from course_lib.classical.proximal import as_fidelity
from course_lib.classical.solution import Monitor, Solution, norm, relative_change
from course_lib.physics import FourierSampling


def dictionary_reconstruction(
    A: FourierSampling,
    y: Complex[torch.Tensor, "batch 1 height width"],
    generator: torch.Generator,
    *,
    patch: int = 8,
    atoms: int = 96,
    sparsity: int = 5,
    errors: tuple[float, float] = (0.1, 0.01),
    stride: int = 2,
    noise_weight: float = 100.0,
    iterations: int = 20,
    tolerance: float = 1e-3,
) -> Solution:
    """Alternate between patches and k-space, three steps an iteration (deck 001).

    The objective is Σⱼ‖Rⱼx − Dγⱼ‖² + ν‖A x − y‖², over the image x, the dictionary D and codes γⱼ with at most
    `sparsity` entries; Rⱼ cuts out patch j. The history holds it after each iteration. It need not fall: matching
    pursuit is greedy, and the coding error at which it ends shrinks from iteration to iteration.

    1. Learn D on patches of the present image (scikit-learn's online learner, Mairal et al. 2009).
    2. Code every patch by orthogonal matching pursuit, and put the image together from the mean of its patches.
    3. Data consistency: where k-space was measured, (mean of patches + ν'·measured)/(1 + ν'), with ν' = ν over
       the number of patches that cover a pixel.

    Real and imaginary part are coded as patches of their own, with one dictionary.

    Args:
        A: single-coil Fourier sampling.
        y: k-space, (batch, 1, height, width).
        generator: seeds the learner.
        patch: side of a patch in pixels.
        atoms: number of columns of D.
        sparsity: the most atoms in a patch.
        errors: coding of a patch stops at a root-mean-square error a pixel that falls from the first to the second
            number, geometrically: aliasing is larger at the start. For images in [0, 1].
        stride: distance of neighbouring patches; 1 takes all, and four times as long.
        noise_weight: ν' above 0: how much more a measured sample counts than the patches' mean; large without noise.
        iterations: the most alternations.
        tolerance: on ‖x_k − x_{k−1}‖/‖x_k‖.
    """
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    if not isinstance(A, FourierSampling):
        raise expect.InputError(f"expected single-coil FourierSampling, got {type(A).__name__}")
    as_fidelity(A, y)
    if y.ndim != 4 or y.shape[1] != 1:
        raise expect.InputError(f"expected k-space (batch, 1, height, width), got {expect.describe(y)}")
    expect.generator(generator)
    expect.count("the patch's side", patch, least=2)
    expect.count("the stride", stride)
    expect.count("the number of atoms", atoms)
    expect.count("the sparsity", sparsity)
    if patch > min(A.domain_shape):
        raise expect.InputError(f"expected patches within the image of {A.domain_shape}, got {patch} pixels")
    if stride > patch:
        raise expect.InputError(f"expected patches that leave no gap, a stride up to {patch}, got {stride}")
    first, last = (expect.number("an error of coding", error, above=0) for error in errors)
    expect.number("the noise weight", noise_weight, above=0)
    seed = int(torch.randint(2**31, (), generator=generator))
    learner = MiniBatchDictionaryLearning(
        atoms, alpha=1.0, batch_size=256, max_iter=2, random_state=seed, transform_algorithm="omp",
        fit_algorithm="cd", transform_n_nonzero_coefs=sparsity,
    )  # fmt: skip
    monitor = Monitor("dictionary learning", "relative change", iterations, tolerance)
    x = A.adjoint(y)
    monitor.start(float("inf"))
    D = _cosine_dictionary(patch, atoms).to(x.real.dtype)
    coverage = (patch / stride) ** 2
    for k in range(iterations):
        threshold = first * (last / first) ** (k / max(iterations - 1, 1))
        patches = _cut(x, patch, stride)
        means = patches.mean(dim=1, keepdim=True)
        busy = (patches - means).square().mean(dim=1).sqrt() > threshold
        chosen = (patches - means)[busy]
        if len(chosen) > atoms:
            some = torch.randperm(len(chosen), generator=generator)[:TRAINING_PATCHES]
            with warnings.catch_warnings():  # the codes inside the learner need not be exact: pursuit follows
                warnings.simplefilter("ignore", ConvergenceWarning)
                learner.set_params(dict_init=D.numpy()).fit(chosen[some].numpy())
            D = torch.from_numpy(learner.components_).to(D.dtype)
            D = D / D.norm(dim=1, keepdim=True).clamp(min=1e-12)
        coded = means.expand_as(patches).clone()
        coded[busy] += matching_pursuit(chosen, D, sparsity, threshold)
        average = _assemble(coded, x, patch, stride)
        previous, x = x, average + noise_weight / (1 + noise_weight) * A.adjoint(y - A(average))
        distance, misfit = norm(_cut(x, patch, stride) - coded), norm(A(x) - y)
        if monitor.record(distance**2 + noise_weight * coverage * misfit**2, relative_change(x, previous)):
            break
    return monitor.solution(x)


TRAINING_PATCHES = 4000


def matching_pursuit(
    signals: Float[torch.Tensor, "count length"],
    dictionary: Float[torch.Tensor, "atoms length"],
    sparsity: int,
    error: float = 0.0,
) -> Float[torch.Tensor, "count length"]:
    """The best approximations by few atoms that orthogonal matching pursuit finds, for all signals at once.

    Each step adds the atom nearest to the residual, then fits all chosen atoms again by least squares (Pati et al.
    1993). A signal is left alone once its root-mean-square error is at most `error`.

    Args:
        signals: one a row.
        dictionary: unit atoms, one a row.
        sparsity: the most atoms of a signal.
        error: root-mean-square error at which a signal's pursuit ends.
    """
    approximation = torch.zeros_like(signals)
    active = torch.arange(len(signals))
    support = torch.empty(len(signals), 0, dtype=torch.long)
    for _ in range(min(sparsity, len(dictionary))):
        residual = signals[active] - approximation[active]
        still = residual.square().mean(dim=1).sqrt() > error
        active, support, residual = active[still], support[still], residual[still]
        if len(active) == 0:
            break
        likeness = (residual @ dictionary.T).abs()
        likeness.scatter_(1, support, -1.0)  # an atom is taken once
        support = torch.cat([support, likeness.argmax(dim=1, keepdim=True)], dim=1)
        chosen = dictionary[support]
        gram = chosen @ chosen.mT + 1e-6 * torch.eye(support.shape[1], dtype=signals.dtype)
        codes = torch.linalg.solve(gram, (chosen @ signals[active][..., None]))
        approximation[active] = (codes.mT @ chosen)[:, 0]
    return approximation


def _cut(x: torch.Tensor, side: int, stride: int) -> torch.Tensor:
    """All patches of real and imaginary part, one a row; the image is continued periodically."""
    parts = torch.cat([x.real, x.imag])
    padded = torch.nn.functional.pad(parts, (0, side - 1, 0, side - 1), mode="circular")
    return torch.nn.functional.unfold(padded, side, stride=stride).mT.reshape(-1, side * side)


def _assemble(patches: torch.Tensor, like: torch.Tensor, side: int, stride: int) -> torch.Tensor:
    """The image in which every pixel is the mean of the patches over it: the inverse of `_cut`."""
    height, width = like.shape[-2:]
    size = height + side - 1, width + side - 1
    columns = patches.reshape(2 * len(like), -1, side * side).mT

    def folded(values: torch.Tensor) -> torch.Tensor:
        image = torch.nn.functional.fold(values, size, side, stride=stride)
        image[..., : side - 1, :] += image[..., height:, :]
        image[..., : side - 1] += image[..., width:]
        return image[..., :height, :width]

    parts = folded(columns) / folded(torch.ones_like(columns))
    return torch.complex(*parts.chunk(2))


def _cosine_dictionary(side: int, atoms: int) -> torch.Tensor:
    """Products of cosines, more of them than pixels: the usual start of a dictionary."""
    count = int(atoms**0.5)
    count += count * count < atoms
    place = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    waves = torch.cos(torch.pi * place[None, :] * torch.arange(count, dtype=torch.float64)[:, None] * side / count)
    waves[1:] -= waves[1:].mean(dim=1, keepdim=True)
    waves = waves / waves.norm(dim=1, keepdim=True)
    products = torch.einsum("ai,bj->abij", waves, waves).reshape(count * count, -1)
    order = (torch.arange(count)[:, None] + torch.arange(count)[None, :]).flatten().argsort(stable=True)
    return products[order[:atoms]]
