"""How a camera that gives 3D joints sees a person: from where, how exactly, and with what gaps.

Shape letters: T frames, V joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from rpstn.errors import SettingError

VIEWS = ('front', 'around', 'any')
# From the world (x ahead of the person, y to their left, z up) to a camera in front of them.
_FACING = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
_DEPTH_NOISE = 2.0  # monocular estimates err more along the line of sight
_RHYTHM = 3.0  # frames over which the slow half of the noise lasts


@dataclass(frozen=True)
class JointSensor:
    """A camera with 3D pose estimation: x to the right, y down, z away from it, metres.

    Attributes:
        view: ``'front'`` of the person and level; ``'around'``, from any side, a little above
            or below and not quite level; ``'any'``, turned at random so that the gravity is
            unknown, as in joints recovered from distances.
        noise: standard deviation of each coordinate in each frame, metres; half its variance
            is slow, and along the line of sight it is double.
        bias: standard deviation of what is wrong with each joint all through a recording, metres.
        scale: standard deviation of the relative error of the size of a recording.
        missing: fraction of the joints that are lost, NaN, in runs of some frames.

    Raises:
        SettingError: a field is not allowed.
    """

    view: str = 'around'
    noise: float = 0.0
    bias: float = 0.0
    scale: float = 0.0
    missing: float = 0.0

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise SettingError(f'view must be one of {VIEWS}, got {self.view!r}')
        for field, most in (('noise', 1), ('bias', 1), ('scale', 0.3), ('missing', 0.9)):
            if not 0 <= getattr(self, field) <= most:
                raise SettingError(f'{field} must be in [0, {most}], got {getattr(self, field)!r}')

    def observe(self, joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the sensor makes of true joints.

        Args:
            joints: (T, V, 3) metres in the world frame of
                :mod:`rpstn.simulation.athletes.skeleton`.
            rng: draws view, errors and gaps.

        Returns:
            (T, V, 3) float64 in the camera's frame, NaN where a joint is lost.
        """
        middle = np.nanmean(joints, (0, 1))
        seen = (
            (joints - middle)
            @ self._rotation(rng).T
            * np.clip(1 + self.scale * rng.normal(), 0.5, 1.5)
        )
        errors = self.noise * np.sqrt(0.5) * (rng.normal(size=seen.shape) + _slow(rng, seen.shape))
        seen = seen + [1, 1, _DEPTH_NOISE] * (errors + self.bias * rng.normal(size=seen.shape[1:]))
        if self.view == 'any':
            seen = seen @ Rotation.from_quat(rng.normal(size=4)).as_matrix().T
        seen = seen + rng.uniform([-0.4, -0.3, 2.2], [0.4, 0.3, 4.5])
        if self.missing:
            level = _slow(rng, seen.shape[:2])
            seen[level < np.quantile(level, self.missing)] = np.nan
        return seen

    def _rotation(self, rng: np.random.Generator) -> np.ndarray:
        """(3, 3) from the world to the camera, before the whole is turned at random."""
        if self.view == 'front':
            return _FACING
        azimuth, pitch, roll = rng.uniform(-180, 180), rng.normal(-6, 6), rng.normal(0, 2)
        tilt = Rotation.from_euler('zx', [roll, pitch], degrees=True).as_matrix()
        return tilt @ _FACING @ Rotation.from_euler('z', azimuth, degrees=True).as_matrix()


def _slow(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise of standard deviation 1 that changes slowly along the first axis."""
    # A smoothed white noise has the variance 1 / (2 sqrt(pi) sigma); wrapping keeps it at the ends.
    noise = gaussian_filter1d(rng.normal(size=shape), _RHYTHM, axis=0, mode='wrap')
    return noise * np.sqrt(2 * np.sqrt(np.pi) * _RHYTHM)
