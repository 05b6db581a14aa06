"""X-rays through a breast: how many photons arrive, and the image made from their count.

A dose is the mean number of photons that would reach a pixel of 0.2 mm through air. Behind a compressed breast some
5·10⁵ photons a mm² are usual, 20,000 a pixel: `USUAL_DOSE` has as many behind fat.
"""

from __future__ import annotations

import torch
from jaxtyping import Float

from course_lib import expect

OPTICAL_DEPTH = 3.0  # attenuation 1 lets exp(−3) = 5 % of the photons through
USUAL_DOSE = 72_000.0
ELECTRONIC_NOISE = 4.0  # standard deviation of what the detector adds, in photons

Images = Float[torch.Tensor, "batch channel height width"]


def transmission(image: Images) -> Images:
    """The share of the photons that gets through, exp(−3·x): Beer and Lambert's law."""
    expect.images("the attenuation image", image)
    return torch.exp(-OPTICAL_DEPTH * image)


def xray_counts(
    image: Images, dose: float, generator: torch.Generator, electronic_noise: float = ELECTRONIC_NOISE
) -> Images:
    """What the detector reads: a Poisson number of photons, and Gaussian noise of its own.

    Args:
        image: attenuation x ≥ 0, (batch, channel, height, width).
        dose: mean number of photons a pixel through air, above 0; `USUAL_DOSE / 16` is a sixteenth of the usual one.
        generator: the source of randomness, on the device of `image`.
        electronic_noise: σₑ ≥ 0 in photons.

    Returns:
        counts of mean dose·exp(−3x) and variance dose·exp(−3x) + σₑ², in photons. With electronic noise they are no
        whole numbers, and few of them may be negative.
    """
    dose = expect.number("the dose", dose, above=0)
    electronic_noise = expect.number("the electronic noise", electronic_noise, least=0)
    expect.generator(generator)
    if (expect.images("the attenuation image", image) < 0).any():
        raise expect.InputError(f"expected attenuation of at least 0, got {expect.describe(image)} with less")
    photons = torch.poisson(dose * transmission(image), generator=generator)
    if electronic_noise == 0:
        return photons
    return photons + electronic_noise * torch.randn(
        image.shape, generator=generator, dtype=image.dtype, device=image.device
    )


def attenuation_image(counts: Images, dose: float) -> Images:
    """The image that is looked at, −ln(counts/dose)/3: bright where few photons came through.

    Fewer than half a photon is taken as half a photon; the logarithm has no value for none.
    """
    expect.images("the counts", counts)
    dose = expect.number("the dose", dose, above=0)
    return -(counts.clamp(min=0.5) / dose).log() / OPTICAL_DEPTH


def attenuation_noise(image: Images, dose: float, electronic_noise: float = ELECTRONIC_NOISE) -> Images:
    """The standard deviation of the noise in the attenuation image, pixel by pixel, to first order.

    By the slope of the logarithm, √(counts + σₑ²)/(3·counts): the denser the tissue, the more noise.
    """
    counts = expect.number("the dose", dose, above=0) * transmission(image)
    electronic_noise = expect.number("the electronic noise", electronic_noise, least=0)
    return (counts + electronic_noise**2).sqrt() / (OPTICAL_DEPTH * counts)
