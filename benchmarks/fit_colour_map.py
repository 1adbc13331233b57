"""Fit by what a picture in false colours is told from a photo: `cmsr.io.colour_map`'s thresholds.

    python benchmarks/fit_colour_map.py PAIRS.csv OUT.csv --every 2

Grey truths are painted in matplotlib's maps and in maps built from a few colours, as PNG and as
JPEG, with burnt-in text and without; the pairs' photos must not be taken for such. For each data
set in turn thresholds are chosen on the others: those that know the most maps and take no photo for
one, in the middle of what does so; what they say of the one left out is printed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from fit_guide_weight import run
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

from cmsr.io import colour_map as cm
from cmsr.io import image_files

MAPS = (
    *("inferno", "plasma", "viridis", "turbo", "jet", "hot", "gnuplot2", "rainbow", "cubehelix"),
    *("cividis", "YlOrRd", "RdBu", "terrain", "ocean", "summer", "winter", "bone", "iron"),
)
BUILT = {
    "fusion": ((0, 0, 0), (60, 0, 140), (200, 30, 120), (250, 140, 30), (255, 240, 120)),
    "arctic": ((0, 0, 60), (0, 90, 200), (90, 190, 210), (200, 180, 120), (255, 250, 220)),
    "lava": ((0, 0, 0), (20, 60, 110), (130, 20, 60), (240, 90, 0), (255, 255, 200)),
}
"""Maps like those of cameras, which no list here holds."""

CLOSE, ON = (4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0), (0.5, 0.6, 0.7, 0.8)
OWN_CLOSE, OWN_ON = (3.0, 4.0, 5.0, 6.0, 7.0), (0.7, 0.8, 0.9)
SWING = (70.0, 80.0, 90.0, 100.0, 110.0, 120.0)

Rgb = np.ndarray[Any, np.dtype[np.uint8]]


def rows_of(table: Path, every: int) -> Iterator[dict[str, str]]:
    """Read the pairs."""
    with table.open(newline="") as file:
        yield from list(csv.DictReader(file))[::every]


def painted(values: np.ndarray, name: str) -> Rgb:
    """Paint values (H, W) in a map, (H, W, 3)."""
    low, high = np.percentile(values, [0.5, 99.5])
    scaled = ((values - low) / max(high - low, 1e-9)).clip(0, 1)
    if name in BUILT:
        colours = np.array(BUILT[name], float)
        places = np.linspace(0, 1, len(colours))
        bands = [np.interp(scaled, places, colours[:, band]) for band in range(3)]
        return np.rint(np.stack(bands, -1)).astype(np.uint8)
    if name == "iron":
        table = cm.named(name).colours
        return np.rint(table[np.rint(255 * scaled).astype(int)]).astype(np.uint8)
    return np.rint(255 * mpl.colormaps[name](scaled)[..., :3]).astype(np.uint8)


def as_stored(picture: Rgb, kind: int) -> Rgb:
    """Return a picture as a PNG, as JPEGs of two qualities, or with text burnt in."""
    image = Image.fromarray(picture)
    if kind == 3:
        draw = ImageDraw.Draw(image)
        draw.text((4, 4), "21.4 °C  e = 0.95", "white", font_size=max(10, image.height // 12))
        draw.rectangle((0, image.height - 12, image.width // 3, image.height), fill="black")
    if kind:
        memory = io.BytesIO()
        image.save(memory, "JPEG", quality=75 if kind == 2 else 90)
        image = Image.open(memory)
    return np.asarray(image)


def statistics(picture: Rgb) -> dict[str, Any]:
    """Return what the thresholds decide on."""
    flat = picture.reshape(-1, 3).astype(np.float64)
    some = flat[:: max(1, len(flat) // cm._SEEN)]
    plain = (np.ptp(some, axis=1) > cm._NEAR).mean() < cm._COLOURED
    plain |= np.ptp(some @ cm._WEIGHTS) < cm._SPREAD
    found: dict[str, Any] = {"plain": int(plain)}
    best = {"known": (0.0, 99.0), "own": (0.0, 99.0)}
    swing = 0.0
    for tried in (*map(cm.named, cm.KNOWN), cm._own(some)):
        distance = cKDTree(tried.colours).query(some)[0]
        on, middle = float((distance < cm._NEAR).mean()), float(np.median(distance))
        kind = "own" if tried.name == cm._OWN else "known"
        swing = cm._swing(tried) if kind == "own" else swing
        if middle < best[kind][1]:
            best[kind] = on, middle
    for kind, (on, middle) in best.items():
        found |= {f"{kind}_on": round(on, 4), f"{kind}_middle": round(middle, 3)}
    return found | {"swing": round(swing, 1)}


def measured(every: int, _ratios: list[int], table: Path) -> list[dict[str, Any]]:
    """Look at every photo, and at every truth in a few maps."""
    records, number = list[dict[str, Any]](), 0
    photos = set[str]()
    for row in rows_of(table, every):
        if row["guide"] and row["guide"] not in photos:
            photos.add(row["guide"])
            photo = np.moveaxis(image_files.read(table.parent / row["guide"]).data[:3], 0, -1)
            if photo.dtype == np.uint8 and photo.shape[2] == 3:
                records.append(
                    {"dataset": row["dataset"], "map": "", "kind": 0} | statistics(photo)
                )
        if not row["truth"]:
            continue
        truth = image_files.read(table.parent / row["truth"]).data[:3].astype(float).mean(0)
        for name in [*MAPS, *BUILT][number % 3 :: 3]:
            number += 1
            picture = as_stored(painted(truth, name), number % 4)
            records.append({"dataset": row["dataset"], "map": name, "kind": number % 4}
                           | statistics(picture))  # fmt: skip
    return records


def taken(records: list[dict[str, Any]], bounds: tuple[float, ...]) -> np.ndarray:
    """Tell which pictures are taken for such in false colours."""
    close, on, own_close, own_on, least = bounds
    keys = ("plain", "known_on", "known_middle", "own_on", "own_middle", "swing")
    of = {key: np.array([float(record[key]) for record in records]) for key in keys}
    known = (of["known_on"] >= on) & (of["known_middle"] < close)
    own = (of["own_on"] >= own_on) & (of["own_middle"] < own_close) & (of["swing"] >= least)
    return (of["plain"] == 0) & (known | own)


def rates(records: list[dict[str, Any]], bounds: tuple[float, ...]) -> tuple[float, float]:
    """Return the share of maps that are known, and of photos that are taken for one."""
    found = taken(records, bounds)
    maps = np.array([bool(record["map"]) for record in records])
    return float(np.mean(found[maps]) if maps.any() else 0), float(np.mean(found[~maps]))


def fit(records: list[dict[str, Any]]) -> tuple[float, ...]:
    """Return the middle of the thresholds that know most maps and take no photo for one."""
    each = {
        bounds: rates(records, bounds) for bounds in product(CLOSE, ON, OWN_CLOSE, OWN_ON, SWING)
    }
    least = min(wrong for _, wrong in each.values())
    most = max(right for right, wrong in each.values() if wrong == least)
    best = [bounds for bounds, (right, wrong) in each.items()
            if wrong == least and right >= most - 0.005]  # fmt: skip
    middle = np.median(best, axis=0)
    return min(best, key=lambda bounds: float(np.abs((np.array(bounds) - middle) / middle).sum()))


def report(records: list[dict[str, Any]]) -> None:
    """Print what thresholds fitted elsewhere say of each data set."""
    used = cm._CLOSE, cm._ON, cm._OWN_CLOSE, cm._OWN_ON, cm._LEAST_SWING
    for dataset in dict.fromkeys(record["dataset"] for record in records):
        rest = [record for record in records if record["dataset"] != dataset]
        here = [record for record in records if record["dataset"] == dataset]
        for name, bounds in (("fitted", fit(rest)), ("used", used)):
            right, wrong = rates(here, bounds)
            print(f"{dataset:22} {name:6} {bounds}: {right:.1%} of "
                  f"{sum(bool(r['map']) for r in here)} maps, {wrong:.1%} of "
                  f"{sum(not r['map'] for r in here)} photos")  # fmt: skip
    for name in (*MAPS, *BUILT):
        own = [record for record in records if record["map"] == name]
        print(f"  {name:10} {taken(own, used).mean():.0%} of {len(own)}")
    print(
        "fitted on all:", fit(records), rates(records, fit(records)), "used:", rates(records, used)
    )


if __name__ == "__main__":
    run(__doc__.splitlines()[0], measured, report)
