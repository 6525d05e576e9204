"""Which of a teacher's landmarks are labels: where mirror image, time, and labels agree with it.

Distances are shares of the radius of the circle about the hips that holds the body: a tenth is
about 0.1 m of an adult.

Shapes: N frames, V = 33 landmarks (skeleton ``blazepose33``), K = 15 joints of JHMDB, L = 12 of
them that are landmarks, too.
"""

from __future__ import annotations

import numpy as np

from rpstn.skeletons import get_skeleton, map_joints

from teacher import MIN_PRESENCE, PARTS, SKELETON, Seen

JHMDB = get_skeleton('jhmdb15')
LIMBS = [joint for joint in SKELETON.joints if joint in JHMDB.joints]
FACE = range(SKELETON.index('nose'), SKELETON.index('right_mouth') + 1)

APART, APART_FACE = 0.1, 0.05
"""How far the mirror image's landmark may lie; less in the face, which is small."""
JUMP = 0.15
"""How far a landmark may lie from the middle between where it was and where it will be."""
NEAR, NEAR_FACE = 0.15, 0.2
"""How far joints may lie from their labels, for a hand or foot, or the face, to be trusted."""
SUPPORTS: dict[str, tuple[str, ...]] = {
    **{
        f'{side}_{part}': (f'{side}_{joint}',)
        for side in ('left', 'right')
        for joint, parts in (
            ('wrist', ('pinky', 'index', 'thumb')),
            ('ankle', ('heel', 'foot_index')),
        )
        for part in parts
    },
    **dict.fromkeys(
        [SKELETON.joints[k] for k in FACE], ('left_shoulder', 'right_shoulder', 'head')
    ),
}
"""Which joints of JHMDB must lie near their labels, by the landmark that JHMDB has not."""


def trust(seen: Seen) -> np.ndarray:
    """Scores (N, V): probabilities of being visible, 0 where landmarks are not to be trusted.

    A landmark is trusted where the mirror image and its own places in the frames before and after
    agree, in the crop of somebody.
    """
    allowed = np.full(SKELETON.num_joints, APART)
    allowed[FACE] = APART_FACE
    trusted = (
        (seen.apart <= allowed)
        & (jumps(seen.joints) <= JUMP * seen.radii[:, None])
        & (seen.inside >= 0.5)
        & (seen.presence >= MIN_PRESENCE)[:, None]
    )
    return np.where(trusted, seen.visible, 0)


def trust_bodies(seen: Seen) -> np.ndarray:
    """:func:`trust`, and 0 in frames in which no hip or no shoulder is trusted: whose landmarks
    these are, and what crop shows them, is not known then.
    """
    scores = trust(seen)
    known = [(scores[:, list(pair)] >= 0.5).any(1) for pair in (PARTS.hips, PARTS.shoulders)]
    return scores * np.logical_and(*known)[:, None]


def jumps(joints: np.ndarray) -> np.ndarray:
    """Distances (N, V) from the middle of the frames before and after; at the ends, of itself and
    the one neighbour.
    """
    padded = np.pad(joints, ((1, 1), (0, 0), (0, 0)), mode='edge')
    return np.linalg.norm(joints - (padded[:-2] + padded[2:]) / 2, axis=-1)


def complete(seen: Seen, poses: np.ndarray, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """JHMDB's labels, and of the other landmarks the teacher's.

    These are trusted only where the teacher has understood the body: what they hang on lies near
    its label. Where sides are swapped it does not.

    Args:
        seen: in crops about the labels.
        poses: (N, K, 2) labels, pixels.
        labelled: (N, K) bool, inside of the image.

    Returns:
        Landmarks (N, V, 2), and scores (N, V), 1 of JHMDB's labels.
    """
    keypoints, scores = seen.joints.copy(), trust(seen)
    distances = np.linalg.norm(map_joints(seen.joints, SKELETON, JHMDB) - poses, axis=-1)
    distances = np.where(labelled, distances / seen.radii[:, None], np.inf)
    for joint, support in SUPPORTS.items():
        off = distances[:, [JHMDB.index(name) for name in support]].max(1)
        landmark = SKELETON.index(joint)
        scores[:, landmark] *= off <= (NEAR_FACE if landmark in FACE else NEAR)
    ours, theirs = limb_indices()
    keypoints[:, ours] = poses[:, theirs]
    scores[:, ours] = labelled[:, theirs]
    return keypoints, scores


def limb_indices() -> tuple[list[int], list[int]]:
    """Of the L joints among the landmarks, and among JHMDB's joints."""
    return list(map(SKELETON.index, LIMBS)), list(map(JHMDB.index, LIMBS))


def torso_errors(seen: Seen, poses: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """How far the teacher's limb joints lie from their labels (N, L), NaN where they have none.

    As shares of the distance from left shoulder to right hip, by which JHMDB's PCK is taken.
    """
    ours, theirs = limb_indices()
    shoulder, hip = (poses[:, JHMDB.index(joint)] for joint in ('left_shoulder', 'right_hip'))
    distances = np.linalg.norm(seen.joints[:, ours] - poses[:, theirs], axis=-1)
    torso = np.linalg.norm(shoulder - hip, axis=-1)[:, None]
    return np.where(labelled[:, theirs], distances / torso, np.nan)
