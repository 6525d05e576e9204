"""Results in another skeleton than the model's, e.g. COCO's.

Shapes: (...) any, e.g. N frames; V joints of the source, K of the target.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mmpose
import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn.checkpoints import ModelError
from rpstn.engine.loading import joint_names
from rpstn.errors import SettingError
from rpstn.pose.datasets.metainfo import METAINFO
from rpstn.results import FrameResult, PersonResult
from rpstn.skeletons import joint_mapping, map_joints, skeleton_of

_MMPOSE = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets'

ANSWERS = dict(
    METAINFO,
    coco17=dict(from_file=str(_MMPOSE / 'coco.py')),
    halpe26=dict(from_file=str(_MMPOSE / 'halpe26.py')),
)
"""Skeletons that can be asked for -> what MMPose's ``parse_pose_metainfo`` takes."""


def map_scores(scores: np.ndarray, source: str, target: str) -> np.ndarray:
    """Scores (..., V) as (..., K): the least of a joint's parts, 0 for one that is not there."""
    return np.stack(
        [
            scores[..., list(members)].min(-1) if members else np.zeros_like(scores[..., 0])
            for members in joint_mapping(source, target)
        ],
        axis=-1,
    )


def map_answer(
    keypoints: np.ndarray, scores: np.ndarray, source: str = 'jhmdb15', target: str = 'coco17'
) -> tuple[np.ndarray, np.ndarray]:
    """What a model answers, in another skeleton.

    Args:
        keypoints: (..., V, 2) pixels.
        scores: (..., V).
        source: the model's skeleton, in :mod:`rpstn.skeletons`; RPSTN-Lite's is ``'blazepose33'``.
        target: e.g. ``'coco17'``, of which that has 12 joints (not nose, eyes, ears), or
            ``'penn13'``, of which it has all. Of ``'blazepose33'`` there is all of these, and of
            ``'halpe26'`` all but the head's top and the small toes.

    Returns:
        (..., K, 2) keypoints, NaN where the source has no such joint, and (..., K) scores, 0 there.

    Raises:
        SettingError: an unknown skeleton, or shapes that are not the source's.
    """
    if keypoints.shape[:-1] != scores.shape:
        raise SettingError(
            f'keypoints {keypoints.shape} and scores {scores.shape} must agree in all '
            'but the last side'
        )
    return map_joints(keypoints, source, target), map_scores(scores, source, target)


class AnsweredJoints:
    """A model's results as those of another skeleton, as far as it has the joints.

    A joint that the model does not tell has score 0 and lies at (0, 0), as in COCO.

    Args:
        meta: MMPose's data set meta, of the model.
        target: one of :data:`ANSWERS`.

    Raises:
        ModelError: another target, or the model's skeleton is unknown.
    """

    def __init__(self, meta: dict, target: str) -> None:
        if target not in ANSWERS:
            raise ModelError(f'joints must be of {", ".join(ANSWERS)}, got {target!r}')
        names = joint_names(meta)
        source = skeleton_of(names)
        if source is None:
            raise ModelError(
                f"the model's joints cannot be answered as {target}, as they are of "
                f'no skeleton of rpstn.skeletons: {", ".join(names)}'
            )
        self.source, self.target = source.name, target
        scored = {key: meta[key] for key in ('kpt_thr', 'score_knots') if key in meta}
        self.meta = dict(parse_pose_metainfo(ANSWERS[target]), **scored)

    def __call__(self, result: FrameResult) -> FrameResult:
        """The same frame; boxes stay."""
        people = tuple(map(self._mapped, result.people))
        return dataclasses.replace(result, people=people, meta=self.meta)

    def _mapped(self, person: PersonResult) -> PersonResult:
        keypoints, scores = map_answer(person.keypoints, person.scores, self.source, self.target)
        world = person.world
        return dataclasses.replace(
            person,
            keypoints=np.nan_to_num(keypoints, nan=0.0),
            scores=scores,
            meta=self.meta,
            world=None if world is None else map_joints(world, self.source, self.target),
        )
