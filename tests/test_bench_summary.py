"""Means, spreads, ranks and wins of records made up by hand."""

import math

import numpy as np
import pytest

from cmsr.io.raster import from_array
from cmsr_bench import tables
from cmsr_bench.measure import _scores
from cmsr_bench.records import Record
from cmsr_bench.summary import mean_and_error, summaries


def record(method: str, pair: str, psnr: float | None, seed: int = 0, **other: object) -> Record:
    figures = dict.fromkeys(("ssim", "rmse", "consistency", "seconds", "peak_memory_mb"), 1.0)
    gain = None if psnr is None else psnr - 20
    known = {"dataset": "d", "scored": psnr is not None, "error": None, "gain": gain}
    return {"method": method, "pair": pair, "psnr": psnr, "seed": seed, **figures, **known, **other}


RECORDS = [
    *(record("plain", pair, 20.0) for pair in "xyz"),
    *(record("good", "x", 24.0 + s, s) for s in (-1, 0, 1)),
    *(record("good", "y", 30.0 + s, s) for s in (-1, 0, 1)),
    record("good", "z", 19.0),
]


def test_summaries_weigh_pairs_alike_and_rank_within_each() -> None:
    plain, good = summaries(RECORDS)
    assert (good.pairs, good.runs, good.wins, plain.wins) == (3, 7, 2, 1)
    assert good.psnr == pytest.approx((24 + 30 + 19) / 3)
    assert good.gain == pytest.approx((4 + 10 - 1) / 3)
    assert good.worst == -1
    assert good.over_seeds == pytest.approx(1)
    assert good.over_pairs == pytest.approx(np.std([24, 30, 19], ddof=1))
    assert plain.over_pairs == 0
    assert math.isnan(plain.over_seeds), "one seed has no spread"
    assert (good.rank, plain.rank) == (pytest.approx(4 / 3), pytest.approx(5 / 3))


def test_a_method_that_misses_pairs_comes_last_and_says_so() -> None:
    table = tables.means(summaries([*RECORDS, record("lucky", "y", 40.0)]))
    assert "| `lucky`, 1 of 3 pairs | 40.00 ± – / – |" in table
    assert table.index("`plain`") < table.index("`lucky`")


def test_the_truth_itself_is_best() -> None:
    perfect, good = summaries([record("perfect", "x", None, rmse=0.0, scored=True),
                               record("good", "x", 60.0)])  # fmt: skip
    assert (perfect.psnr, perfect.wins, good.wins) == (math.inf, 1, 0)


def test_equals_share_the_better_place() -> None:
    first, second = summaries([record("a", "x", 20.0), record("b", "x", 20.0)])
    assert first.rank == second.rank == 1


def test_standard_error_is_that_of_seeds_with_pairs_fixed() -> None:
    mean, error = mean_and_error({"x": [1.0, 3.0], "y": [10.0, 10.0]})
    assert mean == 6
    assert error == pytest.approx(math.sqrt(2 / 2) / 2)


def test_report_tells_what_failed_and_what_was_not_scored() -> None:
    report = tables.report(
        [*RECORDS, record("good", "w", None), record("plain", "v", None, error="no memory")]
    )
    assert report.index("| `good` |") < report.index("| `plain` |")
    assert "| x | 20.00 | **24.00** |" in report
    assert "Without a score, for lack of a truth: w." in report
    assert "failed: `plain` on v: no memory" in report


def test_findings_of_a_sweep_are_paired_with_p_0() -> None:
    gains = {0.0: 0.0, 0.3: 0.5, 0.6: -0.2}
    sweep = [
        record(f"cmsr-paper:p={p:g}", pair, level + gain + 0.1 * seed, seed)
        for p, gain in gains.items()
        for pair, level in (("x", 20.0), ("y", 40.0))
        for seed in range(3)
    ]
    sweep.append(record("cmsr-paper:p=0.6", "z", 90.0))
    text = tables.sweep(sweep)
    assert "Best at p = 0.3" in text
    assert "p = 0.3: 0.500 ± 0.000 dB above p = 0" in text
    assert "p = 0.6:" not in text


def test_a_gain_beside_holes_has_its_own_column_where_there_are_any() -> None:
    holed = [record("good", "x", 24.0, gain_positive=6.0), record("good", "y", 22.0)]
    (good,) = summaries(holed)
    assert (good.gain, good.gain_positive) == (3.0, 6.0)
    assert "| +3.00 | +6.00 |" in tables.means([good])
    assert "where > 0" not in tables.means(summaries(RECORDS))


def test_where_the_truth_is_zero_does_not_count_beside_holes() -> None:
    """An image that is off by one where there is something, by a hundred where there is not."""
    truth = np.full((16, 16), 100, np.uint8)
    truth[:, :6] = 0
    image = np.where(truth > 0, truth + 1.0, 100.0)[None]
    target = from_array(truth[::4, ::4], "target")
    with_holes = _scores(image, target, from_array(truth, "truth"))
    assert with_holes["gain"] < 0 < with_holes["gain_positive"]
    assert "gain_positive" not in _scores(image, target, from_array(truth + 1, "truth"))
