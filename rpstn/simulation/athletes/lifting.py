"""A body with a plausible depth order over given 2D joints.

Nothing is estimated in 3D: the joints stay exactly where they are in the picture, and each gets
a depth that puts visible limbs before the trunk and hidden ones behind it, smoothly over time.

Shape letters: N frames, J skeleton joints; the 13 image joints are Penn Action's.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, percentile_filter

from rpstn.errors import SettingError
from rpstn.pose.datasets.metainfo import PENN13

from ..rendering.camera import ScreenBody
from .skeleton import INDEX, JOINTS, Proportions, normalize

PENN_NAMES = tuple(info['name'] for info in PENN13['keypoint_info'].values())
_PENN = {name: i for i, name in enumerate(PENN_NAMES)}
_STATURE = 1.72
_LENGTHS = {name: share * _STATURE for name, share in Proportions.SHARES.items()}
_TORSO = _LENGTHS['lumbar'] + _LENGTHS['thorax']
# Child, parent, length in metres, how far (metres) a visible child lies before its parent's side.
_CHAINS = tuple(
    (f'{side}_{child}', f'{side}_{parent}', _LENGTHS[bone], reach)
    for side in ('left', 'right')
    for child, parent, bone, reach in (
        ('elbow', 'shoulder', 'upper_arm', 0.13),
        ('wrist', 'elbow', 'forearm', 0.24),
        ('knee', 'hip', 'thigh', 0.10),
        ('ankle', 'knee', 'shank', 0.10),
    )
)
# Where a joint that is never labelled is put: an anchor, and shares of the way hip to shoulder.
_FALLBACK = dict(
    head=('neck', 0.4),
    elbow=('shoulder', -0.6),
    wrist=('shoulder', -1.0),
    knee=('hip', -0.85),
    ankle=('hip', -1.7),
)


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian over time, the first axis."""
    return gaussian_filter1d(np.asarray(values, float), sigma, axis=0, mode='nearest')


