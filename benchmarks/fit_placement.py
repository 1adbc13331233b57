"""Fit the weights and the confidence of `registration.placement`, and report them on other pairs.

Usage: python -m benchmarks.fit_placement FEATURES.json PAIRS.csv… [--on NAME…]

Each table (of `make_rig.py`) names target, guide and map (float32 .npy, (h, w, 2): where each
target pixel lies in the photo). Each target is searched for in its own photo and in that of another
row; what the search saw is kept in FEATURES.json, so that a broken run goes on. ``--on`` names
words: pairs with one of them in their table's path or their name are reported on and not fitted to.
"""

import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from cmsr.config import Config
from cmsr.io import inputs
from cmsr.parallel import pooled
from cmsr.registration import placement
from cmsr.registration.framing import looked_at
from cmsr.registration.placement import Finalists, Placement, Prior, Search, finalists
from cmsr.registration.transforms import identity_grid

Case = dict[str, Any]

RIGHT = 3.0
"""Median error, in pixels of the target, of a place that counts as found: later steps mend it."""


def seen(search: Search, truth: np.ndarray | None) -> list[list[float]]:
    """Return what counts of each finalist, and whether it is right."""
    found = finalists(search, (0,))
    return [
        [
            each.score,
            float(found.values[n]),
            math.log(each.field),
            each.turn,
            each.x,
            each.y,
            float(truth is not None and away(found, n, truth) < RIGHT),
        ]
        for n, each in enumerate(found.candidates)
    ]


def away(found: Finalists, number: int, truth: np.ndarray) -> float:
    """Return the median error of a finalist in pixels of the target; ``truth`` is 0 to 1."""
    place: Placement = found.placement(number)
    grid = identity_grid((truth.shape[0], truth.shape[1]))
    there = truth * np.array(place.photo[::-1])
    off = np.hypot(*(place.places(grid)[0].numpy() - there).transpose(2, 0, 1))
    return float(np.median(off)) / place.fineness[0]


def case(folder: Path, row: dict[str, str], beside: dict[str, str]) -> Case:
    """Search for a target in a photo and, mirrored, twice more."""
    raster, photo, _ = inputs.read_pair(folder / row["target"], folder / beside["guide"], Config())
    if photo is None:
        raise ValueError(f"{row['name']}: no photo")
    search = Search.of(*looked_at(raster, photo), Prior())
    truth = np.load(folder / row["map"]) / np.array(photo.shape[::-1]) if row is beside else None
    controls = [seen(search.mirrored(axis), None) for axis in placement.MIRRORED]
    return {"own": seen(search, truth), "controls": controls, "true": row is beside}


