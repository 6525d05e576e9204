"""Results in another skeleton than the model's, e.g. COCO's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mmpose
import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn.checkpoints import ModelError
from rpstn.engine.loading import joint_names
from rpstn.joint_answers import map_answer
from rpstn.pose.datasets.metainfo import JHMDB15, PENN13
from rpstn.results import FrameResult, PersonResult
from rpstn.skeletons import SKELETONS

ANSWERS = dict(
    jhmdb15=JHMDB15,
    penn13=PENN13,
    coco17=dict(
        from_file=str(Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/coco.py')
    ),
)
"""Skeletons that can be asked for -> what MMPose's ``parse_pose_metainfo`` takes."""


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
        names = tuple(joint_names(meta))
        self.source = next(
            (skeleton.name for skeleton in SKELETONS.values() if skeleton.joints == names), None
        )
        if self.source is None:
            raise ModelError(
                f"the model's joints cannot be answered as {target}, as they are of "
                f'no skeleton of rpstn.skeletons: {", ".join(names)}'
            )
        self.target = target
        self.meta = parse_pose_metainfo(ANSWERS[target])

    def __call__(self, result: FrameResult) -> FrameResult:
        """The same frame; boxes stay."""
        return dataclasses.replace(result, people=tuple(map(self._mapped, result.people)))

    def _mapped(self, person: PersonResult) -> PersonResult:
        keypoints, scores = map_answer(person.keypoints, person.scores, self.source, self.target)
        return dataclasses.replace(
            person, keypoints=np.nan_to_num(keypoints, nan=0.0), scores=scores
        )
