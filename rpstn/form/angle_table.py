"""What every angle means: the table that docs/angles.md shows, and how exact each is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rpstn.errors import SettingError

DATA = Path(__file__).parent / 'data'
VIEWS = ('front', 'oblique', 'side')
SIDES = ('left', 'right')


@dataclass(frozen=True)
class Angle:
    """What a number means; the table that docs/angles.md shows.

    Attributes:
        title: for readers.
        joints: what it is measured at.
        plane: the plane it lies in.
        sign: what a larger value means.
        range: what bodies can show, lowest and highest.
        clinical: the clinic's name for it.
        isb: how it relates to the recommendations of the International Society of Biomechanics.
        cannot: what the number cannot tell.
        unit: ``'°'``, ``'cm'``, ``'%'`` or ``'x'``, a ratio.
        sided: there is one of the left, one of the right, and their mean under the plain name.
        vertical: it is measured against the vertical, and only relative where that is not known.
            What is compared with the same at rest is not marked.
    """

    title: str
    joints: str
    plane: str
    sign: str
    range: tuple[float, float]
    clinical: str
    isb: str
    cannot: str
    unit: str = '°'
    sided: bool = True
    vertical: bool = False


_CENTRES = 'as Grood and Suntay 1983 by joint centres alone: no rotation about the bones'
# fmt: off
ANGLES: dict[str, Angle] = {
    'knee_flexion': Angle(
        'Knee flexion', 'hip, knee, ankle', 'of the leg', '0 straight, more is more bent',
        (0, 165), 'knee flexion', _CENTRES, 'overextension: it has no sign',
    ),
    'hip_flexion': Angle(
        'Hip flexion', 'middle of shoulders and hips; hip, knee', "the trunk's sagittal plane",
        '0 in line with the trunk, more is more bent, below 0 extended', (-40, 150),
        'hip flexion', 'the trunk stands for the pelvis of Wu et al. 2002',
        'what is pelvis and what is lumbar spine',
    ),
    'shank_lean': Angle(
        'Shank lean', 'ankle, knee', 'sagittal', '0 vertical, more is knee ahead of the ankle',
        (-30, 60), 'tibial inclination; ankle dorsiflexion where the foot is flat',
        'the segment to the vertical, no joint angle', 'dorsiflexion where the heel lifts',
        vertical=True,
    ),
    'trunk_lean': Angle(
        'Trunk lean', 'middle of hips, middle of shoulders', 'sagittal',
        '0 vertical, more is leaning forward', (-30, 120), 'trunk inclination',
        'the segment to the vertical, no joint angle', 'how far the back is round or hollow',
        sided=False, vertical=True,
    ),
    'trunk_to_shank': Angle(
        'Trunk to shank', 'those of trunk lean and shank lean', 'sagittal',
        '0 parallel, more is the trunk leaning further than the shanks', (-60, 120),
        'trunk-tibia angle', 'difference of two segments', 'which of the two is to change',
        sided=False,
    ),
    'depth': Angle(
        'Depth', 'hip, knee', 'vertical plane of the thigh',
        '0 thigh level, above 0 hip below the knee, -90 upright', (-90, 45), 'thigh inclination',
        'the segment to the horizontal, no joint angle',
        "the hip's crease, which is lower than the joint's centre", vertical=True,
    ),
    'fppa': Angle(
        'Frontal-plane projection angle', 'hip, knee, ankle', "the body's frontal plane, projected",
        '0 straight, above 0 knee inward', (-60, 60), 'FPPA',
        'a projection, not the abduction of Grood and Suntay 1983',
        'valgus of the joint: it mixes rotation of the hip and flexion; none where the thigh '
        'points at the viewer', vertical=True,
    ),
    'knee_valgus': Angle(
        'Knee valgus in space', 'hip, knee, ankle; heel, toes', 'across the line from hip to ankle',
        '0 knee over the toes, above 0 inward', (-60, 60), 'dynamic knee valgus (in space)',
        'of the whole leg, not the abduction of Grood and Suntay 1983',
        'what is rotation of the hip, what abduction of the knee; none with straight legs',
    ),
    'knee_offset': Angle(
        'Knees inside the feet', 'knee; heel, toes', 'horizontal',
        'above 0 inside the line from heel to toes', (-25, 25), 'medial knee displacement',
        'a distance', 'from which joint the displacement comes', unit='cm', vertical=True,
    ),
    'heel_lift': Angle(
        'Heel lift', 'heel, toes', 'vertical', 'above 0 heel up, below 0 toes up, 0 as at rest',
        (-15, 15), 'heel rise', 'a distance', 'a weight that leaves the heel before it lifts',
        unit='cm',
    ),
    'hip_drop': Angle(
        'Hip drop', 'hips, lower ankle', 'vertical', '0 as at rest, more is lower', (-20, 110),
        'none', 'a ratio', 'whether knees or hips make it', unit='%', sided=False,
    ),
    'stance_width': Angle(
        'Stance width', 'ankles; shoulders', 'horizontal', 'in widths of the shoulders', (0, 3),
        'stance width', 'a ratio', 'where the weight is', unit='x', sided=False,
    ),
    'asymmetry': Angle(
        'Asymmetry of the knees', 'hips, knees, ankles', 'of both legs',
        'above 0 the left knee is bent more', (-90, 90), 'side-to-side difference',
        'difference of two joint angles', 'how the load is shared', sided=False,
    ),
    'stride': Angle(
        'Stride', 'those of hip flexion', "the trunk's sagittal plane",
        '0 both thighs alike, more is one further ahead of the other, whichever', (0, 180),
        'none', 'difference of two joint angles', 'which leg is ahead', sided=False,
    ),
    'neck': Angle(
        'Neck', 'middle of hips and shoulders; nose', "the trunk's sagittal plane",
        'about 35 looking ahead, less is looking up, more is chin down', (-40, 110),
        'head on trunk', 'the nose stands for the head of Wu et al. 2002',
        'what is nodding and what is the head carried forward', sided=False,
    ),
    'elbow_flexion': Angle(
        'Elbow flexion', 'shoulder, elbow, wrist', 'of the arm', '0 straight, more is more bent',
        (0, 160), 'elbow flexion', 'as Wu et al. 2005 by joint centres alone',
        'overextension: it has no sign',
    ),
    'shoulder_elevation': Angle(
        'Shoulder elevation', 'middle of hips and shoulders; shoulder, elbow',
        'of trunk and upper arm', '0 hanging, 180 overhead', (0, 180), 'elevation of the arm',
        'thoracohumeral elevation of Wu et al. 2005 without plane and rotation',
        'whether the arm is ahead or aside, and what the shoulder blade does',
    ),
    'body_line': Angle(
        'Line of the body', 'middle of shoulders and hips; hip, ankle',
        "the trunk's sagittal plane", '0 straight, above 0 hips piked, below 0 hips sagging',
        (-60, 150), 'hip line', 'no joint angle', 'a hollow back', sided=False,
    ),
}
# fmt: on
"""Every angle, by its key in :func:`measure_angles` without ``left_`` or ``right_``."""


def angle_of(key: str) -> Angle:
    """The row of :data:`ANGLES` of a key of :func:`measure_angles`, e.g. ``left_knee_flexion``.

    Raises:
        SettingError: there is none.
    """
    side, _, name = key.partition('_')
    if side in SIDES and name in ANGLES and ANGLES[name].sided:
        return ANGLES[name]
    if key not in ANGLES:
        raise SettingError(
            f'unknown angle {key!r}; known are {", ".join(ANGLES)}, those of both sides also with '
            'left_ or right_ in front'
        )
    return ANGLES[key]


def sides_of(name: str) -> tuple[str, ...]:
    """The keys under which each side of an angle is measured; its own where it has no sides."""
    return tuple(f'{side}_{name}' for side in SIDES) if angle_of(name).sided else (name,)


def error_of(key: str, view: str) -> float:
    """The standard error of an angle seen from there, in its unit; inf where it is not visible.

    From the truth, systematic errors included, see ``data/angle_errors.json`` and docs/angles.md.
    """
    error = _of('errors', key, view)
    return float('inf') if error is None else error


def is_measured(key: str, view: str) -> bool:
    """Whether :func:`error_of` was measured on real video, and not in simulation."""
    return bool(_of('measured', key, view))


def margin_of(key: str, view: str) -> float:
    """How far an angle varies by errors that differ from recording to recording, in its unit.

    What is good is learned from the same joints, whose systematic errors are in it already: so much
    outside of it is no chance. Never more than :func:`error_of`.
    """
    margin = _of('margins', key, view)
    return float('inf') if margin is None else min(margin, error_of(key, view))


def _of(what: str, key: str, view: str) -> Any:
    angle_of(key)
    side, _, name = key.partition('_')
    return _errors()[what][name if side in SIDES else key][VIEWS.index(view)]


@cache
def _errors() -> dict[str, dict[str, list]]:
    return json.loads((DATA / 'angle_errors.json').read_text(encoding='utf-8'))
