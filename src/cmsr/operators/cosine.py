"""The cosine transform: the basis of images that continue as their mirror image."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=32)
def cosines(n: int, device: str) -> Tensor:
    """Orthonormal cosine transform (type II), (n, n): each row is a frequency."""
    frequency, place = torch.arange(n)[:, None], torch.arange(n)[None]
    rows = torch.cos(math.pi * (place + 0.5) * frequency / n) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows.to(device)
