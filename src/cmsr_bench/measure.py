"""One run: timed and scored."""

from __future__ import annotations

import math
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import torch

from cmsr.app.record import peak_memory_mb
from cmsr.app.report.page import render
from cmsr.errors import CmsrError, InputError
from cmsr.io.raster import Raster, from_array
from cmsr.metrics import evaluate
from cmsr.operators.resampling import resampler
from cmsr.parallel import no_denormals
from cmsr.prologue import Opened
from cmsr.result import Result
from cmsr_bench.classic import bicubic, kernel_of
from cmsr_bench.learned import upscaler
from cmsr_bench.methods import Image, image_of
from cmsr_bench.provenance import versions
from cmsr_bench.records import Record, Run

SCORES = ("psnr", "ssim", "rmse", "peak", "gain", "gain_positive", "consistency")


def blank_record(run: Run, origin: dict[str, Any]) -> Record:
    """Return the record of a run without results; ``origin`` holds ``commit`` and ``machine``."""
    return {
        **run.labels,
        "key": run.key,
        "scored": False,
        "error": None,
        **dict.fromkeys(SCORES),
        "seconds": None,
        "peak_memory_mb": None,
        "ratio": None,
        "kernel": None,
        "threads": 1,
        "weights": run.weights_hash,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        **origin,
    }


class Measured(NamedTuple):
    """Output of a run: its record, its image, and its page if one was asked for."""

    record: Record
    image: Image | None = None
    page: str | None = None


def measure(run: Run, origin: dict[str, Any]) -> Measured:
    """Do a run in this process; an exception becomes the record's ``error``.

    ``seconds`` is the method's time alone, without reading, scoring and drawing;
    ``peak_memory_mb`` that of the whole process up to the method's end.
    """
    record = blank_record(run, origin)
    try:
        config = run.case.adapted(run.variant.config(run.seed))
        pair = run.case.opened(config)
        truth = run.case.true_image()
        started = time.perf_counter()
        made = _output(run, pair)
        record["seconds"] = time.perf_counter() - started
        record["peak_memory_mb"] = round(peak_memory_mb())
        image = image_of(made)
        record |= _facts(image, pair)
        page = render(made, run.report) if run.report and isinstance(made, Result) else None
        if truth is not None:
            record |= _scores(image, pair.target, truth)
    except CmsrError as error:
        return Measured({**record, "error": str(error)})
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.name}, line {place.lineno}"
        return Measured({**record, "error": f"{type(error).__name__}: {error} ({where})"})
    return Measured(record, image, page)


def _output(run: Run, pair: Opened) -> Image | Result:
    method = run.variant.method
    work = method.run
    if work is None:
        if run.weights is None:
            raise InputError(f"{method.name}: must be trained first; give its weights")
        work = upscaler(method.name, run.weights, run.case.image_digests)
    with no_denormals():
        return work(pair)


def _facts(image: Image, opened: Opened) -> dict[str, Any]:
    """Return ratio, kernel, and the RMS difference of the reduced image from the target."""
    pair = opened.whole.to("cpu")
    if pair.blank:
        return {"ratio": list(pair.ratio)}
    kernel = kernel_of(pair, opened.config)
    reduce = resampler(pair.shape, opened.target.shape, kernel)
    known = np.broadcast_to(pair.valid_at_output(), image.shape)
    scale = np.where(pair.scale > 0, pair.scale, 1)
    solid = np.where(known, (image - pair.surfaces(pair.shape) - pair.offset) / scale, 0)
    weight = torch.from_numpy(known.astype(np.float32))
    seen = opened.target.valid & (reduce(weight).numpy() > 0.999).all(axis=0)
    again = reduce(torch.from_numpy(solid.astype(np.float32)))
    off = (again - pair.target[0]).numpy() * scale
    consistency = float(np.sqrt(np.mean(off[:, seen] ** 2))) if seen.any() else None
    return {"ratio": list(pair.ratio), "kernel": str(kernel), "consistency": consistency}


def _scores(image: Image, target: Raster, truth: Raster) -> dict[str, Any]:
    """Compare with the truth, and with bicubic interpolation.

    Where some of the truth is 0, as in depth that was not measured, the gain where it is above 0 is
    taken as well: the border of such holes outweighs all else.
    """
    ours = _raster(image, target)
    plain = _raster(bicubic(target, truth.shape), target)
    figures = evaluate(ours, truth)
    scores = {**figures, "gain": figures["psnr"] - evaluate(plain, truth)["psnr"]}
    positive = truth.measured & (truth.data > 0)
    if 0 < positive.sum() < truth.data.size:
        part = replace(truth, valid=np.asarray(positive.all(0)))
        scores["gain_positive"] = evaluate(ours, part)["psnr"] - evaluate(plain, part)["psnr"]
    finite = {name: value if math.isfinite(value) else None for name, value in scores.items()}
    return {**finite, "scored": True}


def _raster(image: Image, target: Raster) -> Raster:
    """Return an image as its file would be read."""
    return from_array(np.moveaxis(image, 0, -1), target.name)
