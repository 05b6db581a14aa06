"""Image files in every format that the course reads, and files that are none."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image

from course_lib import expect
from course_lib.data import image_files, read_image

GREY8 = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
GREY16 = (GREY8.astype(np.uint16) * 257 + np.arange(16, dtype=np.uint16)) % 65535
COLOUR8 = np.stack([GREY8, GREY8[::-1], 255 - GREY8], axis=-1)
COLOUR16 = COLOUR8.astype(np.uint16) * 257


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("grey8.png", GREY8), ("grey16.png", GREY16), ("colour8.png", COLOUR8),
        ("grey8.tif", GREY8), ("grey16.tiff", GREY16), ("colour8.tif", COLOUR8), ("colour16.tif", COLOUR16),
        ("grey8.pgm", GREY8), ("grey16.pgm", GREY16), ("colour8.ppm", COLOUR8),
    ],
)  # fmt: skip
def test_lossless_files_come_back_exactly(tmp_path, name, array):
    path = tmp_path / name
    if name == "grey16.pgm":
        path.write_bytes(b"P5\n16 12\n65535\n" + array.astype(">u2").tobytes())
    elif "tif" in name:
        tifffile.imwrite(path, array)
    else:
        Image.fromarray(array).save(path)
    image = read_image(path)
    wanted = np.atleast_3d(array).astype(np.float64) / np.iinfo(array.dtype).max
    assert image.shape == (1, wanted.shape[-1], 12, 16)
    np.testing.assert_allclose(image[0].movedim(0, -1).numpy(), wanted, atol=1e-6)


def test_jpeg(tmp_path):
    smooth = np.tile(np.linspace(20, 230, 64).astype(np.uint8), (64, 1))
    Image.fromarray(smooth).save(tmp_path / "grey.JPG", quality=95)
    assert np.abs(read_image(tmp_path / "grey.JPG")[0, 0].numpy() - smooth / 255).max() < 0.02


def test_other_pillow_modes(tmp_path):
    picture = Image.fromarray(COLOUR8)
    for name, mode, channels in [("p.png", "P", 3), ("la.png", "LA", 1), ("rgba.png", "RGBA", 3), ("one.png", "1", 1),
                                 ("cmyk.jpg", "CMYK", 3)]:  # fmt: skip
        picture.convert(mode).save(tmp_path / name)
        image = read_image(tmp_path / name)
        assert image.shape == (1, channels, 12, 16), name
        assert image.min() >= 0
        assert image.max() <= 1


def test_other_tiffs(tmp_path):
    tifffile.imwrite(tmp_path / "float.tif", (GREY8 / 255).astype(np.float32))
    np.testing.assert_allclose(read_image(tmp_path / "float.tif")[0, 0], GREY8 / 255, atol=1e-6)
    tifffile.imwrite(tmp_path / "planar.tif", np.moveaxis(COLOUR8, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_allclose(read_image(tmp_path / "planar.tif")[0].movedim(0, -1), COLOUR8 / 255, atol=1e-6)
    tifffile.imwrite(tmp_path / "white.tif", GREY8, photometric="miniswhite")
    np.testing.assert_allclose(read_image(tmp_path / "white.tif")[0, 0], 1 - GREY8 / 255, atol=1e-6)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_compressed_tiffs(tmp_path, compression):
    Image.fromarray(COLOUR8).save(tmp_path / "c.tif", compression=compression)
    exact = compression != "jpeg"
    image = read_image(tmp_path / "c.tif")[0].movedim(0, -1).numpy()
    np.testing.assert_allclose(image, COLOUR8 / 255, atol=1e-6 if exact else 0.25)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_tiffs_in_other_colour_spaces(tmp_path, mode):
    smooth = np.stack([*np.meshgrid(np.linspace(60, 200, 32), np.linspace(60, 200, 32)), np.full((32, 32), 120.0)], -1)
    picture = Image.fromarray(smooth.astype(np.uint8))
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        picture = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
    picture.convert(mode).save(tmp_path / "x.tif")
    np.testing.assert_allclose(read_image(tmp_path / "x.tif")[0].movedim(0, -1), smooth / 255, atol=0.06)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_tiff_is_followed_as_pillow_does(tmp_path, orientation):
    from PIL import ImageOps

    tifffile.imwrite(tmp_path / "o.tif", GREY8, extratags=[(274, "H", 1, orientation, True)])
    with Image.open(tmp_path / "o.tif") as picture:
        wanted = np.asarray(ImageOps.exif_transpose(picture)) / 255
    ours = read_image(tmp_path / "o.tif")[0, 0].numpy()
    if ours.shape == wanted.shape:
        np.testing.assert_allclose(ours, wanted, atol=1e-6)
    assert ours.shape == ((12, 16) if orientation < 5 else (16, 12))


def test_an_animation_is_no_image(tmp_path):
    frames = [Image.fromarray(GREY8), Image.fromarray(GREY8[::-1])]
    frames[0].save(tmp_path / "moving.png", format="GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(expect.InputError, match="one image a file, got .* with 2"):
        read_image(tmp_path / "moving.png")


def test_a_camera_turned_on_its_side(tmp_path):
    picture = Image.fromarray(GREY8)
    tags = picture.getexif()
    tags[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=tags)
    assert read_image(tmp_path / "turned.png").shape == (1, 1, 16, 12)


def _damaged(folder):
    good = folder / "good.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(good)
    data = good.read_bytes()
    (folder / "text.png").write_text("this is no image")
    (folder / "truncated.png").write_bytes(data[: len(data) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.tif").write_text("nor is this")
    tifffile.imwrite(folder / "stack.tif", np.zeros((3, 20, 20), dtype=np.uint8), photometric="minisblack")
    tifffile.imwrite(folder / "nan.tif", np.full((20, 20), np.nan, dtype=np.float32))
    tifffile.imwrite(folder / "signed.tif", np.zeros((20, 20), dtype=np.int16))
    tifffile.imwrite(folder / "percent.tif", np.full((20, 20), 50, dtype=np.float32))
    jpeg = folder / "whole.jpg"
    Image.fromarray(GREY8).save(jpeg)
    (folder / "truncated.jpg").write_bytes(jpeg.read_bytes()[:-60])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text.png", "whose content is no image format"),
        ("truncated.png", "truncated or damaged"),
        ("truncated.jpg", "truncated or damaged"),
        ("empty.png", "whose content is no image format"),
        ("text.tif", "not a TIFF file"),
        ("stack.tif", "with 3 pages"),
        ("nan.tif", "without NaN or infinity"),
        ("signed.tif", "expected 8 or 16 bit, got .* with int16"),
        ("percent.tif", "from 0 to 1, got .* with 50 to 50"),
        ("missing.png", "which does not exist"),
    ],
)
def test_files_that_are_no_image_are_named_in_one_line(tmp_path, name, said):
    _damaged(tmp_path)
    with pytest.raises(expect.InputError, match=said) as error:
        read_image(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_folders(tmp_path):
    with pytest.raises(expect.InputError, match="found none"):
        image_files(tmp_path)
    with pytest.raises(expect.InputError, match="does not exist"):
        image_files(tmp_path / "nowhere")
    for name in ("b.png", "a.PGM", "notes.txt"):
        (tmp_path / name).write_text("x")
    assert [p.name for p in image_files(tmp_path)] == ["a.PGM", "b.png"]
    with pytest.raises(expect.InputError, match=r"got the file .*notes.txt"):
        image_files(tmp_path / "notes.txt")


def test_imageio_agrees_on_the_photographs():
    """A second library reads the same numbers."""
    from importlib import resources

    from course_lib.data.photographs import PHOTOGRAPHS

    for package, file in PHOTOGRAPHS.values():
        if file.endswith(".npz"):  # PyWavelets' arrays
            continue
        with resources.as_file(resources.files(package) / file) as path:
            ours = read_image(path)[0].movedim(0, -1).numpy()
            theirs = np.atleast_3d(iio.imread(path))[..., :3] / 255
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