def gather(store: Path, tables: list[str]) -> dict[str, Case]:
    """Return all cases, those that are missing searched first."""
    cases: dict[str, Case] = json.loads(store.read_text()) if store.exists() else {}
    for table in tables:
        rows = list(csv.DictReader(Path(table).read_text().splitlines()))
        for number, row in enumerate(rows):
            for beside in (row, rows[(number + len(rows) // 3 + 1) % len(rows)]):
                name = f"{table} {row['name']} {beside['name']}"
                if name not in cases:
                    cases[name] = pooled(
                        lambda r=row, b=beside, t=table: case(Path(t).parent, r, b)
                    )
                    store.write_text(json.dumps(cases))
    return cases


def scores(some: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a finalist's score; see `placement._scores`."""
    correlation, similarity, field, turn = weights
    fields = ((some[:, 2] - math.log(placement.FIELD)) / placement.FIELD_SPREAD) ** 2
    turns = (some[:, 3] / placement.TURN_SPREAD) ** 2
    return correlation * some[:, 0] + similarity * some[:, 1] - (field * fields + turn * turns) / 2


def fitted_weights(cases: list[Case], start: np.ndarray) -> np.ndarray:
    """Fit the weights: conditional logit of the right finalist, where one is right."""
    tables = [np.array(each["own"]) for each in cases if each["true"]]
    tables = [some for some in tables if 0 < some[:, 6].sum() < len(some)]

    def loss(weights: np.ndarray) -> float:
        total = 0.0
        for some in tables:
            values = scores(some, weights)
            total -= np.logaddexp.reduce(values[some[:, 6] > 0]) - np.logaddexp.reduce(values)
        return total + 0.5 * float((((weights - start) / (0.5 * start)) ** 2).sum())

    return minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000}).x


def evidence(some: np.ndarray, weights: np.ndarray) -> tuple[list[float], bool]:
    """Return what the confidence is made of, for the best finalist, and whether it is right."""
    values = scores(some, weights)
    best = int(values.argmax())
    apart = np.abs(some[:, 4:6] - some[best, 4:6]).max(1) > placement.ELSEWHERE[0]
    apart |= np.abs(some[:, 2] - some[best, 2]) > placement.ELSEWHERE[1]
    others = values[apart] if apart.any() else values[-1:]
    gap = float(values[best] - others.max()) if len(some) > 1 else 0.0
    return [gap, some[best, 1], some[best, 0], 1.0], bool(some[best, 6])


def fitted_odds(cases: list[Case], weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Fit the odds that the best finalist is right: a logistic law, held near its start."""
    made = [evidence(np.array(each["own"]), weights) for each in cases]
    rows, right = np.array([row for row, _ in made]), np.array([good for _, good in made])

    def loss(odds: np.ndarray) -> float:
        spread = ((odds - start) / np.maximum(1.0, 0.5 * np.abs(start))) ** 2
        return float(
            np.logaddexp(0, np.where(right, -1, 1) * (rows @ odds)).sum() + spread.sum() / 2
        )

    return minimize(loss, start, method="Nelder-Mead", options={"maxiter": 8000}).x


def report(title: str, cases: list[Case], weights: np.ndarray, odds: np.ndarray) -> None:
    """Print how many are found, accepted, and accepted wrongly, for several least margins."""
    table = []
    for each in cases:
        row, right = evidence(np.array(each["own"]), weights)
        own = float(np.dot(row, odds))
        chance = max(
            float(np.dot(evidence(np.array(some), weights)[0], odds)) for some in each["controls"]
        )
        table.append((each["true"], right, own, own - chance))
    true, right, own, margin = (np.array(column) for column in zip(*table, strict=True))
    print(
        f"{title}: {true.sum()} pairs, {(right & true).sum() / max(1, true.sum()):.0%} found best"
    )
    least = math.log(placement.LEAST_CONFIDENCE / (1 - placement.LEAST_CONFIDENCE))
    for bound in (2.5, 3.5, 4.5, 5.5):
        taken = (own >= least) & (margin >= bound)
        print(
            f"  margin {bound}: {(taken & true & right).sum() / max(1, true.sum()):4.0%} found and "
            f"taken, {(taken & true & ~right).sum()} wrong places taken, "
            f"{(~taken & ~true).sum() / max(1, (~true).sum()):4.0%} of other scenes refused"
        )


def main(store: str, arguments: list[str]) -> None:
    """Gather, fit on some, report on both."""
    split = arguments.index("--on") if "--on" in arguments else len(arguments)
    tables, words = arguments[:split], arguments[split + 1 :]
    cases = gather(Path(store), tables)
    held = [each for name, each in cases.items() if any(word in name for word in words)]
    fit = [each for name, each in cases.items() if not any(word in name for word in words)]
    weights = np.array(
        [placement.CORRELATION, placement.SIMILARITY, placement.FIELD_WEIGHT, placement.TURN_WEIGHT]
    )
    odds = np.array(
        [
            placement.GAP_ODDS,
            placement.SIMILARITY_ODDS,
            placement.CORRELATION_ODDS,
            placement.ODDS,
        ]
    )
    for title, some in (("as it is, fitted to", fit), ("as it is, others", held)):
        report(title, some, weights, odds)
    new = fitted_weights(fit, weights)
    newer = fitted_odds(fit, new, odds)
    print("weights", np.round(new, 2), "odds", np.round(newer, 2))
    for title, some in (("fitted, fitted to", fit), ("fitted, others", held)):
        report(title, some, new, newer)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
