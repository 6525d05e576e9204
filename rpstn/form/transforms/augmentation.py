"""Random changes of skeleton sequences that leave the form what it is.

M persons, T frames, V joints, C = 2 or 3 coordinates. Randomness comes from NumPy's global
generator, which MMEngine seeds in every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from zlib import crc32

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from rpstn.errors import SettingError
from rpstn.skeletons import get_skeleton


@TRANSFORMS.register_module()
class MirrorSkeleton(BaseTransform):
    """Exchange left and right: negate the first coordinate and swap the joints of the sides.

    Modified keys: keypoint (M, T, V, C), keypoint_score. Added key: mirrored.

    Args:
        skeleton: of the keypoints.
        prob: how often.
    """

    def __init__(self, skeleton: str, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise SettingError(f'prob must lie in 0..1, got {prob}')
        self.indices = list(get_skeleton(skeleton).flip_indices)
        self.skeleton, self.prob = skeleton, prob

    def transform(self, results: dict) -> dict:
        results['mirrored'] = bool(np.random.rand() < self.prob)
        if results['mirrored']:
            results['keypoint'] = self.mirror(results['keypoint'])
            if 'keypoint_score' in results:
                results['keypoint_score'] = results['keypoint_score'][:, :, self.indices]
        return results

    def mirror(self, keypoint: np.ndarray) -> np.ndarray:
        """The mirror image (M, T, V, C)."""
        mirrored = keypoint[:, :, self.indices]
        mirrored[..., 0] = -mirrored[..., 0]
        return mirrored

    def __repr__(self) -> str:
        return f'{type(self).__name__}(skeleton={self.skeleton!r}, prob={self.prob})'


@TRANSFORMS.register_module()
class AddMirrored(MirrorSkeleton):
    """For tests: follow the clips by their mirror images, so that scores are averaged over both.

    Modified keys: keypoint (M, T, V, C) -> (M, 2 T, V, C), num_clips.

    Args:
        skeleton: of the keypoints.
    """

    def __init__(self, skeleton: str) -> None:
        super().__init__(skeleton, prob=1.0)

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint']
        results['keypoint'] = np.concatenate([keypoint, self.mirror(keypoint)], axis=1)
        if 'keypoint_score' in results:
            score = results['keypoint_score']
            results['keypoint_score'] = np.concatenate([score, score[:, :, self.indices]], axis=1)
        results['num_clips'] = 2 * results.get('num_clips', 1)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(skeleton={self.skeleton!r})'


@TRANSFORMS.register_module()
class RotateSkeleton(BaseTransform):
    """Turn a sequence about its middle: in the plane in 2D, about chosen axes in 3D.

    Modified key: keypoint (M, T, V, C).

    Args:
        angles: greatest angle in degrees, drawn uniformly from both signs: one number in 2D;
            in 3D one for each of the axes x, y, z, applied in this order, or ``'any'`` for a
            rotation drawn uniformly from all of them.
        seed: where given, the rotation depends on nothing but this and the name of the sequence
            (``frame_dir``): for test sets that are to be turned alike in every run.
    """

    def __init__(
        self, angles: float | Sequence[float] | str = 'any', seed: int | None = None
    ) -> None:
        if isinstance(angles, str) and angles != 'any':
            raise SettingError(f"angles must be 'any' or degrees, got {angles!r}")
        self.angles = angles
        self.seed = seed

    def transform(self, results: dict) -> dict:
        random: ModuleType | np.random.RandomState = np.random
        if self.seed is not None:
            random = np.random.RandomState((self.seed, crc32(results['frame_dir'].encode())))
        keypoint = results['keypoint']
        rotation = self._draw_rotation(random, keypoint.shape[-1]).astype(keypoint.dtype)
        middle = np.nanmean(keypoint, axis=(0, 1, 2))
        results['keypoint'] = (keypoint - middle) @ rotation.T + middle
        return results

    def _draw_rotation(self, random: ModuleType | np.random.RandomState, dims: int) -> np.ndarray:
        if dims == 2:
            greatest = 180 if self.angles == 'any' else self._limits(1)[0]
            return _plane_rotation(2, 0, 1, random.uniform(-greatest, greatest))
        if self.angles == 'any':
            # The QR decomposition of a Gaussian matrix, signs fixed, is uniform over rotations.
            q, r = np.linalg.qr(random.standard_normal((3, 3)))
            q = q * np.sign(np.diag(r))
            return q * np.linalg.det(q)
        about_x, about_y, about_z = (random.uniform(-limit, limit) for limit in self._limits(3))
        return (
            _plane_rotation(3, 0, 1, about_z)
            @ _plane_rotation(3, 2, 0, about_y)
            @ _plane_rotation(3, 1, 2, about_x)
        )

    def _limits(self, axes: int) -> np.ndarray:
        if np.size(self.angles) != axes:
            raise SettingError(
                'RotateSkeleton: angles must be one number for 2 coordinates, '
                f'one for each axis for 3 coordinates, got {self.angles}'
            )
        return np.ravel(self.angles)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(angles={self.angles!r}, seed={self.seed})'


def _plane_rotation(dims: int, first: int, second: int, degrees: float) -> np.ndarray:
    """The rotation matrix that turns axis ``first`` towards axis ``second``."""
    matrix = np.eye(dims)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[[first, second], [first, second]] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


@TRANSFORMS.register_module()
class StretchSkeleton(BaseTransform):
    """Scale the axes, each by its own random factor: other proportions, wrong depth.

    Modified key: keypoint (M, T, V, C).

    Args:
        scales: for each axis the standard deviation of the logarithm of its factor, or one
            number for all of them.
    """

    def __init__(self, scales: float | Sequence[float]) -> None:
        if np.min(scales) < 0:
            raise SettingError(f'scales must be >= 0, got {scales}')
        self.scales = scales

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint']
        scales = np.broadcast_to(self.scales, keypoint.shape[-1:])
        factors = np.exp(np.random.standard_normal(len(scales)) * scales)
        results['keypoint'] = keypoint * factors.astype(keypoint.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scales={self.scales})'


@TRANSFORMS.register_module()
class JitterSkeleton(BaseTransform):
    """Add noise: white, and slowly drifting as estimated joints do.

    Modified key: keypoint (M, T, V, C).

    Args:
        white: standard deviation of independent noise, as a share of the size of the body (the
            root mean square distance of its joints from their middle, over the sequence).
        drift: standard deviation of noise that changes slowly: drawn at ``knots`` times and
            interpolated.
        knots: see ``drift``.
        axes: factors of the noise along each axis; depth is estimated worse than the rest.
    """

    def __init__(
        self,
        white: float = 0.0,
        drift: float = 0.0,
        knots: int = 8,
        axes: Sequence[float] | None = None,
    ) -> None:
        if white < 0 or drift < 0 or knots < 2:
            raise SettingError(
                'JitterSkeleton needs white >= 0, drift >= 0 and knots >= 2, got '
                f'{white}, {drift}, {knots}'
            )
        self.white, self.drift, self.knots, self.axes = white, drift, knots, axes

    def transform(self, results: dict) -> dict:
        keypoint = results['keypoint']
        num_frames = keypoint.shape[1]
        middle = np.nanmean(keypoint, axis=2, keepdims=True)
        size = np.sqrt(np.nanmean(np.square(keypoint - middle).sum(-1)))
        noise = self.white * np.random.standard_normal(keypoint.shape)
        if self.drift > 0:
            knots = np.random.standard_normal(
                (*keypoint.shape[:1], self.knots, *keypoint.shape[2:])
            )
            times = np.linspace(0, self.knots - 1, num_frames)
            before = np.minimum(times.astype(int), self.knots - 2)
            share = (times - before)[:, None, None]
            noise += self.drift * (knots[:, before] * (1 - share) + knots[:, before + 1] * share)
        if self.axes is not None:
            noise *= np.asarray(self.axes)
        results['keypoint'] = keypoint + (size * noise).astype(keypoint.dtype)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(white={self.white}, drift={self.drift}, '
            f'knots={self.knots}, axes={self.axes})'
        )
