"""Free text of a source file and its place never reach the store or the screen."""

import nibabel as nib
from conftest import files, save, voxels, voxpatch

CANARY = "XQPATIENTXQ"
FOLDER = "XQFOLDERXQ"


def fill(scan):
    header = scan.header
    for field in ["descrip", "aux_file", "db_name", "intent_name", "data_type"]:
        if field in header:
            width = header[field].dtype.itemsize
            header[field] = CANARY.encode()[:width]
    header.extensions.append(nib.nifti1.Nifti1Extension("comment", CANARY.encode()))
    header.extensions.append(nib.nifti1.Nifti1Extension("dicom", (CANARY * 9).encode()))


def test_free_text_and_folders_stay_behind(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    store = tmp_path / "store"
    save(folder / "scan.nii.gz", voxels((20, 21, 22), "i2"), edit=fill)
    source = nib.load(folder / "scan.nii.gz")
    assert CANARY in str(source.header["descrip"]) and len(source.header.extensions) == 2

    name = ["--name", "case01/image", "--patch", "8x8x8"]
    runs = [
        voxpatch("convert", folder / "scan.nii.gz", "--out", store, *name),
        voxpatch("convert", folder / "scan.nii.gz", "--out", store, *name, "--overwrite", "--json"),
        voxpatch("info", store),
        voxpatch("info", store, "--json"),
        voxpatch("verify", store),
        voxpatch("verify", store, "--json"),
    ]
    printed = "".join(run.stdout + run.stderr for run in runs)
    patch = tmp_path / "patch.nii"
    where = ["--start", "0,0,0", "--shape", "4x4x4", "--out", patch]
    voxpatch("read", store / "case01/image", *where)
    written = {**files(store), "patch": patch.read_bytes(), "printed": printed.encode()}
    assert len(written) > 6
    # The shortest field holds ten letters of it.
    for secret in [CANARY[:10], FOLDER]:
        for path, content in written.items():
            assert secret not in path and secret.encode() not in content, f"{secret} in {path}"
