"""Joint centres of the 15 joints of ``lifter15`` from 39 Plug-in-Gait markers on the skin.

Hips: the regression of Harrington et al., J. Biomech. 40 (2007) 595, from pelvic width and depth.
Knees and ankles: the chord construction of Plug-in Gait (Davis et al., Hum. Mov. Sci. 10 (1991)
575): the centre lies half a joint's width from the marker outside, at a right angle to the line
to the centre above, in the plane of the marker on thigh or shank. Elbows: the same width inwards,
along the axis that upper arm and forearm turn about, as far as they are bent. Shoulders: below the
acromion, at a right angle to the line from the sternum. Widths are those of an average adult, since
nobody's were measured. Head: a fifth of the way down from the four markers around it.

Shapes: T frames, M markers.
"""

from __future__ import annotations

import numpy as np

from rpstn.skeletons import SKELETONS

# Millimetres from the marker's centre to that of the joint: half the width of an average adult's
# joint and 7 mm of marker.
_OFFSETS = {'shoulder': 45.0, 'elbow': 40.0, 'knee': 57.0, 'ankle': 43.0}
_STRAIGHT = 0.3  # sine of the elbow's flexion below which its axis is not told by the two limbs
_SKULL = 0.2


def joint_centres(markers: np.ndarray, names: list[str]) -> np.ndarray:
    """Joints of people in an optical capture.

    Args:
        markers: (T, M, 3) millimetres; a marker that was not seen is 0, 0, 0.
        names: of the M markers, Plug-in Gait's.

    Returns:
        (T, 15, 3) of ``lifter15``, metres; NaN where a marker that tells of the joint is missing.
    """
    known = np.where((markers != 0).any(axis=2, keepdims=True), markers, np.nan).astype(np.float64)
    at = {name: known[:, n] for n, name in enumerate(names)}
    joints = {'head': _head(at), **_hips(at)}
    forward = (at['CLAV'] + at['STRN'] - at['C7'] - at['T10']) / 2
    for side, s in (('left', 'L'), ('right', 'R')):
        outwards = at[f'{s}SHO'] - at['CLAV']
        down = np.cross(forward, outwards) * (-1 if side == 'left' else 1)
        joints[f'{side}_shoulder'] = at[f'{s}SHO'] + _OFFSETS['shoulder'] * _unit(down)
        joints[f'{side}_wrist'] = (at[f'{s}WRA'] + at[f'{s}WRB']) / 2
        joints[f'{side}_elbow'] = _elbow(
            joints[f'{side}_shoulder'], at[f'{s}ELB'], joints[f'{side}_wrist'], side
        )
        joints[f'{side}_knee'] = chord(
            joints[f'{side}_hip'], at[f'{s}KNE'], at[f'{s}THI'], _OFFSETS['knee']
        )
        joints[f'{side}_ankle'] = chord(
            joints[f'{side}_knee'], at[f'{s}ANK'], at[f'{s}TIB'], _OFFSETS['ankle']
        )
    joints['pelvis'] = (joints['left_hip'] + joints['right_hip']) / 2
    joints['neck'] = (joints['left_shoulder'] + joints['right_shoulder']) / 2
    return np.stack([joints[name] for name in SKELETONS['lifter15'].joints], axis=1) / 1000


def chord(above: np.ndarray, marker: np.ndarray, wand: np.ndarray, offset: float) -> np.ndarray:
    """The joint inside ``marker``, on the far side of it from ``wand``, which points outwards.

    Args:
        above: (T, 3) the centre of the joint above.
        marker: (T, 3) on the outside of the joint.
        wand: (T, 3) on the outside of the limb between, in the plane of ``above`` and the joint.
        offset: distance from marker to joint.

    Returns:
        (T, 3): at ``offset`` from the marker, at a right angle to the line to ``above``.
    """
    up = above - marker
    length = np.linalg.norm(up, axis=1, keepdims=True)
    along = up / length
    outwards = wand - marker
    inwards = -_unit(outwards - (outwards * along).sum(1, keepdims=True) * along)
    # Thales: the joint sees `above` and the marker under a right angle.
    share = np.clip(offset / length, 0, 0.9)
    return marker + offset * (share * along + np.sqrt(1 - share**2) * inwards)


def _hips(at: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    front, back = (at['LASI'] + at['RASI']) / 2, (at['LPSI'] + at['RPSI']) / 2
    leftwards = _unit(at['LASI'] - at['RASI'])
    up = _unit(np.cross(front - back, leftwards))
    forward = np.cross(leftwards, up)
    width = np.linalg.norm(at['LASI'] - at['RASI'], axis=1, keepdims=True)
    depth = np.linalg.norm(front - back, axis=1, keepdims=True)
    middle = front + forward * (-0.24 * depth - 9.9) + up * (-0.30 * width - 10.9)
    aside = leftwards * (0.33 * width + 7.3)
    return {'left_hip': middle + aside, 'right_hip': middle - aside}


def _head(at: dict[str, np.ndarray]) -> np.ndarray:
    around = (at['LFHD'] + at['RFHD'] + at['LBHD'] + at['RBHD']) / 4
    return around + _SKULL * ((at['LSHO'] + at['RSHO']) / 2 - around)


def _elbow(shoulder: np.ndarray, marker: np.ndarray, wrist: np.ndarray, side: str) -> np.ndarray:
    axis = np.cross(_unit(marker - shoulder), _unit(wrist - marker))
    bent = np.linalg.norm(axis, axis=1, keepdims=True)
    inwards = axis / np.maximum(bent, 1e-9) * (1 if side == 'left' else -1)
    return marker + _OFFSETS['elbow'] * np.clip(bent / _STRAIGHT, 0, 1) * inwards


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)
