"""A skeleton's motion: joint angles, where bends start, tempo, gaps and outliers.

Shapes: T frames, V joints, D = 2 or 3 coordinates. A joint with a NaN coordinate is missing.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rpstn.skeletons import Skeleton, get_skeleton

from .arrays import check_floating, numpy_too, safe_norm

SIDES = ('right', 'left', 'both')


@numpy_too
def joint_angle(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The angle at ``b`` between the directions to ``a`` and to ``c``, in degrees, 0 to 180.

    By Kahan's formula, which is accurate at all angles; finite gradients also at 0 and 180.

    Args:
        a, b, c: (..., D), one dtype, shapes that broadcast.

    Returns:
        (...), NaN where a joint is NaN or coincides with ``b``; no gradient comes from there.
    """
    for name, points in (('a', a), ('b', b), ('c', c)):
        check_floating(points, name)
    u, v = torch.broadcast_tensors(a - b, c - b)
    length_u, length_v = safe_norm(u.detach(), keepdim=True), safe_norm(v.detach(), keepdim=True)
    undefined = ~(length_u * length_v > 0)
    # Scales keep squares from under- and overflow; detached, as the angle does not depend on them.
    u = (u / length_u.masked_fill(undefined, 1)).masked_fill(undefined, 0)
    v = (v / length_v.masked_fill(undefined, 1)).masked_fill(undefined, 0)
    length_u, length_v = safe_norm(u, keepdim=True), safe_norm(v, keepdim=True)
    apart, along = (safe_norm(u * length_v + sign * v * length_u) for sign in (-1, 1))
    undefined = undefined[..., 0]
    # atan2 has no gradient at (0, 0).
    angle = 2 * torch.atan2(apart, along.masked_fill(undefined, 1))
    return (angle * (180 / math.pi)).masked_fill(undefined, float('nan'))


@numpy_too
def standing_angle(joints: Tensor, skeleton: str | Skeleton, side: str = 'right') -> Tensor:
    """The angle shoulder - hip - knee that tells standing from squatting (Ogata et al., figure 9).

    Args:
        joints: (..., V, D).
        side: ``right``, as in the paper, ``left``, or ``both``, the mean of the two, or the one
            that is known where the other is NaN.

    Returns:
        (...) degrees, NaN where a joint is missing.

    Raises:
        ValueError: the shape does not fit, an unknown side or skeleton.
    """
    skeleton = get_skeleton(skeleton)
    skeleton.check_joints(joints.shape)
    if side not in SIDES:
        raise ValueError(f'side must be one of {SIDES}, got {side!r}')
    angles = []
    for name in ('right', 'left') if side == 'both' else (side,):
        at = [skeleton.index(f'{name}_{part}') for part in ('shoulder', 'hip', 'knee')]
        angles.append(joint_angle(*(joints[..., index, :] for index in at)))
    return torch.stack(angles).nanmean(0)


def canonical_starts(
    joints: np.ndarray | Tensor,
    skeleton: str | Skeleton,
    min_angle: float = 150,
    side: str = 'right',
    hysteresis: float = 10,
    min_frames: int = 3,
) -> list[int]:
    """The frames at which clips are cut: the last one standing before each bend.

    As Ogata et al. cut them (figure 9), whatever comes of the bend; what counts as a repetition is
    told by :func:`rpstn.form.repetitions.find_repetitions`.

    A person stands above ``min_angle`` of :func:`standing_angle`, is bent below ``min_angle`` -
    ``hysteresis``, and in between, or where the angle is NaN, does what they did before (at the
    start of the clip, what they do first after). Less than ``min_frames`` of either do not count,
    so that noise divides no repetition, but that a clip may start or end with fewer frames
    standing.

    A bend that the clip starts within has no start: none where the person never bends or never
    stands. A clip cut at a start has one at frame 0.

    Args:
        joints: (T, V, D).
        min_angle, hysteresis: degrees.
        side: see :func:`standing_angle`.

    Returns:
        Frames, rising; the angle is above ``min_angle`` at each.

    Raises:
        ValueError: the shape does not fit, or a parameter.
    """
    _check_sequence(joints)
    if hysteresis < 0 or min_frames < 1:
        raise ValueError(
            f'hysteresis must be at least 0 and min_frames at least 1, got '
            f'{hysteresis} and {min_frames}'
        )
    angle = standing_angle(joints, skeleton, side)
    angle = angle.detach().cpu().numpy() if isinstance(angle, Tensor) else angle
    upright = angle > min_angle
    decided = np.flatnonzero(upright | (angle < min_angle - hysteresis))
    if not len(decided):
        return []
    last_decided = np.searchsorted(decided, np.arange(len(angle)), side='right') - 1
    standing = upright[decided[last_decided.clip(min=0)]]
    while True:
        edges = [0, *(np.flatnonzero(np.diff(standing)) + 1), len(standing)]
        short = [
            (end - begin, begin, end)
            for begin, end in zip(edges, edges[1:])
            if end - begin < min_frames
            and not (standing[begin] and (begin == 0 or end == len(standing)))
        ]
        if not short or len(edges) == 2:
            break
        _, begin, end = min(short)
        standing[begin:end] ^= True
    upright = np.flatnonzero(upright)
    return [int(upright[upright < begin][-1]) for begin in edges[1:-1] if not standing[begin]]


def _check_sequence(joints: np.ndarray | Tensor) -> None:
    if joints.ndim != 3:
        raise ValueError(f'joints must be of shape (T, V, D), got {tuple(joints.shape)}')