def complete(keypoints: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fills joints that are not known: from the frames around, from the other side, or hanging
    from the body.

    Args:
        keypoints: (N, 13, 2). known: (N, 13) bool.

    Returns:
        (N, 13, 2) float64, known joints unchanged.
    """
    points = np.where(known[..., None], keypoints, 0).astype(float)
    frames = np.arange(len(points))
    ever = known.any(0)
    count = np.maximum(known.sum(1), 1)[:, None]
    middle = points.sum(1) / count  # of the known joints
    if not known.any():
        raise SettingError('no joint is labelled in any frame: there is nothing to draw')
    seen = known.any(1)
    for axis in range(2):
        middle[:, axis] = np.interp(frames, frames[seen], middle[seen, axis])
        for joint in np.flatnonzero(ever):
            at = known[:, joint]
            offset = points[at, joint, axis] - middle[at, axis]
            filled = middle[:, axis] + np.interp(frames, frames[at], offset)
            points[:, joint, axis] = np.where(at, points[:, joint, axis], filled)
    for name in ('shoulder', 'hip'):
        for side, other in (('left', 'right'), ('right', 'left')):
            if not ever[_PENN[f'{side}_{name}']] and ever[_PENN[f'{other}_{name}']]:
                points[:, _PENN[f'{side}_{name}']] = points[:, _PENN[f'{other}_{name}']]
    trunk = [f'{side}_{name}' for side in ('left', 'right') for name in ('shoulder', 'hip')]
    extent = max(np.ptp(keypoints[known], axis=0).max() / 3, 4.0)
    if not ever[[_PENN[name] for name in trunk]].any():  # only head or limbs are known
        points[:, [_PENN[name] for name in trunk if 'shoulder' in name]] = middle[:, None]
        ever = ever.copy()
        ever[[_PENN[name] for name in trunk if 'shoulder' in name]] = True
    for name, other, sign in (('shoulder', 'hip', -1), ('hip', 'shoulder', 1)):
        if not ever[[_PENN[f'{s}_{name}'] for s in ('left', 'right')]].any():
            for side in ('left', 'right'):
                points[:, _PENN[f'{side}_{name}']] = points[:, _PENN[f'{side}_{other}']] + (
                    0,
                    sign * extent,
                )
    shoulders, hips = (
        np.mean([points[:, _PENN[f'{s}_{n}']] for s in ('left', 'right')], 0)
        for n in ('shoulder', 'hip')
    )
    for joint in np.flatnonzero(~ever):
        side, _, name = PENN_NAMES[joint].rpartition('_')
        if name in _FALLBACK:
            anchor, share = _FALLBACK[name]
            start = shoulders if anchor == 'neck' else points[:, _PENN[f'{side}_{anchor}']]
            points[:, joint] = start + share * (shoulders - hips)
    return points


def pixels_per_metre(points: np.ndarray) -> np.ndarray:
    """(N,) the size of the person, from the least foreshortened of trunk, thighs and shins."""

    def length(a: str, b: str) -> np.ndarray:
        return np.linalg.norm(points[:, _PENN[a]] - points[:, _PENN[b]], axis=-1)

    trunk = np.mean([length('left_shoulder', 'left_hip'), length('right_shoulder', 'right_hip')], 0)
    ratios = [trunk / _TORSO]
    for side in ('left', 'right'):
        ratios.append(length(f'{side}_hip', f'{side}_knee') / _LENGTHS['thigh'])
        ratios.append(length(f'{side}_knee', f'{side}_ankle') / _LENGTHS['shank'])
    best = np.sort(ratios, 0)[-2]
    # In a squat seen from the front everything is foreshortened at once, but for a moment only.
    window = min(len(best), 61) | 1
    steady = percentile_filter(best, 85, window, mode='nearest')
    return np.maximum(smooth(steady, 8), 4.0)


def _far_side(
    points: np.ndarray, hidden: np.ndarray, scale: np.ndarray, up: np.ndarray
) -> np.ndarray:
    """(N,) in (-1, 1): positive where the left side is the far one.

    Votes: the side with more hidden joints is far; somebody who faces the picture's right has
    the left side far, and noses, knees and elbows tell where somebody faces.
    """
    left = [i for n, i in _PENN.items() if n.startswith('left')]
    right = [i for n, i in _PENN.items() if n.startswith('right')]
    votes = 0.7 * (hidden[:, left].sum(1) - hidden[:, right].sum(1))
    ahead = np.stack([-up[:, 1], up[:, 0]], -1)  # to the picture's right of an upright trunk
    neck = (points[:, _PENN['left_shoulder']] + points[:, _PENN['right_shoulder']]) / 2
    lean = ((points[:, 0] - neck) * ahead).sum(-1) / (0.12 * scale)
    for side in ('left', 'right'):
        hip, knee, ankle = (points[:, _PENN[f'{side}_{n}']] for n in ('hip', 'knee', 'ankle'))
        lean = lean + ((knee - (hip + ankle) / 2) * ahead).sum(-1) / (0.25 * scale)
    votes = votes + np.clip(lean, -2, 2)
    # People turn seldom: the vote of a second or two counts more than that of the moment.
    return np.tanh(0.8 * smooth(votes, 5) + 1.6 * smooth(votes, 25))


def lift(points: np.ndarray, hidden: np.ndarray, push: np.ndarray) -> ScreenBody:
    """Puts depth to 2D joints.

    Args:
        points: (N, 13, 2) pixels, every joint known.
        hidden: (N, 13) bool, the joint is to be hidden.
        push: (N, 13) metres added to the depth of each joint.
    """
    n = len(points)
    scale = pixels_per_metre(points)
    xyz = {name: np.concatenate([points[:, i], np.zeros((n, 1))], -1) for name, i in _PENN.items()}
    shoulders = (xyz['left_shoulder'] + xyz['right_shoulder']) / 2
    hips = (xyz['left_hip'] + xyz['right_hip']) / 2
    up = normalize(shoulders - hips + [0, -1e-3, 0])
    far = _far_side(points, hidden, scale, up[:, :2])
    across = {}
    for name, width in (
        ('shoulder', 2 * _LENGTHS['shoulder_half']),
        ('hip', 2 * _LENGTHS['hip_half']),
    ):
        wide = xyz[f'left_{name}'] - xyz[f'right_{name}']
        deep = np.sqrt(np.maximum((width * scale) ** 2 - (wide**2).sum(-1), 0)) * far
        wide[:, 2] = deep
        across[name] = wide
        for side, sign in (('left', 0.5), ('right', -0.5)):
            xyz[f'{side}_{name}'][:, 2] = sign * deep
    turn = smooth(up[:, 0] * across['shoulder'][:, 1] - up[:, 1] * across['shoulder'][:, 0], 3)
    facing = np.tanh(turn / (0.12 * scale))  # 1 towards the camera
    short = np.sqrt(np.maximum((_TORSO * scale) ** 2 - ((shoulders - hips) ** 2).sum(-1), 0))
    bent = smooth(-facing * np.where(short > 0.6 * _TORSO * scale, short, 0), 3)
    up = smooth(normalize(np.concatenate([(shoulders - hips)[:, :2], bent[:, None]], -1)), 1)

    for child, parent, length, reach in _CHAINS:
        mid = points[:, _PENN[child]] - points[:, _PENN[parent]]
        room = np.sqrt(np.maximum((length * scale) ** 2 - (mid**2).sum(-1), 0))
        behind = smooth(np.where(hidden[:, _PENN[child]], 1.0, -1.0), 1.5)
        root = xyz[f'{child.split("_")[0]}_{"shoulder" if reach > 0.1 else "hip"}'][:, 2]
        # Away from the trunk by its share, and further where the limb is foreshortened.
        xyz[child][:, 2] = 0.6 * root + behind * np.maximum(
            reach * scale, np.minimum(0.5 * room, 1.5 * reach * scale)
        )
    xyz['head'][:, 2] = scale * smooth(np.where(hidden[:, 0], 0.12, -0.04), 1.5)
    for name, i in _PENN.items():
        xyz[name][:, 2] += push[:, i] * scale

    frames = np.stack(
        [_frame(up, across[n], far, scale) for n in ('hip', 'shoulder', 'shoulder')], 1
    )
    joints = _derive(xyz, shoulders, hips, frames, scale)
    sun = normalize(np.array([-0.35, -0.8, -0.5]))
    return ScreenBody(joints, np.repeat(scale[:, None], len(JOINTS), 1), frames, sun)


def _frame(up: np.ndarray, left: np.ndarray, far: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(N, 3, 3) columns forward, left, up; left is kept off zero where the sides coincide."""
    left = left.copy()
    left[:, 2] += np.where(far < 0, -1, 1) * 1e-3 * scale
    left = left - (left * up).sum(-1, keepdims=True) * up
    left = normalize(smooth(normalize(left), 2))
    left = normalize(left - (left * up).sum(-1, keepdims=True) * up)
    up = normalize(up)
    return np.stack([np.cross(left, up), left, up], -1)


def _derive(
    xyz: dict[str, np.ndarray],
    shoulders: np.ndarray,
    hips: np.ndarray,
    frames: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """(N, J, 3): the image joints and those that follow from them."""
    joints = np.zeros((len(scale), len(JOINTS), 3))
    for name, value in xyz.items():
        joints[:, INDEX[name]] = value
    share = _LENGTHS['lumbar'] / _TORSO
    joints[:, INDEX['pelvis']] = hips
    joints[:, INDEX['waist']] = hips + share * (shoulders - hips)
    joints[:, INDEX['neck']] = shoulders
    for side in ('left', 'right'):
        elbow, wrist, knee, ankle = (
            xyz[f'{side}_{n}'] for n in ('elbow', 'wrist', 'knee', 'ankle')
        )
        unit = scale[:, None]
        joints[:, INDEX[f'{side}_hand']] = wrist + 0.8 * _LENGTHS['hand'] * unit * normalize(
            smooth(normalize(wrist - elbow), 1)
        )
        shin = normalize(ankle - knee + [0, 1e-3, 0])
        ahead = frames[:, 0, :, 0]
        ahead = normalize(ahead - 0.8 * (ahead * shin).sum(-1, keepdims=True) * shin + 0.25 * shin)
        ahead = normalize(smooth(ahead, 1.5))
        drop = 0.04 * unit * shin
        joints[:, INDEX[f'{side}_heel']] = ankle + drop - 0.03 * unit * ahead
        joints[:, INDEX[f'{side}_toe']] = ankle + drop + 0.16 * unit * ahead
    return joints
