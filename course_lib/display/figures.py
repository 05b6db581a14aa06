"""Figures with alternative text, and one look for each method in the whole course."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import expect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

BARE = re.compile(r"(an? )?(image|figure|picture|plot|graph) (of|showing|that shows)\b", re.IGNORECASE)
CHECKED = "COURSE_CHECK_FIGURES"  # the build sets it: what is shown to a class is checked

# Okabe and Ito (2008): told apart with every common form of colour blindness.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F",
)  # fmt: skip

plt.rcParams.update(
    {
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.grid": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK])
        + cycler(linestyle=["-", "--", "-.", ":", "-", "--", "-."]),
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "image.cmap": "gray",
    }
)


@dataclass(frozen=True)
class Method:
    """How a method looks in every plot of the course: never by its colour alone."""

    label: str
    color: str
    linestyle: str
    marker: str


METHODS = {
    "clean": Method("clean", BLACK, "-", "o"),
    "noisy": Method("noisy", GREY, ":", "x"),
    "wiener": Method("Wiener filter", BLUE, "-", "s"),
    "gaussian": Method("Gaussian blur", ORANGE, "--", "^"),
    "oracle": Method("Gaussian blur, tuned on each image (oracle)", ORANGE, ":", "v"),
    "bilateral": Method("bilateral filter", GREEN, "-.", "D"),
    "linear_mmse": Method("linear MMSE matrix", PURPLE, "--", "P"),
    "zero_filled": Method("zero-filled", GREY, ":", "+"),
    "tikhonov": Method("Tikhonov", PURPLE, "--", "p"),
    "wavelet": Method("wavelet ℓ1", ORANGE, "-.", "X"),
    "tv": Method("total variation", BLUE, "-", "8"),
    "dictionary": Method("dictionary learning", GREEN, "--", "d"),
    "fbp": Method("filtered back-projection", VERMILION, ":", "<"),
    "cnn": Method("CNN", SKY, "-.", "H"),
    "dncnn": Method("DnCNN", VERMILION, "--", "$D$"),
    "bf_dncnn": Method("BF-DnCNN", BLACK, "-", "$F$"),
    "nlm": Method("non-local means", PURPLE, "-.", "$N$"),
    "anscombe_nlm": Method("Anscombe + non-local means", GREEN, "--", "$A$"),
    "plain": Method("plain CNN", SKY, "-.", "$1$"),
    "dilated": Method("dilated CNN", BLACK, "-", "$3$"),
    "sure": Method("dilated CNN, by SURE", ORANGE, ":", "$S$"),
    "bm3d": Method("BM3D", SKY, ":", "$B$"),
    "wavelet_threshold": Method("wavelet thresholding", ORANGE, "-.", "$W$"),
    "cascade": Method("data-consistency cascade", BLACK, "-", "*"),
    "threshold": Method("threshold", GREY, ":", "$t$"),
    "window": Method("window classifier", PURPLE, "--", "$w$"),
    "coarse_fcn": Method("FCN without skips", ORANGE, ":", "$c$"),
    "fcn": Method("FCN with skips", ORANGE, "-.", "$f$"),
    "unet": Method("U-Net", BLUE, "-", "$U$"),
    "vnet": Method("V-Net", GREEN, "--", "$V$"),
    "inflated": Method("inflated U-Net", BLACK, "-.", "$I$"),
    "periodogram": Method("periodogram", GREY, ":", "."),
    "music": Method("MUSIC", BLUE, "-", "$M$"),
    "root_music": Method("root-MUSIC", SKY, "--", "$r$"),
    "esprit": Method("ESPRIT", GREEN, "--", "$E$"),
    "matrix_pencil": Method("matrix pencil", PURPLE, ":", "$P$"),
    "sparse": Method("sparse (ℓ1 on a grid)", ORANGE, "-.", "$L$"),
    "grid_free": Method("sparse, grid-free", VERMILION, "-.", "$G$"),
    "maximum_likelihood": Method("maximum likelihood", BLACK, ":", "$m$"),
    "psnet": Method("PSnet", SKY, "-.", "$s$"),
    "deepfreq": Method("DeepFreq", BLACK, "-", "$Q$"),
    "ista": Method("ISTA", ORANGE, "--", ">"),
    "fista": Method("FISTA", BLUE, "-", "h"),
}


def method_style(name: str) -> dict[str, str]:
    """Keyword arguments for `ax.plot`: label, colour, line style and marker of the method `name`."""
    if name not in METHODS:
        raise expect.InputError(f"expected a method among {', '.join(METHODS)}, got {name!r}")
    method = METHODS[name]
    return {
        "label": method.label,
        "color": method.color,
        "linestyle": method.linestyle,
        "marker": method.marker,
    }


def as_picture(image: object) -> np.ndarray:
    """Turn (height, width), (1, 1, height, width) or one colour image into what `imshow` takes."""
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[0] in (1, 3):
        array = np.moveaxis(array, 0, -1) if array.shape[0] == 3 else array[0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] == 3):
        raise expect.InputError(f"expected one grey or colour image, got {expect.describe(image)}")
    return array


def overlay(image: object, found: object, truth: object) -> torch.Tensor:
    """A grey image with what a segmentation found: right in white, missed in orange, too much in blue.

    Args:
        image: values in [0, 1], (height, width) or (1, 1, height, width).
        found, truth: masks of the same size, True or above one half in the foreground.

    Returns:
        a colour image, (1, 3, height, width).
    """
    grey, found, truth = (torch.from_numpy(as_picture(v).astype(np.float32)) for v in (image, found, truth))
    if not grey.shape == found.shape == truth.shape or grey.ndim != 2:
        shapes = ", ".join(str(tuple(v.shape)) for v in (grey, found, truth))
        raise expect.InputError(f"expected one grey image and two masks of its size, got {shapes}")
    found, truth = found > 0.5, truth > 0.5
    colour = (0.6 * grey).expand(3, -1, -1).clone()
    for mask, name in ((found & truth, "#FFFFFF"), (truth & ~found, ORANGE), (found & ~truth, SKY)):
        rgb = torch.tensor([int(name[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        colour = torch.where(mask, 0.15 * colour + 0.85 * rgb[:, None, None], colour)
    return colour[None]


def render(figure: Figure, *, photographic: bool = False) -> tuple[str, bytes]:
    """Draw a figure and give (MIME type, bytes).

    Photographs full of noise are stored as WebP, at about a third of PNG's size; plots as PNG.
    """
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    out = io.BytesIO()
    if photographic:
        canvas.print_webp(out, pil_kwargs={"quality": 88, "method": 2})
        return "image/webp", out.getvalue()
    canvas.print_png(out, pil_kwargs={"compress_level": 3})
    return "image/png", out.getvalue()


def img_tag(mime: str, data: bytes, alt: str) -> str:
    """An HTML picture with its alternative text; JupyterLab drops the alt text of image outputs, not of HTML."""
    source = base64.b64encode(data).decode("ascii")
    return f'<img src="data:{mime};base64,{source}" alt="{html.escape(alt)}" style="max-width:100%;background:#fff">'


def check_alt(alt: str) -> str:
    """Return an alternative text that says something: four words at least, and not that it is a picture."""
    if not isinstance(alt, str) or len(alt.split()) < 4 or BARE.match(alt):
        raise expect.InputError(f"expected alt text that says what is to be seen, got {alt!r}")
    return alt


def refuse_confusable(figure: Figure) -> None:
    """Stop, while the notebooks are built, at a figure that says something by its colours alone.

    Raises:
        InputError: lines, areas or a colour map that somebody could not tell apart.
    """
    from course_lib.display.colour_vision import confusable

    found = confusable(figure)
    if found:
        raise expect.InputError(f"expected a figure that is read without its colours, got: {'; '.join(found)}")


def show_figure(figure: Figure, alt: str, *, photographic: bool = False) -> None:
    """Show a figure in the notebook with its alternative text, and close it.

    Args:
        figure: a matplotlib figure.
        alt: what is to be seen in it, in a sentence: read aloud by screen readers.
        photographic: store it as WebP, which suits photographs.
    """
    from IPython.display import display

    check_alt(alt)
    if os.environ.get(CHECKED):
        refuse_confusable(figure)
    mime, data = render(figure, photographic=photographic)
    plt.close(figure)
    display({"text/html": img_tag(mime, data, alt), "text/plain": f"[figure: {alt}]"}, raw=True)


def show_images(
    images: Mapping[str, object],
    alt: str,
    *,
    columns: int = 4,
    limits: tuple[float, float] | None = (0.0, 1.0),
    colorbar: bool = False,
    width: float = 2.5,
) -> None:
    """Show a titled row of images.

    Args:
        images: title → image, each (height, width), (1, 1, height, width) or colour (1, 3, height, width).
        alt: what is to be seen, in a sentence.
        columns: the most images in one row.
        limits: the values shown black and white, the same for all; None scales each image by itself.
        colorbar: a scale beside each image, for images that are no photographs.
        width: inches for one image.
    """
    if not images:
        raise expect.InputError("expected at least one image, got none")
    pictures = {title: as_picture(image) for title, image in images.items()}
    count = len(pictures)
    columns = min(columns, count)
    rows = -(-count // columns)
    height = max(p.shape[0] / p.shape[1] for p in pictures.values()) * (width - 0.08) + 0.3
    with_bar = 1.2 * width if colorbar else width
    figure, axes = plt.subplots(rows, columns, figsize=(with_bar * columns, height * rows), squeeze=False)
    low, high = limits if limits else (None, None)
    for ax, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        shown = ax.imshow(picture, vmin=low, vmax=high)
        ax.set_title(title)
        ax.set_anchor("N")  # titles in one line, also of images of different shapes
        if colorbar:
            figure.colorbar(shown, ax=ax, shrink=0.8)
    for ax in axes.flat:
        ax.set_axis_off()
    show_figure(figure, alt, photographic=not colorbar)
