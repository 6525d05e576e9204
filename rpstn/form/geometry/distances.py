"""All pairwise distances of a skeleton's joints, and the joints back from the distances.

Ogata, Simo-Serra, Iizuka, Ishikawa, "Temporal Distance Matrices for Squat Classification", CVPRW
2019. All functions take and give tensors or NumPy arrays, float32 or float64 (half precision is
computed in float32), over any leading dimensions.

Shapes: V joints, D coordinates, P = V(V-1)/2 pairs (i, j), i < j, in the order of
``np.triu_indices(V, 1)``: (0, 1), (0, 2), ... (0, V-1), (1, 2), ...; T frames.
"""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor

from .arrays import check_floating, numpy_too, safe_norm

# Frames whose intermediate results (1.7 MB for 19 joints in float32) stay in the cache.
_CHUNK = 512


@numpy_too
def pairwise_distances(joints: Tensor) -> Tensor:
    """Euclidean distances of all pairs of joints.

    Args:
        joints: (..., V, D).

    Returns:
        (..., P) in the unit of the joints. A NaN joint makes the distances of its own pairs NaN,
        no others. The gradient of the distance between coinciding joints is 0; distances that
        are NaN pass no gradient on.

    Raises:
        TypeError: not floating-point numbers.
        ValueError: fewer than two dimensions.
    """
    check_floating(joints, 'joints')
    if joints.ndim < 2:
        raise ValueError(f'joints must be of shape (..., V, D), got {tuple(joints.shape)}')
    exact = joints.to(torch.promote_types(joints.dtype, torch.float32))
    differentiated = joints.requires_grad and torch.is_grad_enabled()
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if not (differentiated or recorded) and exact.device.type == 'cpu' and exact.numel():
        return _distances_in_chunks(exact).to(joints.dtype)
    first, second = _pairs(joints.shape[-2], joints.device)
    difference = exact.index_select(-2, first) - exact.index_select(-2, second)
    missing = difference.isnan().any(-1)
    distances = safe_norm(difference.masked_fill(missing[..., None], 0))
    return distances.masked_fill(missing, float('nan')).to(joints.dtype)


def _pairs(num_joints: int, device: torch.device) -> tuple[Tensor, Tensor]:
    indices = torch.triu_indices(num_joints, num_joints, 1, device=device)
    return indices[0], indices[1]


@torch.no_grad()
def _distances_in_chunks(joints: Tensor) -> Tensor:
    """:func:`pairwise_distances` on one core as fast as memory allows.

    Frames lie along the last axis, so that the differences of joint i and all later ones are one
    vectorized subtraction of whole rows, chunk by chunk in memory that stays in the cache. (A
    product with a (V, P) matrix of +-1 is a little faster, but spreads NaN over all pairs and
    loses digits where matrix products are allowed to.)
    """
    *leading, num_joints, dims = joints.shape
    joints = joints.reshape(-1, num_joints, dims)
    frames, pairs = len(joints), num_joints * (num_joints - 1) // 2
    chunk = min(_CHUNK, frames)
    distances = joints.new_empty(frames, pairs)
    columns = joints.new_empty(num_joints, dims, chunk)
    differences = joints.new_empty(pairs, dims, chunk)
    squares, squares_by_frame = joints.new_empty(pairs, chunk), joints.new_empty(chunk, pairs)
    # Views cost as much as arithmetic here, so they are taken once.
    rows = differences.split([*range(num_joints - 1, 0, -1)])
    steps = [(columns[i + 1 :], columns[i], row) for i, row in enumerate(rows)]
    coordinates = differences.unbind(1)
    for start in range(0, frames, chunk):
        part = joints[start : start + chunk]
        columns[..., : len(part)].copy_(part.permute(1, 2, 0))
        for later, joint, difference in steps:
            torch.sub(later, joint, out=difference)
        torch.mul(coordinates[0], coordinates[0], out=squares)
        for coordinate in coordinates[1:]:
            squares.addcmul_(coordinate, coordinate)
        squares_by_frame.copy_(squares.t())
        torch.sqrt(squares_by_frame[: len(part)], out=distances[start : start + chunk])
    return distances.view(*leading, pairs)


