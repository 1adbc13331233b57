"""Several pairs at once: found among the files, run one after the other, listed as they finish."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from cmsr.app.web.links import link

STATES = {"waiting": "waiting", "running": "running …", "cancelled": "cancelled"}


@dataclass
class Entry:
    """A pair of the list: its name, its files, how it is, what it made.

    Attributes
    ----------
    name, target, photo : str
        ``photo`` is "" where the target holds its own.
    state : str
        One of `STATES`, or what came of it in words.
    failed : bool
        Whether ``state`` is an error.
    made : dict of str to Path
        Files to download, by what they are.
    """

    name: str
    target: str
    photo: str
    state: str = "waiting"
    failed: bool = False
    made: dict[str, Path] = field(default_factory=dict)

    def html(self) -> str:
        """Return the entry as a row of a table."""
        links = [
            f'<a href="gradio_api/file={escape(str(path))}" download>{escape(kind)}</a>'
            for kind, path in self.made.items()
        ]
        if "report" in self.made:
            address = escape(f"gradio_api/file={self.made['report']}")
            links.insert(0, f'<button type="button" data-open="{address}">look</button>')
        state = escape(STATES.get(self.state, self.state))
        told = f'<span class="refused">{state}</span>' if self.failed else state
        photo = escape(self.photo or "its own photo")
        return (
            f"<tr><th scope=row>{escape(self.target)}</th><td>{photo}</td><td>{told}</td>"
            f"<td>{' '.join(links)}</td></tr>"
        )


def listed(entries: Iterable[Entry], alone: Iterable[tuple[str, str]] = ()) -> str:
    """Return a list of pairs, and of files without a partner, as HTML."""
    entries = list(entries)
    done = sum(bool(entry.made) or entry.failed for entry in entries)
    heads = "".join(f"<th scope=col>{name}</th>" for name in ("image", "photo", "state", "files"))
    rest = "".join(f"<p>{escape(name)}: no partner ({escape(why)})</p>" for name, why in alone)
    return (
        f'<p role="status">{done} of {len(entries)} pairs done</p><div class="wide" tabindex="0" '
        f'role="region" aria-label="pairs"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(entry.html() for entry in entries)}</tbody></table></div>{rest}"
    )


def linked(files: Iterable[Path], folder: Path) -> None:
    """Put uploads into one folder under their own names; of two of one name, one is numbered."""
    for file in files:
        place, number = folder / file.name, 1
        while place.exists():
            number += 1
            place = folder / f"{file.stem}_{number}{file.suffix}"
        link(file, place)


def zipped(entries: Iterable[Entry], place: Path) -> Path:
    """Write what all entries made into a zip file, each under its pair's name."""
    with zipfile.ZipFile(place, "w") as archive:
        for entry in entries:
            for path in entry.made.values():
                archive.write(path, path.name)
    return place
