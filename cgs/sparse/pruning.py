"""The rivals of coarse-grain sparsity: which weights of a `MaskedLinear` are kept, step by step of the training.

Each method ends, at `SETTLED` of the training at the latest, with the share of weights (or blocks) that was asked for; what is
left of the training is static. All but magnitude, nm and mpd keep whole blocks, equally many in every block row, so that what they
end with is a `BlockMask` and is stored, computed and built as coarse-grain sparse layers are. To see what that balance costs, some may do without it;
they, and cgs itself, then keep blocks anywhere in the matrix and stay a `MaskedLinear`.

guided          trained dense for `WARM_UP` of the training, then the blocks of the largest norm of each block row.
guided_gradient the same, of the norm of weights times gradients of that step: what the loss would lose with them, to first order
                (Molchanov and others 2019, arXiv 1906.10771, by blocks).
block_magnitude blocks of the largest norm, fewer and fewer of them by a cubic schedule (Narang, Undersander, Diamos 2017,
                arXiv 1711.02782, with the schedule of Zhu and Gupta 2017, arXiv 1710.01878).
group_lasso     the same choice at `SETTLED`, after training with a penalty on the norms of the blocks (Wen and others 2016,
                arXiv 1608.03665; proximal steps scaled to the weights, so that the penalty has no unit to tune).
dynamic         blocks drawn at random; those of the smallest norm are dropped and those of the largest gradient grow, in each
                block row, fewer and fewer (RigL: Evci and others 2020, arXiv 1911.11134, by blocks).
magnitude       single weights by the cubic schedule (Zhu and Gupta 2017), ranked within each layer.
nm              N of every M weights of a row, N = density * M, after `WARM_UP` of dense training (Mishra and others 2021,
                arXiv 2104.08378).
mpd             a block-diagonal matrix whose rows and columns are permuted at random, before training (Supic and others 2018,
                MPDCompress)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

from cgs.base.errors import ConfigError
from cgs.base.options import BLOCK_METHODS
from cgs.base.units import block_size
from cgs.sparse.mask import BlockMask, SplitMix64, check_density, draw_mask, keep_per_row, layer_seed
from cgs.sparse.masked import MaskedLinear

if TYPE_CHECKING:
    from torch import nn

WEIGHT_METHODS = ("magnitude", "nm", "mpd")
PRUNED = BLOCK_METHODS + WEIGHT_METHODS
"""Methods whose layers are trained as `MaskedLinear`."""
STATIC = ("mpd", "cgs")
"""Methods whose masks are settled before training; cgs comes here without balance only."""
WARM_UP = 0.2
"""Share of the training that is dense before blocks are chosen once."""
SETTLED = 0.5
"""Share of the training after which no mask changes."""
UPDATES = 40
"""Changes of a mask, at most, up to there."""
REGROWN = 0.3
"""Share of the blocks of a row exchanged in the first update of "dynamic", falling to none as half a cosine; fractions of a block add up."""
PENALTY = 1.0
"""Of group lasso: what a block's norm has lost by `SETTLED`, as a multiple of the mean norm, if the gradient never resists."""


class Pruner:
    """Changes the masks of one network as its training goes on.

    Args:
        layers: the network's weight matrices; those that are `MaskedLinear` and not settled are pruned.
        method: one of `PRUNED`.
        blocks: outputs and inputs of a block of each layer; M of nm is the first of them.
        density: of each layer.
        seed: of the network.
        balanced: as many blocks in every block row, where the method keeps blocks.
    Raises: ConfigError: a layer that cannot have that density.
    """

    def __init__(
        self, layers: Iterable[nn.Module], method: str, blocks: list[tuple[int, int]], density: list[float], seed: int, balanced: bool = True
    ) -> None:
        self.method = method
        numbered = [(number, layer) for number, layer in enumerate(layers) if isinstance(layer, MaskedLinear)]
        self.layers = [layer for _, layer in numbered]
        waiting = [(number, layer) for number, layer in numbered if not layer.settled]
        self._open = [_Pruned(layer, method, blocks[number], density[number], layer_seed(seed, number), balanced) for number, layer in waiting]

    @property
    def settled(self) -> bool:
        """True where no mask will change any more."""
        return not self._open

    def before_step(self, step: int, n_steps: int) -> None:
        """Change the masks that it is time to change, and make the gradients of weights that are not kept zero: no norm and no moment of the
        optimiser knows of them. Call with the gradients of a step, before it is made.

        Args:
            step: of the whole training, from 0.
            n_steps: of the whole training.
        """
        update = _updates_by(step, n_steps)
        if self._open and not (step and update == _updates_by(step - 1, n_steps)):
            for pruned in self._open:
                if pruned.update(step / n_steps, update):
                    pruned.layer.settled.fill_(True)
            self._open = [pruned for pruned in self._open if not pruned.layer.settled]
        for layer in self.layers:
            if layer.weight.grad is not None:
                layer.weight.grad.masked_fill_(~layer.kept, 0.0)

    def after_step(self) -> None:
        """Make zero what the optimiser gave to weights that are not kept."""
        for layer in self.layers:
            layer.enforce()


