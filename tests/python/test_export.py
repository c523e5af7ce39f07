"""An exported file is, for nibabel, the file that was converted."""

import gzip
import json
import os
import pathlib
import resource
import signal
import subprocess
import time

import nibabel as nib
import numpy as np
import pytest
from conftest import AFFINE, BINARY, ROOT, convert, generation, save, voxels, voxpatch

SCANS = pathlib.Path(os.environ.get("VOXPATCH_SCANS", ROOT.parent / "shared/data"))
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def export(volume, out, *args, code=0, **options):
    return voxpatch("export", volume, "--out", out, *args, code=code, **options)


def assert_same(path, original):
    """Both files as nibabel reads them: voxels bit for bit, and what places and scales them."""
    found, wanted = nib.load(path), nib.load(original)
    ours, theirs = found.dataobj.get_unscaled(), wanted.dataobj.get_unscaled()
    assert ours.dtype == theirs.dtype.newbyteorder("=") and ours.shape == theirs.shape
    assert np.asarray(ours).tobytes("F") == theirs.astype(ours.dtype).tobytes("F")
    np.testing.assert_array_equal(found.affine, wanted.affine)
    np.testing.assert_array_equal(found.header.get_zooms(), wanted.header.get_zooms())
    assert found.dataobj.slope == wanted.dataobj.slope
    assert found.dataobj.inter == wanted.dataobj.inter
    assert found.header.get_xyzt_units() == wanted.header.get_xyzt_units()
    for name in ["sform_code", "qform_code", "intent_code", "dim_info", "cal_max", "toffset"]:
        assert found.header[name] == wanted.header[name], name


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_comes_back_bit_for_bit(tmp_path, dtype, ending):
    save(tmp_path / "scan.nii", voxels((20, 21, 22), dtype), slope=(0.1, -3.7))
    volume = convert(tmp_path / "scan.nii", tmp_path / "store")
    export(volume, tmp_path / f"out.{ending}")
    assert_same(tmp_path / f"out.{ending}", tmp_path / "scan.nii")


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3, 1), (5, 4, 3, 7), (5, 4, 3, 1, 6), (5, 4, 3, 2, 2)])
def test_axes_of_time_and_channels_come_back(tmp_path, shape):
    def edit(scan):
        scan.header.set_xyzt_units("mm", "msec")
        if len(shape) > 3:
            scan.header["pixdim"][4] = 720.1

    save(tmp_path / "scan.nii.gz", voxels(shape, "i2"), edit=edit)
    volume = convert(tmp_path / "scan.nii.gz", tmp_path / "store")
    export(volume, tmp_path / "out.nii.gz")
    assert_same(tmp_path / "out.nii.gz", tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("image", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("qform, sform", [(0, 0), (1, 0), (0, 4), (1, 4), (2, 2)])
def test_transforms_and_their_codes_come_back(tmp_path, image, qform, sform):
    turned = np.diag([-0.7, 0.7, 2.5, 1.0])
    turned[:3, 3] = [90.1, -120.3, 33.7]

    def edit(scan):
        scan.set_qform(turned, qform)
        scan.set_sform(AFFINE, sform)

    save(tmp_path / "scan.nii", voxels((9, 8, 7), "u2"), image=image, edit=edit)
    export(convert(tmp_path / "scan.nii", tmp_path / "store"), tmp_path / "out.nii")
    assert_same(tmp_path / "out.nii", tmp_path / "scan.nii")


def test_a_narrowed_volume_comes_back_in_its_own_type(tmp_path):
    data = np.random.default_rng(1).integers(-1024, 3072, (20, 21, 22)).astype("f4")
    save(tmp_path / "scan.nii", data)
    volume = convert(tmp_path / "scan.nii", tmp_path / "store", "--narrow")
    report = json.loads(export(volume, tmp_path / "out.nii", "--json").stdout)
    assert (report["dtype"], report["stored_dtype"]) == ("float32", "int16")
    assert_same(tmp_path / "out.nii", tmp_path / "scan.nii")


def test_members_of_gzip_are_one_file_for_other_readers(tmp_path):
    data = voxels((150, 140, 130), "i2")
    save(tmp_path / "scan.nii", data)
    volume = convert(tmp_path / "scan.nii", tmp_path / "store")
    contents = set()
    for threads in [1, 2, 3]:
        export(volume, tmp_path / "out.nii.gz", "--overwrite", "--threads", threads)
        contents.add((tmp_path / "out.nii.gz").read_bytes())
    assert len(contents) == 1
    content = contents.pop()
    assert content.count(b"\x1f\x8b\x08\x00\x00\x00\x00\x00") >= 6  # heads of members
    assert gzip.decompress(content)[352:] == data.tobytes("F")
    assert_same(tmp_path / "out.nii.gz", tmp_path / "scan.nii")
    done = subprocess.run(["gzip", "-t", str(tmp_path / "out.nii.gz")], check=False)
    assert done.returncode == 0


def test_simpleitk_reads_what_nibabel_reads(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    data = voxels((150, 140, 130), "i2")
    save(tmp_path / "scan.nii", data, np.diag([0.7, 0.7, 2.5, 1.0]))
    export(convert(tmp_path / "scan.nii", tmp_path / "store"), tmp_path / "out.nii.gz")
    ours, theirs = (sitk.ReadImage(str(tmp_path / n)) for n in ["out.nii.gz", "scan.nii"])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), data.T)
    assert ours.GetSpacing() == theirs.GetSpacing() and ours.GetOrigin() == theirs.GetOrigin()
    assert ours.GetDirection() == theirs.GetDirection()


def test_a_file_in_the_way_stays_unless_told(tmp_path):
    save(tmp_path / "scan.nii", voxels((9, 8, 7), "u2"))
    volume = convert(tmp_path / "scan.nii", tmp_path / "store")
    out = tmp_path / "out.nii.gz"
    out.write_bytes(b"mine")
    assert "--overwrite" in export(volume, out, code=1).stderr
    assert out.read_bytes() == b"mine"
    text = export(volume, out, "--overwrite").stdout
    assert "nifti-1" in text and "uint16" in text
    assert_same(out, tmp_path / "scan.nii")
    export(volume, tmp_path / "out.npy", code=2)
    export(volume, tmp_path / "new.nii.gz", "--level", "10", code=2)
    export(tmp_path / "store/case01/none", tmp_path / "new.nii.gz", code=1)
    assert sorted(os.listdir(tmp_path)) == ["out.nii.gz", "scan.nii", "store"]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    data = np.random.default_rng(2).integers(-1000, 1000, (256, 256, 256), "i2")
    save(folder / "large.nii", data)
    return convert(folder / "large.nii", folder / "store", "--codec", "none")


def test_ctrl_c_ends_with_130_and_leaves_nothing(large, tmp_path):
    out = ["--out", str(tmp_path / "out.nii.gz"), "--level", "9", "--threads", "1"]
    process = subprocess.Popen([BINARY, "export", str(large), *out], stderr=subprocess.PIPE)
    time.sleep(0.3)
    # A hidden file, or one without a name where the system has such.
    assert process.poll() is None and not (tmp_path / "out.nii.gz").exists()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and b"cancelled" in errors
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_file_that_does_not_fit_is_an_error_and_leaves_nothing(large, tmp_path, ending):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))

    out = tmp_path / f"out.{ending}"
    # The signal that comes with the limit is ignored by Python, and so by what it starts.
    done = export(large, out, code=1, preexec_fn=limit, restore_signals=False)
    assert f"cannot write {out}" in done.stderr
    assert os.listdir(tmp_path) == []


