"""From normalized joints in an image to space, to another view of it, and back.

Lengths are in trunks: units in which the body's trunk is about 1 long. The camera stands
:data:`DISTANCE` trunks from the pelvis and looks at it; axes x right, y down, z away from it.

Shapes: B clips, T frames, V joints of ``lifter15``, whose first is the pelvis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rpstn.skeletons import SKELETONS

from .anatomy import LENGTHS, bone_lengths

DISTANCE = 9.0
_KNOWN_LIMBS = 10  # of anatomy.BONES: trunk, neck, and the limbs' eight


def body_scale(image: Tensor) -> Tensor:
    """How long a trunk would be in the image, if it lay in its plane: (B, 1, 1, 1).

    A length in the image, over its length in a body, is at most the scale; it comes near where
    the limb lies in the image plane, as some do at some moment of a clip. Head or trunk alone
    would shrink in a body that leans to the camera. The third longest of ten limbs counts, each at
    the 0.9 quantile of the frames, so that one wrong joint does not set it.

    Args:
        image: (B, T, V, 2).
    """
    lengths = bone_lengths(image)[..., :_KNOWN_LIMBS]
    shares = lengths / lengths.new_tensor(LENGTHS[:_KNOWN_LIMBS])
    longest = torch.quantile(shares, 0.9, dim=1) if image.shape[1] > 1 else shares[:, 0]
    return longest.topk(3, dim=-1).values[:, -1].clamp(min=1e-6)[:, None, None, None]


def normalize(image: Tensor) -> Tensor:
    """(B, T, V, 2) from the pelvis of each frame, in trunks."""
    return (image - image[:, :, :1]) / body_scale(image)


def flipped(image: Tensor) -> Tensor:
    """What a mirror shows of joints (..., V, 2): left and right change places."""
    mirror = image[..., list(SKELETONS['lifter15'].flip_indices), :].clone()
    mirror[..., 0] *= -1
    return mirror


def unproject(image: Tensor, depth: Tensor) -> Tensor:
    """Joints in space (B, T, V, 3) of normalized joints (B, T, V, 2) and depths (B, T, V)."""
    near = 1 + depth / DISTANCE
    return torch.cat([image * near[..., None], depth[..., None]], dim=-1)


def project(joints: Tensor) -> Tensor:
    """Joints in the image (B, T, V, 2) of joints in space (B, T, V, 3)."""
    return joints[..., :2] / (1 + joints[..., 2:] / DISTANCE).clamp(min=0.2)


def pitch(angle: Tensor) -> Tensor:
    """Matrices (B, 1, 3, 3), for ``joints @ matrix``, from a level view to one from ``angle``
    radians above; its transpose leads back."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    c, s = angle.cos(), angle.sin()
    # Seen from above, what stands up (-y) leans towards the camera (-z) at its top.
    rows = [one, zero, zero, zero, c, s, zero, -s, c]
    return torch.stack(rows, dim=-1).view(-1, 1, 3, 3)


def yaw(angle: Tensor) -> Tensor:
    """Matrices (B, 1, 3, 3), for ``joints @ matrix``, that turn about the vertical, y."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    c, s = angle.cos(), angle.sin()
    rows = [c, zero, -s, zero, one, zero, s, zero, c]
    return torch.stack(rows, dim=-1).view(-1, 1, 3, 3)
