"""NIfTI volumes and fastMRI files, written here in every way that the readers take, and in ways they refuse."""

import gzip

import h5py
import nibabel
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from course_lib import expect, physics
from course_lib.data.mri_files import centre_crop, mri_files, read_fastmri, read_nifti_slices
from course_lib.data.readers import luminance


def anatomy(shape=(20, 24, 20)):
    """A body in RAS, bright at the front and brighter on the person's left; each slice has its own level."""
    volume = np.zeros(shape, dtype=np.float32)
    volume[4:-4, 4:-4] = 100 + np.arange(shape[2])
    volume[4:8, -8:-4] = 200  # left and front: low first index, high second index
    return volume


def save(path, volume, codes="RAS"):
    """Write a volume that is given in RAS along other axes, with an affine that says so."""
    image = nibabel.Nifti1Image(volume, np.eye(4))
    image = image.as_reoriented(ornt_transform(io_orientation(np.eye(4)), axcodes2ornt(codes)))
    assert nibabel.aff2axcodes(image.affine) == tuple(codes)
    nibabel.save(image, path)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_slices_are_axial_and_upright_however_the_file_is_turned(tmp_path, codes, suffix):
    save(tmp_path / f"v{suffix}", anatomy(), codes)
    slices = read_nifti_slices(tmp_path / f"v{suffix}", most=100)
    assert slices.shape == (12, 1, 24, 20)  # the middle 60 % of 20
    assert slices.dtype == torch.float32
    assert slices.max() == 1  # more than 0.1 % of the voxels have the largest value, 200
    first = slices[0, 0]
    assert (first[4:8, 4:8] == 1).all()  # front up, left on the left
    torch.testing.assert_close(first[10, 10], torch.tensor(104 / 200))
    torch.testing.assert_close(slices[:, 0, 10, 10], (100 + torch.arange(4.0, 16.0)) / 200)


def test_the_slices_are_spread_over_the_middle(tmp_path):
    save(tmp_path / "v.nii", anatomy((20, 24, 100)))
    assert len(read_nifti_slices(tmp_path / "v.nii")) == 10
    four = read_nifti_slices(tmp_path / "v.nii", most=4)[:, 0, 10, 10] * 200 - 100
    assert four.round().tolist() == [27, 42, 57, 72]
    save(tmp_path / "one.nii", anatomy((20, 24, 1)))
    assert len(read_nifti_slices(tmp_path / "one.nii")) == 1


def test_empty_slices_are_left_out(tmp_path):
    volume = anatomy()
    volume[..., 8:12] = 0
    volume[10, 10, 9] = 150  # a single voxel is no slice
    save(tmp_path / "v.nii", volume)
    levels = read_nifti_slices(tmp_path / "v.nii", most=100)[:, 0, 10, 12] * 200 - 100
    assert levels.round().tolist() == [4, 5, 6, 7, 12, 13, 14, 15]


def test_the_scale_is_a_percentile_and_nothing_is_clipped_to_it(tmp_path):
    volume = anatomy((40, 40, 20))
    volume[20, 20, 10] = 5000
    save(tmp_path / "v.nii", volume)
    slices = read_nifti_slices(tmp_path / "v.nii", most=100)
    assert slices.max() == 5000 / 200
    assert slices.median() < 1


def test_small_negative_values_become_zero(tmp_path):
    volume = anatomy()
    volume[0, 0] = -1
    save(tmp_path / "v.nii", volume)
    assert read_nifti_slices(tmp_path / "v.nii").min() == 0


def test_of_a_series_the_first_volume_is_read(tmp_path):
    first = anatomy()
    for shape in [(1,), (3,), (3, 2)]:
        series = np.zeros((*first.shape, *shape), dtype=np.float32) + 77
        series[(..., *[0] * len(shape))] = first
        nibabel.save(nibabel.Nifti1Image(series, np.eye(4)), tmp_path / "series.nii.gz")
        save(tmp_path / "one.nii.gz", first)
        assert torch.equal(read_nifti_slices(tmp_path / "series.nii.gz"), read_nifti_slices(tmp_path / "one.nii.gz"))


def test_integers_with_a_slope(tmp_path):
    image = nibabel.Nifti1Image(anatomy().astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.25, 0)
    nibabel.save(image, tmp_path / "v.nii")
    save(tmp_path / "float.nii", anatomy())
    torch.testing.assert_close(read_nifti_slices(tmp_path / "v.nii"), read_nifti_slices(tmp_path / "float.nii"))


