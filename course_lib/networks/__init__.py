"""Estimators with learned weights."""

from course_lib.networks.cascade import DeepCascade, PlainCNN, ResidualCNN
from course_lib.networks.complex_channels import channels_to_complex, complex_to_channels
from course_lib.networks.data_consistency import (
    CoilDataConsistency,
    DataConsistency,
    data_consistency,
    data_consistency_adjoint,
    data_consistency_weight_derivative,
)
from course_lib.networks.denoisers import (
    DenseDenoiser,
    DnCNN,
    RecurrentCNN,
    UNetDenoiser,
    denoise,
)
from course_lib.networks.dilated import DilatedCNN
from course_lib.networks.fcn import FCN
from course_lib.networks.frequency import (
    DeepFreq,
    FrequencyCounting,
    FrequencyRepresentation,
    PSnet,
    deepfreq,
)
from course_lib.networks.inflated import InflatedUNet
from course_lib.networks.local_linear import (
    adaptive_filter,
    effective_dimension,
    jacobian,
    local_affine_map,
    nestedness,
)
from course_lib.networks.normalisation import BiasFreeBatchNorm2d
from course_lib.networks.segmentation import segment
from course_lib.networks.sliding_window import WindowClassifier
from course_lib.networks.unet import UNet, UNetReconstruction
from course_lib.networks.vnet import VNet
from course_lib.networks.weights import load_weights, read_manifest

__all__ = [
    "BiasFreeBatchNorm2d", "CoilDataConsistency", "DataConsistency", "DeepCascade", "DeepFreq", "DenseDenoiser",
    "DilatedCNN", "DnCNN", "FCN", "FrequencyCounting", "FrequencyRepresentation", "InflatedUNet", "PSnet",
    "PlainCNN", "RecurrentCNN", "ResidualCNN", "UNet", "UNetDenoiser", "UNetReconstruction", "VNet",
    "WindowClassifier", "adaptive_filter", "channels_to_complex", "complex_to_channels", "data_consistency",
    "data_consistency_adjoint", "data_consistency_weight_derivative", "deepfreq", "denoise", "effective_dimension",
    "jacobian", "load_weights", "local_affine_map", "nestedness", "read_manifest", "segment",
]  # fmt: skip
