"""Adds ``.cmsr`` to the DataArrays of xarray: ``thermal.cmsr.upscale(photo)``.

xarray comes with the extra ``xarray``: ``pip install 'cmsr[xarray]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cmsr.app.extras import needing

with needing("xarray"):
    import rioxarray as rioxarray  # coordinate systems
    from xarray import DataArray, register_dataarray_accessor

if TYPE_CHECKING:
    from cmsr.io.inputs import Source


@register_dataarray_accessor("cmsr")  # type: ignore[no-untyped-call]
class Accessor:
    """The accessor ``DataArray.cmsr``."""

    def __init__(self, array: DataArray) -> None:
        self._array = array

    def upscale(self, guide: Source | DataArray | None = None, **options: Any) -> DataArray:
        """Return the image at the resolution of a guide; see `cmsr.upscale`.

        Parameters
        ----------
        guide : DataArray, array or path, optional
            Photo of the same scene; without one, ``ratio=`` says how much to enlarge.
        **options
            As for `cmsr.upscale`, which also returns weight, notes and warnings.

        Returns
        -------
        DataArray
            With the dimensions, attributes and encoding of this one, its coordinates at the
            centres of the new pixels.
        """
        from cmsr.api import upscale

        image: DataArray = upscale(self._array, guide, **options).image  # type: ignore[assignment]
        return image
