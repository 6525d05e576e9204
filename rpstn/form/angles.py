"""Angles of the body from joints in space, by the definitions of :mod:`rpstn.form.angle_table`.

Joints are (T, V, 3) metres: x to the camera's right, y up, z towards the camera. Every angle is
measured in the body's own directions, so that none changes when a person turns about the
vertical, and right and left have the same sign.

Shape letters: T frames, V joints.
"""

from __future__ import annotations

import numpy as np

from rpstn.errors import SettingError
from rpstn.skeletons import Skeleton, get_skeleton, map_joints

from .geometry.motion import joint_angle

_UP = np.array([0.0, 1.0, 0.0])
_STANDING = np.cos(np.radians(45))  # a body further from y than that does not stand
_SIDES = {'left': 1.0, 'right': -1.0}
_FROM_THE_FRONT, _FROM_THE_SIDE = 30.0, 60.0  # degrees of azimuth
_BENT = 30.0  # degrees of knee flexion from which the leg has a plane
_END_ON = 1 / 3  # of the thigh's length: shorter projections have no sure direction
_AT_REST = 25  # percent of the frames, those with the straightest legs


def measure_angles(
    joints: np.ndarray, skeleton: str | Skeleton, upright: bool = True
) -> dict[str, np.ndarray]:
    """All angles of :data:`rpstn.form.angle_table.ANGLES` in every frame.

    Args:
        joints: (T, V, 3) metres, axes as of this module; NaN where a joint is missing.
        upright: y is the vertical. Where it is not known to be, the line from ankles to shoulders
            with the legs at their straightest is taken for it, and lean is relative to that; y
            where the body lies.

    Returns:
        Key -> (T,) float64 in the unit of the table, NaN where it cannot be told. Sided angles
        are there as ``left_...``, ``right_...`` and, under the plain name, their mean, or the one
        that is known.

    Raises:
        SettingError: the shape does not fit the skeleton.
    """
    body = _Body(joints, skeleton, upright)
    sided = {
        f'{side}_{name}': function(body, side)
        for name, function in _SIDED.items()
        for side in _SIDES
    }
    angles = dict(sided)
    for name in _SIDED:
        angles[name] = _mean(sided[f'left_{name}'], sided[f'right_{name}'])
    angles['trunk_lean'] = _towards(body.trunk, body.up, body.forward)
    angles['trunk_to_shank'] = angles['trunk_lean'] - angles['shank_lean']
    angles['stance_width'] = _stance(body)
    angles['asymmetry'] = angles['left_knee_flexion'] - angles['right_knee_flexion']
    angles['stride'] = np.abs(angles['left_hip_flexion'] - angles['right_hip_flexion'])
    angles['neck'] = _towards(body['nose'] - body.shoulders, body.trunk, body.front)
    angles['body_line'] = _mean(
        *(
            _towards(body[f'{side}_ankle'] - body[f'{side}_hip'], -body.trunk, body.front)
            for side in _SIDES
        )
    )
    rest = _rest(angles['knee_flexion'])
    height = _hip_height(body)
    angles['hip_drop'] = 100 * (1 - height / _middle(height[rest]))
    for key in ('left_heel_lift', 'right_heel_lift', 'heel_lift'):
        angles[key] = angles[key] - _middle(angles[key][rest])
    return angles


def azimuth(joints: np.ndarray, skeleton: str | Skeleton) -> np.ndarray:
    """How far the person is turned from facing the camera, about the vertical.

    Args:
        joints: (T, V, 3) as of :func:`measure_angles`.

    Returns:
        (T,) degrees, -180 to 180: 0 facing it, 90 turned to the camera's right.
    """
    forward = _Body(joints, skeleton).forward
    return np.degrees(np.arctan2(forward[:, 0], forward[:, 2]))


def view_of(degrees: np.ndarray | float) -> str:
    """``front`` (or back), ``oblique`` or ``side``: the view that most frames show.

    Args:
        degrees: (T,) or one, of :func:`azimuth`.
    """
    folded = np.abs(np.asarray(degrees, float))
    middle = _middle(np.minimum(folded, 180 - folded))
    if not middle >= _FROM_THE_FRONT:  # also where it is not known
        return 'front'
    return 'oblique' if middle < _FROM_THE_SIDE else 'side'


class _Body:
    """Joints by name and the directions of a body; (T, 3) each, directions of length 1."""

    def __init__(self, joints: np.ndarray, skeleton: str | Skeleton, upright: bool = True) -> None:
        skeleton = get_skeleton(skeleton)
        joints = np.asarray(joints, float)
        if joints.ndim != 3 or joints.shape[-1] != 3:
            raise SettingError(f'joints must be of shape (T, V, 3), got {joints.shape}')
        self._joints = map_joints(joints, skeleton, 'mediapipe33')
        self.hips, self.shoulders = self._between('hip'), self._between('shoulder')
        self.trunk = _unit(self.shoulders - self.hips)
        across = self._across('hip') + self._across('shoulder')
        self.up = _UP if upright else self._standing_line()
        self.left = _unit(self.level(across))
        self.forward = np.cross(self.left, self.up)
        self.front = _unit(np.cross(across, self.trunk))  # of the trunk, whichever way it leans

    def __getitem__(self, joint: str) -> np.ndarray:
        return self._joints[:, get_skeleton('mediapipe33').index(joint)]

    def _between(self, part: str) -> np.ndarray:
        return (self[f'left_{part}'] + self[f'right_{part}']) / 2

    def level(self, vectors: np.ndarray) -> np.ndarray:
        """Their horizontal part."""
        return vectors - self.height(vectors)[:, None] * self.up

    def height(self, vectors: np.ndarray) -> np.ndarray:
        """Their vertical part."""
        return vectors @ self.up

    def flexion(self, side: str, above: str, at: str, below: str) -> np.ndarray:
        return 180 - joint_angle(*(self[f'{side}_{part}'] for part in (above, at, below)))

    def _standing_line(self) -> np.ndarray:
        """(3,) from the ankles to the shoulders, in the middle of the frames at rest; y where the
        body lies."""
        knees = (self.flexion(side, 'hip', 'knee', 'ankle') for side in _SIDES)
        line = _unit(self.shoulders - self._between('ankle'))[_rest(_mean(*knees))]
        standing = _unit(np.array([_middle(line[:, axis]) for axis in range(3)]))
        return standing if standing[1] > _STANDING else _UP

    def _across(self, part: str) -> np.ndarray:
        return self[f'left_{part}'] - self[f'right_{part}']


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1; NaN where there is no direction."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 1e-9, length, np.nan)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1)


