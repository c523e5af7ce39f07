"""The examples run, and do what they say."""

import importlib.util
import pathlib
import sys

import pytest

pytest.importorskip("torch")

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name, needs):
        pytest.importorskip(needs)
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("phantom", None)


def test_training_and_prediction(example, tmp_path):
    assert example("train_and_predict", "torch").main(tmp_path / "s") > 0.5


def test_torchio(example, tmp_path):
    assert example("torchio_queue", "torchio").main(tmp_path / "s") == 16


def test_monai(example, tmp_path):
    assert example("monai_inference", "monai").main(tmp_path / "s") > 0.999


def test_nnunet(example, tmp_path):
    assert example("nnunet_loader", "nnunetv2").main(str(tmp_path))
