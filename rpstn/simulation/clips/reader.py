"""Frames of one synthetic clip, rendered when they are asked for.

Shape letters: N frames, K image joints.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rpstn.video.readers import UnreadableFrameError

from ..athletes.body import CAPSULES, Appearance, Primitives, build_primitives
from ..athletes.motion import MOTIONS
from ..athletes.skeleton import INDEX, PosedSkeleton, Proportions, normalize
from ..rendering.backdrop import backdrop
from ..rendering.camera import Camera
from ..rendering.occluders import Occluder, cover_masks, random_occluder
from ..rendering.renderer import Grade, Scene, Shadow
from ..rendering.visibility import label

_MOST_COVERED = 0.5  # of the limb ends, by occluders
_LIMITS = 2.5  # the background canvas is at most this many pictures wide and high


@dataclass(frozen=True)
class Animation:
    """A skeleton in front of a camera: what the labels are made from."""

    skeleton: PosedSkeleton
    camera: Camera
    scene: Scene
    motion: str


@dataclass(frozen=True)
class SyntheticReader:
    """A FrameReader that renders an athlete; everything follows from its fields.

    Args:
        seed: integers from which all random numbers are drawn.
        num_frames: N.
        image_size: (width, height).
        motions: names of MOTIONS, one of which is drawn.
        occluder_prob: probability of one or two occluders.
        motion_blur: whether the shutter stays open for a while.
        camera_movement: strength of the hand-held movement, 0 for a tripod.
        fps: frames per second.
        azimuth, elevation, fill, tracking: see Camera.random; None draws them.
    """

    seed: tuple[int, ...]
    num_frames: int = 40
    image_size: tuple[int, int] = (192, 192)
    motions: tuple[str, ...] = tuple(MOTIONS)
    occluder_prob: float = 0.3
    motion_blur: bool = True
    camera_movement: float = 1.0
    fps: float = 25.0
    azimuth: float | None = None
    elevation: float | None = None
    fill: float | None = None
    tracking: bool | None = None

    @property
    def path(self) -> str:
        return 'synthetic:' + '-'.join(map(str, self.seed))

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        """BGR uint8 pictures (H, W, 3), bit for bit the same in any order and process."""
        indices = [int(i) for i in indices]
        for i in indices:
            if not 0 <= i < self.num_frames:
                raise UnreadableFrameError(
                    f'{self.path}: frame must be in [0, {self.num_frames}), got {i}'
                )
        scene = animate(self).scene
        drawn = {i: scene.render(i) for i in set(indices)}
        return [drawn[i].copy() for i in indices]

    def joints(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image joints by name.

        Returns:
            keypoints (N, K, 2) float32, labelled and occluded (N, K) bool.
        """
        animation = animate(self)
        world = np.stack([joint_position(animation.skeleton, name) for name in names], 1)
        keypoints = animation.camera.project(world)[0].astype(np.float32)
        scene = animation.scene
        covered = cover_masks(scene.occluders, len(scene), scene.size)
        labelled, occluded = label(
            scene.primitives, scene.look, keypoints, tuple(names), scene.size, covered
        )
        return keypoints, labelled, occluded

    def boxes(self) -> np.ndarray:
        """(N, 4) x1 y1 x2 y2 around the whole body, cut at the picture's edge."""
        scene = animate(self).scene
        return np.clip(scene.primitives.boxes(), 0, np.array(scene.size * 2) - 1.0)


class _FrameCache(OrderedDict[tuple[SyntheticReader, int], np.ndarray]):
    """Rendered frames by (reader, index), the ones not asked for longest thrown out first."""

    used = 0

    def fetch(self, reader: SyntheticReader, indices: list[int], limit: int) -> list[np.ndarray]:
        missing = [i for i in set(indices) if (reader, i) not in self]
        fresh = dict(zip(missing, reader.read(missing), strict=True))
        out = []
        for i in indices:
            if i in fresh:
                out.append(fresh[i].copy())
            else:
                self.move_to_end((reader, i))
                out.append(self[reader, i].copy())
        for i, frame in fresh.items():
            self[reader, i] = frame
            self.used += frame.nbytes
        while self.used > limit and self:
            self.used -= self.popitem(last=False)[1].nbytes
        return out


_FRAMES = _FrameCache()


@dataclass(frozen=True)
class CachedReader:
    """A reader that keeps rendered frames in memory, up to `limit_mb` in each process."""

    reader: SyntheticReader
    limit_mb: int

    @property
    def path(self) -> str:
        return self.reader.path

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        return _FRAMES.fetch(self.reader, [int(i) for i in indices], self.limit_mb << 20)


def joint_position(skeleton: PosedSkeleton, name: str) -> np.ndarray:
    """(N, 3) metres, of a joint of a data set."""
    if name == 'belly':
        return 0.35 * skeleton['pelvis'] + 0.65 * skeleton['waist']
    return skeleton[name]


