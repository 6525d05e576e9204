"""Metres of a body whose height is stated.

Segment lengths as shares of the body height H by Drillis and Contini (Body Segment Parameters,
1966), as in Winter, Biomechanics and Motor Control of Human Movement, 4th edition, 2009, figure
4.1: knee 0.285 H, hip 0.530 H and shoulder 0.818 H above the floor, ankle 0.039 H. They are means
of adults; one body differs from them by some per cent, and so do metres that are made by them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rpstn.errors import SettingError

from .structures import Joints3D, LiftError

ABOVE_FLOOR = dict(ankle=0.039, knee=0.285, hip=0.530, shoulder=0.818)
"""Heights of joints, as shares of the body height."""
SEGMENTS = (('hip', 'knee'), ('knee', 'ankle'), ('shoulder', 'hip'))
HEIGHTS = (1.0, 2.5)
"""Metres that may be stated."""


def scaled_to_height(joints: Joints3D, height: float) -> Joints3D:
    """The same with thighs, shanks and trunk as long as those of a body of that height.

    There is one factor for all frames and joints; those that are measured in metres stay.

    Args:
        joints: of one person.
        height: metres.

    Raises:
        SettingError: no height of a person. LiftError: none of the segments is ever seen.
    """
    if not HEIGHTS[0] <= height <= HEIGHTS[1]:
        raise SettingError(
            f'height must be from {HEIGHTS[0]:g} to {HEIGHTS[1]:g} metres, got {height}'
        )
    if joints.scale == 'metric':
        return joints
    implied = implied_height(joints)
    if not implied > 0:
        raise LiftError('no thigh, shank or trunk to measure the body by')
    return replace(joints, joints=joints.joints * (height / implied), scale='height')


def implied_height(joints: Joints3D) -> float:
    """How tall a body is whose thighs, shanks and trunk are as long as these; NaN of none.

    Each is taken as long as it is in the median frame and on average over both sides.
    """
    measured = share = 0.0
    for above, below in SEGMENTS:
        lengths = _lengths(joints, above, below)
        if np.isfinite(lengths).any():
            measured += float(np.nanmedian(lengths))
            share += ABOVE_FLOOR[above] - ABOVE_FLOOR[below]
    return measured / share if share else float('nan')


def _lengths(joints: Joints3D, above: str, below: str) -> np.ndarray:
    """(2 T,) from joint to joint, both sides; none where the skeleton has no such joints."""
    names = joints.skeleton.joints
    sides = [s for s in ('left', 'right') if {f'{s}_{above}', f'{s}_{below}'} <= set(names)]
    found = [joints.joint(f'{s}_{above}') - joints.joint(f'{s}_{below}') for s in sides]
    return np.linalg.norm(np.concatenate(found), axis=-1) if found else np.empty(0)
