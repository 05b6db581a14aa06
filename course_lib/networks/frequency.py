"""Networks that show where the lines of a spectrum are, and how many (decks 000; PSnet 2019, DeepFreq 2019).

A frequency-representation module turns a signal into a curve over frequency with a bump at each line; a
frequency-counting module looks at the curve and says how many bumps are lines. The highest peaks are the estimates.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int
from torch import nn

from course_lib import expect
from course_lib.classical import refine_lines, spectrum_peaks
from course_lib.networks.weights import load_weights

Signals = Complex[torch.Tensor, "batch samples"]
SAMPLES = 50


class FreeTransform(nn.Linear):
    """The published first layer: any linear map from the samples to the channels at all positions.

    Args:
        samples: N.
        channels: at each position.
        positions: on the circle.
    """

    def __init__(self, samples: int, channels: int, positions: int) -> None:
        super().__init__(2 * samples, channels * positions, bias=False)
        self.channels = channels

    def forward(self, signals: Signals) -> Float[torch.Tensor, "batch channels positions"]:
        return super().forward(torch.cat([signals.real, signals.imag], dim=1)).unflatten(1, (self.channels, -1))

    def filters(self) -> Complex[torch.Tensor, "channels positions samples"]:
        """The map as filters h: each value of the output is Re Σ_n h̄_n s_n."""
        real, imaginary = self.weight.detach().unflatten(0, (self.channels, -1)).chunk(2, dim=-1)
        return torch.complex(real, imaginary)


class WindowedFourier(nn.Module):
    """Learned windows, each followed by a Fourier transform; channels are its real and imaginary parts.

    Where all lines move by the same step, the signal is multiplied by an exponential, and the output turns around the
    circle of frequencies: what is learned at one frequency is known at all. A free map has to learn this from data.

    Args:
        samples: N.
        channels: at each position, an even number: two for each window.
        positions: on the circle; position p is the frequency −1/2 + p/positions.
    """

    def __init__(self, samples: int, channels: int, positions: int) -> None:
        super().__init__()
        self.positions = positions
        self.windows = nn.Parameter(torch.randn(channels // 2, samples, 2) / (3 * samples**0.5))

    def forward(self, signals: Signals) -> Float[torch.Tensor, "batch channels positions"]:
        start = torch.arange(signals.shape[1], device=signals.device) % 2  # e^{πin}, for the first frequency is −1/2
        windowed = (signals * (1 - 2 * start))[:, None] * torch.view_as_complex(self.windows)
        spectra = torch.fft.fft(windowed, n=self.positions)
        return torch.cat([spectra.real, spectra.imag], dim=1)


TRANSFORMS = {"windowed": WindowedFourier, "free": FreeTransform}


class FrequencyRepresentation(nn.Module):
    """The frequency-representation module of DeepFreq (Izacard, Mohan and Fernandez-Granda 2019).

    A linear transform takes the signal to some positions on the circle of frequencies, with several channels each;
    circular convolutions compare neighbours; a transposed convolution draws the curve on a finer grid.

    Args:
        samples: N, the length of all signals.
        channels: at each position.
        layers: convolutions over 3 positions, each with batch normalisation and a ReLU.
        positions: on the circle.
        upsampling: grid points for each position, even; there are positions × upsampling.
        transform: "free", as published, or "windowed", which knows that all frequencies are alike.
    """

    def __init__(
        self,
        samples: int = SAMPLES,
        channels: int = 32,
        layers: int = 20,
        positions: int = 125,
        upsampling: int = 8,
        transform: str = "windowed",
    ) -> None:
        super().__init__()
        if transform not in TRANSFORMS:
            raise expect.InputError(f"expected the transform among {', '.join(TRANSFORMS)}, got {transform!r}")
        self.samples, self.upsampling = samples, upsampling
        self.transform = TRANSFORMS[transform](samples, channels, positions)
        self.body = nn.Sequential(*(circular_convolution(channels, channels) for _ in range(layers)))
        self.draw = nn.ConvTranspose1d(channels, 1, 3 * upsampling, stride=upsampling, bias=False)

    def forward(self, signals: Signals) -> Float[torch.Tensor, "batch points"]:
        """The curve on the grid −1/2 + k/points. Signals may have any scale."""
        x = self.body(self.transform(at_unit_power(signals, self.samples)))
        curve = self.draw(nn.functional.pad(x, (1, 2), mode="circular"))[:, 0]
        before = 5 * self.upsampling // 2  # so that each position draws to its left as far as to its right
        return curve[:, before : before + x.shape[2] * self.upsampling]


class PSnet(nn.Module):
    """The earlier network (Izacard, Bernstein and Fernandez-Granda 2019): a linear map to one channel, few filters.

    The last layer connects everything with everything, so it has to learn each frequency by itself.

    Args:
        samples: N, the length of all signals.
        inner: values after the first linear map.
        channels: of the convolutions.
        layers: convolutions over 3 values.
        points: of the grid.
    """

    def __init__(
        self, samples: int = SAMPLES, inner: int = 100, channels: int = 8, layers: int = 3, points: int = 1000
    ) -> None:
        super().__init__()
        self.samples = samples
        self.transform = FreeTransform(samples, 1, inner)
        widths = [1] + [channels] * layers
        self.body = nn.Sequential(*map(circular_convolution, widths, widths[1:]))
        self.draw = nn.Linear(channels * inner, points)

    def forward(self, signals: Signals) -> Float[torch.Tensor, "batch points"]:
        """As in `FrequencyRepresentation`."""
        return self.draw(self.body(self.transform(at_unit_power(signals, self.samples))).flatten(1))


class FrequencyCounting(nn.Module):
    """The frequency-counting module: from a curve over frequency to the number of lines, as a real number.

    Args:
        channels: of the convolutions.
        layers: convolutions over 3 positions.
        downsampling: points of the curve for each position.
        points: of the curve.
    """

    def __init__(self, channels: int = 32, layers: int = 20, downsampling: int = 5, points: int = 1000) -> None:
        super().__init__()
        self.enter = nn.Conv1d(
            1, channels, 5 * downsampling, stride=downsampling, padding=2 * downsampling, padding_mode="circular"
        )
        self.body = nn.Sequential(*(circular_convolution(channels, channels) for _ in range(layers)))
        self.leave = nn.Conv1d(channels, 1, 1)
        self.total = nn.Linear(points // downsampling, 1)

    def forward(self, curves: Float[torch.Tensor, "batch points"]) -> Float[torch.Tensor, " batch"]:
        return self.total(self.leave(self.body(self.enter(curves[:, None])))[:, 0])[:, 0]


class DeepFreq(nn.Module):
    """Both modules: a curve with a bump at each line, and how many there are.

    Args:
        representation: `FrequencyRepresentation` or `PSnet`.
        counting: trained on the curves of this representation.
    """

    def __init__(self, representation: nn.Module, counting: nn.Module) -> None:
        super().__init__()
        self.representation, self.counting = representation, counting
        self.eval()

    def counts(self, curves: Float[torch.Tensor, "batch points"]) -> Int[torch.Tensor, " batch"]:
        """The number of lines, at least 1."""
        with torch.no_grad():
            return self.counting(curves).round().long().clamp(min=1)

    def frequencies(
        self,
        signals: Signals,
        counts: int | Int[torch.Tensor, " batch"] | None = None,
        *,
        refine: bool = False,
    ) -> Float[torch.Tensor, "batch lines"]:
        """The places of the highest peaks, in [−1/2, 1/2) cycles per sample, ascending, NaN where there are fewer.

        Args:
            signals: of the length that the network was trained for, in any scale.
            counts: how many lines; None: the network's own count.
            refine: go on from there to the nearest least-squares fit, `refine_lines`.

        Raises:
            InputError: real signals, another length, NaN, or a signal of zeros.
        """
        with torch.no_grad():
            curves = self.representation(signals)
        found = spectrum_peaks(curves, self.counts(curves) if counts is None else counts)
        return refine_lines(signals, found) if refine else found


def deepfreq(representation: str = "frequency_representation", counting: str = "frequency_counting") -> DeepFreq:
    """DeepFreq with the weights that come with the course; arguments are names or paths of other weights of it."""
    return DeepFreq(
        load_weights(FrequencyRepresentation(), representation), load_weights(FrequencyCounting(), counting)
    )


def circular_convolution(inputs: int, outputs: int) -> nn.Sequential:
    """A convolution over 3 positions of a circle, batch normalisation and a ReLU."""
    convolution = nn.Conv1d(inputs, outputs, 3, padding=1, padding_mode="circular", bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU())


def at_unit_power(signals: Signals, samples: int) -> Signals:
    """Signals scaled to mean power 1, in single precision.

    Raises:
        InputError: no finite complex signals of this length, or a signal of zeros.
    """
    expect.signals("signals", signals)
    if signals.shape[1] != samples:
        raise expect.InputError(
            f"expected signals of {samples} samples, for which this network was trained, got {signals.shape[1]}"
        )
    power = torch.view_as_real(signals).square().sum(dim=2).mean(dim=1, keepdim=True)
    if (power == 0).any():
        raise expect.InputError(f"expected signals with some energy, got {int((power == 0).sum())} of zeros")
    return (signals / power.sqrt()).to(torch.complex64)
