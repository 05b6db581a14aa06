"""Images with their segmentations: which files belong together, how each kind is read, and what is wrong with some."""

import re
import struct

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from course_lib import data, expect

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(1, 255, (5, 20, 24)).astype(np.uint8)
MASK = np.zeros((5, 20, 24), bool)
MASK[:, 4:12, 5:20] = True
LABEL = MASK[0].astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "my data"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    return folder


def write(path, array, **options):
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, **options)
    else:
        Image.fromarray(array, **options).save(path)


def pair(folder, name="a.png", image=GREY[0], label=LABEL, label_name=None):
    write(folder / "images" / name, image)
    write(folder / "labels" / (label_name or name), label)


def only(folder, foreground=None):
    """The one image of a folder in which nothing is wrong."""
    images, problems = data.segmented_images(folder, foreground)
    assert problems == []
    (image,) = images
    return image


def problem(folder, foreground=None):
    """The one problem beside a good pair, which is used."""
    pair(folder, "zz good.png")
    images, problems = data.segmented_images(folder, foreground)
    assert [image.name for image in images] == [str(folder / "images" / "zz good.png")]
    (line,) = problems
    assert "\n" not in line
    return line


# --- which files belong together ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.png", "a.png"), ("a.png", "a.tif"), ("a_0000.png", "a.png"), ("a_image.png", "a_mask.png"),
        ("a-volume.tif", "a-labels.tif"), ("a.png", "a_seg.png"), ("a_Image.PNG", "a_label.png"),
    ],
)  # fmt: skip
def test_names_that_belong_together(folder, image, label):
    pair(folder, "b.png")
    pair(folder, image, label_name=label)
    images, problems = data.segmented_images(folder)
    assert problems == []
    assert [found.name for found in images] == [str(folder / "images" / name) for name in (image, "b.png")]


def test_two_files_alone_belong_together(folder):
    pair(folder, "train.png", label_name="truth.png")
    assert only(folder).name.endswith("train.png")


def test_a_number_at_the_end_is_no_ending_where_names_agree(folder):
    for number in range(3):
        pair(folder, f"frame_000{number}.png", image=GREY[number])
    images, problems = data.segmented_images(folder)
    assert problems == []
    np.testing.assert_allclose([image.image[0, 0] for image in images], GREY[:3] / 255, atol=1e-6)


def test_files_without_partner_are_named(folder):
    for name in ("a", "b", "c"):
        pair(folder, f"{name}.png")
    (folder / "images" / "b.png").unlink()
    (folder / "labels" / "c.png").unlink()
    pair(folder, "d.png", label_name="d_mask.png")
    write(folder / "labels" / "d_seg.png", GREY[0])
    (folder / "images" / "notes.txt").write_text("not looked at")
    (folder / "images" / "._a.png").write_bytes(b"what macOS leaves")
    images, problems = data.segmented_images(folder)
    assert [image.name for image in images] == [str(folder / "images" / "a.png")]
    assert problems == [
        f"expected the label of the image {folder}/images/c.png, found none of that name",
        f"expected one label to one image, got several of the name of {folder}/images/d.png",
        f"expected the image of the label {folder}/labels/b.png, found none of that name",
        f"expected one image to one label, got several of the name of {folder}/labels/d_mask.png",
        f"expected one image to one label, got several of the name of {folder}/labels/d_seg.png",
    ]


def test_folders_that_cannot_be_used(tmp_path, folder):
    with pytest.raises(
        expect.InputError, match="expected a folder images with images or volumes in .*none, found none"
    ):
        data.segmented_images(tmp_path / "none")
    with pytest.raises(expect.InputError, match="expected a folder images .*, got one without any"):
        data.segmented_images(folder)
    pair(folder)
    (folder / "labels" / "a.png").unlink()
    (folder / "labels").rmdir()
    with pytest.raises(expect.InputError, match="expected a folder labels .*, found none"):
        data.segmented_images(folder)
    (folder / "labels").write_text("a file")
    with pytest.raises(expect.InputError, match="expected a folder labels .*, got: Not a directory"):
        data.segmented_images(folder)


