"""The photo's share in the result, in the words of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cmsr.guided.usage import NEARLY


@dataclass(frozen=True)
class Share:
    """The photo's share in a result.

    Attributes
    ----------
    headline, reason : str
        How far it was used, and why.
    unused : bool
        Whether the result is the one without it.
    """

    headline: str
    reason: str
    unused: bool

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Self | None:
        """Return the share that `Result.info` tells; None without a photo.

        >>> used = {"weight": 0.004, "unused": 1.0, "reason": "it seems to show another scene"}
        >>> Share.of({"guide_used": used}).headline
        'Photo used for 0 %: this is the result without it.'
        """
        used = info["guide_used"]
        if used is None:
            return None
        headline = f"Photo used for {100 * used['weight']:.0f} %"
        reason = used["reason"][:1].upper() + used["reason"][1:] + "."
        if used["weight"] < NEARLY:
            return cls(f"{headline}: this is the result without it.", reason, unused=True)
        nowhere = f"; not used in {100 * used['unused']:.0f} % of the image"
        return cls(
            headline + (nowhere if used["unused"] >= 0.1 else "") + ".", reason, unused=False
        )
