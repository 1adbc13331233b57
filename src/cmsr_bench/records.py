"""Records of runs on disk, one file each, which later comparisons reuse."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from cmsr.errors import OutputError
from cmsr.io.atomic import replacing, write_text
from cmsr.io.digest import digest
from cmsr_bench.cases import Case
from cmsr_bench.provenance import code_version
from cmsr_bench.variants import Variant

Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run: a method with its options on one pair with one seed.

    ``weights`` is the file of a trained method, None for all others; ``report`` is the command that
    repeats the run, for the page on it, or None if there is to be none.
    """

    variant: Variant
    case: Case
    seed: int
    weights: Path | None = None
    report: str | None = None

    @property
    def key(self) -> str:
        """Hash of all that the result depends on: code, options, the files' content, seed."""
        method = self.variant.method
        version = code_version("cmsr.api") if method.version is None else method.version
        parts = {
            "method": [method.name, version, {**method.options, **self.variant.options}],
            "pair": self.case.content,
            "seed": self.seed if method.seeded else None,
            "weights": self.weights_hash,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]

    @property
    def weights_hash(self) -> str | None:
        """SHA-256 of the file of a trained method."""
        return None if self.weights is None else digest(self.weights).hex()

    @property
    def labels(self) -> Record:
        """Names in the run's record; another table may name the same run otherwise."""
        return {
            "method": self.variant.label,
            "dataset": self.case.dataset,
            "pair": self.case.name,
            "seed": self.seed,
        }


class Store:
    """A folder of records and images; every file appears whole or not at all.

    Parameters
    ----------
    folder : path
        Created if it does not exist.

    Raises
    ------
    OutputError
        If it cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot create the folder ({error.strerror})") from error

    def record(self, key: str) -> Record | None:
        """Return the record of a run, or None if there is none that can be read."""
        try:
            record = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and "error" in record else None

    def of(self, runs: Iterable[Run]) -> list[Record]:
        """Return the records of runs, as far as they exist, under the runs' present names."""
        return [{**record, **run.labels} for run in runs if (record := self.record(run.key))]

    def done(self, key: str, *, page: bool = False) -> bool:
        """Tell whether a run has succeeded, if asked for with its page."""
        record = self.record(key)
        whole = not page or self.page(key).is_file()
        return record is not None and record["error"] is None and whole

    def page(self, key: str) -> Path:
        """Return the path of the page on a run."""
        return self.folder / f"{key}.html"

    def image(self, key: str) -> npt.NDArray[Any] | None:
        """Return the image (C, H, W) of a run, or None."""
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as arrays:
                return np.asarray(arrays["image"])
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            return None

    def put(
        self,
        key: str,
        record: Mapping[str, Any],
        image: npt.NDArray[Any] | None = None,
        page: str | None = None,
    ) -> None:
        """Write the output of a run; the record comes last, so that it never lacks its image."""
        if image is not None:
            with replacing(self.folder / f"{key}.npz") as temporary:
                np.savez_compressed(temporary, image=image)
        if page is not None:
            write_text(self.page(key), page)
        write_text(self.folder / f"{key}.json", json.dumps(record, indent=1) + "\n")
