"""Train weights for `--prior FILE.safetensors`: a small network that finds what an image lacks.

    python benchmarks/train_prior.py OUT.safetensors --minutes 30

Trained on rendered scenes (flat and shaded shapes, ramps, discs, waves, wires) and on photographs
that packages bring: scikit-image's and the demo's. Each is softened a little, as thermal cameras
do, reduced by the standard kernel at ×2 to ×6 and brought back without a guide; the network learns
what that lacks. No thermal image takes part. Minutes are those of the processor, all runs together:
begun again, it goes on where it ended. Every minute the gain on examples set aside is printed, over
the image without the network.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import skimage.data
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from cmsr.app.demo.scene import street
from cmsr.guided.channel import Channel, Level
from cmsr.guided.restorations import guide_free
from cmsr.io.atomic import replacing
from cmsr.operators.gaussian import blur
from cmsr.operators.resampling import resampler
from cmsr.priors.linear_model import level_of
from cmsr.priors.residual_network import CUT, KEY, KIND, ResidualNetwork

PHOTOS = (
    "astronaut", "brick", "camera", "cell", "chelsea", "coffee", "coins", "grass", "gravel",
    "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
"""Those of `skimage.data` that are in the package."""

SIDES = (2 * CUT**2, 64, 64, 64, 64, CUT**2)
"""Channels between the layers: 139,000 weights."""

SIDE, RATIOS, ROUNDS = 144, (2, 3, 4, 4, 4, 6), 12
PATCH, BATCH, RATE, ASIDE = 64, 8, 1e-3, 12
"""Sides of an example and of a patch; patches a step, learning rate, examples set aside."""


def photographs() -> list[Tensor]:
    """Return every photograph in grey, (H, W), [0, 1]."""
    images = [getattr(skimage.data, name)() for name in PHOTOS] + [street().guide]
    grey = [image[..., :3].mean(-1) if image.ndim == 3 else image for image in images]
    return [torch.from_numpy(np.ascontiguousarray(image / 255.0)).float() for image in grey]


def rendered(random: np.random.Generator) -> Tensor:
    """Render a scene of shapes over a shaded ground, (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    scene = random.normal() * x + random.normal() * y + 0.3 * random.normal() * x * y
    for _ in range(random.integers(4, 30)):
        cx, cy, turn = (
            random.uniform(-0.1, 1.1),
            random.uniform(-0.1, 1.1),
            random.uniform(0, np.pi),
        )
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        a, b = random.uniform(0.01, 0.35, 2) * (1, random.choice([1.0, 0.3, 0.05]))
        box, disc = (np.abs(u) < a) & (np.abs(v) < b), (u / a) ** 2 + (v / b) ** 2 < 1
        inside = box if random.random() < 0.6 else disc
        shade = random.normal() + random.choice([0.0, 1.0]) * (u * random.normal() / a)
        if random.random() < 0.15:
            shade = shade + 0.3 * np.sin(u * random.uniform(20, 200))
        scene = np.where(inside, shade, scene)
    scene = (scene - scene.min()) / np.ptp(scene)
    return torch.from_numpy(scene).float()


def cut_out(photo: Tensor, random: np.random.Generator) -> Tensor:
    """Cut a part out of a photograph, reduced by up to three; its brightness bent at random."""
    times = min(random.uniform(1, 3), min(photo.shape) / SIDE)
    small = resampler(
        (photo.shape[0], photo.shape[1]),
        (int(photo.shape[0] / times), int(photo.shape[1] / times)),
    )(photo)
    top, left = (random.integers(0, n - SIDE + 1) for n in small.shape)
    part = small[top : top + SIDE, left : left + SIDE].clamp(0, 1)
    part = part ** random.uniform(0.5, 2)
    return 1 - part if random.random() < 0.5 else part


def examples(seed: int, photos: list[Tensor]) -> Tensor:
    """Make an example: the image without a guide, what the sensor saw, the truth, (3, H, W)."""
    random = np.random.default_rng(seed)
    photo = random.random() < 0.6
    truth = cut_out(photos[random.integers(len(photos))], random) if photo else rendered(random)
    ratio = int(random.choice(RATIOS))
    truth = blur(truth, ratio * random.uniform(0.05, 0.35))
    high, low = (SIDE, SIDE), (SIDE // ratio, SIDE // ratio)
    reduce, enlarge = resampler(high, low), resampler(low, high, "bilinear")
    y = reduce(truth)
    scale, least = float((y.max() - y.min()).clamp(min=1e-3)), float(y.min())
    y, truth = (y - least) / scale, (truth - least) / scale
    y = (y * 255).round() / 255 if random.random() < 0.5 else y
    valid = torch.ones_like(y)
    channel = Channel(y, valid, reduce, enlarge, ratio, 16, Level(*level_of(y, valid)))
    free = guide_free(channel, channel.estimate(None), 0.0, ROUNDS)
    return torch.stack([free, enlarge(reduce(free)), truth])


def patches(stored: Tensor, random: torch.Generator) -> Tensor:
    """Return random patches of examples, flipped and turned, (BATCH, 3, PATCH, PATCH)."""

    def one() -> Tensor:
        number, top, left, turn, flip = (
            int(torch.randint(0, n, (1,), generator=random))
            for n in (len(stored), SIDE - PATCH, SIDE - PATCH, 4, 2)
        )
        patch = stored[number, :, top : top + PATCH, left : left + PATCH].rot90(turn, (-2, -1))
        return patch.flip(-1) if flip else patch

    return torch.stack([one() for _ in range(BATCH)])


class Training:
    """A network in training, its optimiser, and how far it is; kept in OUT and OUT.state."""

    def __init__(self, out: Path) -> None:
        self.out, self.state = out, out.with_name(f"{out.name}.state")
        torch.manual_seed(0)
        self.layers = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(SIDES)]
        torch.nn.init.zeros_(self.layers[-1].weight)
        parameters = [p for layer in self.layers for p in (layer.weight, layer.bias)]
        self.optimiser = torch.optim.Adam(parameters, lr=RATE, betas=(0.9, 0.99))
        self.step, self.seconds = 0, 0.0
        if self.state.exists():
            self._resume()

    @property
    def network(self) -> ResidualNetwork:
        """The network as it is used."""
        return ResidualNetwork(tuple((layer.weight, layer.bias) for layer in self.layers))

    def improve(self, batch: Tensor, share: float) -> None:
        """Take a step; ``share`` is how much of the training is over."""
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * (0.5 + 0.5 * np.cos(np.pi * min(share, 1.0))) + 1e-5
        free, truth = batch[:, :1], batch[:, 2:]
        lost = (free + self.network(batch[:, :2]) - truth)[..., CUT:-CUT, CUT:-CUT]
        loss = lost.square().mean((-3, -2, -1)).add(1e-5).log().mean()  # alike in dB
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1

    def write(self) -> None:
        """Write the weights, and what it takes to go on."""
        with replacing(self.out) as temporary:
            save_file(self.network.tensors(), temporary, metadata={KEY: KIND})
        moments = {
            f"{number}.{name}": value
            for number, state in self.optimiser.state_dict()["state"].items()
            for name, value in state.items()
        }
        done = {"step": str(self.step), "seconds": str(self.seconds)}
        with replacing(self.state) as temporary:
            save_file(moments, temporary, metadata=done)

    def _resume(self) -> None:
        weights = load_file(self.out)
        with torch.no_grad():
            for number, layer in enumerate(self.layers):
                layer.weight.copy_(weights[f"{number}.weight"])
                layer.bias.copy_(weights[f"{number}.bias"])
        with safe_open(self.state, framework="pt") as file:
            done = file.metadata()
        kept: dict[int, dict[str, Tensor]] = {}
        for name, value in load_file(self.state).items():
            number, part = name.split(".")
            kept.setdefault(int(number), {})[part] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": kept, "param_groups": groups})
        self.step, self.seconds = int(done["step"]), float(done["seconds"])


def gain(network: ResidualNetwork, aside: Tensor) -> float:
    """Return by how many dB a network lowers the error on some examples, in the mean."""
    with torch.no_grad():
        free, truth = aside[:, :1], aside[:, 2:]
        errors = [
            (image - truth)[..., CUT:-CUT, CUT:-CUT].square().mean((-3, -2, -1))
            for image in (free, free + network(aside[:, :2]))
        ]
    return float((10 * (errors[0] / errors[1]).log10()).mean())


def store(out: Path, count: int) -> Tensor:
    """Return the examples, made once and kept beside the weights."""
    path = out.with_name(f"{out.name}.examples")
    if path.exists():
        return load_file(path)["examples"]
    photos = photographs()
    with torch.no_grad():
        made = torch.stack([examples(seed, photos) for seed in range(count)])
    save_file({"examples": made}, path)
    return made


def trained(training: Training, stored: Tensor, minutes: float) -> Iterator[str]:
    """Train for so many minutes of the processor; yield a line a minute."""
    rest, aside = stored[ASIDE:], stored[:ASIDE]
    random, begun, before = torch.Generator(), time.process_time(), training.seconds
    told = training.seconds
    while training.seconds < 60 * minutes:
        random.manual_seed(training.step)
        training.improve(patches(rest, random), training.seconds / (60 * minutes))
        training.seconds = before + time.process_time() - begun
        if training.seconds - told >= 60 or training.seconds >= 60 * minutes:
            told = training.seconds
            training.write()
            better = gain(training.network, aside)
            yield f"{told / 60:.1f} min, step {training.step}: {better:+.2f} dB"


def main() -> None:
    """Train, or go on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--examples", type=int, default=400)
    options = parser.parse_args()
    torch.set_num_threads(1)
    stored = store(options.out, options.examples)
    for line in trained(Training(options.out), stored, options.minutes):
        print(line, flush=True)


if __name__ == "__main__":
    main()