def test_the_first_problem_is_told_where_nothing_is_left(folder):
    pair(folder, label=MASK[0][:5].astype(np.uint8))
    said = "expected at least one usable image with its label in .*, got none: expected image and label of one size"
    with pytest.raises(expect.InputError, match=said):
        data.segmented_images(folder)


# --- images and labels --------------------------------------------------------------------------------


def test_an_image_and_its_mask(folder):
    pair(folder)
    found = only(folder)
    assert found.image.dtype == torch.float32
    assert found.image.shape == found.mask.shape == (1, 1, 20, 24)
    np.testing.assert_allclose(found.image[0, 0], GREY[0] / 255, atol=1e-6)
    assert torch.equal(found.mask[0, 0], torch.from_numpy(MASK[0]))
    assert found.spacing_mm is None


def test_colours_become_luminance(folder):
    colours = np.stack(list(GREY[:3]), axis=-1)
    luma = colours @ [0.299, 0.587, 0.114] / 255
    pair(folder, image=colours)
    np.testing.assert_allclose(only(folder).image[0, 0], luma, atol=1e-5)
    (folder / "images" / "a.png").unlink()
    write(folder / "images" / "a.tif", np.stack([colours] * 3), photometric="rgb")
    write(folder / "labels" / "a.tif", MASK[:3], photometric="minisblack")
    (folder / "labels" / "a.png").unlink()
    images, problems = data.segmented_images(folder)
    assert problems == []
    np.testing.assert_allclose(images[2].image[0, 0], luma, atol=1e-5)


def palette_png(path, label, bits=8):
    picture = Image.fromarray(label, mode=None).convert("P") if bits == 1 else Image.fromarray(label)
    picture.putpalette([200, 100, 0] * 256)
    picture.save(path)


@pytest.mark.parametrize("value", [1, 255, 65535, 40000])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_any_one_value_is_the_foreground(folder, name, value):
    label = (MASK[0] * value).astype(np.uint8 if value < 256 else np.uint16)
    pair(folder, label=label, label_name=name)
    assert torch.equal(only(folder).mask[0, 0], torch.from_numpy(MASK[0]))
    assert torch.equal(only(folder, value).mask[0, 0], torch.from_numpy(MASK[0]))
    assert torch.equal(only(folder, 0).mask[0, 0], torch.from_numpy(~MASK[0]))  # as in ISBI 2012


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int16, np.int32, np.int64, np.uint32, np.float32, np.float64])
def test_labels_of_every_type(folder, dtype):
    pair(folder, label=MASK[0].astype(dtype), label_name="a.tif")
    assert torch.equal(only(folder).mask[0, 0], torch.from_numpy(MASK[0]))