def _updates_by(step: int, n_steps: int) -> int:
    """Updates due by a step: the same in a resumed training as in an unbroken one."""
    return min(UPDATES, int(step * UPDATES / (SETTLED * n_steps)))


class _Pruned:
    """One layer on its way to its density."""

    def __init__(self, layer: MaskedLinear, method: str, sides: tuple[int, int], density: float, seed: int, balanced: bool) -> None:
        n_out, n_in = layer.weight.shape
        self.layer, self.method, self.density, self.balanced = layer, method, density, balanced
        self.block, self.block_in = block, block_in = sides
        self.shape = n_out, n_in
        if method in BLOCK_METHODS or method == "cgs":
            self.keep = keep_per_row(n_out, n_in, block, density, block_in)
        if method == "nm" and abs(block * density - round(block * density)) > 1e-6:
            raise ConfigError(f"nm: {density:g} of every {block} weights is no whole number", "choose a block (M) of which the density is a whole number")
        if method in WEIGHT_METHODS:
            check_density(density, share_kept(method, n_out, n_in, block, density), f"{method}: a {n_out} x {n_in} layer")
        if method == "dynamic" and layer.kept.all():
            _start_sparse(layer, torch.from_numpy(draw_mask(n_out, n_in, block, density, seed, block_in).to_dense()))
        if method == "mpd" and layer.kept.all():
            _start_sparse(layer, torch.from_numpy(permuted_diagonal(n_out, n_in, density, seed)))
        if method == "cgs" and layer.kept.all():
            shape = -(-n_out // block), -(-n_in // block_in)
            _start_sparse(layer, self._spread(torch.from_numpy(scattered_blocks(shape, self.keep, seed))))

    def update(self, done: float, number: int) -> bool:
        """Change the mask for the time of a number, `UPDATES` being the last; returns True where it changes no more."""
        if self.method in STATIC:
            return True
        rule: Callable[[float, int], bool] = getattr(self, f"_{self.method}")
        with torch.no_grad():
            return rule(done, number)

    def _guided(self, done: float, number: int) -> bool:
        return self._choose_once(self.layer.weight, done, number)

    def _guided_gradient(self, done: float, number: int) -> bool:
        grad = self.layer.weight.grad
        return self._choose_once(self.layer.weight if grad is None else self.layer.weight * grad, done, number)

    def _choose_once(self, worth: torch.Tensor, done: float, number: int) -> bool:
        if done < WARM_UP and number < UPDATES:
            return False
        self._keep_blocks(self._norms(worth), self.keep)
        return True

    def _block_magnitude(self, done: float, number: int) -> bool:
        ends = number == UPDATES
        norms = self._norms(self.layer.weight)
        n_columns = norms.shape[1]
        self._keep_blocks(norms, self.keep if ends else max(self.keep, round(n_columns * cubic(done, self.keep / n_columns))))
        return ends

    def _group_lasso(self, done: float, number: int) -> bool:
        norms = self._norms(self.layer.weight)
        if number == UPDATES:
            self._keep_blocks(norms, self.keep)
            return True
        shrunk = (1 - PENALTY / UPDATES * norms.mean() / norms.clamp(min=1e-12)).clamp(min=0)
        self.layer.weight.mul_(self._spread(shrunk))
        return False

    def _dynamic(self, done: float, number: int) -> bool:
        grad, n_moved = self.layer.weight.grad, moved_by(self.keep, number + 1) - moved_by(self.keep, number)
        if number == UPDATES or grad is None or not n_moved:
            return number == UPDATES
        kept = self._norms(self.layer.kept.float()) > 0
        norms = self._norms(self.layer.weight).masked_fill(~kept, -1.0)
        staying = norms.argsort(dim=1, descending=True, stable=True)[:, : self.keep - n_moved]
        wanted = self._norms(grad).masked_fill(kept, -1.0).scatter_(1, staying, float("inf"))
        self._keep_blocks(wanted, self.keep)
        return False

    def _magnitude(self, done: float, number: int) -> bool:
        ends = number == UPDATES
        share = self.density if ends else cubic(done, self.density)
        size = self.layer.weight.abs().flatten()
        chosen = size.argsort(descending=True, stable=True)[: _n_single(share, len(size))]
        self.layer.keep(torch.zeros_like(size, dtype=torch.bool).index_fill_(0, chosen, True).view(self.shape))
        return ends

    def _nm(self, done: float, number: int) -> bool:
        if done < WARM_UP and number < UPDATES:
            return False
        n_out, n_in = self.shape
        padding = -n_in % self.block
        size = torch.nn.functional.pad(self.layer.weight.abs(), (0, padding), value=-1.0).view(n_out, -1, self.block)
        chosen = size.argsort(dim=2, descending=True, stable=True)[:, :, : round(self.density * self.block)]
        self.layer.keep(torch.zeros_like(size, dtype=torch.bool).scatter_(2, chosen, True).view(n_out, -1)[:, :n_in])
        return True

    def _norms(self, weight: torch.Tensor) -> torch.Tensor:
        """(R, C) norm of each block, padding counted as zeros."""
        n_out, n_in = self.shape
        height, width = self.block, self.block_in
        padded = torch.nn.functional.pad(weight, (0, -n_in % width, 0, -n_out % height))
        return padded.view(-(-n_out // height), height, -(-n_in // width), width).square().sum(dim=(1, 3)).sqrt()

    def _spread(self, blocks: torch.Tensor) -> torch.Tensor:
        """(R, C) of blocks to (n_out, n_in) of weights."""
        n_out, n_in = self.shape
        return blocks.repeat_interleave(self.block, 0).repeat_interleave(self.block_in, 1)[:n_out, :n_in]

    def _keep_blocks(self, worth: torch.Tensor, keep: int) -> None:
        """Keep the `keep` blocks of most worth (R, C) in each block row, or as many wherever they are; the first of equal ones."""
        rows, keep = (worth, keep) if self.balanced else (worth.view(1, -1), keep * len(worth))
        chosen = rows.argsort(dim=1, descending=True, stable=True)[:, :keep]
        self.layer.keep(self._spread(torch.zeros_like(rows, dtype=torch.bool).scatter_(1, chosen, True).view_as(worth)))


def cubic(done: float, density: float) -> float:
    """Density on the way from 1 to `density`, which it reaches at `SETTLED`. Source: Zhu and Gupta 2017."""
    return density + (1 - density) * (1 - min(done / SETTLED, 1.0)) ** 3


def moved_by(keep: int, number: int) -> int:
    """Blocks of a row of `keep` that "dynamic" has exchanged before an update of a number, from 0: whole ones of the sum of all updates' shares."""
    return round(keep * REGROWN * sum(0.5 * (1 + math.cos(math.pi * n / UPDATES)) for n in range(number)))


def permuted_diagonal(n_out: int, n_in: int, density: float, seed: int) -> np.ndarray:
    """(n_out, n_in) bool: a block-diagonal matrix of 1 / density blocks, rows and columns in a random order.

    Raises: ConfigError: a density that is not one of a whole number, or more blocks than rows or columns.
    """
    n_blocks = round(1 / density)
    if abs(1 / density - n_blocks) > 1e-6 * n_blocks or n_blocks > min(n_out, n_in):
        raise ConfigError(f"mpd: density {density:g} of a {n_out} x {n_in} layer", "use one of a whole number, e.g. 0.25, of at most as many rows and columns")
    random = SplitMix64(seed)
    groups = []
    for size in (n_out, n_in):
        order = list(range(size))
        random.shuffle(order)
        groups.append(np.array(order) * n_blocks // size)
    return groups[0][:, None] == groups[1][None, :]


def share_kept(method: str, n_out: int, n_in: int, block: int, density: float) -> float:
    """Share of the weights of a matrix with which a method of `WEIGHT_METHODS` ends; see `Pruner`."""
    if method == "nm":
        n_whole, rest = divmod(n_in, block)
        n_kept = round(block * density)
        return (n_whole * n_kept + min(n_kept, rest)) / n_in
    if method == "mpd":
        n_blocks = round(1 / density)
        sides = [np.bincount(np.arange(size) * n_blocks // size) for size in (n_out, n_in)]
        return float(sides[0] @ sides[1]) / (n_out * n_in)
    return _n_single(density, n_out * n_in) / (n_out * n_in)


def _n_single(density: float, n_weights: int) -> int:
    return max(1, round(density * n_weights))


def scattered_blocks(shape: tuple[int, int], keep: int, seed: int) -> np.ndarray:
    """(R, C) bool, the shape: `keep` blocks for each block row, drawn from the whole matrix, so that rows and columns have more or fewer by chance."""
    order = list(range(shape[0] * shape[1]))
    SplitMix64(seed).shuffle(order)
    kept = np.zeros(len(order), dtype=bool)
    kept[order[: keep * shape[0]]] = True
    return kept.reshape(shape)


def block_mask(layer: MaskedLinear, block: int, block_in: int) -> BlockMask:
    """The settled mask of a layer as blocks of so many outputs and inputs. Raises: ConfigError: it is not made of whole blocks, equally many a row."""
    n_out, n_in = layer.weight.shape
    blocks = layer.kept.cpu().numpy()[::block, ::block_in]
    counts = set(blocks.sum(axis=1).tolist())
    if len(counts) == 1 and counts != {0}:
        mask = BlockMask(n_out, n_in, block, np.nonzero(blocks)[1].reshape(len(blocks), -1).astype(np.int32), block_in=block_in)
        if np.array_equal(mask.to_dense(), layer.kept.cpu().numpy()):
            return mask
    size = block_size(block, block_in)
    raise ConfigError(f"a mask of a {n_out} x {n_in} layer that is not made of equally many blocks of {size} in each row", "report a bug")


def _start_sparse(layer: MaskedLinear, kept: torch.Tensor) -> None:
    """Drop weights before training; those of a row with fewer inputs begin larger, so that outputs are as large as those of a dense layer."""
    with torch.no_grad():
        fan_in = kept.sum(dim=1, keepdim=True).clamp(min=1)
        layer.weight.mul_((kept.shape[1] / fan_in).sqrt())
    layer.keep(kept)