def _towards(vector: np.ndarray, zero: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Degrees from the direction ``zero`` towards ``positive``, in the plane of the two."""
    return np.degrees(np.arctan2(_dot(vector, positive), _dot(vector, zero)))


def _mean(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of both, or the one that is known."""
    return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))


def _middle(values: np.ndarray) -> float:
    """The median of what is known, NaN of nothing."""
    known = np.asarray(values)[~np.isnan(values)]
    return float(np.median(known)) if known.size else float('nan')


def _rest(flexion: np.ndarray) -> np.ndarray:
    """(T,) bool: the frames in which the legs are straightest; all where that is not known."""
    known = flexion[~np.isnan(flexion)]
    if not known.size:
        return np.ones(len(flexion), bool)
    return flexion <= np.percentile(known, _AT_REST)


def _hip_flexion(body: _Body, side: str) -> np.ndarray:
    return _towards(body[f'{side}_knee'] - body[f'{side}_hip'], -body.trunk, body.front)


def _shank_lean(body: _Body, side: str) -> np.ndarray:
    return _towards(body[f'{side}_knee'] - body[f'{side}_ankle'], body.up, body.forward)


def _depth(body: _Body, side: str) -> np.ndarray:
    return np.degrees(np.arcsin(body.height(_unit(body[f'{side}_knee'] - body[f'{side}_hip']))))


def _fppa(body: _Body, side: str) -> np.ndarray:
    hip, knee, ankle = (body[f'{side}_{part}'] for part in ('hip', 'knee', 'ankle'))
    inward = -_SIDES[side] * body.left
    thigh, shank = knee - hip, ankle - knee
    seen = np.hypot(_dot(thigh, inward), body.height(thigh))
    angle = _towards(thigh, -body.up, inward) - _towards(shank, -body.up, inward)
    end_on = seen < _END_ON * np.linalg.norm(thigh, axis=-1)
    return np.where(end_on, np.nan, (angle + 180) % 360 - 180)


def _knee_valgus(body: _Body, side: str) -> np.ndarray:
    hip, knee, ankle = (body[f'{side}_{part}'] for part in ('hip', 'knee', 'ankle'))
    axis = _unit(ankle - hip)
    foot = body[f'{side}_foot_index'] - body[f'{side}_heel']
    out, foot = (v - _dot(v, axis)[:, None] * axis for v in (knee - ankle, foot))
    angle = _SIDES[side] * np.degrees(np.arctan2(_dot(np.cross(foot, out), axis), _dot(foot, out)))
    return np.where(body.flexion(side, 'hip', 'knee', 'ankle') < _BENT, np.nan, angle)


def _knee_offset(body: _Body, side: str) -> np.ndarray:
    heel, toes = body[f'{side}_heel'], body[f'{side}_foot_index']
    inward = np.cross(_unit(body.level(toes - heel)), body.up) * _SIDES[side]
    return 100 * _dot(body[f'{side}_knee'] - heel, inward)


def _heel_height(body: _Body, side: str) -> np.ndarray:
    """Above the toes; what it is at rest is taken off later."""
    return 100 * body.height(body[f'{side}_heel'] - body[f'{side}_foot_index'])


def _shoulder_elevation(body: _Body, side: str) -> np.ndarray:
    arm = _unit(body[f'{side}_elbow'] - body[f'{side}_shoulder'])
    return np.degrees(np.arccos(np.clip(_dot(arm, -body.trunk), -1, 1)))


def _hip_height(body: _Body) -> np.ndarray:
    """Above the lower ankle, as the other may be in the air."""
    ankles = (body.height(body[f'{side}_ankle'] - body.hips) for side in _SIDES)
    return -np.fmin(*ankles)


def _stance(body: _Body) -> np.ndarray:
    apart = np.linalg.norm(body.level(body['left_ankle'] - body['right_ankle']), axis=-1)
    shoulders = np.linalg.norm(body['left_shoulder'] - body['right_shoulder'], axis=-1)
    return apart / _middle(shoulders)


_SIDED = {
    'knee_flexion': lambda body, side: body.flexion(side, 'hip', 'knee', 'ankle'),
    'hip_flexion': _hip_flexion,
    'shank_lean': _shank_lean,
    'depth': _depth,
    'fppa': _fppa,
    'knee_valgus': _knee_valgus,
    'knee_offset': _knee_offset,
    'heel_lift': _heel_height,
    'elbow_flexion': lambda body, side: body.flexion(side, 'shoulder', 'elbow', 'wrist'),
    'shoulder_elevation': _shoulder_elevation,
}
