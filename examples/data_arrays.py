"""DataArrays of xarray: a place on the ground, bands by name, values that a file packs.

python examples/data_arrays.py          # needs the extra xarray
"""

import numpy as np
import xarray as xr

import cmsr.xarray  # noqa: F401 (adds .cmsr to DataArrays)

rng = np.random.default_rng(0)
rows, columns = np.mgrid[:96, :128]
field = (rows // 32 + columns // 32) % 2 == 0

# The photo: 5 m a pixel. The target: surface temperature at 20 m a pixel, as a file holds it.
colours = np.where(field[..., None], (90, 120, 50), (180, 150, 110)) + rng.normal(
    0, 3, (96, 128, 3)
)
places = {"y": 5e6 - 5 * (rows[:, 0] + 0.5), "x": 6e5 + 5 * (columns[0] + 0.5)}
photo = xr.DataArray(colours.clip(0, 255).astype(np.uint8), places, ("y", "x", "band"))
truth = xr.DataArray(np.where(field, 21.0, 34.0), places, ("y", "x"), "lst", {"units": "degC"})
photo, truth = (array.rio.write_crs("EPSG:32633") for array in (photo, truth))
target = truth.coarsen(y=4, x=4).mean()
target.encoding = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -9999}

sharp = target.cmsr.upscale(photo, preset="fast", kernel="box")

error = float(abs(sharp - truth).mean())
print(f"{sharp.name} {dict(sharp.sizes)}, {sharp.attrs['units']}, EPSG:{sharp.rio.crs.to_epsg()}")
print(f"first pixel at x {float(sharp.x[0])}, y {float(sharp.y[0])}; mean error {error:.3f} °C")