def _bad_volumes(folder):
    volume = np.random.default_rng(0).random((20, 20, 20), dtype=np.float32)
    for name in ("good.nii", "good.nii.gz"):
        save(folder / name, volume)
    plain, packed = (folder / "good.nii").read_bytes(), (folder / "good.nii.gz").read_bytes()
    (folder / "cut.nii").write_bytes(plain[:9000])
    (folder / "cut.nii.gz").write_bytes(packed[:9000])
    (folder / "packed half.nii.gz").write_bytes(gzip.compress(plain[:9000]))
    (folder / "header.nii").write_bytes(plain[:200])
    (folder / "empty.nii").write_bytes(b"")
    (folder / "text.nii.gz").write_text("no volume at all")
    save(folder / "zero.nii", 0 * volume)
    save(folder / "ct.nii", 2000 * volume - 1000)
    ends = 0 * volume
    ends[..., :3] = 1
    save(folder / "ends.nii", ends)
    nan = volume.copy()
    nan[3, 3, 3] = np.nan
    save(folder / "nan.nii", nan)
    nibabel.save(nibabel.Nifti1Image(volume.astype(np.complex64), np.eye(4)), folder / "complex.nii")
    nibabel.save(nibabel.Nifti1Image(volume[..., 0], np.eye(4)), folder / "flat.nii")


BROKEN = "it is truncated, damaged or of another kind"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cut.nii", BROKEN),
        ("cut.nii.gz", BROKEN),
        ("packed half.nii.gz", BROKEN),
        ("header.nii", BROKEN),
        ("empty.nii", BROKEN),
        ("text.nii.gz", BROKEN),
        ("zero.nii", "expected a volume with something in it"),
        ("ct.nii", "expected magnitudes of at least 0, got .* with -999"),
        ("ends.nii", "expected something in the middle axial slices"),
        ("nan.nii", "expected intensities without NaN"),
        ("complex.nii", "expected real intensities, got .* of dtype complex64"),
        ("flat.nii", r"of three dimensions or more, got .* of shape \(20, 20\)"),
        ("missing.nii", "which does not exist"),
    ],
)
def test_volumes_that_cannot_be_used_are_named_in_one_line(tmp_path, name, said):
    _bad_volumes(tmp_path)
    with pytest.raises(expect.InputError, match=said) as error:
        read_nifti_slices(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(read_nifti_slices(tmp_path / "good.nii")) == 10


def scan(generator, shape=(3, 48, 32), target=(24, 24)):
    """k-space of a scanner's scale, and the target that belongs to it, as NumPy arrays."""
    images = torch.randn(shape, generator=generator, dtype=torch.complex64) * 1e-5
    images *= torch.tensor([1.0, 3.0, 2.0])[: shape[0], None, None]
    top, left = (shape[1] - target[0]) // 2, (shape[2] - target[1]) // 2
    esc = images.abs()[:, top : top + target[0], left : left + target[1]]
    return physics.fourier(images).numpy(), esc.numpy()


def write(path, **parts):
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            file[name] = values
    return path


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_fastmri_file_has_its_target_as_peak_1(tmp_path, generator, dtype):
    kspace, esc = scan(generator)
    volume = read_fastmri(write(tmp_path / "f.h5", kspace=kspace.astype(dtype), reconstruction_esc=esc))
    assert volume.published
    assert volume.kspace.shape == (3, 1, 48, 32)
    assert volume.kspace.dtype == torch.complex64
    assert volume.target.shape == (3, 1, 24, 24)
    assert volume.target.dtype == torch.float32
    assert volume.target.max() == 1
    torch.testing.assert_close(volume.target[:, 0], torch.from_numpy(esc / esc.max()))
    # the same scale on both sides: the reconstruction of k-space, cropped, is the target
    torch.testing.assert_close(
        centre_crop(physics.inverse_fourier(volume.kspace).abs(), (24, 24)), volume.target, rtol=1e-4, atol=1e-5
    )


def test_some_slices_of_a_fastmri_file_keep_the_scale_of_all(tmp_path, generator):
    kspace, esc = scan(generator)
    path = write(tmp_path / "f.h5", kspace=kspace, reconstruction_esc=esc)
    middle, everything = read_fastmri(path, most=1), read_fastmri(path, most=9)
    assert middle.kspace.shape == (1, 1, 48, 32)
    assert torch.equal(middle.kspace, everything.kspace[1:2])
    assert torch.equal(middle.target, everything.target[1:2])
    write(tmp_path / "dim.h5", kspace=kspace[[1, 0, 2]], reconstruction_esc=esc[[1, 0, 2]])
    assert read_fastmri(tmp_path / "dim.h5", most=1).target.max() < 0.6  # the brightest slice is not among them


def test_without_a_reconstruction_the_target_is_the_fully_sampled_one(tmp_path, generator):
    kspace, _ = scan(generator)
    volume = read_fastmri(write(tmp_path / "f.h5", kspace=kspace))
    assert not volume.published
    assert volume.target.shape == (3, 1, 32, 32)
    wanted = physics.inverse_fourier(torch.from_numpy(kspace)).abs()[:, None, 8:40]
    torch.testing.assert_close(volume.target, wanted / wanted.max())


def _bad_scans(folder, generator):
    kspace, esc = scan(generator)
    whole = write(folder / "good.h5", kspace=kspace, reconstruction_esc=esc).read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.h5").write_bytes(b"")
    (folder / "text.h5").write_text("no HDF5 " * 400)
    write(folder / "other.h5", images=esc)
    write(folder / "real.h5", kspace=kspace.real)
    write(folder / "coils.h5", kspace=kspace[:, None])
    write(folder / "none.h5", kspace=kspace[:0])
    nan = kspace.copy()
    nan[1, 2, 3:5] = np.nan
    write(folder / "nan.h5", kspace=nan, reconstruction_esc=esc)
    write(folder / "nan target.h5", kspace=kspace, reconstruction_esc=np.nan * esc)
    write(folder / "large.h5", kspace=kspace, reconstruction_esc=np.ones((3, 49, 32), np.float32))
    write(folder / "fewer.h5", kspace=kspace, reconstruction_esc=esc[:2])
    write(folder / "black.h5", kspace=kspace, reconstruction_esc=0 * esc)
    write(folder / "test.h5", kspace=kspace, mask=np.ones(32, np.float32))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cut.h5", BROKEN),
        ("empty.h5", BROKEN),
        ("text.h5", BROKEN),
        ("other.h5", "expected a fastMRI file with the data set kspace, got .* with images"),
        ("real.h5", "expected kspace as complex numbers .* with float32"),
        ("coils.h5", r"\(slices, height, width\) of a single coil, got .* of shape \(3, 1, 48, 32\)"),
        ("none.h5", r"got .* of shape \(0, 48, 32\)"),
        ("nan.h5", "expected kspace without NaN or infinity, got .* with 2 of them"),
        ("nan target.h5", "expected reconstruction_esc without NaN"),
        ("large.h5", r"expected reconstruction_esc within kspace, got .* with \(3, 49, 32\) beside \(3, 48, 32\)"),
        ("fewer.h5", r"with \(2, 24, 24\) beside \(3, 48, 32\)"),
        ("black.h5", "expected a target with values above 0"),
        ("test.h5", "with a mask: undersampled already"),
        ("missing.h5", "which does not exist"),
    ],
)
def test_scans_that_cannot_be_used_are_named_in_one_line(tmp_path, generator, name, said):
    _bad_scans(tmp_path, generator)
    with pytest.raises(expect.InputError, match=said) as error:
        read_fastmri(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)
    assert read_fastmri(tmp_path / "good.h5").published


