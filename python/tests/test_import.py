"""Importing is cheap, and what is missing is named."""

import importlib.util
import json
import subprocess
import sys

import pytest
import voxpatch

LOOK = """
import json, os, sys
import voxpatch
print(json.dumps({"threads": len(os.listdir("/proc/self/task")), "modules": list(sys.modules)}))
"""


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_starts_no_thread_and_imports_no_library():
    found = json.loads(python(LOOK))
    assert found["threads"] == 1
    heavy = {"numpy", "torch", "torchio", "monai", "nnunetv2", "zarr", "dask", "xarray"}
    assert not heavy & set(found["modules"])


def test_every_public_name_is_there():
    for name in voxpatch.__all__:
        assert getattr(voxpatch, name) is not None
    assert set(voxpatch.__all__) <= set(dir(voxpatch))
    with pytest.raises(AttributeError, match="nothing"):
        voxpatch.nothing


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        ("torch", "torch"), ("torchio", "torchio"), ("monai", "monai"), ("nnunet", "nnunetv2"),
        ("zarr", "zarr"), ("xarray", "xarray"),
    ],
)  # fmt: skip
def test_an_adapter_without_its_library_names_the_extra(module, needs):
    if importlib.util.find_spec(needs):
        pytest.skip(f"{needs} is installed")
    with pytest.raises(voxpatch.errors.MissingExtraError, match=r"pip install \"voxpatch\["):
        importlib.import_module(f"voxpatch.{module}")


def test_a_free_threaded_build_is_refused():
    code = """
import sys
sys.abiflags = "t"
try:
    import voxpatch
except ImportError as error:
    print(error)
"""
    assert "free-threaded" in python(code)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="no module for subinterpreters")
def test_a_subinterpreter_is_refused_and_not_crashed():
    code = """
import _interpreters
sub = _interpreters.create()
failed = _interpreters.exec(sub, "import voxpatch")
print(failed.type.__name__ if failed else None)
"""
    assert python(code).strip() == "ImportError"
