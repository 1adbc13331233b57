"""The file of a trained method: a network for each fold, and the images held out from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cmsr.errors import InputError
from cmsr.io.atomic import replacing

_KEY = "cmsr-bench"
_LARGEST = 2**30
"""Largest file read, in bytes."""

_LARGEST_SCALE = 64


@dataclass
class Weights:
    """Networks of one method, trained by cross-validation.

    Attributes
    ----------
    method : str
    scale : int
        Factor of enlargement.
    seed, steps, folds : int
        Of the training.
    held_out : list of lists of str
        For each fold, digests (`Case.image_digests`) of the images held out from it.
    curves : list of lists
        For each fold, points (step, training loss, PSNR on the held-out pairs, that of bicubic
        interpolation).
    done : list of int
        Steps done in each fold.
    origin : dict
        Versions, commit, machine.
    tensors : dict of Tensor
        ``FOLD/NAME``; of an unfinished fold also the optimiser's.
    """

    method: str
    scale: int
    seed: int
    steps: int
    folds: int
    held_out: list[list[str]]
    curves: list[list[list[float]]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    origin: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the training of every fold is finished."""
        return self.done == [self.steps] * self.folds

    def of_fold(self, fold: int) -> dict[str, Tensor]:
        """Return the tensors of one fold by name."""
        prefix = f"{fold}/"
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}

    def replace_fold(self, fold: int, tensors: dict[str, Tensor]) -> None:
        """Replace the tensors of one fold."""
        kept = {k: v for k, v in self.tensors.items() if not k.startswith(f"{fold}/")}
        self.tensors = kept | {f"{fold}/{k}": v for k, v in tensors.items()}

    def fold_without(self, digests: Sequence[str]) -> int:
        """Return the fold whose network has seen none of some images (`Case.image_digests`).

        Images that no fold held out were in no training at all; the first fold serves them.

        Raises
        ------
        InputError
            If they were held out by different folds, so that every network has seen some.
        """
        held = [fold for fold, known in enumerate(self.held_out) if {*digests} & {*known}]
        if len(held) > 1:
            raise InputError("every fold of the weights has seen an image of this pair")
        return held[0] if held else 0

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        facts = {k: v for k, v in asdict(self).items() if k != "tensors"}
        tensors = {k: v.detach().contiguous() for k, v in self.tensors.items()}
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={_KEY: json.dumps(facts)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of `write`.

        Raises
        ------
        InputError
            If the file is not one of `cmsr bench train`.
        """
        try:
            if path.stat().st_size > _LARGEST:
                raise InputError(f"{path}: is larger than any file of `cmsr bench train`")
            with safe_open(path, framework="pt") as file:
                facts = json.loads((file.metadata() or {})[_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            found = cls(**facts, tensors=tensors)
            if not 2 <= found.scale <= _LARGEST_SCALE:
                raise ValueError(found.scale)
            return found
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise InputError(f"{path}: is not a weight file of `cmsr bench train`") from error
