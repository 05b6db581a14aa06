"""Generated images in three splits: an image's number and its split give its seed, and no seed is in two of them."""

from __future__ import annotations

from typing import Literal

import torch

from course_lib import expect

Split = Literal["train", "validation", "test"]
SPLITS = {"train": range(0, 10_000), "validation": range(10_000, 11_000), "test": range(11_000, 12_000)}


def generator_of(split: Split, index: int) -> torch.Generator:
    """The source of randomness of one image of a split.

    Raises:
        InputError: another split, or an index that it does not have.
    """
    if split not in SPLITS:
        raise expect.InputError(f"expected the split among {', '.join(SPLITS)}, got {expect.describe(split)}")
    if expect.count("the index", index, least=0) >= len(SPLITS[split]):
        raise expect.InputError(f"expected the index below {len(SPLITS[split])}, got {index}")
    return torch.Generator().manual_seed(SPLITS[split][index])
