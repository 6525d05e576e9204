"""Sequences of an optical capture as random cameras see them, to measure lifters with.

Shapes: T frames, V joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rpstn.skeletons import SKELETONS

_SKELETON = SKELETONS['lifter15']
ELEVATIONS = (-5.0, 20.0)
"""Degrees."""
DISTANCES = (3.0, 5.0)
"""Metres from the camera to the middle of the hips in the first frame."""
VIEWS = ('front', 'oblique', 'side')
"""Up to 30, 60 and 90 degrees between the camera's axis and the body's front or back."""


@dataclass(frozen=True)
class View:
    """One sequence through one camera."""

    joints: np.ndarray
    """(T, V, 3) metres in the camera's axes, x right, y down, z away, from the camera."""
    azimuth: float
    """Degrees from the body's front to the camera, 0 to 360, in the first frame."""
    elevation: float
    """Degrees from which the camera looks down."""

    def image(self) -> np.ndarray:
        """Joints in the image of focal length 1: (T, V, 2)."""
        return self.joints[..., :2] / self.joints[..., 2:]

    def noisy_image(self, share: float, rng: np.random.Generator) -> np.ndarray:
        """:meth:`image` with normal noise, standard deviation a share of the trunk's length."""
        image = self.image()
        trunk = np.linalg.norm(self.joints[:, 0] - self.joints[:, 1], axis=-1)
        sigma = share * np.median(trunk / self.joints[:, 0, 2])
        return image + rng.normal(0, sigma, image.shape)

    @property
    def kind(self) -> str:
        """One of :data:`VIEWS`."""
        from_axis = abs((self.azimuth + 90) % 180 - 90)
        return VIEWS[min(int(from_axis // 30), 2)]


def random_view(joints: np.ndarray, rng: np.random.Generator) -> View:
    """The sequence through a camera of uniform azimuth, elevation and distance.

    Args:
        joints: (T, V, 3) of ``lifter15``, metres, z up.
        rng: draws the camera.
    """
    azimuth, elevation, distance = (
        rng.uniform(*bounds) for bounds in ((0.0, 360.0), ELEVATIONS, DISTANCES)
    )
    left = joints[0, _SKELETON.index('left_hip')] - joints[0, _SKELETON.index('right_hip')]
    # Facing x, left is y: the front lies a quarter turn clockwise of left.
    heading = np.arctan2(-left[0], left[1]) + np.radians(azimuth)
    tilt = np.radians(elevation)
    towards = np.array(  # from the body to the camera
        [np.cos(heading) * np.cos(tilt), np.sin(heading) * np.cos(tilt), np.sin(tilt)]
    )
    right = np.array([-np.sin(heading), np.cos(heading), 0])
    axes = np.stack([right, np.cross(right, towards), -towards])
    seen = (joints - joints[0, 0]) @ axes.T + [0, 0, distance]
    return View(seen, float(azimuth), float(elevation))
