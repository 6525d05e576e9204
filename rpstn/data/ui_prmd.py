"""UI-PRMD's optical motion capture, as joints.

Vakanski, Jun, Paul, Baker, "A Data Set of Human Body Movements for Physical Rehabilitation
Exercises", Data 3 (1), 2018. Movements of healthy people, each done as it should be and not, by 39
Plug-in-Gait markers on the skin.

Shapes: T frames, M markers, V joints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpstn.data_files import read_npz
from rpstn.skeletons import Skeleton, get_skeleton, map_joints

from .plug_in_gait import joint_centres

FRAMES_PER_SECOND = 50.0
MOVEMENTS = {
    'm02': 'hurdle step',
    'm03': 'in-line lunge',
    'm04': 'side lunge',
    'm05': 'sit to stand',
    'm06': 'straight leg raise',
    'm07': 'shoulder abduction',
    'm08': 'shoulder extension',
    'm09': 'shoulder rotation',
    'm10': 'shoulder scaption',
}
_NAME = re.compile(r'(m\d\d)_(s\d\d)_e\d\d(_incorrect)?')
_MILLIMETRES = 0.1  # the files have tenths of them
# Joints that markers on the skin stand for.
_MARKERS = {
    'nose': ('LFHD', 'RFHD'),
    'left_heel': ('LHEE',),
    'right_heel': ('RHEE',),
    'left_foot_index': ('LTOE',),
    'right_foot_index': ('RTOE',),
}


@dataclass(frozen=True)
class MarkerSequence:
    """One repetition of a movement."""

    name: str
    movement: str
    """As the files have it, see :data:`MOVEMENTS`."""
    subject: str
    correct: bool
    markers: np.ndarray
    """(T, M, 3) millimetres, z up, facing x; 0, 0, 0 where one was not seen."""
    marker_names: tuple[str, ...]

    def joints(self, skeleton: str | Skeleton = 'mediapipe19') -> np.ndarray:
        """Joint centres, see :func:`rpstn.data.plug_in_gait.joint_centres`, nose and feet.

        Returns:
            (T, V, 3) metres: x to the right of a camera in front of the person, which is the
            person's left, y up, z towards it. NaN where a marker of the joint is missing, and for
            joints that no marker tells.
        """
        skeleton = get_skeleton(skeleton)
        found = map_joints(
            joint_centres(self.markers, list(self.marker_names)), 'lifter15', skeleton
        )
        for joint, names in _MARKERS.items():
            if joint in skeleton.joints:
                at = self.markers[:, [self.marker_names.index(name) for name in names]]
                seen = (at != 0).any(-1).all(-1)[:, None]
                found[:, skeleton.index(joint)] = np.where(seen, at.mean(1) / 1000, np.nan)
        return found[..., [1, 2, 0]].astype(np.float32)


def read_ui_prmd(folder: str | Path, movements: Sequence[str] = ()) -> Iterator[MarkerSequence]:
    """The sequences of ``mMM.npz`` files, in the order of their names.

    Args:
        folder: of the files.
        movements: only these, e.g. ``('m05',)``; all that are there by default.

    Raises:
        ValueError: a name or an array that is not as it must be; it names the file.
    """
    for path in sorted(Path(folder).glob('m[0-9][0-9].npz')):
        if movements and path.stem not in movements:
            continue
        try:
            arrays = read_npz(path)
            names = tuple(str(name) for name in arrays.pop('markers'))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path}: {error}') from None
        for key, found in sorted(arrays.items()):
            known = _NAME.fullmatch(key)
            if not known or found.ndim != 3 or found.shape[1:] != (len(names), 3):
                raise ValueError(
                    f'{path}, {key}: must be m00_s00_e00[_incorrect] of (T, {len(names)}, 3), '
                    f'got shape {found.shape}'
                )
            markers = found * np.float32(_MILLIMETRES)
            yield MarkerSequence(key, known[1], known[2], known[3] is None, markers, names)
