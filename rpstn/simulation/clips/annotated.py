"""Renders a person over any annotated 2D joint sequence.

Shape letters: N frames, K image joints.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rpstn.errors import SettingError
from rpstn.pose.datasets.metainfo import METAINFO

from ..athletes.body import Appearance, Primitives, build_primitives
from ..athletes.lifting import PENN_NAMES, complete, lift, pixels_per_metre, smooth
from ..rendering.backdrop import backdrop
from ..rendering.camera import Camera
from ..rendering.covers import cover_joints
from ..rendering.occluders import cover_masks
from ..rendering.renderer import Grade, Scene, Shadow
from ..rendering.visibility import label

JOINT_NAMES = {
    joints: tuple(info['name'] for info in METAINFO[joints]['keypoint_info'].values())
    for joints in ('jhmdb15', 'penn13')
}
_ROUNDS = 4  # of mending the depth order


def names_of(joints: str) -> tuple[str, ...]:
    """The names of 'penn13' or 'jhmdb15'; ValueError for anything else."""
    if joints not in JOINT_NAMES:
        raise SettingError(f'joints must be one of {sorted(JOINT_NAMES)}, got {joints!r}')
    return JOINT_NAMES[joints]


def annotated_scene(
    keypoints: np.ndarray,
    labelled: np.ndarray,
    occluded: np.ndarray,
    size: tuple[int, int],
    seed: int | tuple[int, ...] = 0,
    joints: str = 'penn13',
    motion_blur: bool = True,
    samples: int = 3,
) -> Scene:
    """The scene of a body whose joints lie where they are labelled.

    Joints labelled as hidden are behind another part of the body or behind a thing; the depth
    order follows the labels as well as it can and is smooth over time.

    Args:
        keypoints: (N, K, 2) 0-based pixels; what is not labelled may be anything.
        labelled, occluded: (N, K) bool, as in PoseSequence.
        size: (width, height).
        seed: decides the looks of person and place.
        joints: 'penn13' or 'jhmdb15', the order of the K joints.
        samples: per pixel, 3 or 4.

    Raises:
        SettingError: shapes that do not fit, or no joint labelled in any frame.
    """
    names = names_of(joints)
    keypoints = np.asarray(keypoints, float)
    if keypoints.shape[1:] != (len(names), 2) or not len(keypoints):
        raise SettingError(
            f'keypoints must be (N, {len(names)}, 2) for {joints}, N >= 1, '
            f'got shape {keypoints.shape}'
        )
    for field, value in (('labelled', labelled), ('occluded', occluded)):
        if np.shape(value) != keypoints.shape[:2]:
            raise SettingError(
                f'{field} must be {keypoints.shape[:2]}, got shape {np.shape(value)}'
            )
    order = [names.index(name) for name in PENN_NAMES]
    labelled, occluded = (np.asarray(v, bool)[:, order] for v in (labelled, occluded))
    given = np.nan_to_num(keypoints[:, order], posinf=0, neginf=0)
    # A place outside the picture is still a place; (0, 0) is Penn Action's way to say nothing.
    outside = ((given < 0) | (given >= size)).any(-1) & (np.abs(given) < 4 * max(size)).all(-1)
    points = complete(given, labelled | (outside & (np.abs(given).max(-1) > 1.5)))

    seeds = np.random.SeedSequence(seed).spawn(4)
    look_rng, place_rng, cover_rng, grade_rng = map(np.random.default_rng, seeds)
    look = Appearance.random(look_rng)
    hidden, seen = labelled & occluded, labelled & ~occluded
    primitives = _settle(points, hidden, seen, look, size)
    scale = pixels_per_metre(points)
    matrices = np.tile(np.eye(2, 3), (len(points), 1, 1))
    camera, middle = _standpoint(points, scale, size)

    def paint_canvas() -> np.ndarray:
        return backdrop(place_rng, size, camera, np.zeros(2), middle)

    def grade() -> Grade:
        return Grade.random(grade_rng, len(points), size)

    bare = hidden & ~label(primitives, look, points, PENN_NAMES, size)[1]
    covers = cover_joints(cover_rng, points, bare, seen, scale)
    return Scene(
        (size[0], size[1]),
        primitives,
        look,
        paint_canvas,
        matrices,
        grade,
        tuple(covers),
        _shadow(primitives, points, scale),
        0.5 if motion_blur else 0.0,
        samples,
    )


def render_sequence(
    keypoints: np.ndarray,
    labelled: np.ndarray,
    occluded: np.ndarray,
    size: tuple[int, int],
    seed: int | tuple[int, ...] = 0,
    joints: str = 'penn13',
    **kwargs: Any,
) -> Iterator[np.ndarray]:
    """The frames of :func:`annotated_scene`, one (H, W, 3) uint8 BGR picture at a time."""
    scene = annotated_scene(keypoints, labelled, occluded, size, seed, joints, **kwargs)
    return (scene.render(frame) for frame in range(len(scene)))


def agreement(scene: Scene, keypoints: np.ndarray) -> np.ndarray:
    """(N, 13) bool: which of Penn Action's joints the rendered scene hides."""
    covered = cover_masks(scene.occluders, len(scene), scene.size)
    return label(scene.primitives, scene.look, keypoints, PENN_NAMES, scene.size, covered)[1]


def _settle(
    points: np.ndarray,
    hidden: np.ndarray,
    seen: np.ndarray,
    look: Appearance,
    size: tuple[int, int],
) -> Primitives:
    """Moves joints to and fro in depth until the body hides what the labels call hidden."""
    push = np.zeros(points.shape[:2])
    rounds: list[tuple[int, Primitives]] = []
    for _ in range(_ROUNDS):
        primitives = build_primitives(lift(points, hidden, push), look)
        covered = label(primitives, look, points, PENN_NAMES, size)[1]
        wrong_front, wrong_back = hidden & ~covered, seen & covered
        # A joint that must be seen weighs more: what must be hidden can still be covered.
        rounds.append((int(wrong_front.sum() + 3 * wrong_back.sum()), primitives))
        push = push + 0.22 * smooth(wrong_front, 2) - 0.30 * smooth(wrong_back, 2)
    return min(rounds, key=lambda each: each[0])[1]


def _standpoint(
    points: np.ndarray, scale: np.ndarray, size: tuple[int, int]
) -> tuple[Camera, np.ndarray]:
    """A level camera that puts the floor under the lowest feet; the person is 6 m away."""
    distance, height = 6.0, 1.3
    focal = float(np.median(scale)) * distance
    floor = float(np.percentile(points[:, -2:, 1].max(1), 80)) + 0.07 * float(np.median(scale))
    centre = np.array([(size[0] - 1) / 2, floor - focal * height / distance])
    rotation = np.array([[0, -1.0, 0], [0, 0, -1.0], [1.0, 0, 0]])
    camera = Camera(np.array([-distance, 0, height]), rotation, focal, centre, np.eye(2, 3)[None])
    return camera, np.array([0, 0, 1.0])


def _shadow(primitives: Primitives, points: np.ndarray, scale: np.ndarray) -> Shadow:
    """The body thrown flat to the floor at the height of its lower foot."""
    floor = smooth(points[:, -2:, 1].max(1), 6)[:, None, None] + 0.05 * scale[:, None, None]
    ends = np.stack([primitives.capsules[..., :2], primitives.capsules[..., 3:5]], 2).astype(float)
    above = floor - ends[..., 1]
    ends[..., 0] += 0.25 * above
    ends[..., 1] = floor - 0.12 * above
    return Shadow(ends, 0.6 * primitives.capsules[..., 6:].mean(-1), 0.35)
