"""Every method answers to one signature; each does what its paper says on a scene it must solve."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cmsr.errors import InputError, OptionError
from cmsr.io.raster import from_array
from cmsr.operators.resampling import resampler
from cmsr.prologue import opened
from cmsr_bench.classic import bicubic
from cmsr_bench.djf import Djf
from cmsr_bench.learners import RECIPES, Learner
from cmsr_bench.methods import METHODS, Image, image_of
from cmsr_bench.provenance import code_version
from cmsr_bench.variants import Variant, variants
from cmsr_bench.vtsr import Generator
from tests.conftest import SyntheticPair, render_pair

UNTRAINED = [name for name, method in METHODS.items() if method.run is not None]
BRIEF = {
    "zssr": {"iterations_guide_free": 2, "ensemble": False},
    "cmsr-paper": {"iterations": 2, "ensemble": False},
    "pixtransform": {"iterations": 3},
}
SMALL = render_pair((48, 64), (12, 16))


def result(name: str, pair: SyntheticPair, seed: int = 0, **options: object) -> Image:
    method = METHODS[name]
    config = Variant(method, {**BRIEF.get(name, {}), **options}).config(seed)
    assert method.run is not None
    target = np.rint(pair.target * 1000).astype(np.uint16)
    return image_of(method.run(opened(target, pair.guide, config)))


def error(image: Image, pair: SyntheticPair) -> float:
    return float(np.sqrt(np.mean((image[0] / 1000 - pair.truth) ** 2)))


@pytest.mark.parametrize("name", UNTRAINED)
def test_image_has_the_targets_type_and_the_guides_size(name: str) -> None:
    image = result(name, SMALL)
    assert (image.shape, image.dtype) == ((1, 48, 64), np.uint16)
    assert np.ptp(image) > 0


@pytest.mark.parametrize("name", ["bicubic+bp", "tv", "guided-filter"])
def test_back_projected_methods_agree_with_the_target(name: str) -> None:
    pair = render_pair()
    again = resampler((96, 128), (24, 32))(torch.from_numpy(result(name, pair) / 1000).float())
    plain = resampler((96, 128), (24, 32))(torch.from_numpy(result("bicubic", pair) / 1000).float())
    miss, plain_miss = (float((x[0] - torch.from_numpy(pair.target)).std()) for x in (again, plain))
    assert miss < 0.3 * plain_miss


def test_better_priors_do_better_on_flat_regions() -> None:
    pair = render_pair()
    errors = [error(result(n, pair), pair) for n in ("bicubic", "bicubic+bp", "tv")]
    assert errors[0] > errors[1] > errors[2]
    assert error(result("guided-filter", pair), pair) < errors[1]


def test_guide_free_methods_do_not_look_at_the_guide() -> None:
    other = replace(SMALL, guide=255 - SMALL.guide)
    for name, method in METHODS.items():
        if not method.guided:
            np.testing.assert_array_equal(result(name, SMALL), result(name, other))


def test_only_seeded_methods_depend_on_the_seed() -> None:
    for name in ("tv", "guided-filter", "pixtransform"):
        first = result(name, SMALL)
        np.testing.assert_array_equal(result(name, SMALL), first)
        assert np.array_equal(result(name, SMALL, seed=1), first) != METHODS[name].seeded


def test_bicubic_is_the_plain_operator() -> None:
    values = np.linspace(0, 1, 12 * 16).reshape(12, 16).astype(np.float32)
    large = bicubic(from_array(values, "ramp"), (48, 64))
    expected = resampler((12, 16), (48, 64))(torch.from_numpy(values)[None]).numpy()
    np.testing.assert_allclose(large, expected, atol=1e-6)


def test_pixtransform_finds_a_function_of_colour() -> None:
    rng = np.random.default_rng(0)
    guide = np.repeat(np.repeat(rng.integers(0, 256, (16, 16, 3)), 2, 0), 2, 1).astype(np.uint8)
    truth = guide @ [0.5, 0.2, 0.3] / 255
    target = resampler((32, 32), (16, 16), "box")(torch.from_numpy(truth).float()).numpy()
    pair = SyntheticPair(truth, guide, target)
    mapped = error(result("pixtransform", pair, iterations=150), pair)
    assert mapped < 0.5 * error(result("bicubic", pair), pair)


@pytest.mark.parametrize("network", [Djf(4), Generator(4), Generator(3), Generator(6)])
def test_trained_networks_start_at_bicubic(network: torch.nn.Module) -> None:
    scale = int(network.scale)  # type: ignore[arg-type]
    target, guide = torch.rand(2, 1, 6, 7), torch.rand(2, 3, 6 * scale, 7 * scale + 1)
    enlarged = resampler((6, 7), (6 * scale, 7 * scale + 1))(target)
    torch.testing.assert_close(network(target, guide), enlarged)


@pytest.mark.parametrize("name", RECIPES)
def test_learners_descend(name: str) -> None:
    learner = Learner(RECIPES[name], 2, seed=0)
    guide = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    truth = guide.mean(1, keepdim=True)
    target = resampler((16, 16), (8, 8))(truth)
    losses = [learner.learn((target, guide, truth), step / 25) for step in range(25)]
    assert losses[-1] < 0.9 * losses[0]


def test_a_method_without_its_guide_says_so() -> None:
    alone = from_array(SMALL.target.astype(np.float32), "lonely")
    run = METHODS["guided-filter"].run
    assert run is not None
    with pytest.raises(InputError, match="lonely: has no guide"):
        run(opened(alone, None, Variant(METHODS["guided-filter"], {"ratio": 4}).config(0)))


def test_variants_read_what_they_write() -> None:
    for text in (
        "cmsr",
        "cmsr-paper:p=0.3",
        "cmsr:align=off:kernel=gaussian:1.5",
        "bicubic+bp",
        "cmsr-paper:ensemble=false:steps=2",
        "tv:invalid=-1",
        "cmsr:native_size=80,60",
    ):
        assert Variant.of(text).label == text
    variant = Variant.of("cmsr-paper:p=0.7:align=affine")
    config = variant.config(5)
    assert (config.preset, config.p, config.align, config.seed) == ("paper", 0.7, "affine", 5)
    assert [v.label for v in variants(["tv", "all"])][:3] == ["tv", "bicubic", "bicubic+bp"]
    assert len(variants(["tv", "all"])) == len(METHODS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("magic", "no method is called 'magic'; choose from bicubic,"),
        ("cmsr:p=2", "p is 2"),
        ("cmsr:q=1", "'q=1' is not an option"),
        ("cmsr:seed=1", "'seed=1' is not an option"),
        ("cmsr:p=many", "p is 'many'"),
        ("cmsr:p=0.5", "--p requires --preset paper"),
        ("bicubic:align=off", "align has no effect on bicubic"),
        ("pixtransform:p=0.5", "p has no effect on pixtransform"),
        ("zssr:iterations=9", "iterations has no effect on zssr"),
        ("", "no method is named"),
    ],
)
def test_a_method_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        variants([text])


def test_code_version_counts_code_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "cmsr"
    package.mkdir()
    files = {
        "a.py": '"""A."""\nfrom cmsr.b import one\ntwo = one + one\n',
        "b.py": "one = 1\n",
        "c.py": "from cmsr.a import two\n",
    }
    monkeypatch.setattr("cmsr_bench.provenance.SOURCES", tmp_path)

    def version(**changed: str) -> str:
        for name, text in (files | {f"{k}.py": v for k, v in changed.items()}).items():
            (package / name).write_text(text)
        code_version.cache_clear()
        return code_version("cmsr.a")

    first = version()
    assert version(a='"""Other."""\nfrom cmsr.b import one  # why\ntwo = one + one\n') == first
    assert version(c="three = 3\n") == first
    assert version(b="one = 2\n") != first
    code_version.cache_clear()
