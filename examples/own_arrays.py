"""Arrays from anywhere: several bands, holes, values in their unit, no files at all.

python examples/own_arrays.py
"""

import numpy as np

import cmsr

rng = np.random.default_rng(0)
rows, columns = np.mgrid[:96, :128]
disc = (rows - 48) ** 2 + (columns - 64) ** 2 < 30**2

# The photo: (H, W, 3), 8-bit. The target: (h, w, bands) in °C, a quarter as large; NaN is a hole.
photo = np.where(disc[..., None], (200, 120, 60), (40, 90, 150)) + rng.normal(0, 3, (96, 128, 3))
truth = np.stack([np.where(disc, 36.5, 20.0), np.where(disc, 5.0, 8.0)], axis=2)
target = truth.reshape(24, 4, 32, 4, 2).mean(axis=(1, 3)).astype(np.float32)
target[2:4, 5:7] = np.nan

result = cmsr.upscale(target, np.clip(photo, 0, 255).astype(np.uint8), preset="fast", kernel="box")

error = np.abs(result.image - truth)[result.valid]
print(
    f"{result.image.shape}, {result.image.dtype}, {np.isnan(result.image[..., 0]).sum()} in holes"
)
print(f"mean error {error.mean():.3f} °C, largest {error.max():.2f} °C")