def test_labels_are_never_scaled(folder):
    """Palettes, few bits, grey as colours: the numbers are those in the file."""
    write(folder / "images" / "a.png", GREY[0])
    label = (MASK[0] * 2 + MASK[0].T.copy().T * 0).astype(np.uint8)
    label[0, 0] = 1
    place = folder / "labels" / "a.png"

    def check(kept=label):
        for value in (0, 1, 2):
            np.testing.assert_array_equal(only(folder, value).mask[0, 0], kept == value)

    palette_png(place, label)
    check()
    for bits in (2, 4):
        Image.fromarray(label).save(place, bits=bits)
        picture = Image.fromarray(label)
        picture.putpalette([7, 8, 9] * 3)
        picture.save(place, bits=bits)
        check()
    write(place, np.stack([label] * 3, axis=-1))
    check()
    write(place, np.stack([label, GREY[0]], axis=-1))  # grey with transparency
    check()
    place.unlink()
    for largest in (2, 255, 1000, 65535):
        body = label.tobytes() if largest < 256 else label.astype(">u2").tobytes()
        (folder / "labels" / "a.pgm").write_bytes(f"P5\n24 20\n{largest}\n".encode() + body)
        check()
    (folder / "labels" / "a.pgm").unlink()
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        Image.fromarray(label).save(folder / "labels" / "a.tif", compression=compression)
        check()
    for options in ({"photometric": "miniswhite"}, {"photometric": "palette", "colormap": np.zeros((3, 256), "u2")}):
        tifffile.imwrite(folder / "labels" / "a.tif", label, **options)
        check()


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_pngs_of_few_bits(folder, bits):
    """Pillow reads them stretched to 8 bits, and does not write them: this file is made by hand."""
    import zlib

    label = MASK[0].astype(np.uint8)
    label[0, 0] = 3
    packed = np.packbits(np.unpackbits(label[..., None], axis=-1)[..., -bits:].reshape(20, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 24, 20, bits, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    write(folder / "images" / "a.png", GREY[0])
    (folder / "labels" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    for value in (1, 3):
        np.testing.assert_array_equal(only(folder, value).mask[0, 0], label == value)


MANY = (MASK[0] * np.arange(24)).astype(np.uint8)
WRONG = {
    "size": (GREY[0], LABEL[:, :20], "expected image and label of one size, got 20×24 in .*a.tif and 20×20 in .*a.tif"),
    "pages": (GREY, MASK[:2], "expected as many pages in the label as in the image, got 5 in .*a.tif and 2 in .*a.tif"),
    "values": (GREY[0], MANY, "labels of 0 and one other value, got 0, 5, 6, 7, 8, 9, 10, 11, … in .*: --foreground"),
    "no zero": (GREY[0], LABEL + 1, "expected labels of 0 and one other value, got 1, 2 in .*: --foreground chooses"),
    "empty": (GREY[0], 0 * LABEL, "expected foreground and background, got .*, where every label is 0: it is empty"),
    "full": (GREY[0], 0 * LABEL + 7, "got .*a.tif, where every label is 7: it is all foreground"),
    "half": (GREY[0], LABEL / 2, "expected whole numbers as labels, got 0.5 in .*a.tif"),
    "fractions": (GREY[0], MANY / 30, "expected whole numbers as labels, got 0.166667, 0.2, .*, … in .*a.tif"),
    "label NaN": (GREY[0], np.where(MASK[0], np.nan, 0), "expected whole numbers as labels, got nan in .*a.tif"),
    "colours": (GREY[0], np.stack(list(GREY[:3]), -1), "expected one number a pixel, got .*a.tif of shape"),
    "beyond": (GREY[0] / 100, LABEL, "expected floating-point values from 0 to 1, got .*a.tif with 0.01 to 2.54"),
    "NaN": (np.where(MASK[0], np.nan, 0.5), LABEL, "expected values without NaN or infinity, got .*a.tif with some"),
    "page beyond": (GREY / 99, MASK, "expected floating-point values from 0 to 1, got .*a.tif, page 1 with"),
    "32 bit": (GREY[0].astype(np.int32), LABEL, "expected 8 or 16 bit, got .*a.tif with int32"),
}  # fmt: skip


@pytest.mark.parametrize(("image", "label", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_in_one_line_and_the_others_are_used(folder, image, label, said):
    pair(folder, "a.tif", image=image, label=label)
    assert re.search(said, problem(folder))


def test_a_foreground_that_is_not_there(folder):
    pair(folder, "a.png", label=LABEL * 2)
    images, problems = data.segmented_images(folder, 2)
    assert len(images) == 1
    assert problems == []
    pair(folder, "b.png", label=LABEL * 3)
    images, problems = data.segmented_images(folder, 2)
    assert len(images) == 1
    assert problems == [f"expected foreground with the label 2, got {folder}/labels/b.png, whose labels are 0, 3"]
    pair(folder, "b.png", label=LABEL * 0 + 2)
    assert "where every label is 2: it is all foreground" in data.segmented_images(folder, 2)[1][0]
    pair(folder, "b.png", label=LABEL * 0)
    assert "where every label is 0: it is empty" in data.segmented_images(folder, 2)[1][0]
    with pytest.raises(expect.InputError, match="expected the foreground's label as a whole number from 0, got -1"):
        data.segmented_images(folder, -1)


def test_another_foreground_in_each_file_is_told(folder):
    pair(folder, "a.png", label=LABEL)
    pair(folder, "b.png", label=LABEL * 2)
    images, problems = data.segmented_images(folder)
    assert len(images) == 2
    (line,) = problems
    assert line.startswith("expected one value for the foreground, got 1 in")
    assert line.endswith("labels/b.png: --foreground chooses one for all files")


@pytest.mark.parametrize("which", ["images", "labels"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".nii", ".nii.gz"])
def test_files_that_are_cut_off_or_of_another_kind(folder, which, suffix, capfd):
    if "nii" in suffix:
        nifti(folder, f"a{suffix}")
    else:
        pair(folder, f"a{suffix}")
    path = folder / which / f"a{suffix}"
    whole = path.read_bytes()
    contents = [whole[: int(share * len(whole))] for share in (0, 0.02, 0.2, 0.5, 0.7)]
    for content in (*contents, b"words " * 100, bytes(range(256)) * 8):
        path.write_bytes(content)
        line = problem(folder)
        assert line.startswith("expected ")
        assert str(path) in line
        assert "Traceback" not in line
    assert capfd.readouterr() == ("", "")


def test_what_libtiff_prints_is_kept_from_the_screen(folder, capfd):
    pair(folder)
    (folder / "labels" / "a.png").unlink()
    path = folder / "labels" / "a.tif"
    Image.fromarray(LABEL).save(path, compression="tiff_lzw")
    whole = bytearray(path.read_bytes())
    strip = tifffile.TiffFile(path).pages[0].dataoffsets[0]
    whole[strip : strip + 20] = bytes(20)
    path.write_bytes(whole)
    assert "expected a readable label, got" in problem(folder)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_header_takes_no_memory(folder):
    pair(folder)
    (folder / "labels" / "a.png").unlink()
    path = folder / "labels" / "a.tif"
    tifffile.imwrite(path, LABEL, compression="zlib")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for code in (256, 257):
            struct.pack_into("<I", content, file.pages[0].tags[code].valueoffset, 60_000)
    path.write_bytes(content)
    assert problem(folder) == f"expected a readable file, got {path}: it is truncated or damaged"


# --- stacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}, {"bigtiff": True}, {"one": True}])
def test_a_stack_has_a_page_for_each_image(folder, options):
    """In the form of ISBI 2012: one file of pages in each folder."""
    if options.pop("one", False):  # one page with the shape of all in its description
        options = {"metadata": {"axes": "ZYX"}, "contiguous": True, "truncate": True}
    tifffile.imwrite(folder / "images" / "train-volume.tif", GREY, **options)
    tifffile.imwrite(folder / "labels" / "train-labels.tif", np.where(MASK, 0, 255).astype(np.uint8), **options)
    images, problems = data.segmented_images(folder, foreground=0)
    assert problems == []
    path = folder / "images" / "train-volume.tif"
    assert [image.name for image in images] == [f"{path}, page {page}" for page in (1, 2, 3, 4, 5)]
    for page, image in enumerate(images):
        np.testing.assert_allclose(image.image[0, 0], GREY[page] / 255, atol=1e-6)
        assert torch.equal(image.mask[0, 0], torch.from_numpy(MASK[page]))
    assert torch.equal(data.segmented_images(folder)[0][0].mask, ~images[0].mask)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", None])
@pytest.mark.parametrize("mode", ["L", "1", "I;16", "RGB"])
def test_stacks_that_pillow_has_written(folder, compression, mode):
    grey = [Image.fromarray(page) for page in GREY]
    if mode == "1":
        grey = [picture.point(lambda value: 255 * (value > 128)).convert("1") for picture in grey]
    elif mode == "RGB":
        grey = [picture.convert("RGB") for picture in grey]
    elif mode == "I;16":
        grey = [Image.fromarray(page.astype(np.uint16) * 257) for page in GREY]
    label = [Image.fromarray(page.astype(np.uint8)) for page in MASK]
    for name, pages in (("images", grey), ("labels", label)):
        pages[0].save(folder / name / "a.tif", save_all=True, append_images=pages[1:], compression=compression)
    images, problems = data.segmented_images(folder)
    assert problems == []
    wanted = (GREY > 128) if mode == "1" else GREY / 255
    np.testing.assert_allclose([image.image[0, 0] for image in images], wanted, atol=1e-5)
    np.testing.assert_array_equal([image.mask[0, 0] for image in images], MASK)


def test_white_may_be_zero_and_the_image_lie_on_its_side(folder):
    with tifffile.TiffWriter(folder / "images" / "a.tif") as file:
        for page in GREY:
            turned = np.ascontiguousarray(page.T)  # orientation 5: rows and columns exchanged
            file.write(255 - turned, photometric="miniswhite", extratags=[(274, 3, 1, 5, True)])
    with tifffile.TiffWriter(folder / "labels" / "a.tif") as file:
        for page in MASK:
            turned = np.ascontiguousarray(page.T).astype(np.uint8)
            file.write(turned, extratags=[(274, 3, 1, 5, True)])
    images, problems = data.segmented_images(folder)
    assert problems == []
    np.testing.assert_allclose([image.image[0, 0] for image in images], GREY / 255, atol=1e-6)
    np.testing.assert_array_equal([image.mask[0, 0] for image in images], MASK)


def test_a_stack_that_has_one_page_is_used_and_told(folder):
    pair(folder, "train-volume.tif", label_name="train-labels.tif")
    images, problems = data.segmented_images(folder)
    path = folder / "images" / "train-volume.tif"
    assert [image.name for image in images] == [str(path)]
    assert problems == [f"expected a stack of pages, got {path} with one page: it is used as one image"]
    pair(folder, "another.tif", image=GREY, label=MASK)
    images, problems = data.segmented_images(folder)
    assert len(images) == 6
    assert len(problems) == 1


def test_pages_that_cannot_be_used_are_named_alone(folder):
    label = MASK.copy()
    label[1], label[2] = False, True
    pair(folder, "a.tif", image=GREY, label=label)
    images, problems = data.segmented_images(folder)
    assert [image.name for image in images] == [f"{folder}/images/a.tif, page {page}" for page in (1, 4, 5)]
    assert problems == [
        f"expected foreground and background, got {folder}/labels/a.tif, page 2: it is empty: all background",
        f"expected foreground and background, got {folder}/labels/a.tif, page 3: it is all foreground",
    ]


def test_pages_of_different_sizes(folder):
    with tifffile.TiffWriter(folder / "images" / "a.tif") as file:
        file.write(GREY[0])
        file.write(GREY[1, :10])
    write(folder / "labels" / "a.tif", MASK[:2])
    assert "expected pages of one size, got" in problem(folder)
    assert "a.tif with 20×24 and 10×24" in data.segmented_images(folder)[1][0]


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.99])
@pytest.mark.parametrize("writer", ["tifffile", "imagej", "zlib", "pillow"])
def test_a_stack_that_is_cut_off_is_not_used_in_part(folder, writer, share, capfd):
    """Its first pages can be read, and are as many as those of a label cut off at the same place."""
    for name, array in (("images", GREY), ("labels", MASK.astype(np.uint8))):
        path = folder / name / "a.tif"
        if writer == "pillow":
            pages = [Image.fromarray(page) for page in array]
            pages[0].save(path, save_all=True, append_images=pages[1:])
        else:
            options = {"imagej": {"imagej": True}, "zlib": {"compression": "zlib"}}.get(writer, {})
            tifffile.imwrite(path, array, **options)
        if not (writer in ("tifffile", "imagej") and share == 0.99):  # what follows the pages is not needed
            path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        else:
            path.write_bytes(path.read_bytes()[:-200])
    if not (writer in ("tifffile", "imagej") and share == 0.99):
        assert "expected a readable" in problem(folder)
    assert capfd.readouterr() == ("", "")


# --- the size of a pixel ------------------------------------------------------------------------------

SIZES = {
    "per inch": ({"resolution": (508, 254), "resolutionunit": "inch"}, (0.1, 0.05)),
    "per centimetre": ({"resolution": (2500000, 2500000), "resolutionunit": "centimeter"}, (4e-6, 4e-6)),
    "of a screen": ({"resolution": (72, 72), "resolutionunit": "inch"}, None),
    "of a screen in cm": ({"resolution": (37.795, 37.795), "resolutionunit": "centimeter"}, None),
    "of a printer": ({"resolution": (300, 300), "resolutionunit": "inch"}, None),
    "one": ({"resolution": (1, 1), "resolutionunit": "inch"}, None),
    "without a unit": ({"resolution": (508, 254), "resolutionunit": "none"}, None),
    "none": ({}, None),
    "zero": ({"resolution": ((0, 1), (0, 1)), "resolutionunit": "inch"}, None),
    "of ImageJ": ({"imagej": True, "resolution": (250, 125), "metadata": {"unit": "um"}}, (8e-6, 4e-6)),
    "of ImageJ in its way": ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "micron"}}, (25e-5, 25e-5)),
    "of ImageJ in pixels": ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "pixel"}}, None),
}


