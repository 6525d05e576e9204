"""Repair of recorded skeletons.

M persons, T frames, V joints, C coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from scipy.ndimage import gaussian_filter1d

from rpstn.errors import SettingError
from rpstn.skeletons import get_skeleton

from ..geometry.motion import fill_gaps, remove_outliers

SIDES = ('left', 'right')


@TRANSFORMS.register_module()
class CleanSkeleton(BaseTransform):
    """Drop impossible joints, bridge short gaps, smooth.

    What is missing for longer stays NaN, and the recognizer masks it.

    Modified key: keypoint (M, T, V, C).

    Args:
        max_gap: the longest run of missing frames that is interpolated.
        outliers: drop joints that jump or lie far from the others, compared with the sequence
            itself (:func:`rpstn.form.remove_outliers`).
        max_reach: the farthest, in the unit of the joints, that a joint may lie from the others:
            it finds what is wrong from the first frame to the last, which a comparison of the
            sequence with itself does not. None sets no limit.
        sigma: standard deviation, in frames, of the Gaussian that smooths the joints over time;
            0 leaves them as they are. Joints with gaps left are not smoothed.
    """

    def __init__(
        self,
        max_gap: int = 10,
        outliers: bool = True,
        max_reach: float | None = None,
        sigma: float = 0.0,
    ) -> None:
        if max_gap < 0 or sigma < 0:
            raise SettingError(f'max_gap and sigma must be >= 0, got {max_gap} and {sigma}')
        if max_reach is not None and not outliers:
            raise SettingError('max_reach needs outliers=True')
        self.max_gap, self.outliers, self.max_reach = max_gap, outliers, max_reach
        self.sigma = sigma

    def transform(self, results: dict) -> dict:
        results['keypoint'] = np.stack([self.clean(person) for person in results['keypoint']])
        return results

    def clean(self, joints: np.ndarray) -> np.ndarray:
        """The repaired joints (T, V, C) of one person."""
        if self.outliers:
            joints = remove_outliers(joints, max_reach=self.max_reach)
        if np.isnan(joints).any():
            joints = fill_gaps(joints, self.max_gap)
        if self.sigma > 0:
            smooth = gaussian_filter1d(joints, self.sigma, axis=0, mode='nearest')
            whole = ~np.isnan(joints).any((0, 2), keepdims=True)
            joints = np.where(whole, smooth, joints)
        return joints

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(max_gap={self.max_gap}, outliers={self.outliers}, '
            f'max_reach={self.max_reach}, sigma={self.sigma})'
        )


@TRANSFORMS.register_module()
class ProjectSkeleton(BaseTransform):
    """Free the coordinates across the view of the errors of depth that were multiplied into them.

    Where a joint is found in an image and its depth by another sensor, its coordinates x and y are
    the image's times the depth: every error of depth, noise above all, is in them, too. Divided by
    the depth of the joint and multiplied by that of the body, they are the image's again.

    Joints that do not lie in front of a camera, as those about the hips, stay as they are.

    Modified key: keypoint (M, T, V, 3), depth last, of either sign.
    """

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint']
        depth = keypoint[..., 2:]
        middle = np.nanmedian(depth)
        spread = keypoint - np.nanmedian(keypoint, axis=(0, 1, 2))
        size = np.sqrt(np.nanmedian(np.square(spread).sum(-1)))
        if np.isnan(middle) or abs(middle) <= 2 * size:
            return results
        with np.errstate(divide='ignore', invalid='ignore'):
            seen = keypoint[..., :2] * (middle / depth)
        behind = depth / middle <= 0.1  # where nothing can be seen: a wrong depth
        projected = np.concatenate([np.where(behind, np.nan, seen), depth], -1)
        results['keypoint'] = projected.astype(keypoint.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class FillMissing(BaseTransform):
    """Put a value in place of NaN, for networks that know no missing joints, such as ST-GCN.

    Modified key: keypoint (M, T, V, C).

    Args:
        value: what missing coordinates become.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def transform(self, results: dict) -> dict:
        results['keypoint'] = np.nan_to_num(results['keypoint'], nan=self.value)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(value={self.value})'


@TRANSFORMS.register_module()
class CenterSkeleton(BaseTransform):
    """Put the middle of the body over the sequence at 0, and choose the unit of length.

    Modified key: keypoint (M, T, V, C).

    Args:
        feet: a skeleton: in each frame the middle of its ankles is at 0 instead. So joints about
            the hips, as a network tells them of one image, and joints in a room become the same
            movement, as long as the person stays on their feet.
        unit: a number, in the unit of the joints: 100 turns centimetres into metres; or
            ``'body'``, the root mean square of the joints' coordinates about that middle, for
            joints in pixels.
    """

    def __init__(
        self, unit: float | str = 1.0, feet: str | None = None, footing: Sequence[str] = ('ankle',)
    ) -> None:
        if unit != 'body' and (isinstance(unit, str) or unit <= 0):
            raise SettingError(f"unit must be 'body' or a number > 0, got {unit!r}")
        self.unit, self.feet, self.footing = unit, feet, tuple(footing)
        skeleton = None if feet is None else get_skeleton(feet)
        self._feet = (
            [[skeleton.index(f'{side}_{part}') for side in SIDES] for part in footing]
            if skeleton
            else []
        )

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint']
        if self._feet:
            middles = [keypoint[:, :, pair].mean(2, keepdims=True) for pair in self._feet]
            known = [middle for middle in middles if not np.isnan(middle).all()]
            keypoint = keypoint - (known or middles)[0]
        else:
            keypoint = keypoint - np.nanmean(keypoint, axis=(0, 1, 2))
        unit = np.sqrt(np.nanmean(np.square(keypoint))) if self.unit == 'body' else self.unit
        results['keypoint'] = (keypoint / unit).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(unit={self.unit!r}, feet={self.feet!r}, footing={self.footing})'
        )
