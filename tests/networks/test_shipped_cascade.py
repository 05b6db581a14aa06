"""The shipped networks of module 09 hold what the lecture claims, on subjects and heights that no training saw."""

import pytest
import torch

from course_lib import classical, data, metrics, networks, physics

LEAST = {4: 36.0, 8: 30.0}  # dB
OVER_THE_CNN = {4: 5.0, 8: 3.0}


def mean_psnr(images, truth):
    return metrics.psnr(images.abs(), truth.abs()).mean().item()


def by_wavelets(scan, weight):
    """Each image with its own mask and its own stopping rule."""
    parts = zip(scan.y.split(1), scan.mask.split(1), strict=True)
    return torch.cat(
        [
            classical.wavelet_reconstruction(
                physics.FourierSampling(mask), y, weight, undecimated=True, wavelet="haar", levels=3, iterations=2000
            ).x
            for y, mask in parts
        ]
    )


def best_weight(acceleration):
    """λ with the best mean PSNR on validation subjects."""
    images = data.brain_population("validation", 1, 1)
    scan = physics.scan(images, acceleration, torch.Generator().manual_seed(100 + acceleration))
    weights = (2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
    level = [mean_psnr(by_wavelets(scan, weight), scan.x) for weight in weights]
    best = level.index(max(level))
    assert 0 < best < len(weights) - 1, level  # no better one lies outside
    return weights[best]


@pytest.mark.parametrize("acceleration", [4, 8])
@pytest.mark.parametrize("split", ["test", "held_out_slab"])
def test_the_order_of_the_methods(split, acceleration):
    scan = physics.scan(data.brain_population(split, 24, 1), acceleration, torch.Generator().manual_seed(acceleration))
    with torch.no_grad():
        cnn = networks.load_weights(networks.PlainCNN(), "cnn")(scan.y, scan.mask)
        cascade = networks.load_weights(networks.DeepCascade(), "cascade")(scan.y, scan.mask)
    few = physics.Scan(*(part[:2] for part in scan))
    wavelet = mean_psnr(by_wavelets(few, best_weight(acceleration)), few.x)
    assert mean_psnr(physics.inverse_fourier(few.y), few.x) < wavelet < mean_psnr(cascade[:2], few.x)
    level = {name: mean_psnr(image, scan.x) for name, image in (("cnn", cnn), ("cascade", cascade))}
    assert mean_psnr(physics.inverse_fourier(scan.y), scan.x) < level["cnn"]
    assert level["cascade"] >= level["cnn"] + OVER_THE_CNN[acceleration], level
    assert level["cascade"] >= LEAST[acceleration], level