@pytest.mark.parametrize("stack", [False, True])
@pytest.mark.parametrize(("options", "sides"), SIZES.values(), ids=SIZES)
def test_the_size_of_a_pixel(folder, options, sides, stack):
    which = slice(None) if stack else 0
    tifffile.imwrite(folder / "images" / "a.tif", GREY[which], **options)
    tifffile.imwrite(folder / "labels" / "a.tif", MASK[which].astype(np.uint8))
    for image in data.segmented_images(folder)[0]:
        assert image.spacing_mm == (None if sides is None else pytest.approx(sides, rel=1e-5))


# --- volumes ------------------------------------------------------------------------------------------

SIDES = (0.5, 0.75, 2.0)  # mm: right, anterior, superior


def nifti(folder, name="a.nii.gz", label_name=None, affine=None, label_affine=None, image=None, label=None, unit="mm"):
    """A volume of 12 × 10 × 6 voxels, its values rising to the right, to the front and upwards."""
    x, y, z = np.meshgrid(*map(np.arange, (12, 10, 6)), indexing="ij")
    image = (x + 20 * y + 300 * z).astype(np.float32) if image is None else image
    label = ((x > 5) & (z > 2)).astype(np.uint8) * 3 if label is None else label
    affine = np.diag([*SIDES, 1.0]) if affine is None else affine
    for which, values, place in (("images", image, affine), ("labels", label, label_affine)):
        volume = nibabel.Nifti1Image(values, affine if place is None else place)
        volume.header.set_xyzt_units(unit)
        path = folder / which / (label_name if label_name and which == "labels" else name)
        nibabel.save(volume, path)
    return folder / "images" / name


