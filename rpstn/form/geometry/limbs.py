"""Limb normalization: one body's pose on a body of fixed proportions.

Ogata, Simo-Serra, Iizuka, Ishikawa, "Temporal Distance Matrices for Squat Classification", CVPRW
2019.

Shapes: V joints, L = V - 1 limbs, D = 2 or 3 coordinates.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from rpstn.skeletons import Skeleton, get_skeleton

from .arrays import check_floating, numpy_too, safe_norm

LIMB_KINDS = ('none', 'head', 'body', 'full')


@numpy_too
def normalize_limbs(joints: Tensor, skeleton: str | Skeleton, kind: str = 'full') -> Tensor:
    """Rescale the chosen limbs to unit length along the kinematic tree.

    Directions are kept, the root stays where it is, and what hangs on a limb moves with it: a
    joint's new place is the root's plus the sum of the limbs that lead to it, chosen ones with
    length 1, the others as they were. The others keep their unit, so for ``head`` and ``body``
    joints should be in metres, as in the paper; for ``full`` it makes no difference.

    Args:
        joints: (..., V, D).
        skeleton: the skeleton of the joints, or its name.
        kind: which limbs: ``none``, those of the ``head``, those of the ``body`` (all but the
            head's), or ``full``, all.

    Returns:
        (..., V, D). A limb of length 0 has no direction and stays one of length 0. A joint is
        NaN where any joint on the way from the root to it is.

    Raises:
        TypeError: not floating-point numbers.
        ValueError: the shape does not fit the skeleton, an unknown kind or skeleton.
    """
    check_floating(joints, 'joints')
    skeleton = get_skeleton(skeleton)
    skeleton.check_joints(joints.shape)
    if kind not in LIMB_KINDS:
        raise ValueError(f'kind must be one of {LIMB_KINDS}, got {kind!r}')
    chosen = {
        'none': (),
        'head': skeleton.head_limbs,
        'body': skeleton.body_limbs,
        'full': range(len(skeleton.limbs)),
    }[kind]
    if not chosen:
        return joints
    exact = joints.to(torch.promote_types(joints.dtype, torch.float32))
    parents, children = (
        torch.tensor(ends, device=joints.device) for ends in zip(*skeleton.limb_indices)
    )
    limbs = exact.index_select(-2, children) - exact.index_select(-2, parents)
    # 0 in place of NaN, as a product with a matrix would spread it over all joints.
    missing = limbs.isnan().any(-1, keepdim=True)
    limbs = limbs.masked_fill(missing, 0)
    lengths = safe_norm(limbs, keepdim=True)
    rescaled = torch.zeros(len(skeleton.limbs), 1, dtype=torch.bool, device=joints.device)
    rescaled[list(chosen)] = True
    limbs = limbs / lengths.masked_fill(~rescaled | (lengths == 0), 1)
    ancestors = torch.from_numpy(ancestor_matrix(skeleton)).to(exact)
    # Mixed precision would round what is added up.
    with torch.autocast(joints.device.type, enabled=False):
        moved = exact[..., skeleton.root, None, :] + ancestors @ limbs
        lost = ancestors @ missing.to(exact) > 0
    return moved.masked_fill(lost, float('nan')).to(joints.dtype)


@lru_cache
def ancestor_matrix(skeleton: Skeleton) -> np.ndarray:
    """(V, L), 1 where a limb is on the way from the root to a joint, else 0."""
    matrix = np.zeros((skeleton.num_joints, len(skeleton.limbs)), np.float32)
    for number, (parent, child) in enumerate(skeleton.limb_indices):
        matrix[child] = matrix[parent]
        matrix[child, number] = 1
    return matrix
