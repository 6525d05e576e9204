"""A whole movement as one row of numbers, for a linear classifier: (N, T, V, D) -> (N, C, 1).

N clips, T frames, V joints, D coordinates, C channels. What is computed from a missing joint (NaN)
is NaN. None of the modules has weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from rpstn.errors import SettingError

from ..geometry.arrays import safe_norm
from .representations import StandingDisplacements


class Movement(StandingDisplacements):
    """Base: displacements from the standing pose, of some joints.

    Args:
        skeleton: name of the joints that come in.
        parts: what to look at, e.g. ``('nose', 'hip')``: joints, and the joints of both sides that
            are called so. None: all.
        axes: the coordinates to use.
        kwargs: see :class:`StandingDisplacements`.

    Attributes:
        kept: the channels of the displacements that remain.
    """

    def __init__(
        self,
        skeleton: str,
        parts: Sequence[str] | None = None,
        axes: Sequence[int] = (0, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(skeleton, axes, **kwargs)
        names = self.skeleton.joints
        chosen = [part for part in parts or () if not any(_is(part, name) for name in names)]
        if chosen or parts == ():
            raise SettingError(
                f'parts must be among the joints of {self.skeleton.name}, got {chosen or parts}'
            )
        self.kept = [
            len(self.axes) * joint + axis
            for joint, name in enumerate(names)
            if parts is None or any(_is(part, name) for part in parts)
            for axis in range(len(self.axes))
        ]

    def displacements(self, joints: Tensor) -> Tensor:
        """(N, T, V, D) -> (N, T, kept)."""
        return super().forward(joints)[:, self.kept].transpose(1, 2)


def _is(part: str, name: str) -> bool:
    return name in (part, f'left_{part}', f'right_{part}')


@MODELS.register_module()
class MovementRange(Movement):
    """How far each joint goes to either side of where it stands: quantiles over the clip.

    They are blind to tempo and to when it happens.

    Args:
        quantiles: of each displacement over time.
        kwargs: see :class:`Movement`.
    """

    def __init__(
        self, skeleton: str, quantiles: Sequence[float] = (0.02, 0.98), **kwargs: Any
    ) -> None:
        super().__init__(skeleton, **kwargs)
        if not quantiles or not all(0 <= q <= 1 for q in quantiles):
            raise SettingError(f'quantiles must lie in 0..1, got {quantiles}')
        self.quantiles = list(quantiles)
        self.out_channels = len(self.kept) * len(self.quantiles)

    def forward(self, joints: Tensor) -> Tensor:
        moved = self.displacements(joints)
        found = moved.nanquantile(moved.new_tensor(self.quantiles), dim=1)  # (Q, N, kept)
        return found.transpose(0, 1).flatten(1)[..., None]


@MODELS.register_module()
class MovementPhases(Movement):
    """Where the joints are at shares of the way down and, behind the bottom, up again.

    The way is that of the shoulders towards the ankles, so that tempo, and how long somebody
    stands before and after, does not matter. A phase is the last moment before the bottom, or the
    first one behind it, at which no more than this share of the way is done.

    Args:
        shares: of the way down, rising, at most 1, the bottom: ``(0.25, 0.5, 0.75, 1)``; on the way
            up they come in reverse.
        kwargs: see :class:`Movement`.
    """

    def __init__(
        self, skeleton: str, shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0), **kwargs: Any
    ) -> None:
        super().__init__(skeleton, **kwargs)
        if (
            not shares
            or list(shares) != sorted(set(shares))
            or not 0 < shares[0] <= shares[-1] <= 1
        ):
            raise SettingError(f'shares must rise within 0..1, without 0, got {shares}')
        self.shares = list(shares)
        up = [share for share in self.shares[::-1] if share < 1]
        self.out_channels = len(self.kept) * (len(self.shares) + len(up))

    def forward(self, joints: Tensor) -> Tensor:
        moved = self.displacements(joints)
        index = self.phases(joints)
        return moved.gather(1, index[..., None].expand(-1, -1, moved.shape[2])).flatten(1)[
            ..., None
        ]

    def phases(self, joints: Tensor) -> Tensor:
        """(N, T, V, D) -> (N, P) frames, in the order of time."""
        measured = joints[..., self.size_axes]
        top, low = (measured[:, :, self.path[k]].mean(2) for k in (0, -1))
        height = safe_norm(top - low)
        known = height.nan_to_num(nan=float('inf'))
        lowest, bottom = known.min(1, keepdim=True)
        standing = height.gather(1, self._standing(height)).nanmean(1, keepdim=True)
        done = (standing - known) / (standing - lowest)
        frames = torch.arange(joints.shape[1], device=joints.device)
        found = []
        for share in self.shares:
            before = (done <= share) & (frames <= bottom)
            found.append(torch.where(before, frames, 0).amax(1))
        for share in self.shares[::-1]:
            if share < 1:
                behind = (done <= share) & (frames >= bottom)
                found.append(torch.where(behind, frames, len(frames) - 1).amin(1))
        return torch.stack(found, 1)


@MODELS.register_module()
class NoBackbone(BaseModule):
    """Nothing between representation and head.

    Args:
        in_channels: channels of the representation.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) as it is."""
        return x
