"""Measure what the prominence of places tells, and fit the confidence of `registration.placement`.

Usage: python -m benchmarks.fit_placement FEATURES.json PAIRS.csv… [--on NAME…]

Each table (of `make_rig.py`) names target, guide and map (float32 .npy, (h, w, 2): where each
target pixel lies in the photo). Each target is searched for in its own photo and in that of another
row; what the search saw is kept in FEATURES.json, so that a broken run goes on. ``--on`` names
words: pairs with one of them in their table's path or their name are reported on and not fitted to.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from cmsr.config import Config
from cmsr.io import inputs
from cmsr.parallel import pooled
from cmsr.registration import placement
from cmsr.registration.framing import looked_at
from cmsr.registration.placement import Placement, Prior, Search, placed, tried
from cmsr.registration.prominence import by_edges, by_values
from cmsr.registration.transforms import identity_grid

Case = list[list[float]]
"""Of each place that was tried: prominence by values and by edges, and error in target pixels."""

RIGHT = 3.0
"""Median error, in pixels of the target, of a place that counts as found: later steps mend it."""


def seen(search: Search, truth: np.ndarray | None) -> Case:
    """Return what counts of each place that is tried; ``truth`` is 0 to 1."""
    some = list(zip(*tried(search, (0,)), strict=True))
    return [
        [
            by_values(cuts, theta),
            by_edges(cuts, theta),
            np.inf if truth is None else away(placed(cuts, theta), truth),
        ]
        for cuts, theta in some
    ]


def away(place: Placement, truth: np.ndarray) -> float:
    """Return the median error of a place in pixels of the target; ``truth`` is 0 to 1."""
    grid = identity_grid((truth.shape[0], truth.shape[1]))
    there = truth * np.array(place.photo[::-1])
    off = np.hypot(*(place.places(grid)[0].numpy() - there).transpose(2, 0, 1))
    return float(np.median(off)) / place.fineness[0]


def case(folder: Path, row: dict[str, str], beside: dict[str, str]) -> Case:
    """Search for the target of a row in the photo of a row."""
    raster, photo, _ = inputs.read_pair(folder / row["target"], folder / beside["guide"], Config())
    if photo is None:
        raise ValueError(f"{row['name']}: no photo")
    truth = np.load(folder / row["map"]) / np.array(photo.shape[::-1]) if row is beside else None
    return pooled(lambda: seen(Search.of(*looked_at(raster, photo), Prior()), truth))


def gather(store: Path, tables: list[str]) -> dict[str, Case]:
    """Return all cases, those that are missing searched first."""
    cases: dict[str, Case] = json.loads(store.read_text()) if store.exists() else {}
    for table in tables:
        rows = list(csv.DictReader(Path(table).read_text().splitlines()))
        for number, row in enumerate(rows):
            for beside in (row, rows[(number + len(rows) // 3 + 1) % len(rows)]):
                name = f"{table} {row['name']} {beside['name']}"
                if name not in cases:
                    cases[name] = case(Path(table).parent, row, beside)
                    store.write_text(json.dumps(cases))
                    print(name, np.round(cases[name], 2).tolist(), flush=True)
    return cases


def winners(cases: dict[str, Case]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the prominence of each case's winner, whether it is right, and whether it can be."""
    best = np.array([max(case, key=lambda place: place[0] + place[1]) for case in cases.values()])
    own = np.array([name.split()[-2] == name.split()[-1] for name in cases])
    return best[:, 0] + best[:, 1], best[:, 2] < RIGHT, own


def report(title: str, cases: dict[str, Case]) -> None:
    """Print how many are found, accepted, and accepted wrongly, for several bounds."""
    found, right, own = winners(cases)
    print(f"{title}: {own.sum()} pairs, {right[own].mean():.0%} found best")
    for bound in (0.14, 0.16, 0.18, 0.2, 0.22):
        taken = found >= bound
        print(
            f"  from {bound}: {(taken & right)[own].mean():4.0%} found and taken, "
            f"{(taken & ~right)[own].sum()} wrong places taken, "
            f"{(~taken)[~own].mean():4.0%} of {(~own).sum()} other scenes refused"
        )


def fitted(cases: dict[str, Case]) -> np.ndarray:
    """Fit slope and even point of the log-odds that a winner is right, the slope held near ours."""
    found, right, _ = winners(cases)

    def loss(law: np.ndarray) -> float:
        odds = law[0] * (found - law[1])
        held = (law[0] / placement.PROMINENCE_ODDS - 1) ** 2
        return float(np.logaddexp(0, np.where(right, -odds, odds)).sum() + held / 2)

    start = [placement.PROMINENCE_ODDS, placement.LEAST_PROMINENCE]
    return np.asarray(minimize(loss, start, method="Nelder-Mead").x)


def main(store: str, arguments: list[str]) -> None:
    """Gather, fit on some, report on both."""
    split = arguments.index("--on") if "--on" in arguments else len(arguments)
    tables, words = arguments[:split], arguments[split + 1 :]
    cases = gather(Path(store), tables)
    held = {name for name in cases if any(word in name for word in words)}
    fit = {name: case for name, case in cases.items() if name not in held}
    print("log-odds: slope, even at", np.round(fitted(fit), 3))
    report("fitted to", fit)
    if held:
        report("others", {name: cases[name] for name in held})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