@numpy_too
def to_condensed(matrix: Tensor, check: bool = True) -> Tensor:
    """The upper triangle (..., P) of distance matrices (..., V, V).

    Args:
        check: that they are distance matrices: symmetric and with a zero diagonal, both to a
            relative tolerance of 1e-5 of the largest distance, not negative, not infinite. NaN,
            a missing joint, is allowed on both sides of the diagonal, and on it.

    Raises:
        ValueError: not square; or, with ``check``, the first entry that breaks a rule.
    """
    check_floating(matrix, 'matrix')
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f'matrix must be of shape (..., V, V), got {tuple(matrix.shape)}')
    if check and matrix.numel():
        _check_distance_matrix(matrix.detach())
    first, second = _pairs(matrix.shape[-1], matrix.device)
    return matrix[..., first, second]


def _check_distance_matrix(matrix: Tensor) -> None:
    def refuse(wrong: Tensor, rule: str, against: Tensor | None = None) -> None:
        if wrong.any():
            at = tuple(wrong.nonzero()[0].tolist())
            got = f'D[{", ".join(map(str, at))}] = {matrix[at].item():g}'
            if against is not None:
                mirrored = (*at[:-2], at[-1], at[-2])
                got += f' and D[{", ".join(map(str, mirrored))}] = {matrix[mirrored].item():g}'
            raise ValueError(f'distances {rule}, got {got}')

    refuse(matrix.isinf(), 'must be finite')
    refuse(matrix < 0, 'must not be negative')
    largest = matrix.nan_to_num(0).amax(dim=(-2, -1), keepdim=True)
    tolerance = 1e-5 * largest
    diagonal = torch.eye(matrix.shape[-1], dtype=torch.bool, device=matrix.device)
    refuse(diagonal & (matrix > tolerance), 'of a joint from itself must be 0')
    mirrored = matrix.transpose(-2, -1)
    refuse(
        ((matrix - mirrored).abs() > tolerance) | (matrix.isnan() != mirrored.isnan()),
        'must be symmetric',
        mirrored,
    )


@numpy_too
def from_condensed(distances: Tensor) -> Tensor:
    """Distance matrices (..., V, V), zero on the diagonal, from their upper triangle (..., P).

    Raises:
        ValueError: P is not V(V-1)/2 for any V.
    """
    check_floating(distances, 'distances')
    num_joints = joints_of_pairs(distances.shape[-1] if distances.ndim else -1)
    first, second = _pairs(num_joints, distances.device)
    # The entry behind the last pair is the 0 of the diagonal.
    pairs = distances.shape[-1]
    position = torch.full((num_joints, num_joints), pairs, device=distances.device)
    position[first, second] = position[second, first] = torch.arange(pairs, device=distances.device)
    return torch.nn.functional.pad(distances, (0, 1))[..., position]


def joints_of_pairs(pairs: int) -> int:
    """V of P = V(V-1)/2; ValueError if there is none."""
    num_joints = (1 + isqrt(1 + 8 * max(pairs, 0))) // 2
    if num_joints * (num_joints - 1) // 2 != pairs:
        raise ValueError(
            f'distances must be P = V(V-1)/2 along their last axis (171 for 19 joints), got {pairs}'
        )
    return num_joints