def test_a_volume_is_its_axial_slices(folder):
    nifti(folder, "case_0000.nii.gz", "case.nii.gz")
    found = only(folder)
    assert found.image.shape == (6, 1, 10, 12)
    assert found.spacing_mm == pytest.approx((2.0, 0.75, 0.5))
    assert found.image.min() == 0
    assert found.image.max() == 1
    image = found.image[:, 0]
    assert (image.diff(dim=0) >= 0).all()  # upwards
    assert (image.diff(dim=1) <= 0).all()  # from front to back
    assert (image.diff(dim=2) >= 0).all()  # the person's left on the left
    z, _, x = torch.meshgrid(torch.arange(6), torch.arange(10), torch.arange(12), indexing="ij")
    assert torch.equal(found.mask[:, 0], (x > 5) & (z > 2))
    scale = np.percentile(nibabel.load(folder / "images" / "case_0000.nii.gz").get_fdata(), 99.9)
    assert image[3, 4, 5].item() == pytest.approx((5 + 20 * 5 + 300 * 3) / scale, rel=1e-5)


@pytest.mark.parametrize("codes", ["LPS", "AIR", "PSL"])
def test_volumes_are_turned_with_their_sides(folder, codes):
    """The label may be stored along other axes than the image: what counts is where voxels are."""
    nifti(folder)
    wanted = only(folder)
    path = folder / "images" / "a.nii.gz"
    turned = nibabel.load(path).as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(codes)
        )
    )
    nibabel.save(nibabel.Nifti1Image(np.asarray(turned.dataobj), turned.affine, turned.header), path)
    found = only(folder)
    torch.testing.assert_close(found.image, wanted.image)
    assert torch.equal(found.mask, wanted.mask)
    assert found.spacing_mm == pytest.approx(wanted.spacing_mm)


