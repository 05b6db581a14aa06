"""Run a module's methods on a folder of the user's own data: a table on the screen, rows in a JSON file.

An evaluation names its options and gives rows. It reads one file at a time, and a file that cannot be used is named
on stderr and skipped. `EVALUATIONS`, at the end, lists them.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import expect
from course_lib.coursework.modules import Module
from course_lib.display.progress import say
from course_lib.files import check_writable, write_whole

if TYPE_CHECKING:
    import torch

    from course_lib.physics import FourierSampling

    Denoiser = Callable[[torch.Tensor, float], torch.Tensor]
    Reconstruction = Callable[[FourierSampling, torch.Tensor, torch.Generator], torch.Tensor]


FALSE_POSITIVES = 0.5  # a square centimetre
# of 0.3, 0.4, … 0.7 the best or within 0.1 dB of it on three training mammograms, at doses of 1/16 and 1/64
NLM_STRENGTH = 0.6
MINI_MIAS_MM = 0.2  # a pixel's side, where the file does not tell it
LEAST_SIGMA, MOST_SIGMA = 1e-4, 1.0  # in units of the range from black to white
# λ with the best mean PSNR among 0.0005, 0.001, … 0.016 on four brain slices (-20, 15, 30 and 45 mm, lines and points,
# R = 4 and 8)
WAVELET_WEIGHT, TV_WEIGHT = 8e-3, 8e-3
Measured = Iterator[tuple[str, str, str, float]]  # method, setting, metric, value


@dataclass(frozen=True)
class Row:
    """One measured number: the mean of a metric over `count` images or signals."""

    method: str
    setting: str
    metric: str
    value: float
    count: int


@dataclass(frozen=True)
class Evaluation:
    """How one module is evaluated.

    Attributes:
        rows: called with the folder, the seed and every option; it checks the options first.
        options: the command's options that belong to this module, with their defaults. An option that is a list
            repeats, and its values are the rows' settings or methods; the others are written beside the rows.
        unit: what a mean is over, as the table has it.
    """

    rows: Callable[..., list[Row]]
    options: dict[str, object]
    unit: str = "images"


def evaluate_module(module: str, data: Path, out: Path, *, seed: int = 0, **options: object) -> list[Row]:
    """Evaluate a module on the files in `data`, print a table, and write `out` as JSON.

    Everything is checked before the work begins, and `out` is written whole at the end or not at all. A file
    that cannot be used is named on stderr and skipped; `count` says how many images were used.

    Raises:
        InputError: a module that is unknown or has no evaluation, an option that is another module's or has a
            bad value, a bad folder, no usable file, or an `out` that cannot be written.
    """
    from course_lib.data.line_files import SUFFIX
    from course_lib.data.mammogram_files import DICOM_SUFFIXES
    from course_lib.data.mri_files import DATA_SUFFIXES

    known = [Module(name) for name in EVALUATIONS]
    name = next((m.id for m in known if module in (m.id, m.number, m.name)), None)
    if name is None:
        raise expect.InputError(f"expected a module among {', '.join(EVALUATIONS)}, got {module!r}")
    evaluation = EVALUATIONS[name]
    for option in options:
        if option not in evaluation.options:
            own = ", ".join(_as_typed(own) for own in evaluation.options)
            raise expect.InputError(f"expected options of {name} ({own}), got {_as_typed(option)}")
    out = Path(out)
    of_data = (*DATA_SUFFIXES, *DICOM_SUFFIXES, SUFFIX)
    if out.is_dir() or not out.parent.is_dir() or out.name.lower().endswith(of_data):
        raise expect.InputError(f"expected --out as a JSON file in an existing folder, got {out}")
    check_writable(out)
    if not 0 <= seed < 2**31:
        raise expect.InputError(f"expected --seed from 0 to {2**31 - 1}, got {seed}")
    chosen = evaluation.options | options
    rows = evaluation.rows(Path(data), seed, **chosen)
    print(table(rows, evaluation.unit))
    beside = {option: value for option, value in chosen.items() if not isinstance(value, list)}
    record = {
        "module": name,
        "data": expect.one_line(str(data)),
        "seed": seed,
        **beside,
        "rows": [_as_json(row) for row in rows],
    }
    write_whole(out, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return rows


def _as_typed(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _as_json(row: Row) -> dict[str, object]:
    """A row for the file; JSON has no infinity, the PSNR of an image without an error: null stands for it."""
    return asdict(row) | {"value": row.value if math.isfinite(row.value) else None}


def averaged(files: list[Path], measure: Callable[[Path, int], Measured], unit: str = "file") -> list[Row]:
    """Measure each file, given with its place in the alphabet, and average over all images of all files.

    A file at which `measure` raises an InputError counts not at all; it is named on stderr.
    """
    from tqdm import tqdm

    values: dict[tuple[str, str, str], list[float]] = {}
    used = 0
    for index, path in enumerate(tqdm(files, unit=unit, disable=not sys.stderr.isatty(), leave=False)):
        try:
            found = list(measure(path, index))
        except expect.InputError as error:
            named = error if str(path) in str(error) else f"{path}: {error}"
            say(f"skipped: {named}")
            continue
        used += 1
        for method, setting, metric, value in found:
            values.setdefault((method, setting, metric), []).append(value)
    if used == 0:
        raise expect.InputError(f"expected at least one usable {unit} in {files[0].parent}, got {len(files)} unusable")
    if used < len(files):
        say(f"used {used} of {len(files)} {unit}s")
    return [Row(*key, sum(found) / len(found), len(found)) for key, found in values.items()]


def check_images(images: torch.Tensor, path: Path) -> None:
    """Raise unless the images of a file are large enough for SSIM."""
    from course_lib.metrics.image_quality import SSIM_WINDOW

    if min(images.shape[-2:]) < SSIM_WINDOW:
        size = f"{images.shape[-2]}×{images.shape[-1]}"
        raise expect.InputError(
            f"expected an image of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels, got {path} with {size}"
        )


def noise_level(text: str) -> float:
    """σ from "25/255" or "0.1".

    Raises:
        InputError: no number, or one outside [1e-4, 1]; above, it is one in grey levels.
    """
    wanted = f"expected a noise level from {LEAST_SIGMA:g} to {MOST_SIGMA:g}, such as 25/255 or 0.1"
    try:
        numerator, _, denominator = text.partition("/")
        value = float(numerator) / (float(denominator) if denominator else 1.0)
    except (ValueError, ZeroDivisionError):
        raise expect.InputError(f"{wanted}, got {text!r}") from None
    if MOST_SIGMA < value <= 255 and "/" not in text:
        raise expect.InputError(f"{wanted}, got {text!r}: in units where white is 1, that grey level is {text}/255")
    if not (math.isfinite(value) and LEAST_SIGMA <= value <= MOST_SIGMA) or text.endswith("/"):
        raise expect.InputError(f"{wanted}, got {text!r}")
    return value


def dose_share(text: str) -> float:
    """A part of the usual dose from "1/16" or "0.1".

    Raises:
        InputError: no number, or one outside [1/2000, 10].
    """
    wanted = "expected a dose as a part of the usual one from 1/2000 to 10, such as 1/16 or 0.1"
    try:
        numerator, _, denominator = text.partition("/")
        value = float(numerator) / (float(denominator) if denominator else 1.0)
    except (ValueError, ZeroDivisionError):
        raise expect.InputError(f"{wanted}, got {text!r}") from None
    if not (math.isfinite(value) and 1 / 2000 <= value <= 10) or text.endswith("/"):
        raise expect.InputError(f"{wanted}, got {text!r}")
    return value


def table(rows: list[Row], unit: str = "images") -> str:
    """The rows as text: a line for each method and setting, a column for each metric, and how many of the unit.

    A number that is a mean over fewer of them than others in its line has their count behind it.
    """
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines = []
    for setting, method in dict.fromkeys((row.setting, row.method) for row in rows):
        found = {row.metric: row for row in rows if (row.setting, row.method) == (setting, method)}
        most = max(row.count for row in found.values())
        lines.append([setting, method, *(_cell(found.get(metric), most) for metric in metrics), str(most)])
    lines.insert(0, ["setting", "method", *metrics, unit])
    least = [16, 14, *(max(10, len(metric) + 2) for metric in metrics), 8]
    widths = [max(width, *(len(line[k]) + 1 for line in lines)) for k, width in enumerate(least)]
    sides = ["<", "<", *">" * (len(widths) - 2)]
    return "\n".join(
        "".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        for line in lines
    )


def _cell(row: Row | None, most: int) -> str:
    if row is None:
        return "–"
    number = f"{row.value:.3f}" if abs(row.value) >= 0.1 else f"{row.value:.2g}"
    return number if row.count == most else f"{number} ({row.count})"


def denoising_rows(folder: Path, levels: dict[str, float], seed: int, methods: dict[str, Denoiser]) -> list[Row]:
    """Add noise to every image of a folder, run every method, and average PSNR and SSIM over the images.

    The noise depends on the seed, the image's place in the alphabet, and the level: all methods meet the same.
    """
    from course_lib.data import image_files, read_image
    from course_lib.metrics import psnr, ssim
    from course_lib.physics import add_gaussian_noise

    def measure(path: Path, index: int) -> Measured:
        clean = read_image(path)
        check_images(clean, path)
        for setting, sigma in levels.items():
            noisy = add_gaussian_noise(clean, sigma, file_generator(seed, index))
            for method, denoise in methods.items():
                estimate = denoise(noisy, sigma)
                for metric, value in (("psnr", psnr), ("ssim", ssim)):
                    yield method, f"sigma={setting}", metric, float(value(estimate, clean))

    return averaged(image_files(folder), measure, "image")


def file_generator(seed: int, index: int) -> torch.Generator:
    """The randomness of the file at one place in the alphabet, from its beginning."""
    import torch

    return torch.Generator().manual_seed(seed * 1_000_003 + index)


def _wiener_filtering(folder: Path, seed: int, sigma: list[str]) -> list[Row]:
    from course_lib import classical, data

    levels = {text: noise_level(text) for text in sigma}
    data.image_files(folder)  # a wrong folder is told before the photographs are read
    spectrum = classical.power_spectrum(data.with_symmetries(data.photographs(data.TRAINING_PHOTOGRAPHS)))
    methods = {
        "noisy": lambda noisy, sigma: noisy,
        "wiener": lambda noisy, sigma: classical.wiener_denoise(noisy, spectrum, sigma),
        "bilateral": classical.bilateral,
    }
    return denoising_rows(folder, levels, seed, methods)


def _blind_denoising(folder: Path, seed: int, sigma: list[str], weights: str | None) -> list[Row]:
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


def _mammogram_denoising(folder: Path, seed: int, dose: list[str]) -> list[Row]:
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


def reconstruction_rows(
    folder: Path,
    seed: int,
    methods: dict[str, Reconstruction],
    acceleration: list[float],
    mask: str,
    slices: int | None,
) -> list[Row]:
    """Undersample the k-space of every slice, reconstruct, and compare magnitudes with the target's.

    The mask depends on the seed, the file's place in the alphabet, and R: all slices and methods meet the same.
    Images and volumes have their k-space simulated from the very pixels that the result is compared with, on the
    same grid and without noise: the inverse crime. fastMRI's was measured.
    """
    from course_lib.data.mri_files import centre_crop, mri_files
    from course_lib.display.progress import progress_bar
    from course_lib.metrics import nmse, psnr, ssim
    from course_lib.physics import FourierSampling, line_mask, variable_density_mask
    from course_lib.physics.simulate import CENTRE

    masks = {
        "random_lines": lambda shape, R, generator: line_mask(shape, R, CENTRE / R, generator),
        "variable_density_2d": variable_density_mask,
    }
    if mask not in masks:
        raise expect.InputError(f"expected --mask as {' or '.join(masks)}, got {mask!r}")
    accelerations = {f"R={R:g}": expect.number("--acceleration", R, least=1) for R in acceleration}
    if slices is not None:
        expect.count("--slices", slices)
    unfinished = Counter()

    def measure(path: Path, index: int) -> Measured:
        kspace, target = _scan(path, slices)
        check_images(target, path)
        if (target.amax(dim=(1, 2, 3)) <= 0).any():
            raise expect.InputError(f"expected images with something in them, got {path} with a black one")
        shape = tuple(kspace.shape[-2:])
        samples = {setting: masks[mask](shape, R, file_generator(seed, index)) for setting, R in accelerations.items()}
        with progress_bar(len(samples) * len(kspace), path.name, "slice") as bar:
            for setting, sampled in samples.items():
                A = FourierSampling(sampled)
                for y, x in zip((sampled * kspace).split(1), target.split(1), strict=True):
                    for method, reconstruct in methods.items():
                        estimate, seconds, converged = _timed(reconstruct, A, y, file_generator(seed, index))
                        estimate = centre_crop(estimate.abs(), tuple(x.shape[-2:]))
                        for metric, value in (("psnr", psnr), ("ssim", ssim), ("nmse", nmse)):
                            yield method, setting, metric, float(value(estimate, x))
                        yield method, setting, "seconds", seconds
                        unfinished[method] += not converged
                    bar.update()

    rows = averaged(mri_files(folder), measure)
    for method, count in unfinished.items():
        if count:
            say(f"{method}: {count} reconstructions ended before they had converged")
    return rows


def _zero_filled_and_wavelet() -> dict[str, Reconstruction]:
    from course_lib import classical

    return {
        "zero_filled": lambda A, y, _: classical.zero_filled(A, y),
        # undecimated, which takes images of any size
        "wavelet": lambda A, y, _: (
            classical.wavelet_reconstruction(A, y, WAVELET_WEIGHT, undecimated=True, wavelet="haar", iterations=200).x
        ),
    }


def _compressed_sensing(folder: Path, seed: int, acceleration: list[float], mask: str, slices: int | None) -> list[Row]:
    from course_lib import classical

    methods = {
        **_zero_filled_and_wavelet(),
        "tv": lambda A, y, _: classical.tv_reconstruction(A, y, TV_WEIGHT).x,
        "dictionary": lambda A, y, generator: classical.dictionary_reconstruction(A, y, generator=generator).x,
    }
    return reconstruction_rows(folder, seed, methods, acceleration, mask, slices)


def _data_consistency_cascades(
    folder: Path, seed: int, acceleration: list[float], mask: str, slices: int | None, weights: str | None
) -> list[Row]:
    """The shipped networks, or a cascade of the user's own."""
    import torch

    from course_lib import networks

    def trained(network: torch.nn.Module, name: str) -> Reconstruction:
        networks.load_weights(network, name)

        def reconstruct(A: FourierSampling, y: torch.Tensor, _: torch.Generator) -> torch.Tensor:
            with torch.no_grad():
                return network(y, A.mask.expand(y.shape))

        return reconstruct

    methods = {
        **_zero_filled_and_wavelet(),
        "cnn": trained(networks.PlainCNN(), "cnn"),
        "cascade": trained(networks.DeepCascade(), "cascade" if weights is None else weights),
    }
    return reconstruction_rows(folder, seed, methods, acceleration, mask, slices)


