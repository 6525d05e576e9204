"""The temporal distance matrix, and what a classifier leaned on in it, as SVG.

Shapes: T frames, V joints, P = V(V-1)/2 pairs, T' moments of a repetition.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from rpstn.form.geometry.distances import pairwise_distances
from rpstn.lift.structures import Joints3D
from rpstn.skeletons import get_skeleton, map_joints

from .plots import STYLE, to_svg
from .structures import Assessment

_JOINTS = 'mediapipe19'
_NAMED = 3  # distances that are named in words


def distance_matrix(assessment: Assessment) -> str:
    """All distances between joints over time, the temporal distance matrix; SVG.

    Ogata et al., CVPRW 2019, without normalized limbs. Below it, at the same places, how much each
    speaks for its class to a classifier that looks at distances, where the exercise has one.
    """
    joints, forms = assessment.joints, assessment.forms
    assert joints is not None
    distances, names = distances_over_time(joints)
    leaned = [] if forms is None else [one for one in forms.leaned if one is not None]
    span = float(joints.times[0]), float(joints.times[-1])
    with matplotlib.rc_context(STYLE):
        figure = Figure((9, 7.6 if leaned else 4.2), layout='constrained')
        panels = figure.subplots(2 if leaned else 1, sharex=True, squeeze=False)[:, 0]
        drawn = _heat(panels[0], distances, span, cmap='viridis')
        figure.colorbar(drawn, ax=panels[0], label='distance (m)', pad=0.01)
        if forms is not None and leaned:
            most = max(float(np.abs(one).max()) for one in leaned) or 1.0
            for repetition, one in zip(assessment.repetitions, forms.leaned):
                if one is not None:
                    ends = joints.times[repetition.start], joints.times[repetition.end]
                    drawn = _heat(panels[1], one, ends, cmap='PuOr_r', vmin=-most, vmax=most)
            panels[1].set_xlim(span)
            bar = figure.colorbar(drawn, ax=panels[1], pad=0.01, ticks=[-most, 0, most])
            bar.ax.set_yticklabels(['against', '0', 'for'])
            bar.set_label('speaks for its class')
        for axes in panels:
            _mark(axes, assessment, names)
        panels[-1].set_xlabel('time (s); lines: start and end of each repetition')
        words = (
            f'Heat map of the distances between {len(names)} joints over {span[1]:.1f} seconds, '
            'with the repetitions marked.'
        )
        if leaned:
            words += ' Below it, how much each of them speaks for the class of its repetition.'
        return to_svg(figure, 'd', words)


def _heat(axes: Any, values: np.ndarray, span: tuple[float, float], **style: Any) -> Any:
    """Values (T, P) as an image, time from left to right."""
    extent = (*map(float, span), values.shape[1], 0)
    return axes.imshow(values.T, aspect='auto', interpolation='nearest', extent=extent, **style)


def _mark(axes: Any, assessment: Assessment, names: Sequence[str]) -> None:
    """Repetitions and joints."""
    joints = assessment.joints
    assert joints is not None
    for number, one in enumerate(assessment.repetitions, 1):
        for row in (one.start, one.end):
            axes.axvline(joints.times[row], color='gray', lw=1)
        axes.annotate(
            f'{number}',
            (joints.times[one.bottom], 0),
            xytext=(0, 4),
            textcoords='offset points',
            ha='center',
            annotation_clip=False,
        )
    starts = np.cumsum([0, *range(len(names) - 1, 1, -1)])
    shown = [i for i, start in enumerate(starts) if i == 0 or start - starts[i - 1] >= 9]
    axes.set_yticks(starts[shown], [names[i].replace('_', ' ') for i in shown], fontsize=8)
    axes.set_ylabel('distances from this joint to those after it')


def leaning_in_words(assessment: Assessment) -> list[str]:
    """The distances that speak most for the classes, over all repetitions, the first the most."""
    forms = assessment.forms
    leaned = [] if forms is None else [one for one in forms.leaned if one is not None]
    if not leaned:
        return []
    speaks = sum(one.mean(0) for one in leaned)
    pairs = list(combinations(get_skeleton(_JOINTS).joints, 2))
    order = [i for i in np.argsort(-speaks) if speaks[i] > 0][:_NAMED]
    return [' to '.join(pairs[i]).replace('_', ' ') for i in order]


def distances_over_time(joints: Joints3D) -> tuple[np.ndarray, Sequence[str]]:
    """(T, P) metres, and the names of the V joints."""
    mapped = map_joints(joints.joints, joints.skeleton, _JOINTS)
    return pairwise_distances(mapped), get_skeleton(_JOINTS).joints
