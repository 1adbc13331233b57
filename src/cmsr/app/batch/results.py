"""The folder of results, to which a worker publishes what it has made."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cmsr.app.batch.storage import (
    OWN,
    MissingFileError,
    is_remote,
    named,
    read_bytes,
    reason,
    system,
)
from cmsr.errors import OutputError


class Results:
    """The folder of results of one run.

    Parameters
    ----------
    url : str
        Absolute path or URL.
    run : str
        Only the run that has locked the folder may publish.
    """

    def __init__(self, url: str, run: str) -> None:
        self.url, self.run = url, run
        self.own = f"{url}/{OWN}"
        self.staging = Path(self.own, run)

    @contextmanager
    def workspace(self, scratch: Path) -> Iterator[Path]:
        """Yield an empty folder for files before they are published.

        It lies where publishing is a rename, or in ``scratch`` where publishing is an upload.
        """
        home = scratch if is_remote(self.url) else self.staging
        folder = home / secrets.token_hex(8)
        self._check_held()
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def record(self, name: str) -> bytes | None:
        """Return the record of a pair, or None."""
        try:
            return read_bytes(f"{self.url}/{name}.json")
        except MissingFileError:
            return None

    def size(self, name: str) -> int | None:
        """Return the size of a file of the folder in bytes, or None if it is missing."""
        fs, path = system(f"{self.url}/{name}")
        try:
            with named(self.url):
                return int(fs.info(path)["size"])
        except MissingFileError:
            return None

    def publish(
        self, name: str, record: Path, outputs: Sequence[Path] = (), outdated: Sequence[str] = ()
    ) -> None:
        """Publish the files of a pair; its record never exists without them.

        Parameters
        ----------
        name : str
            Of the pair.
        record : Path
            File in the workspace.
        outputs : sequence of Path
            Other files of the pair; without any, the published ones stay.
        outdated : sequence of str
            Endings of files of an earlier run to be removed, if there are outputs.

        Raises
        ------
        OutputError
            If the storage refuses, or another run has locked the folder.
        """
        self._check_held()
        place = f"{self.url}/{name}.json"
        try:
            if outputs:
                for ending in (*outdated, ".json"):
                    self._remove(f"{self.url}/{name}{ending}")
                for output in outputs:
                    self._put(output, f"{place.rpartition('/')[0]}/{output.name}")
            self._put(record, place)
        except OSError as error:
            raise OutputError(f"{place}: cannot be written ({reason(error)})") from error

    def _put(self, file: Path, place: str) -> None:
        if is_remote(place):
            fs, path = system(place)
            fs.put_file(str(file), path)
        else:
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)

    def _remove(self, place: str) -> None:
        fs, path = system(place)
        if fs.exists(path):
            fs.rm_file(path)

    def _check_held(self) -> None:
        """Refuse to go on if the run has ended or another one has locked the folder."""
        if is_remote(self.url):
            held = read_bytes(f"{self.own}/lock").decode().split()[:1] == [self.run]
        else:
            held = self.staging.is_dir()
        if not held:
            raise OutputError(f"{self.url}: this run no longer holds the lock of the folder")
