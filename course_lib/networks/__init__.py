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
from course_lib.networks.unet import UNet, UNetReconstruction
from course_lib.networks.weights import load_weights, read_manifest

__all__ = [
    "CoilDataConsistency", "DataConsistency", "DeepCascade", "PlainCNN", "ResidualCNN", "UNet", "UNetReconstruction",
    "channels_to_complex", "complex_to_channels", "data_consistency", "data_consistency_adjoint",
    "data_consistency_weight_derivative", "load_weights", "read_manifest",
]  # fmt: skip
