"""Write a small test set of line spectra in the published form."""

import numpy as np
import torch

from course_lib import data, physics


def write_line_test_set(folder, ratios=("0.0", "20.0", "inf"), *, count=12, samples=50, seed=0, **lines):
    """`f.npy` and a file for each ratio in dB; gives the lines."""
    generator = torch.Generator().manual_seed(seed)
    drawn = data.line_spectra(count, generator, samples=samples, **lines)
    clean = drawn.signals(samples, torch.complex128)
    # NumPy sorts -10 to the front
    np.save(folder / "f.npy", np.sort(drawn.frequencies.nan_to_num(-10).numpy().astype(np.float32), axis=1))
    for ratio in ratios:
        noisy = clean if ratio == "inf" else physics.add_noise_at_snr(clean, float(ratio), generator)
        parts = np.stack([noisy.real.numpy(), noisy.imag.numpy()], axis=1)
        np.save(folder / f"{ratio}dB.npy", parts.astype(np.float32))
    return drawn
