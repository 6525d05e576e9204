"""3D squats of given form: the kinematics behind :class:`SyntheticSquatDataset`.

Legs are posed upward from fixed feet: the tilt of the shanks and the rise of the thighs go from
their standing values to those that put knees and hips at the bottom where the form wants them,
then inverse kinematics turns the knees about the lines from hips to ankles (valgus). The trunk
leans as far as the centre of mass needs to stay over the feet; the spine bends about that lean.

World frame as in :mod:`rpstn.simulation.athletes.skeleton`: X forward, Y to the person's left, Z
up, metres, the floor at z = 0, the ankles at x = 0.

Shape letters: T frames, V joints; pairs are left, right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rpstn.errors import SettingError
from rpstn.skeletons import Skeleton, map_joints

from ..athletes.motion import squat_arms
from ..athletes.skeleton import INDEX, SIDES, Poser, Proportions, body_frame, normalize
from ..athletes.timing import sway
from .squat_form import SquatForm, SquatStyle

# Joints of the head, forward, left and up from the base of the neck, in shares of the stature:
# fitted by hand to the distances in two frames of the Waseda set.
_FACE = {
    'neck_base': (0.020, 0, 0.060),
    'head_top': (0.010, 0, 0.124),
    'nose': (0.080, 0, 0.067),
    'eye': (0.061, 0.019, 0.088),
    'eye_inner': (0.065, 0.009, 0.088),
    'eye_outer': (0.055, 0.028, 0.088),
    'ear': (0.011, 0.041, 0.083),
    'mouth': (0.073, 0.014, 0.047),
}
_NECK_RISE = 0.8  # base of the neck above the line of the shoulders, of Proportions.neck
_SOLE = 0.028  # heights of heel and toes above the floor, metres
_HEEL, _BALL, _TIP = -0.16, 0.66, 0.82  # along the foot, from the ankle, of Proportions.foot

# The standing legs: degrees of the shank forward, of the thigh up from the level.
_STANDING_TILT, _STANDING_RISE = 4.0, 86.0
# How much of each fault is there while standing.
_STANDING_SPINE, _STANDING_HEAD, _STANDING_VALGUS = 0.3, 0.5, 0.3
_GAZE = 0.45  # the part of the chest's pitch that the head goes along with
_MOST_LEAN, _MOST_TILT = np.radians(54), np.radians(70)  # of the trunk, of the shanks

# De Leva (1996), men: mass of both legs and arms, of trunk with head; the centres of the trunk up
# from hips to shoulders, of the limbs' segments down from their upper ends.
_MASS = dict(thigh=0.283, shank=0.087, foot=0.027, trunk=0.504, arms=0.099)
_TRUNK_CENTRE, _THIGH_CENTRE, _SHANK_CENTRE, _ARM_CENTRE = 0.60, 0.41, 0.45, 0.58

# Of the joints on both sides; * stands for the side.
_PARENTS = dict(
    shoulder='neck',
    elbow='*shoulder',
    wrist='*elbow',
    hand='*wrist',
    hip='pelvis',
    knee='*hip',
    ankle='*knee',
    heel='*ankle',
    foot='*ankle',
    foot_index='*foot',
    eye_inner='nose',
    eye='*eye_inner',
    eye_outer='*eye',
    ear='*eye_outer',
    mouth='nose',
)

# All that is simulated; rpstn.skeletons.map_joints makes other skeletons of it.
SIMULATED = Skeleton(
    'simulated',
    (
        'pelvis',
        'waist',
        'neck',
        'neck_base',
        'head_top',
        'nose',
        *(f'{side}_{part}' for part in _PARENTS for side in ('left', 'right')),
    ),
    (
        ('pelvis', 'waist'),
        ('waist', 'neck'),
        ('neck', 'neck_base'),
        ('neck_base', 'head_top'),
        ('neck_base', 'nose'),
        *(
            (parent.replace('*', f'{side}_'), f'{side}_{part}')
            for side in ('left', 'right')
            for part, parent in _PARENTS.items()
        ),
    ),
)


def simulate_squat(
    body: Proportions,
    form: SquatForm,
    times: np.ndarray,
    course: np.ndarray,
    style: SquatStyle | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Squats of a body, in the joints of :data:`SIMULATED`.

    Args:
        body: the segment lengths.
        form: the form at the bottom.
        times: (T,) seconds.
        course: (T,) from 0, standing, to 1, at the bottom; see :meth:`SquatTempo.course`.
        style: stance, balance and sway; the defaults of :class:`SquatStyle` without it.
        seed: decides arms and sway.

    Returns:
        (T, V, 3) float64, metres.

    Raises:
        SettingError: the form's depth or knee travel is out of this body's reach.
    """
    style = style or SquatStyle()
    rng, size = np.random.default_rng(seed), style.sway
    noise = [sway(rng, times, size * each) for each in (0.004, 0.004, 0.012, 0.03, 0.08)]
    pelvis, knees = _legs(body, form, style, course)
    pelvis[:, :2] += np.stack(noise[:2], -1)
    bend = np.radians(form.spine_flexion - form.spine_extension) * _fade(course, _STANDING_SPINE)
    face = np.radians(form.head_pitch) * _fade(course, _STANDING_HEAD)
    share = body.thorax / (body.lumbar + body.thorax)  # so that hips to neck keep the lean

    def upper_body(lean: np.ndarray) -> tuple[Poser, np.ndarray]:
        chest = lean + (1 - share) * bend
        poser = Poser(body, len(times)).trunk(
            pelvis,
            body_frame(lean - share * bend),
            body_frame(chest),
            body_frame(_GAZE * chest - face + noise[3], noise[4]),
        )
        squat_arms(np.random.default_rng(seed), poser, course)
        return poser, chest

    # The arms' part in the balance follows from where a first guess of the lean puts them.
    lean = _balanced_lean(body, style, pelvis, knees, 0)
    ahead = _arms_ahead(upper_body(lean)[0])
    lean = _balanced_lean(body, style, pelvis, knees, ahead) + noise[2]
    poser, chest = upper_body(lean)

    outward = np.radians(style.toe_out)
    feet = np.stack([np.full(2, np.cos(outward)), SIDES * np.sin(outward), np.zeros(2)], -1)
    ankles = np.stack([np.zeros(2), SIDES * style.half_stance, np.full(2, body.ankle_height)], -1)
    turn = np.radians(form.knee_valgus) * (1 + style.asymmetry * SIDES)
    poser.legs(
        ankles[None],
        _turned_inward(
            poser.pair('hip'), knees, ankles, turn * _fade(course, _STANDING_VALGUS)[:, None]
        ),
        feet,
    )
    # The upper back carries on the bend of the spine up to the neck.
    return _collect(poser, body_frame(chest + 0.4 * bend)[..., 2], ankles, feet)