def real_scans():
    folders = ["ct/totalsegmentator", "mr", "label", "multi", "nifti_odd"]
    paths = (p for folder in folders for p in (SCANS / folder).rglob("*.nii*"))
    return sorted(str(p.relative_to(SCANS)) for p in paths if p.name.endswith((".nii", ".nii.gz")))


@pytest.mark.parametrize("path", real_scans() or ["none"])
@pytest.mark.parametrize("narrow", [[], ["--narrow"]])
def test_a_real_scan_comes_back(tmp_path, path, narrow):
    if not SCANS.is_dir():
        pytest.skip("no real scans here: none in ../shared/data, and VOXPATCH_SCANS is not set")
    args = ["--name", "a/b", "--patch", "32x64x64", *narrow]
    command = [BINARY, "convert", str(SCANS / path), "--out", str(tmp_path / "store"), *args]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("not stored")
    out = tmp_path / "out.nii.gz"
    report = json.loads(export(tmp_path / "store/a/b", out, "--json", "--level", "1").stdout)
    voxpatch("convert", out, "--out", tmp_path / "again", *args)
    assert same_volume(tmp_path / "store/a/b", tmp_path / "again/a/b", report["voxel_digest"])
    try:
        nib.load(SCANS / path).dataobj.get_unscaled()
    except Exception:
        pytest.skip("the same volume again; not read by nibabel")
    assert_same(out, SCANS / path)


def same_volume(before, after, digest):
    """What converting the exported file stored, beside what was stored before."""

    def facts(folder):
        attributes = json.loads((generation(folder) / "zarr.json").read_text())["attributes"]["voxpatch"]
        names = ["affine", "spacing", "scaling", "time_step", "kind", "statistics"]
        manifest = json.loads((generation(folder) / "0/manifest.json").read_text())
        return [attributes.get(name) for name in names], digest in json.dumps(manifest)

    return facts(before) == facts(after) and facts(before)[1]
