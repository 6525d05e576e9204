"""Skeletons as data: joints, the tree of their limbs, left-right pairs, and mappings between them.

Shapes: V joints, L = V - 1 limbs, D = 2 or 3 coordinates.

A name means one place on the body in every skeleton: ``pelvis`` the middle of the hips, ``neck``
and ``thorax`` about the middle of the shoulders, ``head`` the centre of the head (its joint with
the neck in SMPL), ``head_top`` the crown, ``*_foot`` the ball of the foot (SMPL),
``*_foot_index`` the tip of the big toe (MediaPipe).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from torch import Tensor

from rpstn.errors import SettingError
from rpstn.joint_maps import FITTED, MEANS
from rpstn.joint_maps import both_sides as _both

Joints = TypeVar('Joints', np.ndarray, Tensor)

_HEAD_PARTS = (
    'head',
    'head_top',
    'neck_base',
    'nose',
    'eye',
    'eye_inner',
    'eye_outer',
    'ear',
    'mouth',
)


def _split_side(joint: str) -> tuple[str, str]:
    """('left', 'knee') of 'left_knee'; ('', 'nose') of 'nose'."""
    side, _, part = joint.partition('_')
    return (side, part) if side in ('left', 'right') else ('', joint)


@dataclass(frozen=True)
class Skeleton:
    """Joints and the tree of limbs that connects them.

    Args:
        name: of the skeleton, e.g. ``'coco17'``.
        joints: names of the V joints, in the order of the arrays.
        limbs: L = V - 1 pairs (parent, child) of names, one tree over all joints, every limb
            after the one that leads to its parent; the first parent is the root.

    Raises:
        SettingError: a name occurs twice, a limb names an unknown joint, the limbs are no tree.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise SettingError(f'skeleton {self.name}: a joint occurs twice in {self.joints}')
        reached = {self.limbs[0][0] if self.limbs else self.joints[0]}
        for parent, child in self.limbs:
            self.index(parent), self.index(child)
            if parent not in reached or child in reached:
                raise SettingError(
                    f'skeleton {self.name}: limb ({parent}, {child}) must lead from '
                    f'a joint that earlier limbs reach to one that none does'
                )
            reached.add(child)
        missing = [joint for joint in self.joints if joint not in reached]
        if missing:
            raise SettingError(f'skeleton {self.name}: no limb leads to {missing}')

    @property
    def num_joints(self) -> int:
        """V."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Where a joint stands; ValueError, telling the joints there are, if it is not one."""
        if joint not in self.joints:
            raise SettingError(
                f'skeleton {self.name} has no joint {joint!r}; its joints are '
                f'{", ".join(self.joints)}'
            )
        return self.joints.index(joint)

    @cached_property
    def limb_indices(self) -> tuple[tuple[int, int], ...]:
        """The limbs as pairs (parent, child) of joint indices."""
        return tuple((self.index(parent), self.index(child)) for parent, child in self.limbs)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """The parent of every joint as an index, -1 for the root."""
        parent_of = {child: parent for parent, child in self.limb_indices}
        return tuple(parent_of.get(joint, -1) for joint in range(self.num_joints))

    @property
    def root(self) -> int:
        """Index of the joint that has no parent."""
        return self.parents.index(-1)

    @cached_property
    def head_limbs(self) -> tuple[int, ...]:
        """Positions in ``limbs`` of those that lead to a joint of the head."""
        return tuple(
            number
            for number, (_, child) in enumerate(self.limbs)
            if _split_side(child)[1] in _HEAD_PARTS
        )

    @cached_property
    def body_limbs(self) -> tuple[int, ...]:
        """Positions in ``limbs`` of all others."""
        return tuple(n for n in range(len(self.limbs)) if n not in self.head_limbs)

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        """For every joint the one that takes its place in a mirror; itself in the middle."""
        opposite = {'left': 'right', 'right': 'left'}
        sides = [_split_side(joint) for joint in self.joints]
        return tuple(
            self.index(f'{opposite[side]}_{part}') if side else number
            for number, (side, part) in enumerate(sides)
        )

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """Index pairs of the joints that a mirror exchanges, each pair once."""
        return tuple((a, b) for a, b in enumerate(self.flip_indices) if a < b)

    def check_joints(self, shape: tuple[int, ...]) -> None:
        """Refuse, with a ValueError, a shape that is not (..., V, D) with D = 2 or 3."""
        if len(shape) < 2 or shape[-2] != self.num_joints or shape[-1] not in (2, 3):
            raise SettingError(
                f'{self.name} takes joints of shape (..., {self.num_joints}, 2 or 3)'
                f', got {tuple(shape)}'
            )


