"""The pairs of a PAIRS.csv: their files and images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files
from cmsr.io.digest import digest
from cmsr.io.inputs import prepared
from cmsr.io.pair_table import read_file
from cmsr.io.raster import Raster, fitted, from_array
from cmsr.operators.resampling import resampler
from cmsr.prologue import Opened, opened

MOST = 64
"""Largest scale."""


@dataclass(frozen=True)
class Case:
    """One row of a table of pairs.

    Attributes
    ----------
    dataset, name : str
        Together the pair's name; ``dataset`` is empty where the table has no such column.
    target, guide, truth : Path or None
        A missing target is the truth reduced by ``scale``: antialiased bicubic, rounded.
    scale : float or None
        Enlargement, where no guide gives it.
    """

    dataset: str
    name: str
    target: Path | None
    guide: Path | None
    truth: Path | None
    scale: float | None

    @property
    def label(self) -> str:
        """The pair's name in messages."""
        return f"{self.dataset}/{self.name}" if self.dataset else self.name

    @cached_property
    def content(self) -> str:
        """Digest of all its files and its scale; the same under any name."""
        whole = hashlib.sha256(repr(self.scale).encode())
        for path in (self.target, self.guide, self.truth):
            whole.update(b"none" if path is None else _digest(path))
        return whole.hexdigest()

    @cached_property
    def image_digests(self) -> tuple[str, ...]:
        """Digests of guide and truth (or target); pairs that share one show the same scene."""
        paths = self.guide, self.truth or self.target
        return tuple(_digest(path).hex() for path in paths if path)

    def adapted(self, config: Config) -> Config:
        """Return the options with the scale as their ratio, if there is no guide."""
        if self.guide is not None or self.scale is None:
            return config
        return replace(config, ratio=self.scale)

    def opened(self, config: Config) -> Opened:
        """Read target and guide, as `cmsr.upscale` would.

        Raises
        ------
        InputError
            If one cannot be read.
        """
        config = self.adapted(config)
        if self.target is not None:
            return opened(self.target, self.guide, config)
        truth = self.true_image()
        if truth is None or self.scale is None:
            raise InputError(f"{self.label}: has neither a target nor a truth with a scale")
        target = prepared(reduced(truth, self.scale, self.label), config, [])
        return opened(target, self.guide, config)

    def true_image(self) -> Raster | None:
        """Read the truth; None if there is none."""
        return None if self.truth is None else image_files.read(self.truth)


def _digest(path: Path) -> bytes:
    """Digest FILE or FILE:PART, the file's content and the part's name."""
    place, part = image_files.locate(path)
    whole = digest(place)
    return hashlib.sha256(whole + part.encode()).digest() if part else whole


def reduced(truth: Raster, scale: float, name: str) -> Raster:
    """Make a low-resolution image from a truth: antialiased bicubic, rounded to its type."""
    height, width = truth.shape
    small = max(1, round(height / scale)), max(1, round(width / scale))
    values = resampler(truth.shape, small)(torch.from_numpy(truth.data.astype(np.float32)))
    data = fitted(values.double().numpy(), truth.data.dtype).astype(truth.data.dtype)
    return from_array(np.moveaxis(data, 0, -1) if len(data) > 1 else data[0], name)


def at_ratios(cases: Sequence[Case], ratios: Sequence[float]) -> list[Case]:
    """Return the cases that have a truth once for each ratio, reduced by it; all, if there is none.

    Raises
    ------
    OptionError
        If a ratio is out of range, or no case has a truth.
    """
    if not ratios:
        return list(cases)
    if not all(1 < ratio <= MOST for ratio in ratios):
        raise OptionError(f"ratios must lie above 1, up to {MOST}")
    known = [case for case in cases if case.truth is not None]
    if not known:
        raise OptionError("--ratios reduces truths, and no pair has one")
    return [
        replace(case, dataset=f"{case.dataset} ×{ratio:g}".strip(), target=None, scale=ratio)
        for ratio in ratios
        for case in known
    ]


def read_cases(table: Path, datasets: Sequence[str] = (), names: Sequence[str] = ()) -> list[Case]:
    """Read a table of pairs; relative paths start at its folder.

    Parameters
    ----------
    table : path
        See `cmsr.io.pair_table`; the columns dataset, truth and scale are optional.
    datasets, names : sequence of str
        Of the pairs to keep; all if empty.

    Raises
    ------
    InputError
        If the table is missing, has no such columns, names a pair twice or a file that is not
        there.
    OptionError
        If nothing is left to do, or a data set or name is not in the table.
    """
    rows = read_file(image_files.locate(table)[0])
    cases = [_case(row, line, table) for line, row in rows]
    twice = [label for label, n in Counter(case.label for case in cases).items() if n > 1]
    if twice:
        raise InputError(f"{table}: lists the pair {twice[0]} twice; names must differ")
    _check_known(table, "data set", datasets, {case.dataset for case in cases})
    _check_known(table, "pair", names, {case.name for case in cases})
    return [
        case
        for case in cases
        if (not datasets or case.dataset in datasets) and (not names or case.name in names)
    ]


def _case(row: dict[str, str], line: int, table: Path) -> Case:
    where = f"{table}, line {line}"
    if not row["name"]:
        raise InputError(f"{where}: the pair has no name")
    if not row["target"] and not (row.get("truth") and row.get("scale")):
        raise InputError(f"{where}: needs a target, or a truth with a scale to make one")
    target, guide, truth = (
        table.parent / row[key] if row.get(key) else None for key in ("target", "guide", "truth")
    )
    for path in filter(None, (target, guide, truth)):
        try:
            image_files.locate(path)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    return Case(row.get("dataset", ""), row["name"], target, guide, truth, _scale(row, where))


def _scale(row: dict[str, str], where: str) -> float | None:
    text = row.get("scale", "")
    if not text:
        return None
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not 1 <= scale <= MOST:
        raise InputError(f"{where}: the scale is {text!r}; it must be a number from 1 to {MOST}")
    return scale


def _check_known(table: Path, kind: str, wanted: Sequence[str], there: set[str]) -> None:
    for name in wanted:
        if name not in there:
            some = ", ".join(sorted(there)[:12])
            raise OptionError(f"{table}: has no {kind} {name!r}; there are {some}")
