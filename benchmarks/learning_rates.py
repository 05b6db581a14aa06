"""Which learning rate each of module 09's networks should have: short runs, judged on validation brains.

`python benchmarks/learning_rates.py [STEPS]` prints the mean PSNR at R = 4 and R = 8 after runs of 600 steps, some
seconds to a minute each.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from course_lib.training import find_recipe, train

RATES = (5e-4, 1e-3, 2e-3, 4e-3)
STEPS = 600


def main(steps: int) -> None:
    for name in ("cascade", "cnn", "unet"):
        recipe = find_recipe(name)
        for rate in RATES:
            metrics = train(replace(recipe, learning_rate=rate, validate_every=steps), steps=steps).metrics
            chosen = "   <- the recipe's" if rate == recipe.learning_rate else ""
            print(
                f"{name:<8} {rate:<8g} R = 4: {metrics['psnr_r4']:.2f} dB, R = 8: {metrics['psnr_r8']:.2f} dB{chosen}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
