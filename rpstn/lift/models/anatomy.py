"""What is known of every body without a 3D label: lengths, and how joints bend.

Seen from the front or back with a level camera, a pose and its mirror image in depth give the same
images from all sides, so no density of 2D poses tells them apart. Their bends do: of two successive
limbs a, b and the axis c from the right hip (or shoulder) to the left one, the triple product
(a x b) c changes its sign in a mirror. Knees bend one way only, thighs mostly forward of the trunk,
elbows and the head forward.

Shapes: B clips, T frames, V joints of ``lifter15``, N bones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rpstn.skeletons import SKELETONS

_JOINTS = SKELETONS['lifter15'].joints


def _pairs(*names: str) -> list[tuple[int, int]]:
    return [(_JOINTS.index(a), _JOINTS.index(b)) for a, b in (name.split() for name in names)]


BONES = _pairs(
    'pelvis neck', 'neck head',
    'left_hip left_knee', 'right_hip right_knee',
    'left_knee left_ankle', 'right_knee right_ankle',
    'left_shoulder left_elbow', 'right_shoulder right_elbow',
    'left_elbow left_wrist', 'right_elbow right_wrist',
    'right_hip left_hip', 'right_shoulder left_shoulder',
)  # fmt: skip
# De Leva, J. Biomech. 29 (1996) 1223: between joint centres, metres, mean of men and women.
# The widths between the centres of hips and shoulders, and the head's centre above the shoulders,
# are shares of the stature as in Drillis and Contini (1966).
TRUNK = 0.507
_METRES = (TRUNK, 0.196, *[0.395] * 2, *[0.433] * 2, *[0.278] * 2, *[0.267] * 2, 0.185, 0.370)
LENGTHS = tuple(length / TRUNK for length in _METRES)
# How far lengths may vary: labels of hips and shoulders are less sure, and the trunk bends.
_STIFFNESS = (0.5, 0.7, *[1.0] * 8, 2.0, 3.0)

_TWINS = [0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 10, 11]
SHORTEST = 0.85

_LEGS = {
    side: tuple(_JOINTS.index(f'{side}_{part}') for part in ('hip', 'knee', 'ankle'))
    for side in ('left', 'right')
}
_ARMS = {
    side: tuple(_JOINTS.index(f'{side}_{part}') for part in ('shoulder', 'elbow', 'wrist'))
    for side in ('left', 'right')
}
_PELVIS, _NECK, _HEAD = range(3)


def bone_lengths(joints: Tensor) -> Tensor:
    """(..., N) of joints (..., V, 2 or 3), in the order of :data:`BONES`."""
    return bone_vectors(joints).norm(dim=-1)


def bone_vectors(joints: Tensor) -> Tensor:
    """(..., N, 2 or 3) of joints (..., V, 2 or 3), in the order of :data:`BONES`."""
    starts, ends = zip(*BONES)
    return joints[..., list(ends), :] - joints[..., list(starts), :]


def clip_lengths(image: Tensor) -> Tensor:
    """How long the bones of the person in a clip are: (B, 1, N).

    As long as the bone or its twin is seen in the clip, and no less than :data:`SHORTEST` of the
    average: people differ, and a length that is too large bends every limb.

    Args:
        image: (B, T, V, 2), normalized.
    """
    seen = torch.quantile(bone_vectors(image).norm(dim=-1), 0.9, dim=1, keepdim=True)
    seen = torch.maximum(seen, seen[..., _TWINS])
    return torch.maximum(seen, SHORTEST * seen.new_tensor(LENGTHS))


def hidden_lengths(image: Tensor, lengths: Tensor) -> Tensor:
    """How much of each bone points along the camera's axis, by Pythagoras (Taylor, CVIU 80, 2000).

    Args:
        image: (B, T, V, 2), normalized.
        lengths: (B, 1, N) of :func:`clip_lengths`.

    Returns:
        (B, T, N): the root of what the length in the image leaves of the bone's; not quite 0 where
        it is as long or longer.
    """
    left = lengths.square() - bone_vectors(image).square().sum(-1)
    return (left.clamp(min=0) + 0.002).sqrt()


def depths_from_bones(bones: Tensor) -> Tensor:
    """Depths (..., V) from the pelvis, the middle of the hips, of those along bones (..., N)."""
    along = dict(zip(((_JOINTS[a], _JOINTS[b]) for a, b in BONES), bones.unbind(-1)))
    pelvis = torch.zeros_like(bones[..., 0])
    depth = {'pelvis': pelvis, 'neck': along['pelvis', 'neck']}
    depth['head'] = depth['neck'] + along['neck', 'head']
    for side, sign in (('left', 0.5), ('right', -0.5)):
        depth[f'{side}_hip'] = sign * along['right_hip', 'left_hip']
        depth[f'{side}_shoulder'] = depth['neck'] + sign * along['right_shoulder', 'left_shoulder']
        for upper, middle, lower in (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist')):
            for a, b in ((upper, middle), (middle, lower)):
                a, b = f'{side}_{a}', f'{side}_{b}'
                depth[b] = depth[a] + along[a, b]
    return torch.stack([depth[joint] for joint in _JOINTS], dim=-1)


def length_loss(joints: Tensor, lengths: Tensor) -> Tensor:
    """Mean square of how far bones of joints (B, T, V, 3) are from lengths (B, 1, N), relative."""
    return ((bone_lengths(joints) / lengths - 1).square() * joints.new_tensor(_STIFFNESS)).mean()


def bends(joints: Tensor) -> dict[str, Tensor]:
    """Triple products of unit vectors, -1 to 1, that a mirror changes the sign of.

    Args:
        joints: (..., V, 3), in axes of either handedness of a camera's: x right, y down, z away.

    Returns:
        ``knees``, ``hips``, ``elbows``, positive where bent as they do (hips, elbows: forward),
        (..., 2), and ``head``, positive where it lies in front of the trunk's line, (..., 1).
    """
    hip_axis = _unit(joints, _LEGS['right'][0], _LEGS['left'][0])
    shoulder_axis = _unit(joints, _ARMS['right'][0], _ARMS['left'][0])
    up = _unit(joints, _PELVIS, _NECK)

    def triple(a: Tensor, b: Tensor, axis: Tensor) -> Tensor:
        return (torch.linalg.cross(a, b) * axis).sum(-1)

    knees, hips, elbows = [], [], []
    for side in ('left', 'right'):
        hip, knee, ankle = _LEGS[side]
        thigh, shank = _unit(joints, hip, knee), _unit(joints, knee, ankle)
        knees.append(triple(thigh, shank, hip_axis))
        hips.append(triple(up, thigh, hip_axis))  # up is the reverse of the trunk's way down
        shoulder, elbow, wrist = _ARMS[side]
        arm, forearm = _unit(joints, shoulder, elbow), _unit(joints, elbow, wrist)
        elbows.append(-triple(arm, forearm, shoulder_axis))
    head = triple(up, _unit(joints, _NECK, _HEAD), shoulder_axis)
    return dict(
        knees=torch.stack(knees, -1),
        hips=torch.stack(hips, -1),
        elbows=torch.stack(elbows, -1),
        head=head[..., None],
    )


# Of the triple products: the least that joints allow, with room for labels beside the joint, and
# where they mostly are.
_LEAST = dict(knees=0.0, hips=-0.3, elbows=-0.1, head=-0.1)
_USUAL = dict(knees=0.25, hips=0.2, elbows=0.25, head=0.3)
_MOST_TWIST = 0.6  # cosine between the axes of hips and shoulders
_MOST_TILT = 0.45  # cosine between either axis and the trunk


def bend_loss(joints: Tensor) -> tuple[Tensor, Tensor]:
    """How far joints (..., V, 3) bend the wrong way, and from where they usually are."""
    found = bends(joints)
    wrong = [(least - found[part]).clamp(min=0).mean() for part, least in _LEAST.items()]
    unusual = [(found[part] - usual).square().mean() for part, usual in _USUAL.items()]
    hip_axis = _unit(joints, _LEGS['right'][0], _LEGS['left'][0])
    shoulder_axis = _unit(joints, _ARMS['right'][0], _ARMS['left'][0])
    up = _unit(joints, _PELVIS, _NECK)
    twist = (_MOST_TWIST - (hip_axis * shoulder_axis).sum(-1)).clamp(min=0).mean()
    tilts = [
        ((axis * up).sum(-1).abs() - _MOST_TILT).clamp(min=0).mean()
        for axis in (hip_axis, shoulder_axis)
    ]
    return torch.stack([*wrong, twist, *tilts]).sum(), torch.stack(unusual).sum()


def _unit(joints: Tensor, start: int, end: int) -> Tensor:
    return functional.normalize(joints[..., end, :] - joints[..., start, :], dim=-1, eps=1e-4)
