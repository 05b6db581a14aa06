"""Lab 01: answers that say nothing, and right answers written in other ways."""

import numpy as np
import torch

EVASIVE = {
    "power_spectrum": [lambda images: torch.zeros(images.shape[-2:]), lambda images: images[0, 0],
                       lambda images: torch.full(images.shape[-2:], float("inf"))],
    "wiener_gain": [lambda S, sigma: torch.ones_like(S), lambda S, sigma: torch.full_like(S, 0.5), lambda S, sigma: S],
    "apply_gain": [lambda noisy, gain: noisy, lambda noisy, gain: torch.zeros_like(noisy)],
    "expected_mse": [lambda gain, S, sigma: torch.tensor(0.0)],
    "linear_mmse": [lambda patches, sigma: (torch.eye(6), torch.zeros(6)),
                    lambda patches, sigma: (torch.zeros(6, 6), torch.zeros(6))],
    "spectrum_risks": [lambda candidates, truth, sigma: candidates, lambda candidates, *_: torch.ones(len(candidates))],
    "mismatch_cost": [lambda *arguments: torch.tensor(0.0), lambda *arguments: 1.0],
}  # fmt: skip


def _by_numpy(images):
    spectra = [np.abs(np.fft.fft2(image[0].numpy())) ** 2 for image in images]
    return torch.from_numpy(np.mean(spectra, axis=0))


def _by_real_and_imaginary_part(images):
    t = torch.fft.fft2(images.squeeze(1))
    return (t.real**2 + t.imag**2).mean(0)


def _by_product_with_conjugate(images):
    t = torch.fft.fftn(images, dim=(2, 3))
    return (t * t.conj()).real.mean(dim=0)[0]


def _one_over_one_plus(spectrum, sigma):
    return 1 / (1 + spectrum.shape[0] * spectrum.shape[1] * sigma**2 / spectrum)


def _one_minus_noise_share(spectrum, sigma):
    noise = spectrum.numel() * sigma**2
    return 1 - noise / (spectrum + noise)


def _image_by_image(noisy, gain):
    return torch.stack([torch.fft.ifft2(torch.fft.fft2(image) * gain).real for image in noisy])


def _by_circular_padding(noisy, gain):
    rows, columns = gain.shape
    kernel = torch.fft.ifft2(gain).real.roll((rows // 2, columns // 2), (0, 1))
    padded = torch.nn.functional.pad(
        noisy, (columns - 1 - columns // 2, columns // 2, rows - 1 - rows // 2, rows // 2), mode="circular"
    )
    return torch.nn.functional.conv2d(padded, kernel.flip(0, 1)[None, None])


def _as_means(gain, spectrum, sigma):
    return ((1 - gain) ** 2 * spectrum).mean() / spectrum.numel() + sigma**2 * (gain**2).mean()


def _by_loop(gain, spectrum, sigma):
    n = gain.numel()
    pairs = zip(gain.flatten().tolist(), spectrum.flatten().tolist(), strict=True)
    return sum((1 - g) ** 2 * s + g**2 * n * sigma**2 for g, s in pairs) / n**2


def _by_torch_cov(patches, sigma):
    C, mu = torch.cov(patches.T), patches.mean(0)
    W = C @ torch.linalg.inv(C + sigma**2 * torch.eye(C.shape[0]))
    return W, mu - W @ mu


def _by_solve(patches, sigma):
    C, mu = torch.cov(patches.T, correction=0), patches.mean(0)
    W = torch.linalg.solve(C + sigma**2 * torch.eye(len(C)), C)
    return [W, (torch.eye(len(C)) - W) @ mu]


def _by_eigenvectors(patches, sigma):
    C, mu = torch.cov(patches.T, correction=0), patches.mean(0)
    values, vectors = torch.linalg.eigh(C)
    W = vectors @ torch.diag(values / (values + sigma**2)) @ vectors.T
    return W, mu - W @ mu


def _risks_at_once(candidates, truth, sigma):
    n = truth.numel()
    gain = candidates / (candidates + n * sigma**2)
    return ((1 - gain) ** 2 * truth + gain**2 * n * sigma**2).sum(dim=(1, 2)) / n**2


def _difference_of_logs(spectrum, assumed_sigma, truth, sigma):
    def log_error(s, level):
        n = truth.numel()
        gain = s / (s + n * level**2)
        return 10 * np.log10(float(((1 - gain) ** 2 * truth + gain**2 * n * sigma**2).sum()))

    return log_error(spectrum, assumed_sigma) - log_error(truth, sigma)


OTHER_WAYS = {
    "power_spectrum": (_by_numpy, _by_real_and_imaginary_part, _by_product_with_conjugate),
    "wiener_gain": (_one_over_one_plus, _one_minus_noise_share),
    "apply_gain": (_image_by_image, _by_circular_padding),
    "expected_mse": (_as_means, _by_loop),
    "linear_mmse": (_by_torch_cov, _by_solve, _by_eigenvectors),
    "spectrum_risks": (_risks_at_once,),
    "mismatch_cost": (_difference_of_logs,),
}
