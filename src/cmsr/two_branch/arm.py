"""A way to train a network on a pair, and its trained network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from cmsr.config import Config
from cmsr.pair import Pair
from cmsr.registration.chain import WarpChain
from cmsr.two_branch.examples import Example
from cmsr.two_branch.network import TwoBranch


@dataclass
class Fit:
    """Result of training.

    Attributes
    ----------
    network : TwoBranch
        Weights learned from this pair.
    chain : WarpChain or None
        Warps the guide; None leaves it where it is.
    history : dict of lists
        Loss and learning rate at each iteration.
    """

    network: TwoBranch
    chain: WarpChain | None = None
    history: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "rate": []})

    def as_warped(self, example: Example, pair: Pair) -> Example:
        """Return an example with the whole guide as the chain warps it now."""
        if self.chain is None or pair.guide is None:
            return example
        return example.with_guide(self.chain(pair.guide))


@dataclass(frozen=True)
class Arm:
    """One way to train a network on a pair.

    Attributes
    ----------
    pair : Pair
        The guide is aligned on the way where ``config.align`` says so.
    config : Config
        ``p``, ``guide_p``, ``guide_rate``, ``guide_start``, ``crop``, ``iterations``,
        ``learning_rate``, ``seed`` and their guide-free twins.
    """

    pair: Pair
    config: Config

    @property
    def p(self) -> float:
        """Share of the upsampling-based scheme in the steps of the sharpening branch."""
        assert self.config.p != "auto", "a p that is still to be chosen"  # noqa: S101
        return self.config.p

    @property
    def guide_p(self) -> float:
        """The same in those of the guide branch."""
        return self.p if self.config.guide_p is None else self.config.guide_p

    @property
    def iterations(self) -> int:
        """Steps to train, at most."""
        guided = self.pair.guide is not None
        return self.config.iterations if guided else self.config.iterations_guide_free

    def new_fit(self) -> Fit:
        """Return a network with weights drawn by the seed, on the pair's device."""
        pair, config = self.pair, self.config
        torch.manual_seed(config.seed)
        network = TwoBranch(pair.target.shape[1], pair.guide, config.guide_start)
        network = network.to(pair.target.device)
        if pair.guide is None or config.align == "off" or config.warps == "found":
            return Fit(network)
        chain = WarpChain(pair.shape, config.align)
        return Fit(network, chain.to(pair.target.device))
