"""Module 06 side by side: dense against window by window, and surface distances against MONAI's."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course_lib import data, metrics, networks


def segmentation(pair: Callable) -> list:
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    torch.manual_seed(0)
    classifier, side = networks.WindowClassifier(), networks.WindowClassifier.side
    image = data.nerve_tissue("test", 0, (128, 128))
    windows = image.image.unfold(2, side, 1).unfold(3, side, 1).reshape(-1, 1, side, side)

    def one_by_one() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([classifier.one_by_one(window) for window in windows.split(1)])

    def in_batches() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([classifier.one_by_one(batch) for batch in windows.split(512)])

    def dense() -> torch.Tensor:
        with torch.no_grad():
            return classifier(image.image)

    brains = [data.brain_tissue("test", index, range(-16, 56, 2)) for index in range(2)]
    a, b = ((brain.labels == 2)[None, None] for brain in brains)
    spacing = (2.0, 2.0, 2.0)
    return [
        pair("dense FCN, 128 × 128", dense, one_by_one, "its sliding window, one at a time", runs=3),
        pair("dense FCN, 128 × 128 again", dense, in_batches, "its sliding window, 512 at a time", runs=5),
        pair(
            "Hausdorff 95 %, 36 × 128 × 128 voxels",
            lambda: metrics.hausdorff(a, b, spacing, 95.0),
            lambda: compute_hausdorff_distance(a.float(), b.float(), True, percentile=95, spacing=spacing),
            "monai",
            runs=5,
        ),
        pair(
            "average surface distance, both ways",
            lambda: metrics.average_surface_distance(a, b, spacing),
            lambda: [
                compute_average_surface_distance(x.float(), y.float(), True, spacing=spacing)
                for x, y in ((a, b), (b, a))
            ],
            "monai",
            runs=5,
        ),
    ]