def test_units_of_a_volume(folder):
    for unit, factor in (("mm", 1), ("micron", 1e-3), ("meter", 1e3)):
        nifti(folder, unit=unit)
        assert only(folder).spacing_mm == pytest.approx((2.0 * factor, 0.75 * factor, 0.5 * factor))


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize("change", ["zero", "nan", "unknown unit", "no such unit", "flat"])
def test_a_volume_whose_voxels_have_no_size(folder, change, form, capfd, caplog):
    path = nifti(folder, "a.nii", "a.nii.gz")
    content = bytearray(path.read_bytes())
    struct.pack_into("<hh", content, 252, form, form)  # qform and sform: whether the header has a matrix
    if change in ("zero", "nan"):
        struct.pack_into("<f", content, 80, 0.0 if change == "zero" else np.nan)
    elif change == "flat":
        struct.pack_into("<hh4f", content, 252, 0, 1, *[0.0] * 4)  # no room, and behind it a matrix without x
        struct.pack_into("<4f", content, 280, *[0.0] * 4)
    else:
        content[123] = 0 if change == "unknown unit" else 7
    path.write_bytes(content)
    nifti_label = nibabel.load(folder / "labels" / "a.nii.gz")
    image = nibabel.load(path)
    if np.isfinite(image.affine).all() and abs(np.linalg.det(image.affine)) > 0:
        nibabel.save(nibabel.Nifti1Image(np.asarray(nifti_label.dataobj), image.affine), folder / "labels" / "a.nii.gz")
    capfd.readouterr()
    caplog.clear()
    images, problems = data.segmented_images(folder)
    assert [image.spacing_mm for image in images] == [None]
    assert problems == [
        f"expected a header with the sides of a voxel and their unit, got {path}: it is used, and distances in "
        "millimetres are left out"
    ]
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


