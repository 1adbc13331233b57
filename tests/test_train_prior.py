"""The script that trains weights for `--prior FILE.safetensors`."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from cmsr.priors.residual_network import read

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "train_prior.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_prior", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_training_that_was_interrupted_goes_on_as_if_it_were_not(
    script: ModuleType, tmp_path: Path
) -> None:
    batches = torch.rand(4, 2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    whole, half = script.Training(tmp_path / "a.safetensors"), script.Training(tmp_path / "b.st")
    for number, batch in enumerate(batches):
        whole.improve(batch, 0.25 * number)
        if number == 2:
            half.write()
            half = script.Training(tmp_path / "b.st")
        half.improve(batch, 0.25 * number)
    whole.write()
    assert (whole.step, half.step) == (4, 4)
    for name, tensor in whole.network.tensors().items():
        assert torch.equal(tensor, half.network.tensors()[name])
    found = read(tmp_path / "a.safetensors")
    assert torch.equal(found.layers[0][0], whole.layers[0].weight)
    assert found.name == "a.safetensors"


def test_an_example_lacks_what_the_sensor_could_not_see(script: ModuleType) -> None:
    """The image without a guide is near the truth, what was seen of it smoother."""
    free, seen, truth = script.examples(3, script.photographs())
    assert free.shape == truth.shape == (script.SIDE, script.SIDE)
    assert float((free - truth).square().mean()) < float((seen - truth).square().mean())
    assert float((seen - truth).square().mean()) < 0.05
