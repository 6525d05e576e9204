"""Joints made of others, as data: means that hold for any skeleton, and weights that were fitted.

Used by :func:`rpstn.skeletons.map_joints`. The weights of a joint sum to 1, so that it moves, turns
and grows with its parts, and are the same left and right, so that it is mirrored with them.
"""

from __future__ import annotations


def both_sides(*parts: str) -> tuple[str, ...]:
    """('left_hip', 'right_hip', 'left_knee', 'right_knee') of ('hip', 'knee')."""
    return tuple(f'{side}_{part}' for part in parts for side in ('left', 'right'))


# Joints as the mean of others, the first group that exists. A joint that occurs several times has
# more weight: JHMDB's belly lies a fifth of the way from hips to shoulders (median of its clips).
MEANS: dict[str, tuple[tuple[str, ...], ...]] = {
    'pelvis': (both_sides('hip'),),
    'neck': (both_sides('shoulder'),),
    'thorax': (both_sides('shoulder'),),
    'spine': (both_sides('hip', 'shoulder'),),
    'belly': (both_sides('hip') * 4 + both_sides('shoulder'),),
    'head': (both_sides('ear'), both_sides('eye'), ('nose',), ('head_top', 'neck_base')),
    **{f'{side}_hand': ((f'{side}_index', f'{side}_pinky'),) for side in ('left', 'right')},
}

# What JHMDB's annotators call neck and belly, of BlazePose's landmarks: weights of each side, which
# tools/research/fit_joint_map.py fits to the training clips of JHMDB's split 1. The head stays the
# middle of the ears: fitted with eyes, too, it is no better (PCK@0.2 by torso on the validation
# clips 96.7, as before), with shoulders worse (96.3). Penn Action's frames were not at hand to fit
# to, but by its labels its head is JHMDB's: 0.38 and 0.37 of an upright trunk above the middle of
# the shoulders (medians).
_BLAZEPOSE_TO_JHMDB = {
    'neck': {'shoulder': 0.355, 'ear': 0.145},
    'belly': {'hip': 0.411, 'shoulder': 0.089},
}

FITTED: dict[tuple[str, str], dict[str, dict[str, float]]] = {
    (source, 'jhmdb15'): {
        joint: {name: weight for part, weight in weights.items() for name in both_sides(part)}
        for joint, weights in _BLAZEPOSE_TO_JHMDB.items()
    }
    for source in ('mediapipe33', 'blazepose33')
}
"""(source, target) -> joints of the target -> joints of the source and their weights.

Goes before :data:`MEANS`.
"""
