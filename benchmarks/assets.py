"""Write what pictures are drawn with, `src/cmsr/assets`: colour maps and a font, from matplotlib's.

    python benchmarks/assets.py

`colour_maps.npz` holds an array (256, 3), uint8, for each of matplotlib's maps that is no list of a
few colours; `DejaVuSans.ttf` the European letters and the signs of that font. `LICENSE` holds the
licences of both: matplotlib's, in which stand those of ColorBrewer's and Yorick's maps, and the
font's. inferno, magma, plasma and viridis are in the public domain (CC0).
"""

from importlib.metadata import distribution
from pathlib import Path

import matplotlib as mpl
import numpy as np
from fontTools import subset

OUT = Path(__file__).parents[1] / "src/cmsr/assets"

LETTERS = [(0x20, 0x24F), (0x370, 0x4FF), (0x2000, 0x22FF), (0x25A0, 0x25FF)]
"""Latin, Greek, Cyrillic; punctuation to mathematics; shapes."""


def write_maps(path: Path) -> None:
    """Write every map of continuous colours; a reversed one is made when it is asked for."""
    names = [name for name in sorted(mpl.colormaps) if not name.endswith("_r")]
    kept = {
        name: np.rint(255 * mpl.colormaps[name](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
        for name in names
        if mpl.colormaps[name].N >= 256
    }
    np.savez_compressed(path, **kept)


def write_font(path: Path) -> None:
    """Write the font with fewer letters."""
    options = subset.Options(layout_features=["kern"], hinting=False)
    font = subset.load_font(f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans.ttf", options)
    cut = subset.Subsetter(options)
    cut.populate(unicodes=[code for low, high in LETTERS for code in range(low, high + 1)])
    cut.subset(font)
    subset.save_font(font, str(path), options)


def write_licences(path: Path) -> None:
    """Write matplotlib's licence and those of what it took over that are in our files."""
    parts = distribution("matplotlib").read_text("LICENSE").split("\nName: ")
    bundled = [part for part in parts[1:] if part.startswith(("ColorBrewer", "Yorick"))]
    fonts = Path(mpl.get_data_path(), "fonts/ttf/LICENSE_DEJAVU").read_text()
    texts = [parts[0], *(f"Name: {part}" for part in bundled), f"Name: DejaVu fonts\n\n{fonts}"]
    path.write_text("\n\n".join(text.strip() for text in texts) + "\n")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    write_maps(OUT / "colour_maps.npz")
    write_font(OUT / "DejaVuSans.ttf")
    write_licences(OUT / "LICENSE")
    for made in sorted(OUT.iterdir()):
        print(made.name, made.stat().st_size)