# Per process. A clip of 192x192 takes about 0.4 MB once its background is painted, so that this
# holds a whole training set of moderate size in some 200 MB.
@lru_cache(maxsize=512)
def animate(reader: SyntheticReader) -> Animation:
    """Motion, camera and scene of a clip; draws no pixel of the background yet."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(reader.seed).spawn(6)]
    motion_rng, camera_rng, look_rng, occluder_rng, backdrop_rng, grade_rng = streams
    times = np.arange(reader.num_frames) / reader.fps
    motion = str(motion_rng.choice(reader.motions))
    body = Proportions.random(motion_rng)
    skeleton = MOTIONS[motion](motion_rng, body, times)
    camera = Camera.random(
        camera_rng,
        skeleton,
        times,
        reader.image_size,
        reader.camera_movement,
        reader.tracking,
        reader.azimuth,
        reader.elevation,
        reader.fill,
    )
    sun = normalize(np.array([*camera_rng.normal(0, 0.7, 2), camera_rng.uniform(0.9, 1.6)]))
    look = Appearance.random(look_rng, body.stature)
    primitives = build_primitives(camera.view(skeleton, sun), look)
    origin, canvas_size, matrices = _canvas(camera.affine, reader.image_size)
    shadow = _shadow(camera, skeleton, look, sun, look_rng.uniform(0.2, 0.6))
    shutter = look_rng.uniform(0.15, 0.8) if reader.motion_blur else 0.0
    middle = skeleton.joints.mean((0, 1))

    def paint_canvas() -> np.ndarray:
        return backdrop(backdrop_rng, canvas_size, camera, origin, middle)

    def grade() -> Grade:
        return Grade.random(grade_rng, reader.num_frames, reader.image_size)

    occluders: list[Occluder] = []
    if occluder_rng.random() < reader.occluder_prob:
        boxes = primitives.boxes()
        height = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(-1)))
        for _ in range(int(occluder_rng.integers(1, 3))):
            frame = int(occluder_rng.integers(reader.num_frames))
            capsule = primitives.capsules[frame, occluder_rng.integers(len(CAPSULES))]
            occluder = random_occluder(
                occluder_rng, canvas_size, matrices, frame, capsule[3:5], height
            )
            if _covered_share(primitives, [*occluders, occluder], reader) < _MOST_COVERED:
                occluders.append(occluder)
    scene = Scene(
        reader.image_size,
        primitives,
        look,
        paint_canvas,
        matrices,
        grade,
        tuple(occluders),
        shadow,
        float(shutter),
    )
    return Animation(skeleton, camera, scene, motion)


def _covered_share(
    primitives: Primitives, occluders: Sequence[Occluder], reader: SyntheticReader
) -> float:
    """The share of all limb ends, over all frames, that lies under the occluders."""
    masks = cover_masks(occluders, reader.num_frames, reader.image_size)
    if masks is None:
        return 0.0
    ends = np.rint(primitives.capsules[..., 3:5]).astype(int)
    ends = np.clip(ends, 0, np.array(reader.image_size) - 1)
    return float(masks[np.arange(len(masks))[:, None], ends[..., 1], ends[..., 0]].mean())


def _canvas(
    affine: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int], np.ndarray]:
    """The part of the unmoved camera's picture plane that the moving camera sees.

    Returns:
        origin (2,), size (width, height), and matrices (N, 2, 3) from the canvas to the picture.
    """
    width, height = size
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)], float)
    seen = np.linalg.solve(affine[:, None, :, :2], (corners - affine[:, None, :, 2])[..., None])[
        ..., 0
    ]
    low, high = seen.min((0, 1)) - 2, seen.max((0, 1)) + 2
    middle, extent = (low + high) / 2, np.minimum(high - low, _LIMITS * np.array(size))
    origin = np.floor(middle - extent / 2)
    matrices = affine.copy()
    matrices[:, :, 2] += (affine[:, :, :2] @ origin[:, None])[..., 0]
    wide, high = np.ceil(extent).astype(int).tolist()
    return origin, (wide, high), matrices


def _shadow(
    camera: Camera, skeleton: PosedSkeleton, look: Appearance, sun: np.ndarray, strength: float
) -> Shadow:
    ends = [[INDEX[c.start], INDEX[c.end]] for c in CAPSULES]
    # The trunk's capsules go from shoulder to hip, to stand for its ellipsoids as well.
    ends += [
        [INDEX['left_shoulder'], INDEX['left_hip']],
        [INDEX['right_shoulder'], INDEX['right_hip']],
    ]
    points = skeleton.joints[:, ends]
    points = points - points[..., 2:] / sun[2] * sun
    points[..., 2] = 0
    pixels, scale = camera.project(points)
    radii = np.array([(c.start_radius + c.end_radius) / 2 for c in CAPSULES] + [0.1, 0.1])
    return Shadow(pixels, scale.mean(-1) * radii * look.stature / 1.72, float(strength))