@numpy_too
def resample(x: Tensor, num_frames: int, start: float = 0, end: float | None = None) -> Tensor:
    """``num_frames`` frames evenly spread from ``start`` to ``end``, both included, linear in time.

    As :func:`numpy.interp` of each channel at ``np.linspace(start, end, num_frames)``. Frames
    that fall on a frame are that frame, also beside NaN; between NaN and a number is NaN.

    Args:
        x: (T, ...).
        start, end: frames, also fractional; ``end`` is the last one, T - 1, by default.

    Returns:
        (num_frames, ...).

    Raises:
        ValueError: no frames, or not 0 <= start <= end <= T - 1.
    """
    check_floating(x, 'x')
    last = len(x) - 1 if x.ndim else -1
    end = last if end is None else end
    if num_frames < 1 or not 0 <= start <= end <= last:
        raise ValueError(
            f'resample needs num_frames >= 1 and 0 <= start <= end <= T - 1 = {last}, '
            f'got num_frames={num_frames}, start={start}, end={end}'
        )
    times = torch.linspace(start, end, num_frames, dtype=torch.float64, device=x.device)
    times = torch.where((times - times.round()).abs() < 1e-9, times.round(), times)
    before = times.floor().clamp(max=max(last - 1, 0)).long()
    weight = (times - before).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    earlier, later = x[before], x[(before + 1).clamp(max=last)]
    between = earlier + weight * (later - earlier)
    return torch.where(weight == 0, earlier, torch.where(weight == 1, later, between))


@numpy_too
def fill_gaps(joints: Tensor, max_gap: int) -> Tensor:
    """Interpolate missing joints linearly over gaps of at most ``max_gap`` frames.

    A gap at the start or the end of the sequence is filled with the nearest known place. Longer
    gaps, and joints that are never known, stay as they are.

    Args:
        joints: (..., T, V, D).
        max_gap: frames, at least 0.
    """
    check_floating(joints, 'joints')
    if joints.ndim < 3 or max_gap < 0:
        raise ValueError(
            f'fill_gaps takes joints (..., T, V, D) and max_gap >= 0, got '
            f'{tuple(joints.shape)} and {max_gap}'
        )
    frames = joints.shape[-3]
    missing = joints.isnan().any(-1)
    if not frames or not missing.any():
        return joints
    time = torch.arange(frames, device=joints.device)[:, None].expand(missing.shape)
    # The known frames around each one; -1 and T where there is none.
    before = time.masked_fill(missing, -1).cummax(-2).values
    after = time.masked_fill(missing, frames).flip(-2).cummin(-2).values.flip(-2)
    first, last = before < 0, after == frames
    fill = missing & (after - before - 1 <= max_gap) & ~(first & last)
    before, after = (
        torch.where(first, after, before).clamp(max=frames - 1),
        torch.where(last, before, after).clamp(min=0),
    )
    weight = ((time - before).to(joints.dtype) / (after - before).clamp(min=1))[..., None]
    earlier, later = (
        joints.gather(-3, at[..., None].expand(joints.shape)) for at in (before, after)
    )
    return torch.where(fill[..., None], earlier + weight * (later - earlier), joints)


@numpy_too
def remove_outliers(
    joints: Tensor,
    threshold: float = 6,
    max_jump: float = 0.5,
    window: int = 5,
    max_reach: float | None = None,
) -> Tensor:
    """Make joints NaN that no body can have, as wrong depths and swapped persons leave them.

    The reach of a joint is its distance from the median joint of its frame; the body's size is
    the median reach over time and joints. A joint is removed where

    - its reach is more than ``threshold`` robust standard deviations (1.4826 times the median
      absolute deviation, MAD) above the size, over time and joints; or
    - it jumps: it lies farther than ``max_jump`` sizes from its own median over the ``window``
      frames around it; or
    - its reach is above ``max_reach``. The other two compare a sequence with itself, and so
      cannot see that most of it is wrong; this one can.

    Args:
        joints: (T, V, D).
        threshold: in robust standard deviations; ``inf`` for no such limit, as for the others.
        max_jump: in body sizes (the median reach, some 0.4 m).
        window: frames, odd; shorter at the ends.
        max_reach: in the unit of the joints; None for no limit.

    Returns:
        (T, V, D); all coordinates of a removed joint are NaN.
    """
    check_floating(joints, 'joints')
    _check_sequence(joints)
    if min(threshold, max_jump, math.inf if max_reach is None else max_reach) <= 0 or (
        window < 1 or window % 2 == 0
    ):
        raise ValueError(
            f'remove_outliers takes limits above 0 and an odd window, got {threshold=}'
            f', {max_jump=}, {window=}, {max_reach=}'
        )
    if not joints.numel():
        return joints
    with torch.no_grad():
        known = joints.masked_fill(joints.isnan().any(-1, keepdim=True), float('nan'))
        reach = (known - _median(known, -2).unsqueeze(-2)).norm(dim=-1)
        size = reach.nanmedian()
        spread = 1.4826 * (reach - size).abs().nanmedian()
        around = torch.nn.functional.pad(
            known.permute(1, 2, 0), 2 * [window // 2], value=float('nan')
        )
        usual = _median(around.unfold(-1, window, 1), -1).permute(2, 0, 1)
        jump = (known - usual).norm(dim=-1)
        wrong = (reach > size + threshold * spread) | (jump > max_jump * size)
        if max_reach is not None:
            wrong |= reach > max_reach
    return joints.masked_fill(wrong[..., None], float('nan'))


def _median(values: Tensor, dim: int) -> Tensor:
    """Of what is not NaN; between the middle two of an even number, of which torch's takes the
    lower, so that a mirrored body would have other outliers."""
    return (values.nanmedian(dim).values - (-values).nanmedian(dim).values) / 2
