"""`course evaluate blind_denoising`: networks that are not told how strong the noise is, and methods that are."""

from __future__ import annotations

from pathlib import Path

from course_lib.coursework.evaluate.denoising import denoising_rows, noise_level
from course_lib.coursework.evaluate.framework import Evaluation, Row


def measured_rows(folder: Path, seed: int, sigma: list[str], weights: str | None) -> list[Row]:
    """The shipped networks, or a bias-free one of the user's own; neither is told σ, the others are."""
    from course_lib import classical, data, networks

    levels = {text: noise_level(text) for text in sigma}
    data.image_files(folder)
    spectrum = classical.power_spectrum(data.with_symmetries(data.photographs(data.NETWORK_TRAINING_PHOTOGRAPHS)))
    dncnn = networks.load_weights(networks.DnCNN(bias=True), "dncnn")
    bf_dncnn = networks.load_weights(networks.DnCNN(bias=False), "bf_dncnn" if weights is None else weights)
    methods = {
        "noisy": lambda noisy, sigma: noisy,
        "wiener": lambda noisy, sigma: classical.wiener_denoise(noisy, spectrum, sigma),
        "nlm": classical.non_local_means,
        "dncnn": lambda noisy, sigma: networks.denoise(dncnn, noisy),
        "bf_dncnn": lambda noisy, sigma: networks.denoise(bf_dncnn, noisy),
    }
    return denoising_rows(folder, levels, seed, methods)


EVALUATION = Evaluation(measured_rows, {"sigma": ["10/255", "30/255", "50/255"], "weights": None})
