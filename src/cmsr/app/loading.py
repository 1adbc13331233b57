"""Large packages imported quickly."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import inside without the garbage collector: .3 of 2.1 seconds of torch, SciPy and rasterio.

    What they make by the hundred thousand stays to the end; it would be looked through each time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
