"""A perspective camera around the athlete, with the small movements of a hand-held one.

Camera frame: x to the right, y down, z forward. Pixels: (0, 0) is the centre of the first pixel.
Panning, zooming and rolling are an affine map of the picture (the camera turning about its
centre by small angles), so that background, shadow, body and labels move together.

Shape letters: N frames, J skeleton joints.
"""

from dataclasses import dataclass

import numpy as np

from ..athletes.skeleton import PosedSkeleton, normalize
from ..athletes.timing import sway


@dataclass(frozen=True)
class ScreenBody:
    """A skeleton as the camera sees it.

    Attributes:
        joints: (N, J, 3) x, y in pixels and the depth in the same unit (near is small).
        scale: (N, J) pixels per metre at each joint.
        frames: (N, 3, 3, 3) pelvis, chest and head frame in the camera frame, columns forward,
            left, up.
        light: (N, 3) or (3,) unit vector towards the light, in the camera frame.
    """

    joints: np.ndarray
    scale: np.ndarray
    frames: np.ndarray
    light: np.ndarray


@dataclass(frozen=True)
class Camera:
    """Looks from `position` along the third row of `rotation`.

    Attributes:
        position: (3,) metres. rotation: (3, 3), world to camera.
        focal: pixels. centre: (2,) principal point in pixels.
        affine: (N, 2, 3) movement of the picture of each frame.
    """

    position: np.ndarray
    rotation: np.ndarray
    focal: float
    centre: np.ndarray
    affine: np.ndarray

    @classmethod
    def random(
        cls,
        rng: np.random.Generator,
        skeleton: PosedSkeleton,
        times: np.ndarray,
        size: tuple[int, int],
        movement: float = 1.0,
        tracking: bool | None = None,
        azimuth: float | None = None,
        elevation: float | None = None,
        fill: float | None = None,
    ) -> 'Camera':
        """A camera somewhere around the athlete who fills a random share of the picture.

        Args:
            size: (width, height) in pixels.
            movement: strength of the hand-held movement, 0 for a tripod.
            tracking: whether it follows the athlete; None draws it.
            azimuth: radians, 0 looks the athlete in the face, pi / 2 sees the left side.
            elevation: radians above the height of the athlete's middle.
            fill: share of the picture's width or height that the body takes.
        """
        points = skeleton.joints.reshape(-1, 3)
        target = (points.min(0) + points.max(0)) / 2
        azimuth = rng.uniform(0, 2 * np.pi) if azimuth is None else azimuth
        elevation = (
            np.radians(np.clip(rng.normal(9, 10), -8, 42)) if elevation is None else elevation
        )
        distance = rng.uniform(2.8, 7.0)
        away = np.array(
            [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ]
        )
        position = target + distance * away
        position[2] = max(position[2], 0.15)
        forward = normalize(target - position)
        right = normalize(np.cross(forward, [0, 0, 1.0]))
        rotation = np.stack([right, np.cross(forward, right), forward])
        tracking = bool(rng.random() < 0.6) if tracking is None else tracking
        fill = (
            (rng.uniform(0.62, 0.97) if rng.random() > 0.08 else rng.uniform(1.1, 1.5))
            if fill is None
            else fill
        )

        seen = (skeleton.joints - position) @ rotation.T
        plane = seen[..., :2] / seen[..., 2:]
        middle = (plane.min(1) + plane.max(1)) / 2  # (N, 2)
        if tracking:
            length = max(3, len(times) // 4) | 1
            padded = np.pad(middle, ((length // 2, length // 2), (0, 0)), mode='edge')
            follow = np.stack(
                [np.convolve(padded[:, i], np.ones(length) / length, 'valid') for i in range(2)], -1
            )
            follow[:, 1] = follow[:, 1].mean()
        else:
            follow = np.zeros_like(middle) + (plane.min((0, 1)) + plane.max((0, 1))) / 2
        moved = plane - follow[:, None]
        extent = moved.max((0, 1)) - moved.min((0, 1)) + 0.16 / distance * 2
        focal = float(fill * np.min(np.array(size) / extent))
        centre = (np.array(size) - 1) / 2
        room = np.maximum(np.array(size) - focal * extent, 0) / 2
        offset = rng.uniform(-1, 1, 2) * np.minimum(room, 0.12 * np.array(size))
        offset -= focal * (moved.max((0, 1)) + moved.min((0, 1))) / 2
        wobble = movement * rng.uniform(0, 1) ** 2
        unit = max(size) / 100
        zoom = (
            1
            + sway(rng, times, 0.012 * wobble)
            + wobble * rng.uniform(-0.04, 0.04) * (times / max(times[-1], 1e-6))
        )
        roll = rng.normal(0, 0.015 * movement) + sway(rng, times, 0.006 * wobble)
        shift = np.stack([sway(rng, times, 0.8 * wobble * unit, (0.3, 2.5)) for _ in range(2)], -1)
        shift = shift + offset - focal * follow
        return cls(position, rotation, focal, centre, _affine(zoom, roll, shift, centre))

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (N, ..., 3) to pixels (N, ..., 2) and pixels per metre (N, ...)."""
        seen = (points - self.position) @ self.rotation.T
        depth = np.maximum(seen[..., 2], 0.05)
        plane = self.focal * seen[..., :2] / depth[..., None] + self.centre
        extra = (1,) * (points.ndim - 2)
        matrix = self.affine[:, :, :2].reshape(-1, *extra, 2, 2)
        pixels = (matrix @ plane[..., None])[..., 0] + self.affine[:, :, 2].reshape(-1, *extra, 2)
        return pixels, self.focal / depth * self.zoom.reshape(-1, *extra)

    @property
    def zoom(self) -> np.ndarray:
        """(N,) magnification of the hand-held movement."""
        return np.hypot(self.affine[:, 0, 0], self.affine[:, 1, 0])

    def view(self, skeleton: PosedSkeleton, light: np.ndarray) -> ScreenBody:
        """The skeleton on the screen, lit from the world direction `light` (3,)."""
        pixels, scale = self.project(skeleton.joints)
        depth = (skeleton.joints - self.position) @ self.rotation[2]
        unit = scale[:, :1] * depth[:, :1] / depth[:, :1].mean()  # steady unit for the depth
        roll = np.zeros((len(pixels), 3, 3))
        roll[:, :2, :2] = self.affine[:, :, :2] / self.zoom[:, None, None]
        roll[:, 2, 2] = 1
        turn = roll @ self.rotation
        frames = np.stack(
            [turn @ f for f in (skeleton.pelvis_frame, skeleton.chest_frame, skeleton.head_frame)],
            1,
        )
        joints = np.concatenate([pixels, (depth * unit.mean())[..., None]], -1)
        return ScreenBody(joints, scale, frames, turn @ light)


def _affine(
    zoom: np.ndarray, roll: np.ndarray, shift: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """(N, 2, 3): zoom and roll about the centre, then shift."""
    cos, sin = zoom * np.cos(roll), zoom * np.sin(roll)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    move = shift + centre - linear @ centre
    return np.concatenate([linear, move[..., None]], -1)
