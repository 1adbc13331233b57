"""Two files in, one sharp file and a page to look at out.

python examples/quickstart.py [FOLDER]
"""

import sys
from pathlib import Path

import cmsr
from cmsr.app.demo.scene import street
from cmsr.app.report import page
from cmsr.io import image_files

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
folder.mkdir(parents=True, exist_ok=True)

# A rendered street stands for your two files: a thermal image and a photo, 4 times as large.
scene = street()
image_files.write(folder / "thermal.tif", scene.target)
image_files.write(folder / "photo.png", scene.guide)

result = cmsr.upscale(folder / "thermal.tif", folder / "photo.png", preset="fast", seed=0)

image_files.write(folder / "sharp.tif", result.image)
page.write(folder / "report.html", result)
height, width = result.image.shape
print(f"{width} × {height} pixels, the photo's mean weight is {result.guide_weight.mean():.2f}")
print(f"look at {folder / 'report.html'}")