def test_how_many_slices_must_be_a_number(tmp_path, generator, unchecked):
    _bad_scans(tmp_path, generator)
    save(tmp_path / "v.nii", anatomy())
    for read, name in ((read_fastmri, "good.h5"), (read_nifti_slices, "v.nii")):
        with pytest.raises(expect.InputError, match="number of slices as a whole number from 1, got 0"):
            read(tmp_path / name, 0)


def test_the_folder_may_mix_kinds(tmp_path):
    with pytest.raises(expect.InputError, match="where none was found"):
        mri_files(tmp_path)
    for name in ("d.png", "b.nii.gz", "a.NII", "c.h5", "notes.txt", "archive.gz"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.h5").mkdir()
    assert [p.name for p in mri_files(tmp_path)] == ["a.NII", "b.nii.gz", "c.h5", "d.png"]
    for wrong in ("nowhere", "d.png", "x" * 5000):
        with pytest.raises(expect.InputError, match="expected a folder of images"):
            mri_files(tmp_path / wrong)


def test_luminance():
    colour = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)[None, :, None, None].expand(2, 3, 4, 5)
    grey = luminance(colour)
    assert grey.shape == (2, 1, 4, 5)
    torch.testing.assert_close(grey, torch.full_like(grey, 0.299 + 0.587 / 2 + 0.114 / 4))
    assert torch.equal(luminance(grey), grey)
    with pytest.raises(expect.InputError, match="one channel or three"):
        luminance(colour[:, :2])


def test_centre_crop_takes_the_middle():
    image = torch.arange(7.0 * 6).reshape(7, 6)
    assert torch.equal(centre_crop(image, (4, 4)), image[1:5, 1:5])
    assert torch.equal(centre_crop(image, (7, 6)), image)
    assert torch.equal(centre_crop(image, (3, 2)), image[2:5, 2:4])
    for wrong in [(8, 6), (7, 7), (0, 3)]:
        with pytest.raises(expect.InputError, match="expected a crop within"):
            centre_crop(image, wrong)
