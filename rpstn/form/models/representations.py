"""What a network over time sees of a skeleton: modules (N, T, V, D) -> (N, C, T).

N clips, T frames, V joints, D coordinates, P = V (V - 1) / 2 pairs, C channels. What is computed
from a missing joint (NaN) is NaN. None of the modules has weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError
from rpstn.skeletons import get_skeleton

from ..geometry.arrays import safe_norm, safe_sqrt
from ..geometry.distances import pairwise_distances
from ..geometry.limbs import normalize_limbs
from ..geometry.motion import joint_angle

SIZE_PATH = ('shoulder', 'hip', 'knee', 'ankle')


class Representation(nn.Module):
    """Base: a skeleton and the coordinates to use.

    Args:
        skeleton: name of the joints that come in, see :mod:`rpstn.skeletons`.
        axes: the coordinates to use, e.g. ``(0, 1)`` to leave depth out.

    Attributes:
        out_channels: C.
    """

    out_channels: int

    def __init__(self, skeleton: str, axes: Sequence[int] = (0, 1, 2)) -> None:
        super().__init__()
        self.skeleton = get_skeleton(skeleton)
        self.axes = list(axes)

    def select(self, joints: Tensor) -> Tensor:
        """The coordinates to use; ValueError where the joints are not those of the skeleton."""
        if joints.shape[-2] != self.skeleton.num_joints or joints.shape[-1] <= max(self.axes):
            raise SettingError(
                f'{type(self).__name__} takes {self.skeleton.num_joints} joints '
                f'({self.skeleton.name}) with at least {max(self.axes) + 1} coordinates, got '
                f'shape {tuple(joints.shape)}'
            )
        return joints[..., self.axes]

    def extra_repr(self) -> str:
        return f'{self.skeleton.name}, axes={self.axes}'


@MODELS.register_module()
class DistanceMatrices(Representation):
    """Distances of all pairs of joints, P channels (Ogata et al., CVPRW 2019).

    They are blind to where the person stands, to the direction of the camera, and to left and
    right in a mirror.

    Args:
        skeleton, axes: see :class:`Representation`.
        limbs: normalization of the limbs: ``'none'``, ``'head'``, ``'body'`` or ``'full'``, see
            :func:`rpstn.form.normalize_limbs`.
        scale: ``None`` keeps the unit of the joints; ``'clip'`` divides by the root mean square
            distance over the clip, for joints in pixels.
    """

    def __init__(
        self,
        skeleton: str,
        axes: Sequence[int] = (0, 1, 2),
        limbs: str = 'none',
        scale: str | None = None,
    ) -> None:
        super().__init__(skeleton, axes)
        if limbs not in ('none', 'head', 'body', 'full'):
            raise SettingError(f"limbs must be 'none', 'head', 'body' or 'full', got {limbs!r}")
        if scale not in (None, 'clip'):
            raise SettingError(f"scale must be None or 'clip', got {scale!r}")
        self.limbs, self.scale = limbs, scale
        self.out_channels = self.skeleton.num_joints * (self.skeleton.num_joints - 1) // 2

    def forward(self, joints: Tensor) -> Tensor:
        joints = self.select(joints)
        if self.limbs != 'none':
            joints = normalize_limbs(joints, self.skeleton, self.limbs)
        distances = pairwise_distances(joints)
        if self.scale == 'clip':
            distances = divide(distances, root_mean_square(distances))
        return distances.transpose(1, 2)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, limbs={self.limbs}, scale={self.scale}'


@MODELS.register_module()
class JointCoordinates(Representation):
    """The coordinates themselves, about the middle of the body over the clip: V * D channels.

    Args:
        skeleton, axes: see :class:`Representation`.
        center: ``'clip'`` subtracts the mean of all joints over the clip, ``'frame'`` that of
            each frame.
        scale: as in :class:`DistanceMatrices`, by the root mean square of the coordinates about
            the middle.
    """

    def __init__(
        self,
        skeleton: str,
        axes: Sequence[int] = (0, 1, 2),
        center: str = 'clip',
        scale: str | None = None,
    ) -> None:
        super().__init__(skeleton, axes)
        if center not in ('clip', 'frame'):
            raise SettingError(f"center must be 'clip' or 'frame', got {center!r}")
        if scale not in (None, 'clip'):
            raise SettingError(f"scale must be None or 'clip', got {scale!r}")
        self.center, self.scale = center, scale
        self.out_channels = self.skeleton.num_joints * len(self.axes)

    def forward(self, joints: Tensor) -> Tensor:
        joints = self.select(joints)
        joints = joints - joints.nanmean((1, 2) if self.center == 'clip' else 2, keepdim=True)
        if self.scale == 'clip':
            joints = divide(joints, root_mean_square(joints.flatten(2))[..., None])
        return joints.flatten(2).transpose(1, 2)


@MODELS.register_module()
class StandingDisplacements(Representation):
    """How far each joint has moved from where it is when the person stands: V * D channels.

    Unlike distances and coordinates, it is free of what is constant in a recording: the shape of
    the body, where the feet are, and the wrong depth of a joint. What remains is the movement, in
    sizes of the body. It needs the sequence to contain a standing pose, and a camera that is
    upright as the others'.

    Standing is where known shoulders and ankles are farthest apart: the mean of some frames.

    Args:
        skeleton, axes: see :class:`Representation`.
        share: of the frames that make the standing pose.
        size_axes: the coordinates in which the body is measured; without depth by default.
        weights: factors of ``axes``, for instance less for depth.
        origin: ``'pose'`` measures from where each joint is itself, ``'feet'`` from the middle of
            the ankles, so that the shape of the body and the stance remain.
    """

    weights: Tensor

    def __init__(
        self,
        skeleton: str,
        axes: Sequence[int] = (0, 1, 2),
        share: float = 0.2,
        size_axes: Sequence[int] = (0, 1),
        weights: Sequence[float] | None = None,
        origin: str = 'pose',
    ) -> None:
        super().__init__(skeleton, axes)
        if not 0 < share <= 1:
            raise SettingError(f'share must lie in (0, 1], got {share}')
        if weights is not None and len(weights) != len(self.axes):
            raise SettingError(
                f'weights must be {len(self.axes)}, one of each of axes, got {weights}'
            )
        if origin not in ('pose', 'feet'):
            raise SettingError(f"origin must be 'pose' or 'feet', got {origin!r}")
        self.share, self.size_axes, self.origin = share, list(size_axes), origin
        self.register_buffer(
            'weights', torch.tensor(weights or [1.0] * len(self.axes)), persistent=False
        )
        self.path = [
            [self.skeleton.index(f'{side}_{part}') for side in ('left', 'right')]
            for part in SIZE_PATH
        ]
        self.out_channels = self.skeleton.num_joints * len(self.axes)

    def forward(self, joints: Tensor) -> Tensor:
        selected = self.select(joints)
        measured = joints[..., self.size_axes]
        # (N, T, 4, D'): middles of shoulders, hips, knees and ankles
        path = torch.stack([measured[:, :, pair].mean(2) for pair in self.path], 2)
        height = safe_norm(path[:, :, 0] - path[:, :, -1])
        standing, unknown = self._standing(height), height.isnan()[..., None, None]
        path, poses = (x.masked_fill(unknown, float('nan')) for x in (path, selected))
        size = safe_norm(mean_of(path, standing).diff(dim=1)).sum(1)[:, None, None, None]
        pose = mean_of(poses, standing)[:, None]
        if self.origin == 'feet':
            pose = pose[:, :, self.path[-1]].mean(2, keepdim=True)
        moved = divide(selected - pose, size)
        return (moved * self.weights).flatten(2).transpose(1, 2)

    def _standing(self, height: Tensor) -> Tensor:
        """Heights (N, T) -> indices (N, n) of the frames with the greatest ones."""
        count = max(1, round(self.share * height.shape[1]))
        return height.nan_to_num(nan=-1).topk(count, 1).indices


@MODELS.register_module()
class JointVelocities(Representation):
    """Central differences over time, V * D channels, in sizes of the body per clip.

    The size is the root mean square of the joints' coordinates about their middle, over the clip.

    Args:
        skeleton, axes: see :class:`Representation`.
        step: frames to either side.
    """

    def __init__(self, skeleton: str, axes: Sequence[int] = (0, 1, 2), step: int = 1) -> None:
        super().__init__(skeleton, axes)
        if step < 1:
            raise SettingError(f'step must be at least 1, got {step}')
        self.step = step
        self.out_channels = self.skeleton.num_joints * len(self.axes)

    def forward(self, joints: Tensor) -> Tensor:
        joints = self.select(joints)
        size = root_mean_square((joints - joints.nanmean(2, keepdim=True)).flatten(2))
        num_frames = joints.shape[1]
        frames = torch.arange(num_frames, device=joints.device)
        after = (frames + self.step).clamp(max=num_frames - 1)
        before = (frames - self.step).clamp(min=0)
        # At the ends the differences span fewer frames.
        velocity = (joints[:, after] - joints[:, before]) / (after - before)[:, None, None]
        return divide(num_frames * velocity.flatten(2), size).transpose(1, 2)


@MODELS.register_module()
class JointAngles(Representation):
    """Angles at joints, in radians, one channel for each triplet of names.

    Args:
        skeleton, axes: see :class:`Representation`.
        triplets: names (a, b, c) of the joints: the angle at b.
    """

    def __init__(
        self,
        skeleton: str,
        triplets: Sequence[tuple[str, str, str]],
        axes: Sequence[int] = (0, 1, 2),
    ) -> None:
        super().__init__(skeleton, axes)
        self.triplets = [[self.skeleton.index(name) for name in triplet] for triplet in triplets]
        self.out_channels = len(self.triplets)

    def forward(self, joints: Tensor) -> Tensor:
        a, b, c = self.select(joints)[:, :, self.triplets].unbind(3)
        return torch.deg2rad(joint_angle(a, b, c)).transpose(1, 2)


def root_mean_square(values: Tensor) -> Tensor:
    """Over frames and channels: (N, T, C) -> (N, 1, 1), NaN left out."""
    missing = values.isnan()
    squares = values.masked_fill(missing, 0).square().sum((1, 2), keepdim=True)
    return safe_sqrt(squares / (~missing).sum((1, 2), keepdim=True))


def divide(values: Tensor, size: Tensor) -> Tensor:
    """Values by a size that broadcasts; NaN where either is missing or the size is 0.

    Unlike a plain quotient's, the gradient of what is known does not become NaN by what is missing.
    """
    unknown = size.isnan() | (size == 0)
    missing = values.isnan() | unknown
    quotient = values.masked_fill(missing, 0) / size.masked_fill(unknown, 1)
    return quotient.masked_fill(missing, float('nan'))


def mean_of(frames: Tensor, indices: Tensor) -> Tensor:
    """Mean over chosen frames: (N, T, V, D), (N, n) -> (N, V, D), NaN left out."""
    chosen = indices[:, :, None, None].expand(-1, -1, *frames.shape[2:])
    return frames.gather(1, chosen).nanmean(1)
