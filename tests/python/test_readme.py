"""The commands and programs of the README, from top to bottom, on a small scan."""

import re
import shlex
import subprocess
import sys

import nibabel as nib
import numpy as np
import zarr
from conftest import BINARY, ROOT, files, generation, save

README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    """Every line that starts the installed command, as the shell would take it."""
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("voxpatch ")]


def run(command, folder):
    command = [word.replace("python3 ", f"{sys.executable} ") for word in command[1:]]
    done = subprocess.run(
        [BINARY, *command], capture_output=True, text=True, timeout=300, cwd=folder
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_readme_works_from_top_to_bottom_and_keeps_the_ground_truth(tmp_path):
    z, y, x = shape = (66, 332, 332)
    scan = np.random.default_rng(3).integers(-1000, 1000, shape, "i2").T
    save(tmp_path / "ct.nii.gz", scan)
    save(tmp_path / "seg.nii.gz", (scan > 0).astype("u1"))
    weightings = np.random.default_rng(4).integers(0, 1000, (160, 170, 48, 4), "i2")
    save(tmp_path / "mr.nii.gz", weightings)
    for n in range(2):
        save(tmp_path / f"case03_000{n}.nii.gz", weightings[..., n])
    model, reader = blocks("python")
    (tmp_path / "model.py").write_text(model)
    ran = commands()
    assert {"convert", "info", "bench", "read", "export", "verify", "aggregate"} <= {
        command[1] for command in ran
    }
    truth = None
    for command in ran:
        run(command, tmp_path)
        if command[1] == "aggregate":
            assert files(tmp_path / "scans.zarr/case01/organs") == truth
        elif "--label" in command:
            truth = files(tmp_path / "scans.zarr/case01/organs")
    again = nib.load(tmp_path / "ct-again.nii.gz")
    assert np.array_equal(np.asarray(again.dataobj), scan)
    volume = generation(tmp_path / "scans.zarr/case01/predicted")
    predicted = zarr.open_array(volume / "0", mode="r")[:]
    # The model's second class is the greater above 0.
    assert np.array_equal(predicted[: z // 2], (scan.T > 0)[: z // 2])
    patch = np.load(tmp_path / "mr.npy")
    assert np.array_equal(patch, weightings.T[:, 10:42, 60:156, 60:156])
    assert (tmp_path / "speed.svg").stat().st_size > 0
    subprocess.run([sys.executable, "-c", reader], check=True, cwd=tmp_path)


def test_what_the_readme_stores_it_does_not_predict_over():
    stored, predicted = set(), set()
    for command in commands():
        if command[1] == "convert":
            if "--name" in command:
                stored.add(command[command.index("--name") + 1])
        if command[1] == "aggregate":
            subject = command[2].split("/")[1]
            outputs = [b for a, b in zip(command, command[1:]) if a == "--output"]
            predicted |= {f"{subject}/{output.split('=')[0]}" for output in outputs}
    assert stored and predicted and not stored & predicted