X = np.meshgrid(*map(np.arange, (12, 10, 6)), indexing="ij")[0].astype(np.float32)
SHIFTED = np.diag([*SIDES, 1.0])
SHIFTED[0, 3] = 40
BAD_VOLUMES = {
    "CT": ({"image": 100 * X - 1000}, "expected intensities of at least 0, got .* with -1000"),
    "NaN": ({"image": np.where(X > 6, np.nan, 1).astype(np.float32)}, "expected intensities without NaN or infinity"),
    "empty": ({"image": 0 * X}, "expected a volume with something in it"),
    "complex": ({"image": X.astype(np.complex64)}, "expected real numbers, got .* of dtype complex64"),
    "flat": ({"image": X[..., 0], "label": X[..., 0]}, r"expected a volume of three dimensions, got .* \(12, 10\)"),
    "slices": ({"label": X[..., :4]}, "as many slices in the label as in the image, got 6 in .* and 4 in"),
    "size": ({"label": X[:8]}, "expected image and label of one size, got 10×12 in .* and 10×8 in"),
    "elsewhere": ({"label_affine": SHIFTED}, "image and label in one place, got .*, whose headers place them 40 apart"),
    "mirrored": ({"label_affine": np.diag([-1.0, 1, 1, 1])}, "expected image and label in one place"),
    "values": ({"label": X}, "expected labels of 0 and one other value, got 0, 1, 2, 3, 4, 5, 6, 7, …"),
    "fractions": ({"label": X / 8}, "expected whole numbers as labels, got 0.125, 0.25, 0.375"),
    "classes": ({"label": np.stack([X > 5, X < 5], -1).astype(np.uint8)}, "expected one label a voxel, got .* 6, 2"),
}


@pytest.mark.parametrize(("change", "said"), BAD_VOLUMES.values(), ids=BAD_VOLUMES)
def test_volumes_that_cannot_be_used(folder, change, said):
    nifti(folder, **change)
    assert re.search(said, problem(folder))


def test_a_float_label_with_whole_numbers_and_more_dimensions(folder):
    nifti(folder, label=(X > 5).astype(np.float64)[..., None], image=np.stack([X, 0 * X], -1))
    found = only(folder)
    assert found.mask[0, 0, 0].tolist() == [False] * 6 + [True] * 6
    nifti(folder, label=(2 * X).astype(np.float32))
    assert only(folder, 6).mask[0, 0, 0].nonzero().tolist() == [[3]]


def test_a_volume_is_no_stack(folder):
    nifti(folder)
    tifffile.imwrite(folder / "labels" / "a.tif", MASK.astype(np.uint8))
    (folder / "labels" / "a.nii.gz").unlink()
    assert "expected the label of a volume as a volume, got" in problem(folder)