def _chains(*chains: str) -> tuple[tuple[str, str], ...]:
    """Limbs along chains of joints; ``*_`` stands for a left and a right chain."""
    limbs: dict[tuple[str, str], None] = {}
    for chain in chains:
        for side in ('left_', 'right_') if '*_' in chain else ('',):
            names = chain.replace('*_', side).split()
            limbs.update(dict.fromkeys(zip(names, names[1:])))
    return tuple(limbs)


# Without pelvis and neck, the right hip is the root, at which the method measures whether a person
# stands. Hips and both sides of the trunk are limbs then, as in a body of constant length, and a
# mirror image differs only in where it lies - but for the head, which hangs on one shoulder.
_TRUNK = ('right_hip left_hip', 'right_hip right_shoulder', 'left_hip left_shoulder')
_ARMS, _LEGS = '*_shoulder *_elbow *_wrist', '*_hip *_knee *_ankle'
_FEET = ('*_ankle *_heel', '*_ankle *_foot_index')
_ARM, _LEG, _FOOT = ('shoulder', 'elbow', 'wrist'), ('hip', 'knee', 'ankle'), ('heel', 'foot_index')

# Tables of joints: a row a part of the body.
# fmt: off
_ALL = (
    # HMR (Kanazawa et al., CVPR 2018), the Waseda squats (Ogata et al., CVPRW 2019). The neck is
    # the root: all else hangs on it in pairs.
    Skeleton('cocoplus19', (
        'right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle',
        'right_wrist', 'right_elbow', 'right_shoulder', 'left_shoulder', 'left_elbow',
        'left_wrist', 'neck', 'head_top', 'nose', 'left_eye', 'right_eye', 'left_ear',
        'right_ear'),
        _chains('neck *_hip *_knee *_ankle', 'neck *_shoulder *_elbow *_wrist', 'neck head_top',
                'neck nose', 'nose *_eye *_ear')),
    # MediaPipe Pose, BlazePose GHUM; its 'mouth_left' is 'left_mouth' here.
    Skeleton('mediapipe33', (
        'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye',
        'right_eye_outer', *_both('ear', 'mouth', *_ARM, 'pinky', 'index', 'thumb', *_LEG,
                                  *_FOOT)),
        _chains(*_TRUNK, _ARMS, '*_wrist *_pinky', '*_wrist *_index', '*_wrist *_thumb', _LEGS,
                *_FEET, 'right_shoulder nose', 'nose *_eye_inner *_eye *_eye_outer *_ear',
                'nose *_mouth')),
    # Joints 0, 9-16 and 23-32 of mediapipe33.
    Skeleton('mediapipe19', ('nose', *_both('mouth', *_ARM, *_LEG, *_FOOT)),
             _chains(*_TRUNK, _ARMS, _LEGS, *_FEET, 'right_shoulder nose', 'nose *_mouth')),
    # SMPL (Loper et al., 2015), its own kinematic tree.
    Skeleton('smpl24', (
        'pelvis', 'left_hip', 'right_hip', 'spine1', 'left_knee', 'right_knee', 'spine2',
        'left_ankle', 'right_ankle', 'spine3', 'left_foot', 'right_foot', 'neck', 'left_collar',
        'right_collar', 'head', *_both('shoulder', 'elbow', 'wrist', 'hand')),
        _chains('pelvis *_hip *_knee *_ankle *_foot', 'pelvis spine1 spine2 spine3 neck head',
                'spine3 *_collar *_shoulder *_elbow *_wrist *_hand')),
    Skeleton('coco17', ('nose', *_both('eye', 'ear', *_ARM, *_LEG)),
             _chains(*_TRUNK, _ARMS, _LEGS, 'right_shoulder nose', 'nose *_eye *_ear')),
    # Halpe (Fang et al., AlphaPose, TPAMI 2022), the 26 of the full body. MMPose calls its pelvis
    # 'hip', its head_top 'head', its foot_index 'big_toe'.
    Skeleton('halpe26', (
        'nose', *_both('eye', 'ear', *_ARM, *_LEG), 'head_top', 'neck', 'pelvis',
        *_both('foot_index', 'small_toe', 'heel')),
        _chains('pelvis *_hip *_knee *_ankle', '*_ankle *_foot_index', '*_ankle *_small_toe',
                '*_ankle *_heel', 'pelvis neck head_top', 'neck *_shoulder *_elbow *_wrist',
                'neck nose', 'nose *_eye *_ear')),
    # Penn Action.
    Skeleton('penn13', ('head', *_both(*_ARM, *_LEG)),
             _chains(*_TRUNK, _ARMS, _LEGS, 'right_shoulder head')),
    # JHMDB; the belly lies a little above the hips.
    Skeleton('jhmdb15', (
        'neck', 'belly', 'head', 'right_shoulder', 'left_shoulder', 'right_hip', 'left_hip',
        'right_elbow', 'left_elbow', 'right_knee', 'left_knee', 'right_wrist', 'left_wrist',
        'right_ankle', 'left_ankle'),
        _chains('belly *_hip *_knee *_ankle', 'belly neck head',
                'neck *_shoulder *_elbow *_wrist')),
    # Human3.6M's 17. MMPose calls its pelvis 'root', its ankles '*_foot', its head_top 'head'.
    Skeleton('h36m17', (
        'pelvis', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee',
        'left_ankle', 'spine', 'thorax', 'neck_base', 'head_top', 'left_shoulder', 'left_elbow',
        'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist'),
        _chains('pelvis *_hip *_knee *_ankle', 'pelvis spine thorax neck_base head_top',
                'thorax *_shoulder *_elbow *_wrist')),
    # The lifter's: what labels of 2D poses share.
    Skeleton('lifter15', ('pelvis', 'neck', 'head', *_both(*_ARM, *_LEG)),
             _chains('pelvis *_hip *_knee *_ankle', 'pelvis neck head',
                     'neck *_shoulder *_elbow *_wrist')),
)
# fmt: on
SKELETONS: dict[str, Skeleton] = {skeleton.name: skeleton for skeleton in _ALL}
# The same by the name of the network, as the models that answer it have it.
SKELETONS['blazepose33'] = replace(SKELETONS['mediapipe33'], name='blazepose33')


