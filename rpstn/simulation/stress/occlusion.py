"""A limb that is hidden for a while.

Shape letters: N frames, K image joints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rpstn.errors import SettingError

from ..rendering.limb_occluders import (
    SIZES,
    covered_joints,
    draw_cover,
    limb_cover,
    limb_segments,
    stacked_joints,
)
from ..rendering.occluders import Occluder
from .draws import video_rng

_TRIES = 10  # things over one limb, before the next limb


@TRANSFORMS.register_module()
class LimbOcclusion(BaseTransform):
    """One thing over one limb for some consecutive frames of a clip, moving with it.

    The frames begin where ``longest`` frames in the middle of the clip begin (a shorter clip is
    covered from its first frame on), so that a short occlusion shows the first pictures of a long
    one: to a model that knows no later frames both are the same until the short one ends. Limb and
    thing follow from ``seed`` and the video's name alone. The thing hides at least one labelled
    joint in each of the ``longest`` frames, where any of those tried does; limbs that are not
    labelled in all of them are left out, and a clip that has no other stays as it is. Comes behind
    :class:`LoadClip`; frames are changed in place.

    Added key of each frame: ``hidden_for``, 1 for the first frame with the thing, 0 where there is
    none. Joints under it become ``keypoints_occluded``.

    Args:
        joints: skeleton of the data set, e.g. ``'jhmdb15'``.
        length: frames with the thing. Defaults to 20.
        longest: see above; at least ``length``. Defaults to 20.
        seed: of everything. Defaults to 0.

    Raises:
        SettingError: a length outside of [1, longest].
    """

    def __init__(
        self, joints: str = 'jhmdb15', length: int = 20, longest: int = 20, seed: int = 0
    ) -> None:
        if not 1 <= length <= longest:
            raise SettingError(
                f'LimbOcclusion: length must be in [1, longest], got {length} of {longest}'
            )
        self.joints, self.length, self.longest, self.seed = joints, length, longest, seed
        self.segments = limb_segments(joints)

    def transform(self, results: dict) -> dict:
        frames = results['frames']
        for frame in frames:
            frame['hidden_for'] = 0
        first = max(0, (len(frames) - self.longest) // 2)
        span = frames[first : first + self.longest]
        found = self._choose(video_rng(self.seed, results), span)
        if found is not None:
            occluder, covered = found
            shown = span[: self.length]
            draw_cover(shown, occluder, covered, np.ones(len(shown), bool))
            for age, frame in enumerate(shown, 1):
                frame['hidden_for'] = age
        return results

    def _choose(
        self, rng: np.random.Generator, span: Sequence[dict]
    ) -> tuple[Occluder, np.ndarray] | None:
        """The thing, and which joints (N, K) are under it."""
        keypoints, labelled = stacked_joints(span)
        size = span[0]['img'].shape[1::-1]
        boxes = np.stack([frame['bbox'][0] for frame in span])
        person = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(-1)))
        best, most = None, 0
        for limb in rng.permutation(len(self.segments)):
            ends = self.segments[limb]
            if not labelled[:, ends].all():
                continue
            for _ in range(_TRIES):
                picture = span[0]['img'] if rng.random() < 0.5 else None
                occluder = limb_cover(
                    rng, keypoints[:, ends], person * rng.uniform(*SIZES), picture
                )
                covered = np.stack(
                    [covered_joints(occluder, n, keypoints[n], size) for n in range(len(span))]
                )
                hiding = int((covered & labelled).any(1).sum())
                if hiding > most:
                    best, most = (occluder, covered), hiding
                if most == len(span):
                    return best
        return best

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(joints={self.joints!r}, length={self.length}, '
            f'longest={self.longest}, seed={self.seed})'
        )
