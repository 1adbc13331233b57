"""Trained methods: the weight file, the network of the right fold, the image."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.pair import Pair
from cmsr_bench.learners import RECIPES
from cmsr_bench.methods import Upscaler, on_pair
from cmsr_bench.supervised import coloured
from cmsr_bench.weights_file import Weights


def weight_file(method: str, folder: Path, table: Path, datasets: Sequence[str] = ()) -> Path:
    """Return the weights of a method in a folder.

    ``table`` and ``datasets`` are those that it would be trained on.

    Raises
    ------
    InputError
        If there are none; the message holds the training command.
    """
    path = folder / f"{method}.safetensors"
    if not path.is_file():
        words = ["cmsr", "bench", "train", method, table, "-o", path]
        words += ["--dataset", ",".join(datasets)] if datasets else []
        raise InputError(
            f"{path}: no such weights; train them with `{shlex.join(map(str, words))}` "
            "(the folder must exist), or name their folder by --weights"
        )
    return path


def upscaler(method: str, path: Path, digests: Sequence[str]) -> Upscaler:
    """Return a trained method, by a network that has not seen images (`Case.image_digests`).

    Raises
    ------
    InputError
        If the file belongs to another method, or its training is not finished.
    """
    weights = Weights.read(path)
    if weights.method != method:
        raise InputError(f"{path}: holds weights of {weights.method}, not of {method}")
    if not weights.complete:
        raise InputError(f"{path}: the training is not finished; run its command again")
    fold = weights.fold_without(digests)
    network = RECIPES[method].network(weights.scale)
    state = {k.removeprefix("network."): v for k, v in weights.of_fold(fold).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path}: does not fit this version's network; train again") from error

    @torch.no_grad()
    def run(pair: Pair, _config: Config) -> Tensor:
        if any(abs(ratio / weights.scale - 1) > 0.05 for ratio in pair.ratio):
            raise InputError(
                f"{path}: was trained for a factor of {weights.scale}, the pair has "
                f"{pair.ratio[0]:.3g} × {pair.ratio[1]:.3g}"
            )
        guide = coloured(pair.photo)[None].expand(pair.target.shape[1], -1, -1, -1)
        image: Tensor = network(pair.target.transpose(0, 1), guide)
        return image.transpose(0, 1)

    return on_pair(run, guided=True)