def _unet_segmentation(folder: Path, seed: int, **options: object) -> list[Row]:
    from course_lib.coursework.evaluate_segmentation import segmentation_rows

    return segmentation_rows(folder, seed, **options)


def _line_spectra(folder: Path, seed: int, **options: object) -> list[Row]:
    from course_lib.coursework.evaluate_lines import line_rows

    return line_rows(folder, seed, **options)


def _timed(
    reconstruct: Reconstruction, A: FourierSampling, y: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, float, bool]:
    """A reconstruction, its wall time in seconds, and whether it converged; its warnings are kept from the screen."""
    from course_lib.classical import ConvergenceWarning

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        started = time.perf_counter()
        estimate = reconstruct(A, y, generator)
        seconds = time.perf_counter() - started
    return estimate, seconds, not any(issubclass(warning.category, ConvergenceWarning) for warning in told)


def _scan(path: Path, slices: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """k-space (slices, 1, height, width) of one file, and the magnitudes that its reconstruction should have."""
    from course_lib.data import mri_files
    from course_lib.physics import fourier

    if path.name.lower().endswith(mri_files.FASTMRI_SUFFIXES):
        volume = mri_files.read_fastmri(path, slices)
        if not volume.published:
            say(f"no reconstruction_esc in {path}: its target is the magnitude of the fully sampled reconstruction")
        return volume.kspace, volume.target
    images = mri_files.read_images(path, mri_files.NIFTI_SLICES if slices is None else slices)
    return fourier(images), images


EVALUATIONS = {
    "01_wiener_filtering": Evaluation(_wiener_filtering, {"sigma": ["25/255"]}),
    "02_compressed_sensing": Evaluation(
        _compressed_sensing, {"acceleration": [4.0, 8.0], "mask": "random_lines", "slices": None}
    ),
    "04_blind_denoising": Evaluation(_blind_denoising, {"sigma": ["10/255", "30/255", "50/255"], "weights": None}),
    "05_mammogram_denoising": Evaluation(_mammogram_denoising, {"dose": ["1/16", "1/64"]}),
    "06_unet_segmentation": Evaluation(
        _unet_segmentation, {"foreground": None, "voxel_mm": None, "steps": 300, "weights": None}
    ),
    "09_data_consistency_cascades": Evaluation(
        _data_consistency_cascades,
        {"acceleration": [4.0, 8.0], "mask": "random_lines", "slices": None, "weights": None},
    ),
    "12_line_spectra": Evaluation(_line_spectra, {"method": [], "signals": None, "weights": None}, unit="signals"),
}