@numpy_too
def joints_from_distances(
    distances: Tensor, dims: int = 3, align: bool = False, return_residual: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Joints that have given distances: classical multidimensional scaling (Torgerson, 1952).

    Computed in float64. Distances do not tell position, rotation and handedness: the joints are
    centred, each frame's axes are its principal ones, of either handedness. Gradients are exact
    for whatever does not depend on that choice either, and stay finite where the axes are not
    determined (equal principal moments, flat skeletons); first order only.

    Args:
        distances: (..., P), finite and not negative.
        dims: D of the joints, at most V.
        align: rotate and mirror each frame to the one before, by orthogonal Procrustes, so that
            joints move continuously along the frame axis; distances are (..., T, P) then. A
            sequence keeps one handedness unless it passes through a flat skeleton.
        return_residual: also tell what ``dims`` dimensions leave out.

    Returns:
        Joints (..., V, dims) in the unit of the distances; with ``return_residual`` also the
        residual (...), the share of the left-out and the negative eigenvalues in the sum of all
        absolute eigenvalues: 0 for distances between points of ``dims`` dimensions, without
        gradient.

    Raises:
        ValueError: an entry is negative, NaN or infinite; no V has P pairs; ``dims`` or, for
            ``align``, the shape does not fit.
    """
    check_floating(distances, 'distances')
    num_joints = joints_of_pairs(distances.shape[-1] if distances.ndim else -1)
    if not 1 <= dims <= num_joints:
        raise ValueError(f'dims must be from 1 to the number of joints, {num_joints}, got {dims}')
    if align and distances.ndim < 2:
        raise ValueError(
            f'align takes distances of shape (..., T, P), got {tuple(distances.shape)}'
        )
    wrong = ~((distances >= 0) & distances.isfinite())
    if wrong.any():
        at = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f'distances must be finite and not negative, got {distances[at].item():g}'
            f' at [{", ".join(map(str, at))}]; {int(wrong.sum())} of '
            f'{wrong.numel()} are wrong'
        )
    squares = from_condensed(distances.double()).square()
    gram = -0.5 * (
        squares
        - squares.mean(-1, keepdim=True)
        - squares.mean(-2, keepdim=True)
        + squares.mean((-2, -1), keepdim=True)
    )
    values, vectors = (found.flip(-1) for found in torch.linalg.eigh(gram.detach()))
    kept = values[..., :dims].clamp(min=0)
    joints = vectors[..., :dims] * kept.sqrt()[..., None, :]
    if gram.requires_grad:
        # 0, but for its gradient.
        joints = joints + _joints_change(gram - gram.detach(), values, vectors, dims)
    if align:
        joints = _align_frames(joints)
    joints = joints.to(distances.dtype)
    if not return_residual:
        return joints
    total = values.abs().sum(-1)
    left_out = (total - kept.sum(-1)).clamp(min=0) / total.masked_fill(total == 0, 1)
    return joints, left_out.to(distances.dtype)


def _joints_change(change: Tensor, values: Tensor, vectors: Tensor, dims: int) -> Tensor:
    """First-order change (..., V, dims) of the joints with the Gram matrix (..., V, V).

    Perturbation theory of the leading eigenvectors, in which rotation among them, which no
    distance tells and whose terms diverge where two eigenvalues meet, is replaced by none.
    """
    leading = values[..., None, :dims]
    smallest = 1e-9 * values[..., :1, None].clamp(min=torch.finfo(values.dtype).tiny)
    gap = leading - values[..., None]
    gap[..., :dims, :] = 2 * leading
    usable = (leading > smallest) & (gap > smallest)
    weights = (leading.clamp(min=0).sqrt() / gap.masked_fill(~usable, 1)).masked_fill(~usable, 0)
    return vectors @ (weights * (vectors.mT @ change @ vectors[..., :dims]))


def _align_frames(joints: Tensor) -> Tensor:
    """Each frame of (..., T, V, D) turned, and mirrored, to lie as near as possible to the last."""
    with torch.no_grad():
        left, _, right = torch.linalg.svd(joints[..., 1:, :, :].mT @ joints[..., :-1, :, :])
        eye = torch.eye(joints.shape[-1], dtype=joints.dtype, device=joints.device)
        turns = [eye.expand(*joints.shape[:-3], *eye.shape)]
        for turn in (left @ right).unbind(-3):
            turns.append(turn @ turns[-1])
    return joints @ torch.stack(turns, dim=-3)
