"""One person's skeleton over time, as the data sets of exercise form read it.

M persons, T frames, V skeleton joints, D = 2 or 3 coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rpstn.data.joints.refusal import BadSkeletonError, refuse
from rpstn.data.points import too_far
from rpstn.limits import FARTHEST

__all__ = ['BadSkeletonError', 'SkeletonSequence', 'refuse']


@dataclass(frozen=True)
class SkeletonSequence:
    """A labelled sequence, before it is checked.

    Args:
        name: unique in its data set.
        source: the file it was read from, for error messages.
        label: class name or number, or several of them.
        keypoint: (M, T, V, D), NaN where a joint is missing.
        groups: what splits may hold out, e.g. ``dict(day='02052023')``; ``split`` is
            the part of the data set's own split, or a tuple of parts.
        keypoint_score: (M, T, V), 0 to 1.
        img_shape: (height, width) of the image of 2D joints.
    """

    name: str
    source: str
    label: str | int | Sequence
    keypoint: np.ndarray
    groups: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    keypoint_score: np.ndarray | None = None
    img_shape: tuple[int, int] | None = None

    @property
    def where(self) -> str:
        """File and name."""
        return f'{self.source}, {self.name}'

    def check(self, num_joints: int, min_frames: int) -> None:
        """Refuse joints that no pipeline could use.

        Raises:
            BadSkeletonError: not numbers, another shape or number of joints, infinite joints,
                fewer than ``min_frames`` frames with a joint in them.
        """
        joints = self.keypoint
        if not np.issubdtype(joints.dtype, np.floating):
            refuse(self.where, 'keypoint', 'floating point numbers', str(joints.dtype))
        shape = joints.shape
        if len(shape) != 4 or shape[3] not in (2, 3) or shape[0] < 1:
            refuse(
                self.where,
                'keypoint',
                '(M, T, V, D) with at least one person and D = 2 or 3',
                f'shape {shape}',
            )
        if shape[2] != num_joints:
            refuse(self.where, 'keypoint', f'of {num_joints} joints', f'{shape[2]}: shape {shape}')
        if np.isinf(joints).any():
            person, frame, joint = np.argwhere(np.isinf(joints).any(axis=3))[0]
            refuse(
                self.where,
                'keypoint',
                'finite, or NaN for a missing joint',
                f'{joints[person, frame, joint].tolist()} for joint {joint} of frame {frame}',
            )
        far = too_far(joints)
        if far.any():
            person, frame, joint = np.argwhere(far.any(axis=3))[0]
            refuse(
                self.where,
                'keypoint',
                f'within {FARTHEST:,.0f} of the origin',
                f'{joints[person, frame, joint].tolist()} for joint {joint} of frame {frame}',
            )
        if shape[1] < min_frames:
            refuse(self.where, 'keypoint', f'of at least {min_frames} frames', f'{shape[1]}')
        observed = int((~np.isnan(joints).any(axis=3)).any(axis=(0, 2)).sum())
        if observed < min_frames:
            refuse(
                self.where,
                'keypoint',
                f'observed in at least {min_frames} frames',
                f'{observed} of {shape[1]}, all others are NaN',
            )
        score = self.keypoint_score
        if score is not None and score.shape != shape[:3]:
            refuse(self.where, 'keypoint_score', f'of shape {shape[:3]}', f'{score.shape}')

    def class_numbers(self, classes: Sequence[str]) -> list[int]:
        """The numbers of the labels among ``classes``.

        Raises:
            BadSkeletonError: a label that is none of them.
        """
        given = self.label
        labels: Sequence = (given,) if isinstance(given, (str, int, np.integer)) else given
        numbers = []
        for label in labels:
            if isinstance(label, str) and label in classes:
                numbers.append(classes.index(label))
            elif isinstance(label, (int, np.integer)) and 0 <= label < len(classes):
                numbers.append(int(label))
            else:
                refuse(self.where, 'label', f'one of {tuple(classes)} or its number', f'{label!r}')
        return numbers