def get_skeleton(name: str | Skeleton) -> Skeleton:
    """The skeleton of that name, or the one given; ValueError that lists those known."""
    if isinstance(name, Skeleton):
        return name
    if name not in SKELETONS:
        raise SettingError(f'unknown skeleton {name!r}; known are {", ".join(SKELETONS)}')
    return SKELETONS[name]


def skeleton_of(joints: Sequence[str]) -> Skeleton | None:
    """The first of :data:`SKELETONS` with these joints in this order, if there is one."""
    return next((s for s in SKELETONS.values() if s.joints == tuple(joints)), None)


def joint_weights(source: str | Skeleton, target: str | Skeleton) -> tuple[dict[int, float], ...]:
    """For every joint of ``target`` the joints of ``source`` that it is made of, with weights.

    One joint where ``source`` has it, several for a composite (pelvis, neck, ...), none where
    ``source`` cannot tell it. Weights sum to 1: :data:`rpstn.joint_maps.FITTED` where there are
    such for the two skeletons, else those of a mean.
    """
    source, target = get_skeleton(source), get_skeleton(target)
    fitted = FITTED.get((source.name, target.name), {})

    def weights(joint: str) -> dict[int, float]:
        if joint in fitted:
            return {source.index(name): weight for name, weight in fitted[joint].items()}
        for names in ((joint,), *MEANS.get(joint, ())):
            if all(name in source.joints for name in names):
                return {source.index(name): names.count(name) / len(names) for name in names}
        return {}

    return tuple(weights(joint) for joint in target.joints)


def joint_mapping(source: str | Skeleton, target: str | Skeleton) -> tuple[tuple[int, ...], ...]:
    """For every joint of ``target`` the joints of ``source`` that :func:`joint_weights` names."""
    return tuple(map(tuple, joint_weights(source, target)))


def map_joints(joints: Joints, source: str | Skeleton, target: str | Skeleton) -> Joints:
    """Joints of another skeleton, as far as they exist, by :func:`joint_weights`.

    Args:
        joints: (..., V, D), floating, a NumPy array or a tensor, of ``source``.

    Returns:
        (..., V', D) of ``target``, the same kind; NaN where ``source`` has no such joint, or
        where one it is made of is NaN.

    Raises:
        SettingError: the shape is not that of ``source``.
    """
    get_skeleton(source).check_joints(joints.shape)
    parts = joint_weights(source, target)
    mapped = joints[..., [next(iter(part), 0) for part in parts], :]
    for number, part in enumerate(parts):
        if len(part) > 1:
            mapped[..., number, :] = sum(
                weight * joints[..., index, :] for index, weight in part.items()
            )
    missing = [number for number, part in enumerate(parts) if not part]
    if missing:
        mapped[..., missing, :] = float('nan')
    return mapped