def squat_joints(*args: Any, skeleton: str | Skeleton = 'cocoplus19', **kwargs: Any) -> np.ndarray:
    """As :func:`simulate_squat`, in the joints of a skeleton of :mod:`rpstn.skeletons`.

    Returns:
        (T, V', 3) float64, metres; NaN for joints that are not simulated.
    """
    return map_joints(simulate_squat(*args, **kwargs), SIMULATED, skeleton)


def _fade(course: np.ndarray, standing: float) -> np.ndarray:
    """(T,) from the share of a fault while standing to 1 at the bottom."""
    return standing + (1 - standing) * course


def _legs(
    body: Proportions, form: SquatForm, style: SquatStyle, course: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pelvis (T, 3) and knees (T, 2, 3), before sway and valgus.

    The knees move over the toes; hip, knee and ankle of a side make the two bones of the leg.
    """
    outward = np.radians(style.toe_out)
    sine = (_TIP * body.foot + form.knee_travel) / body.shank
    if abs(sine) > np.sin(_MOST_TILT):
        raise SettingError(
            f'knee_travel must leave the shank within {np.degrees(_MOST_TILT):.0f} '
            f'degrees of the upright, got {form.knee_travel} m with a shank of '
            f'{body.shank:.3f} m and toes {_TIP * body.foot:.3f} m ahead of the ankle'
        )
    tilt = np.radians(_STANDING_TILT) * (1 - course) + np.arcsin(sine) * course

    def aside(tilt: float | np.ndarray) -> float | np.ndarray:  # of the knee from the hip
        return style.half_stance + body.shank * np.sin(tilt) * np.sin(outward) - body.hip_half

    square = body.thigh**2 - aside(np.arcsin(sine)) ** 2  # of the thigh in the sagittal plane
    if square <= (1.1 * form.depth) ** 2:
        raise SettingError(
            f'depth must be within reach of a thigh of {body.thigh:.3f} m with feet '
            f'{2 * style.half_stance:.3f} m apart, got {form.depth} m'
        )
    lowest = np.arcsin(-form.depth / np.sqrt(square))
    rise = np.radians(_STANDING_RISE) * (1 - course) + lowest * course
    knee = np.stack(
        [
            body.shank * np.sin(tilt) * np.cos(outward),
            aside(tilt) + body.hip_half,
            body.ankle_height + body.shank * np.cos(tilt),
        ],
        -1,
    )
    thigh = np.sqrt(body.thigh**2 - aside(tilt) ** 2)
    pelvis = np.stack(
        [knee[:, 0] - thigh * np.cos(rise), np.zeros_like(tilt), knee[:, 2] + thigh * np.sin(rise)],
        -1,
    )
    return pelvis, knee[:, None] * np.stack([np.ones(2), SIDES, np.ones(2)], -1)


def _balanced_lean(
    body: Proportions,
    style: SquatStyle,
    pelvis: np.ndarray,
    knees: np.ndarray,
    arms: float | np.ndarray,
) -> np.ndarray:
    """(T,) radians: the forward lean that puts the centre of mass over `style.balance`.

    `arms` (T,): how far ahead of the shoulders the arms' centre of mass is, in metres.
    """
    hip, knee = pelvis[:, 0], knees[..., 0].mean(1)
    legs = (
        _MASS['thigh'] * (hip + _THIGH_CENTRE * (knee - hip))
        + _MASS['shank'] * (1 - _SHANK_CENTRE) * knee
        + _MASS['foot'] * 0.5 * (_HEEL + _TIP) * body.foot
    )
    upper = (_MASS['trunk'] + _MASS['arms']) * hip + _MASS['arms'] * arms
    lever = (body.lumbar + body.thorax) * (_MASS['trunk'] * _TRUNK_CENTRE + _MASS['arms'])
    sine = (style.balance - legs - upper) / lever
    # Nobody leans back, or further than that, to stay in balance: bounds without a kink.
    for bound, sign in ((np.sin(_MOST_LEAN), 1), (0, -1)):
        sine = bound - sign * 0.06 * np.logaddexp(0, sign * (bound - sine) / 0.06)
    return np.arcsin(sine)


def _arms_ahead(poser: Poser) -> np.ndarray:
    """(T,) metres from the shoulders forward to the centre of mass of the arms."""
    shoulder, elbow, wrist = (poser.pair(name)[..., 0] for name in ('shoulder', 'elbow', 'wrist'))
    # The upper arm and the forearm with the hand weigh about the same.
    elbow, wrist = elbow - shoulder, wrist - shoulder
    return (0.5 * (_ARM_CENTRE * elbow + elbow + _ARM_CENTRE * (wrist - elbow))).mean(1)


def _turned_inward(
    hips: np.ndarray, knees: np.ndarray, ankles: np.ndarray, angle: np.ndarray
) -> np.ndarray:
    """Directions (T, 2, 3) to which the knees bend, turned about the lines from hip to ankle by
    `angle` (T, 2) in radians, left and right knee towards each other."""
    axis = normalize(ankles - hips)
    out = knees - ankles
    out = out - (out * axis).sum(-1, keepdims=True) * axis
    angle = (angle * SIDES)[..., None]
    return out * np.cos(angle) + np.cross(axis, out) * np.sin(angle)


def _collect(poser: Poser, upward: np.ndarray, ankles: np.ndarray, feet: np.ndarray) -> np.ndarray:
    """The joints of SIMULATED (T, V, 3); `upward` (T, 3) of the upper back, `feet` (2, 3) the
    directions in which they point, whatever the shanks do."""
    body, joints, head = poser.body, poser.joints, poser.frames[2]
    neck = joints[:, INDEX['neck']] + _NECK_RISE * body.neck * upward
    sole = ankles * [1, 1, 0] + [0, 0, _SOLE]
    values = {'neck': neck}
    for part, place in (('heel', _HEEL), ('foot', _BALL), ('foot_index', _TIP)):
        for side, point in zip(('left', 'right'), sole + place * body.foot * feet):
            values[f'{side}_{part}'] = point
    for name, spot in _FACE.items():
        for side, mirror in (('left', 1), ('right', -1)) if spot[1] else (('', 1),):
            offset = body.stature * np.array(spot) * [1, mirror, 1]
            values[f'{side}_{name}' if side else name] = neck + head @ offset
    return np.stack(
        [
            np.broadcast_to(values[name], neck.shape) if name in values else joints[:, INDEX[name]]
            for name in SIMULATED.joints
        ],
        1,
    )
