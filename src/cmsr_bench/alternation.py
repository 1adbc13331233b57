"""When Alternating Scales pays: p against the guide's place, the rates, the ratio and the steps.

All ways of training on a pair share patches and coins, and those of one p the sharpening branch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.guided.calibrate import find_alignment
from cmsr.io.atomic import write_text
from cmsr.io.raster import from_array
from cmsr.metrics import evaluate
from cmsr.operators.resampling import Kernel
from cmsr.pair import Pair
from cmsr.parallel import no_denormals, pooled
from cmsr.prologue import Opened
from cmsr.registration.transforms import ThinPlate, compose, identity_grid, sample
from cmsr.sensor.imaging import imaging_of
from cmsr.two_branch.arm import Arm
from cmsr.two_branch.infer import infer
from cmsr.two_branch.train import Arms
from cmsr_bench.cases import Case
from cmsr_bench.provenance import commit, machine, versions

VERSION = 1
"""Raised when results change, so that records of another version are not reused."""

WARP = 2.0
"""Root mean square displacement of a warped guide's control points, in its pixels."""

Row = dict[str, Any]
"""One arm on one pair, with one seed, after so many steps."""


@dataclass(frozen=True)
class Grid:
    """The settings to vary; every combination is an arm.

    ``guide`` is how many pixels the guide is shifted, ``warped``, or where preset default places it
    (``found``); ``branch`` which branches see the upsampling-based scheme, ``both`` or ``sharpen``
    alone; ``rate`` and ``start`` are ``guide_rate`` and ``guide_start``.

    >>> Grid.of("p=0,0.3:guide=0,warped").guide
    ('0', 'warped')
    """

    p: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    guide: tuple[str, ...] = ("0", "1", "2", "3", "warped")
    rate: tuple[float, ...] = (1.0, 10.0)
    start: tuple[str, ...] = ("published",)
    branch: tuple[str, ...] = ("both", "sharpen")
    ratio: tuple[float, ...] = (4.0, 2.0)
    steps: tuple[int, ...] = (400, 800, 1600)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read NAME=VALUE,…:NAME=VALUE,…; what is not named is as by default.

        Raises
        ------
        OptionError
            If a name or a value is not known.
        """
        grid = cls()
        for part in filter(None, text.split(":")):
            name, _, values = part.partition("=")
            usual = getattr(grid, name, None) if name in cls.__dataclass_fields__ else None
            if usual is None:
                known = ", ".join(cls.__dataclass_fields__)
                raise OptionError(f"--grid {part!r}: varies none of {known}")
            try:
                read = tuple(type(usual[0])(value) for value in values.split(","))
            except ValueError:
                raise OptionError(f"--grid {part!r}: must be numbers, as in p=0,0.3") from None
            grid = replace(grid, **{name: read})
        grid._check()
        return grid

    def _check(self) -> None:
        words = {"start": ("published", "kept"), "branch": ("both", "sharpen")}
        for name, known in words.items():
            if unknown := [value for value in getattr(self, name) if value not in known]:
                raise OptionError(f"--grid {name}={unknown[0]}: choose from {', '.join(known)}")
        for value in self.guide:
            if value not in ("warped", "found") and not value.isdecimal():
                raise OptionError(f"--grid guide={value}: a number of pixels, warped or found")

    def arms(self) -> Iterator[Row]:
        """Yield every combination; at p = 0 the branches do not differ."""
        names = ("guide", "rate", "start", "branch", "p")
        for values in itertools.product(*(getattr(self, name) for name in names)):
            arm = dict(zip(names, values, strict=True))
            if arm["p"] > 0 or arm["branch"] == self.branch[0]:
                yield arm


Grids = tuple[Grid, ...]
"""Several; ratios and steps are those of the first."""


def grids_of(text: str) -> Grids:
    """Read several grids, with ; between them.

    Raises
    ------
    OptionError
        If one cannot be read.
    """
    return tuple(Grid.of(part.strip()) for part in text.split(";"))


def arms_of(grids: Grids) -> list[Row]:
    """Return every combination of every grid once."""
    found = {tuple(arm.items()): arm for grid in grids for arm in grid.arms()}
    return list(found.values())


def _options(arm: Row, seed: int, steps: int) -> Config:
    """Return the options that an arm is trained with."""
    return Config.of(
        "paper",
        align="off",
        ensemble=False,
        iterations=steps,
        seed=seed,
        p=arm["p"],
        guide_p=arm["p"] if arm["branch"] == "both" else 0.0,
        guide_rate=arm["rate"],
        guide_start=arm["start"],
    )


def sweep(
    folder: Path,
    cases: list[Case],
    seeds: tuple[int, ...],
    grids: Grids,
    tell: Callable[[str], None] | None = None,
) -> list[Row]:
    """Do what has no record yet, and return all rows.

    Raises
    ------
    InputError
        If a pair has no guide or no truth.
    """
    if missing := [case.label for case in cases if case.guide is None or case.truth is None]:
        raise InputError(f"{missing[0]}: the ablation over p needs a guide and a truth")
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    groups = list(itertools.product(seeds, grids[0].ratio, cases))
    for done, (seed, ratio, case) in enumerate(groups, 1):
        path = folder / f"{_key(case, seed, ratio, grids)}.json"
        found = _finished(path)
        if found is None:
            found = _group(path, case, seed, ratio, grids)
        if tell:
            tell(f"[{done}/{len(groups)}] {case.label}, ratio {ratio:g}, seed {seed}")
        rows += found
    return rows


def _key(case: Case, seed: int, ratio: float, grids: Grids) -> str:
    parts = {"version": VERSION, "pair": case.content, "seed": seed, "ratio": ratio}
    varied = [{**dataclasses.asdict(part), "ratio": None} for part in grids]
    text = json.dumps([parts, varied], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _finished(path: Path) -> list[Row] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return list(record["rows"]) if record["finished"] else None


def _group(path: Path, case: Case, seed: int, ratio: float, grids: Grids) -> list[Row]:
    """Train all arms on one pair and score them after each number of steps."""
    started = time.process_time()
    opened, kernel = _opened(case, ratio)
    pair = opened.whole.to("cpu")
    specs, last = arms_of(grids), max(grids[0].steps)
    guides = {name: _guided(opened, name, seed) for name in {spec["guide"] for spec in specs}}
    rows: list[Row] = []
    with no_denormals():
        each = [Arm(guides[spec["guide"]], _options(spec, seed, last)) for spec in specs]
        arms = Arms(each, kernel)
        for steps in sorted(grids[0].steps):
            arms.train(steps)
            config, used = arms.arms[0].config, [arm.pair.guide for arm in arms.arms]
            images = infer(arms.fits, used, pair, kernel, config)
            of = {"dataset": case.dataset, "pair": case.name, "seed": seed, "ratio": ratio}
            scores = [_psnr(image, opened, case) for image in images]
            rows += [
                {**of, "steps": steps, **spec, "psnr": score}
                for spec, score in zip(specs, scores, strict=True)
            ]
            record = {
                "finished": steps == last,
                "kernel": str(kernel),
                "seconds": time.process_time() - started,
                "commit": commit(),
                "machine": machine(),
                "versions": versions(),
                "rows": rows,
            }
            write_text(path, json.dumps(record, indent=1) + "\n")
    return rows


def _opened(case: Case, ratio: float) -> tuple[Opened, Kernel]:
    """Read a pair at a ratio: with its own target, or one made from the truth; and its kernel."""
    config = Config.of("paper", align="off")
    opened = case.opened(config)
    if np.allclose(opened.pair.ratio, ratio, rtol=0.02):
        return opened, imaging_of(opened.whole, opened.kernel).kernel
    made = replace(case, target=None, scale=ratio)
    return made.opened(config), "bicubic"


def _guided(opened: Opened, how: str, seed: int) -> Pair:
    """Return a pair with its guide moved, or where preset default places it."""
    pair = opened.whole.to("cpu")
    if how != "found":
        return moved(pair, how, seed)
    config = Config.of("default", seed=seed)
    source = replace(opened, config=config).source
    alignment = pooled(lambda: find_alignment(source, imaging_of(pair, opened.kernel)))
    if pair.guide is None or alignment is None or alignment.refused:
        return pair
    return replace(pair, guide=alignment.apply(pair.guide[0])[None])


def moved(pair: Pair, how: str, seed: int) -> Pair:
    """Return the pair with its guide shifted to the right by so many pixels, or ``warped``."""
    if pair.guide is None or how == "0":
        return pair
    size = pair.shape
    grid = identity_grid(size)
    if how == "warped":
        warp = ThinPlate(size)
        unit = 2 * WARP / max(size)
        theta = unit * torch.randn(warp.dim, generator=torch.Generator().manual_seed(seed))
        grid = compose([(warp, theta)], grid)
    else:
        grid = grid - torch.tensor([2 * int(how) / size[1], 0.0])
    return replace(pair, guide=sample(pair.guide, grid, "bicubic"))


def _psnr(image: torch.Tensor, opened: Opened, case: Case) -> float:
    stored = opened.whole.denormalise(image)
    truth = case.true_image()
    assert truth is not None, "checked by sweep"  # noqa: S101
    return float(evaluate(from_array(np.moveaxis(stored, 0, -1), case.name), truth)["psnr"])
