"""Mammograms in the formats that they are published in: DICOM as its tags say, MIAS with its list of findings."""

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from course_lib import data, expect

STORED = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80  # 12 bit


def dicom(photometric="MONOCHROME2", stored=STORED, bits=12, **tags):
    """A small file of a digital mammograph."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.set_pixel_data(stored, photometric, bits)
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def read(folder, dataset):
    path = folder / "m.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return data.read_dicom(path)


def test_stored_values_come_from_the_full_range_to_0_and_1(tmp_path):
    found = read(tmp_path, dicom(ImagerPixelSpacing=[0.07, 0.07]))
    assert found.image.dtype == torch.float32
    np.testing.assert_allclose(found.image[0, 0], STORED / 4095, atol=1e-6)
    assert found.pixel_mm == pytest.approx(0.07)


def test_an_inverted_scale_is_turned_round(tmp_path):
    found = read(tmp_path, dicom("MONOCHROME1"))
    np.testing.assert_allclose(found.image[0, 0], 1 - STORED / 4095, atol=1e-6)
    assert found.pixel_mm is None


def test_rescaling_and_signed_values(tmp_path):
    found = read(tmp_path, dicom(RescaleSlope=2, RescaleIntercept=-100))
    np.testing.assert_allclose(found.image[0, 0], STORED / 4095, atol=1e-6)
    signed = (STORED.astype(np.int16) - 2048).astype(np.int16)
    np.testing.assert_allclose(read(tmp_path, dicom(stored=signed)).image[0, 0], STORED / 4095, atol=1e-6)


def test_a_window_for_display_is_followed(tmp_path):
    found = read(tmp_path, dicom(WindowCenter=2000, WindowWidth=1000)).image[0, 0]
    assert found[STORED <= 1480].max() == 0
    assert found[STORED >= 2520].min() == 1
    assert found[3, 1].item() == pytest.approx((2000 - 1999.5) / 999 + 0.5, abs=1e-3)
    turned = read(tmp_path, dicom("MONOCHROME1", WindowCenter=2000, WindowWidth=1000)).image[0, 0]
    torch.testing.assert_close(turned, 1 - found)


def test_a_table_for_display_is_followed(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 10]
    table.LUTData = (np.arange(4096) // 4).astype(np.uint16).tobytes()
    table["LUTData"].VR = "OW"
    found = read(tmp_path, dicom(VOILUTSequence=[table])).image[0, 0]
    np.testing.assert_allclose(found, (STORED // 4) / 1023, atol=1e-6)


def compress(dataset):
    """As far as the decoder is looked for: what is inside is nothing."""
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.__delitem__("PixelData"), "expected a DICOM file with pixels, got .* without any"),
        (lambda d: setattr(d, "NumberOfFrames", 3), "expected one image a file, got .* with 3"),
        (lambda d: setattr(d, "PhotometricInterpretation", "RGB"), "expected a grey image, got .* with RGB"),
        (lambda d: setattr(d, "ImagerPixelSpacing", [0.1, 0.2]), "expected square pixels, got .* with 0.1 × 0.2 mm"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:-20]), "expected a readable DICOM file, got .*: The number of"),
        (
            compress,
            "expected a decoder for JPEG-LS Lossless Image Compression, which .* needs: install .*pylibjpeg",
        ),
    ],
)
def test_a_dicom_file_that_cannot_be_used(tmp_path, change, said):
    dataset = dicom()
    change(dataset)
    with pytest.raises(expect.InputError, match=said) as error:
        read(tmp_path, dataset)
    assert "\n" not in str(error.value)


def test_what_is_no_dicom(tmp_path):
    (tmp_path / "text.dcm").write_text("nothing of that kind " * 20)
    with pytest.raises(expect.InputError, match="expected a DICOM file, got .*, which is none"):
        data.read_mammogram(tmp_path / "text.dcm")
    with pytest.raises(expect.InputError, match="No such file"):
        data.read_dicom(tmp_path / "none.dcm")
    whole = tmp_path / "whole.dcm"
    dicom().save_as(whole, enforce_file_format=True)
    for length in (0, 60, 140, 200, 300, 400):
        (tmp_path / "cut.dcm").write_bytes(whole.read_bytes()[:length])
        with pytest.raises(expect.InputError):
            data.read_dicom(tmp_path / "cut.dcm")


# --- plain images and MIAS ----------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [255, 4095, 65535])
def test_a_pgm_keeps_all_its_bits(tmp_path, largest):
    stored = np.linspace(0, largest, 48).round().astype(np.uint16).reshape(6, 8)
    body = stored.astype(np.uint8).tobytes() if largest == 255 else stored.astype(">u2").tobytes()
    (tmp_path / "m.pgm").write_bytes(f"P5\n8 6\n{largest}\n".encode() + body)
    found = data.read_mammogram(tmp_path / "m.pgm")
    np.testing.assert_allclose(found.image[0, 0], stored / largest, atol=2e-5)
    assert found.pixel_mm is None


def test_colours_are_taken_as_grey(tmp_path):
    Image.fromarray(np.full((20, 20, 3), 128, dtype=np.uint8)).save(tmp_path / "m.png")
    assert data.read_mammogram(tmp_path / "m.png").image.shape == (1, 1, 20, 20)


INFO = """The MIAS data set: a preamble of words.
F fatty, G glandular, D dense
mdb001 G CIRC B 535 425 197
mdb003 D NORM
mdb005 F CIRC B 477 133 30
mdb005 F CIRC B 500 168 26
mdb216 D CALC M *NOTE 3*
mdb059 F CIRC B
mine D CALC B 10 20.5 3
"""


def test_the_findings_of_mias(tmp_path):
    (tmp_path / "Info.txt").write_text(INFO)
    findings, problems = data.read_mias_info(tmp_path / "Info.txt")
    assert problems == []
    assert findings == {
        "mdb001": [data.Finding("CIRC", (535, 425, 197))],
        "mdb003": [],
        "mdb005": [data.Finding("CIRC", (477, 133, 30)), data.Finding("CIRC", (500, 168, 26))],
        "mdb216": [data.Finding("CALC", None)],
        "mdb059": [data.Finding("CIRC", None)],
        "mine": [data.Finding("CALC", (10, 20.5, 3))],
    }


@pytest.mark.parametrize(
    "line",
    [
        "mdb002", "mdb002 G", "mdb002 G CALC", "mdb002 G CALC B 535", "mdb002 G CALC B 535 425",
        "mdb002 X CALC B 1 2 3", "mdb002 G LUMP B 535 425 197", "mdb002 G CALC Q 1 2 3",
        "mdb002 G CALC B one two three", "mdb002 G CALC B 1 2 0", "mine D CALC",
    ],
)  # fmt: skip
def test_a_line_with_missing_fields_is_named_and_the_others_are_used(tmp_path, line):
    (tmp_path / "Info.txt").write_text(INFO + line + "\n")
    findings, problems = data.read_mias_info(tmp_path / "Info.txt")
    assert len(findings) == 6
    assert problems == [
        f"expected a line such as 'mdb001 G CIRC B 535 425 197', got {line!r} in line 10 of {tmp_path / 'Info.txt'}"
    ]


def test_no_info_at_all(tmp_path):
    (tmp_path / "Info.txt").write_text("nothing here\n")
    with pytest.raises(expect.InputError, match="expected lines such as .* found none"):
        data.read_mias_info(tmp_path / "Info.txt")
    with pytest.raises(expect.InputError, match="expected MIAS's Info.txt, got .*: No such file"):
        data.read_mias_info(tmp_path / "none.txt")
    (tmp_path / "image.txt").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(expect.InputError, match="found none"):
        data.read_mias_info(tmp_path / "image.txt")


def test_a_folder_of_mammograms(tmp_path):
    with pytest.raises(expect.InputError, match="where none was found"):
        data.mammogram_files(tmp_path)
    with pytest.raises(expect.InputError, match="No such file"):
        data.mammogram_files(tmp_path / "none")
    for name in ("b.dcm", "a.PGM", "Info.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in data.mammogram_files(tmp_path)] == ["a.PGM", "b.dcm"]


def test_the_breast_is_told_from_air_and_from_a_label():
    for index in range(4):
        m = data.mammogram("validation", index)
        image = m.image.clone()
        image[0, 0, 5:25, 330:370] = 1.0  # the letters of the view
        found = data.breast_region(image)
        assert (found == m.breast).float().mean() > 0.97
        assert not found[5:25, 330:370].any()
    with pytest.raises(expect.InputError, match="expected a mammogram, got an image that is the same everywhere"):
        data.breast_region(torch.zeros(1, 1, 50, 50))
