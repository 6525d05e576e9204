"""From the joints of a file to those of a known skeleton.

T frames, V joints of the file, V' joints of the skeleton written, D = 2 or 3 coordinates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rpstn.errors import SettingError
from rpstn.skeletons import SKELETONS, Skeleton, get_skeleton, joint_mapping, map_joints

from .joint_sequence import JointSequence
from .refusal import refuse


@dataclass
class ToSkeleton:
    """Brings sequences to one skeleton, the same for all of them.

    Args:
        source: the skeleton of the files. Needed where they do not name their
            joints; where they do, it says which names are allowed, and what is not named is
            missing. Without it the names must be those of a known skeleton, all of them, unless
            there is a ``target``.
        target: the skeleton written, by :func:`rpstn.skeletons.map_joints`;
            defaults to the files' own.
        scale: multiplies coordinates, e.g. 0.001 from millimetres to metres.
    """

    source: str | None = None
    target: str | None = None
    scale: float = 1.0
    unplaced: dict[str, int] = field(default_factory=dict)
    """Joints of the files that have no place in the target -> in how many sequences."""
    unread: Counter[str] = field(default_factory=Counter)
    """Columns that nothing here reads -> in how many sequences."""
    remarks: Counter[str] = field(default_factory=Counter)
    """What else to know of how files were read -> of how many."""
    _written: Skeleton | None = None
    _lacking: set[str] | None = None

    def __post_init__(self) -> None:
        for name in (self.source, self.target):
            if name is not None:
                get_skeleton(name)
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise SettingError(f'scale must be above 0, got {self.scale}')

    def __call__(self, sequence: JointSequence) -> tuple[np.ndarray, np.ndarray | None]:
        """Joints (T, V', D) and scores (T, V'), None where the file has none.

        Raises:
            BadSkeletonError: the joints are not those of the skeleton, or of none that is known.
        """
        own = self._skeleton_of(sequence)
        if sequence.joints is not None:
            order = {joint: i for i, joint in enumerate(sequence.joints)}
            columns = [order.get(joint, -1) for joint in own.joints]
        else:
            columns = list(range(own.num_joints))
        keypoints = sequence.keypoints[:, columns] * np.float32(self.scale)
        keypoints[:, np.array(columns) < 0] = np.nan
        target = get_skeleton(self.target) if self.target else own
        members = joint_mapping(own, target)
        for joint in {*range(own.num_joints)}.difference(*members):
            self.unplaced[own.joints[joint]] = self.unplaced.get(own.joints[joint], 0) + 1
        mapped = np.asarray(map_joints(keypoints, own, target))
        if np.isnan(mapped).any(axis=2).all():
            refuse(sequence.path, 'joints', f'some of {target.name}', ', '.join(own.joints))
        self._written = target
        self.unread.update(sequence.unread)
        self.remarks.update(sequence.remarks)
        lacking = {
            target.joints[i] for i in np.flatnonzero(np.isnan(mapped).any(axis=2).all(axis=0))
        }
        self._lacking = lacking if self._lacking is None else self._lacking & lacking
        if sequence.scores is None:
            return mapped, None
        # A composite is as sure as the least sure of its joints.
        scores = sequence.scores[:, columns]
        return mapped, np.stack(
            [
                scores[:, list(m)].min(axis=1) if m else np.full(len(scores), np.nan, np.float32)
                for m in members
            ],
            axis=1,
        )

    @property
    def written(self) -> str:
        """Name of the skeleton of what came out."""
        return self._written.name if self._written else ''

    def notes(self) -> list[str]:
        """What had no place, what never came, what was not read, and how the rest was."""
        notes = []
        if self.unplaced:
            notes.append(f'joints without a place in {self.written}: {_counts(self.unplaced)}')
        if self._lacking:
            notes.append(
                f'joints of {self.written} that no sequence has: {", ".join(sorted(self._lacking))}'
            )
        if self.unread:
            notes.append(f'not read: {_counts(self.unread)}')
        return notes + [f'{remark} ({n:,} sequences)' for remark, n in self.remarks.items()]

    def _skeleton_of(self, sequence: JointSequence) -> Skeleton:
        names, count = sequence.joints, sequence.keypoints.shape[1]
        if self.source is not None:
            source = get_skeleton(self.source)
            if names is None and count != source.num_joints:
                refuse(sequence.path, 'joints', f'the {source.num_joints} of {source.name}', count)
            unknown = [name for name in names or () if name not in source.joints]
            if unknown:
                allowed = f'those of {source.name}: {", ".join(source.joints)}'
                refuse(sequence.path, 'joints', allowed, ', '.join(unknown))
            return source
        if names is None:
            fitting = [s.name for s in SKELETONS.values() if s.num_joints == count]
            allowed = f'named, or of a skeleton that is told, one of {", ".join(SKELETONS)}'
            found = f'{count} without names (as {" and ".join(fitting) or "none of them"} has)'
            refuse(sequence.path, 'joints', allowed, found)
        for skeleton in SKELETONS.values():
            if set(skeleton.joints) == set(names) and (
                self.target or self._written in (None, skeleton)
            ):
                return skeleton
        if self.target is None:
            wanted = self._written.name if self._written else 'a known skeleton'
            ways = f'tell the skeleton of the files, or a target, one of {", ".join(SKELETONS)}'
            refuse(sequence.path, 'joints', f'those of {wanted} ({ways})', ', '.join(names))
        # A tree of no meaning, for mapping looks at names alone.
        return Skeleton('the file', names, tuple((names[0], name) for name in names[1:]))


def _counts(numbers: Mapping[str, int]) -> str:
    return ', '.join(f'{name} ({n:,})' for name, n in sorted(numbers.items()))
