"""UI-PRMD's optical motion capture, as joint centres.

Vakanski, Jun, Paul, Baker, "A Data Set of Human Body Movements for Physical Rehabilitation
Exercises", Data 3 (1), 2018. Movements of healthy people, each done as it should be and not, by 39
Plug-in-Gait markers on the skin.

Shapes: T frames, V joints. Lengths are metres. Axes: x to the right of a camera in front of the
person, which is the person's left, y up, z towards that camera.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpstn.data_files import read_npz
from rpstn.skeletons import Skeleton, get_skeleton

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
_UNIT = 1e-4  # tenths of a millimetre
# From a marker on the skin to the centre of the joint: half of an adult's breadth there and half of
# a marker of 14 mm.
_HALF_BREADTH = dict(knee=0.057, ankle=0.043, elbow=0.042)
_SHOULDER_BELOW = 0.05


@dataclass(frozen=True)
class MarkerSequence:
    """One repetition of a movement."""

    name: str
    movement: str
    """As the files have it, see :data:`MOVEMENTS`."""
    subject: str
    correct: bool
    markers: dict[str, np.ndarray]
    """Name -> (T, 3) metres; NaN where it was not seen."""


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
            names = [str(name) for name in arrays.pop('markers')]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path}: {error}') from None
        for key, found in sorted(arrays.items()):
            known = _NAME.fullmatch(key)
            if not known or found.ndim != 3 or found.shape[1:] != (len(names), 3):
                raise ValueError(
                    f'{path}, {key}: must be m00_s00_e00[_incorrect] of (T, {len(names)}, 3), '
                    f'got shape {found.shape}'
                )
            points = found.astype(np.float32) * np.float32(_UNIT)
            points[(found == 0).all(-1)] = np.nan
            seen = dict(zip(names, np.moveaxis(points[..., [1, 2, 0]], 1, 0)))
            yield MarkerSequence(key, known[1], known[2], known[3] is None, seen)


def joint_centres(
    markers: dict[str, np.ndarray], skeleton: str | Skeleton = 'mediapipe19'
) -> np.ndarray:
    """Joint centres (T, V, 3) out of Plug-in-Gait markers on the skin; NaN where they do not tell.

    Hips by the regression of Harrington, Zavatsky, Lawson, Yuan, Theologis, "Prediction of the hip
    joint centre in adults, children, and patients with cerebral palsy", J Biomech 40, 2007. Knees,
    ankles and elbows lie half a breadth inside of their markers, along the line between both hips
    (both shoulders) as far as it is square to the limb; shoulders below theirs.
    """
    skeleton = get_skeleton(skeleton)
    m = markers
    found = {
        'nose': (m['LFHD'] + m['RFHD']) / 2,
        'head_top': (m['LFHD'] + m['RFHD'] + m['LBHD'] + m['RBHD']) / 4,
        **_hips(m),
    }
    hips = _unit(found['left_hip'] - found['right_hip'])
    shoulders = _unit(m['LSHO'] - m['RSHO'])
    pelvis = (found['left_hip'] + found['right_hip']) / 2
    down = _unit(pelvis - (m['LSHO'] + m['RSHO']) / 2)
    for side, s, inwards in (('left', 'L', -1), ('right', 'R', 1)):
        at = found.__setitem__
        at(f'{side}_shoulder', m[f'{s}SHO'] + _SHOULDER_BELOW * down)
        at(f'{side}_wrist', (m[f'{s}WRA'] + m[f'{s}WRB']) / 2)
        for joint, marker, above, across in (
            ('elbow', 'ELB', 'shoulder', shoulders),
            ('knee', 'KNE', 'hip', hips),
            ('ankle', 'ANK', 'knee', hips),
        ):
            limb = m[f'{s}{marker}'] - found[f'{side}_{above}']
            square = _unit(across - _unit(limb) * (across * _unit(limb)).sum(-1, keepdims=True))
            at(f'{side}_{joint}', m[f'{s}{marker}'] + inwards * _HALF_BREADTH[joint] * square)
        at(f'{side}_heel', m[f'{s}HEE'])
        at(f'{side}_foot_index', m[f'{s}TOE'])
    nothing = np.full_like(m['C7'], np.nan)
    return np.stack([found.get(joint, nothing) for joint in skeleton.joints], 1)


def _hips(m: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Harrington's regression, in the axes of the pelvis: ahead, up, and to the right."""
    front, back = (m['LASI'] + m['RASI']) / 2, (m['LPSI'] + m['RPSI']) / 2
    right = _unit(m['RASI'] - m['LASI'])
    ahead = _unit((front - back) - right * ((front - back) * right).sum(-1, keepdims=True))
    up = np.cross(right, ahead)
    width = np.linalg.norm(m['RASI'] - m['LASI'], axis=-1, keepdims=True)
    depth = np.linalg.norm(front - back, axis=-1, keepdims=True)
    centre = front + (-0.24 * depth - 0.0099) * ahead + (-0.30 * width - 0.0109) * up
    aside = (0.33 * width + 0.0073) * right
    return {'left_hip': centre - aside, 'right_hip': centre + aside}


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
