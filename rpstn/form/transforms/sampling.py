"""From sequences of any length to a fixed number of frames.

M persons, T frames, V joints, C coordinates.
"""

from __future__ import annotations

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from rpstn.errors import SettingError
from rpstn.skeletons import get_skeleton

from ..geometry.motion import canonical_starts


@TRANSFORMS.register_module()
class ResampleSkeleton(BaseTransform):
    """Cut a clip out of a sequence and resample it linearly in time.

    A fixed number of frames for clips of any length varies the speed of what they show (Ogata et
    al., CVPRW 2019, section 3.3). For training, ``crop`` and ``warp`` vary it further.

    Modified key: keypoint (M, T, V, C) -> (M, num_clips * num_frames, V, C), and likewise
    keypoint_score where there is one. Added keys: num_clips, clip_len.

    Args:
        num_frames: length of a clip.
        start: ``'clip'`` takes the sequence from its first frame; ``'standing'`` from a standing
            pose: one drawn at random of all in the sequence if ``crop`` or ``warp``
            is set, else the first. Without a standing pose it is as ``'clip'``.
        skeleton: of the keypoints; needed where ``start='standing'``.
        crop: the largest share of the clip that is cut off at random at each end.
        warp: how far the tempo departs at random from a steady one: 0.2 plays parts of the clip
            up to about 20 % slower or faster.
        num_clips: how many clips to take: copies that differ only in their random cuts.
    """

    def __init__(
        self,
        num_frames: int = 300,
        start: str = 'clip',
        skeleton: str | None = None,
        crop: float = 0.0,
        warp: float = 0.0,
        num_clips: int = 1,
    ) -> None:
        if start not in ('clip', 'standing'):
            raise SettingError(f"start must be 'clip' or 'standing', got {start!r}")
        if start == 'standing' and skeleton is None:
            raise SettingError("start='standing' needs the skeleton of the keypoints")
        if num_frames < 2 or not 0 <= crop < 0.5 or not 0 <= warp < 1 or num_clips < 1:
            raise SettingError(
                'ResampleSkeleton needs num_frames >= 2, 0 <= crop < 0.5, 0 <= warp < 1 and '
                f'num_clips >= 1, got {num_frames}, {crop}, {warp}, {num_clips}'
            )
        self.num_frames, self.num_clips = num_frames, num_clips
        standing = skeleton if start == 'standing' else None
        self.skeleton = None if standing is None else get_skeleton(standing)
        self.crop, self.warp = crop, warp

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint']
        last = keypoint.shape[1] - 1
        starts = [0]
        if self.skeleton is not None:
            starts = [
                start for start in canonical_starts(keypoint[0], self.skeleton) if start < last
            ] or starts
        times = np.concatenate([self._draw_times(starts, last) for _ in range(self.num_clips)])
        for key in ('keypoint', 'keypoint_score'):
            if key in results:
                results[key] = interpolate_frames(results[key], times)
        results['num_clips'], results['clip_len'] = self.num_clips, self.num_frames
        return results

    def _draw_times(self, starts: list[int], last: int) -> np.ndarray:
        """The (num_frames,) times of a clip, in frames of the sequence, never decreasing."""
        random = self.crop > 0 or self.warp > 0
        start = starts[np.random.randint(len(starts))] if random else starts[0]
        length = last - start
        begin, end = float(start), float(last)
        if self.crop > 0:
            begin += np.random.uniform(0, self.crop) * length
            end -= np.random.uniform(0, self.crop) * length
        steady = progress = np.linspace(0, 1, self.num_frames)
        if self.warp > 0:
            # A slow and a faster wave; the derivative stays within 1 -+ warp, so time never turns.
            for waves, share in ((1, 2 / 3), (2, 1 / 3)):
                progress = progress + (
                    np.random.uniform(-1, 1)
                    * share
                    * self.warp
                    * np.sin(waves * np.pi * steady)
                    / (waves * np.pi)
                )
        return begin + progress * (end - begin)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_frames={self.num_frames}, '
            f'skeleton={self.skeleton and self.skeleton.name}, crop={self.crop}, '
            f'warp={self.warp}, num_clips={self.num_clips})'
        )


def interpolate_frames(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values (M, T, ...) at fractional frame times (n,) -> (M, n, ...), linearly."""
    # Times that miss a frame by rounding are that frame.
    times = np.where(np.abs(times - np.round(times)) < 1e-9, np.round(times), times)
    before = np.clip(times.astype(int), 0, max(values.shape[1] - 2, 0))
    after = np.minimum(before + 1, values.shape[1] - 1)
    share = (times - before).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 2))
    first, second = values[:, before], values[:, after]
    # Where a time falls on a frame, a missing neighbour must not spoil it.
    return np.where(
        share == 0, first, np.where(share == 1, second, first + share * (second - first))
    )
