"""`course evaluate mammogram_denoising`: photons at parts of the usual dose, and whether calcifications stay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.coursework.evaluate.framework import (
    Evaluation,
    Measured,
    Row,
    averaged,
    check_images,
    file_generator,
    fraction,
)
from course_lib.display.progress import say

if TYPE_CHECKING:
    import torch

    Denoiser = Callable[[torch.Tensor, float], torch.Tensor]

FALSE_POSITIVES = 0.5  # a square centimetre
# of 0.3, 0.4, … 0.7 the best or within 0.1 dB of it on three training mammograms, at doses of 1/16 and 1/64
NLM_STRENGTH = 0.6
MINI_MIAS_MM = 0.2  # a pixel's side, where the file does not tell it
LEAST_DOSE, MOST_DOSE = 1 / 2000, 10.0  # as parts of the usual one


def measured_rows(folder: Path, seed: int, dose: list[str]) -> list[Row]:
    """Photons are counted at parts of the usual dose; where `Info.txt` has calcifications, whether they are still seen.

    The threshold of the fixed detector is chosen in each image, away from what is marked, so that `FALSE_POSITIVES` a
    square centimetre of breast pass it.
    """
    import torch

    from course_lib import data, metrics, physics

    doses = {f"dose={text}": physics.USUAL_DOSE * dose_share(text) for text in dose}
    files = data.mammogram_files(folder)
    circles = _circles(folder / "Info.txt") if (folder / "Info.txt").exists() else {}
    methods = _mammogram_methods()
    measures = {"psnr": metrics.psnr, "ssim": metrics.ssim, "epi": metrics.edge_preservation}

    def measure(path: Path, index: int) -> Measured:
        file = data.read_mammogram(path)
        clean = file.image
        check_images(clean, path)
        height, width = clean.shape[-2:]
        spots = [(height - 1 - up, column, radius) for column, up, radius in circles.get(path.stem, ())]
        if any(not (0 <= row < height and 0 <= column < width) for row, column, _ in spots):
            raise expect.InputError(f"expected findings inside {path}, got one in Info.txt that lies outside")
        if spots:
            elsewhere = data.breast_region(clean)
            for row, column, radius in spots:
                elsewhere &= ~metrics.disc(clean, row, column, radius + 5)
            area = float(elsewhere.sum()) * ((file.pixel_mm or MINI_MIAS_MM) / 10) ** 2
            if FALSE_POSITIVES * area < 1:
                say(f"{path} shows {area:.2g} cm² of breast: too little for {FALSE_POSITIVES:g} false positives a cm²")
        for setting, photons in doses.items():
            counts = physics.xray_counts(clean, photons, file_generator(seed, index))
            for method, denoise in methods.items():
                estimate = denoise(counts, photons)
                for name, metric in measures.items():
                    yield method, setting, name, float(metric(estimate, clean))
                if spots:
                    found = _visible(estimate, clean, torch.tensor(spots), elsewhere, area)
                    yield from ((method, setting, metric, value) for metric, value in found)

    return averaged(files, measure, "image")


def dose_share(text: str) -> float:
    """A part of the usual dose from "1/16" or "0.1".

    Raises:
        InputError: no number, or one outside [1/2000, 10].
    """
    wanted = "expected a dose as a part of the usual one from 1/2000 to 10, such as 1/16 or 0.1"
    value = fraction(text)
    if not LEAST_DOSE <= value <= MOST_DOSE:
        raise expect.InputError(f"{wanted}, got {text!r}")
    return value


def _circles(path: Path) -> dict[str, list[tuple[float, float, float]]]:
    """The circles around calcifications by the image's name: column, height, radius. What cannot be read is told."""
    from course_lib.data import read_mias_info

    findings, problems = read_mias_info(path)
    for problem in problems:
        say(problem)
    found = {name: [f.circle for f in row if f.kind == "CALC"] for name, row in findings.items()}
    without = sum(circle is None for row in found.values() for circle in row)
    if without:
        say(f"{without} findings of calcifications in {path} have no circle, and are not looked for")
    return {name: [circle for circle in row if circle] for name, row in found.items()}


def _visible(
    estimate: torch.Tensor, clean: torch.Tensor, spots: torch.Tensor, elsewhere: torch.Tensor, area_cm2: float
) -> Iterator[tuple[str, float]]:
    """What is left of the detector's response to the spots; if there is area enough, the share of them that it finds.

    Args:
        spots: row, column and radius of circles. In each one the clean image's largest response is the spot.
        elsewhere: the breast without the circles, where a response is a false positive.
    """
    from course_lib import metrics

    wanted, response = metrics.spot_response(clean), metrics.spot_response(estimate)
    discs = [metrics.disc(clean, row, column, max(radius, metrics.REACH)) for row, column, radius in spots.tolist()]
    best = [int(wanted[0, 0].masked_fill(~disc, -math.inf).argmax()) for disc in discs]
    yield "calcification_contrast", float(response.flatten()[best].sum() / wanted.flatten()[best].sum())
    if FALSE_POSITIVES * area_cm2 >= 1:
        false = metrics.false_positives(response, elsewhere)
        threshold = metrics.threshold_at(false, area_cm2, FALSE_POSITIVES)
        yield "detection_rate", float(metrics.detected(response, spots, threshold).float().mean())


def _mammogram_methods() -> dict[str, Callable[[torch.Tensor, float], torch.Tensor]]:
    """From counts and dose to the attenuation image. All but `noisy` and `nlm` work on stabilised counts."""
    import torch

    from course_lib import classical, data, networks, physics
    from course_lib.training.recipes.mammogram_denoising import PLAIN

    parenchyma = [data.mammogram("train", index).image[..., 128:384, 32:288] for index in range(12)]
    # without noise a stabilised count over 2·√dose is the root of the transmission
    spectrum = classical.power_spectrum(data.with_symmetries(physics.transmission(torch.cat(parenchyma)).sqrt()))

    def nlm(counts: torch.Tensor, photons: float) -> torch.Tensor:
        noisy = physics.attenuation_image(counts, photons)
        sigma = float(physics.attenuation_noise(noisy.clamp(0, 1), photons).mean())
        return classical.non_local_means(noisy, sigma, strength=NLM_STRENGTH)

    def stabilised(denoise: Denoiser) -> Callable[[torch.Tensor, float], torch.Tensor]:
        return lambda counts, photons: classical.denoise_counts(counts, photons, denoise)

    def trained(name: str, *shape: object) -> Callable[[torch.Tensor, float], torch.Tensor]:
        network = networks.load_weights(networks.DilatedCNN(*shape), f"mammogram_{name}")
        return stabilised(partial(networks.denoise, network))

    return {
        "noisy": physics.attenuation_image,
        "wiener": stabilised(lambda noisy, sigma: classical.wiener_denoise(noisy, spectrum, sigma)),
        "nlm": nlm,
        "anscombe_nlm": stabilised(partial(classical.non_local_means, strength=NLM_STRENGTH)),
        "dncnn": trained("plain", PLAIN),
        "dilated": trained("dilated"),
        "sure": trained("sure"),
    }


EVALUATION = Evaluation(measured_rows, {"dose": ["1/16", "1/64"]})
