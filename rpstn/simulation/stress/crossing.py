"""Somebody else who walks across the picture.

Shape letters: N frames, K image joints.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rpstn.skeletons import get_skeleton

from ..athletes.body import Appearance, build_primitives
from ..athletes.motion import walking
from ..athletes.skeleton import PosedSkeleton, Proportions, normalize
from ..clips.reader import joint_position
from ..rendering.camera import Camera
from ..rendering.limb_occluders import mark_hidden, stacked_joints
from ..rendering.renderer import body_mask, paint_body
from .draws import video_rng

_FPS = 25.0
_DISTANCE = 6.0  # metres to the camera
_HALF_WIDTH = 0.35  # of a walker, arms and legs apart, in heights
_TALLER = 0.95, 1.2  # than the labelled person: the walker is nearer
_UNSEEN = 0.1  # of the clip, until the walker comes in


@TRANSFORMS.register_module()
class CrossingPerson(BaseTransform):
    """A rendered person who comes in from the nearer side and walks across in front of the
    labelled one.

    Who is alone in the first tenth of the frames, is in the middle of the clip behind the walker,
    who goes on to the other side as fast: a walk in a long clip, a run in a short one. Looks and
    stride follow from ``seed`` and the video's name alone. Comes behind :class:`LoadClip`; frames
    are changed in place. Joints of the labelled person behind the walker become
    ``keypoints_occluded``.

    Added key of each frame: ``walker`` (K, 2), the joints of the other person, pixels; outside of
    the picture, too.

    Args:
        joints: skeleton of the data set, e.g. ``'jhmdb15'``.
        seed: of everything. Defaults to 0.
    """

    def __init__(self, joints: str = 'jhmdb15', seed: int = 0) -> None:
        self.joints, self.seed = get_skeleton(joints), seed

    def transform(self, results: dict) -> dict:
        rng = video_rng(self.seed, results)
        frames = results['frames']
        height, width = frames[0]['img'].shape[:2]
        boxes = np.stack([frame['bbox'][0] for frame in frames]).astype(float)
        tall = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(-1))) * rng.uniform(*_TALLER)
        path = _path(boxes, width, tall)
        body = Proportions.random(rng)
        scale = tall / body.stature  # pixels per metre
        skeleton = _walk(rng, body, np.abs(np.diff(path)).mean() / scale, len(frames))
        camera = _camera(scale, path, float(np.median(boxes[:, 3])), float(path[-1] - path[0]))
        light = normalize(np.array([*rng.normal(0, 0.7, 2), rng.uniform(0.9, 1.6)]))
        look = Appearance.random(rng, body.stature)
        primitives = build_primitives(camera.view(skeleton, light), look)
        world = np.stack([joint_position(skeleton, name) for name in self.joints.joints], 1)
        walker = camera.project(world)[0].astype(np.float32)
        keypoints, _ = stacked_joints(frames)
        at = np.clip(np.rint(keypoints).astype(int), 0, [width - 1, height - 1])
        for number, frame in enumerate(frames):
            mask = body_mask(primitives, look, number, (width, height))
            frame['img'] = np.ascontiguousarray(frame['img'])
            paint_body(frame['img'], primitives, look, number, shutter=0.3)
            mark_hidden(frame, mask[at[number, :, 1], at[number, :, 0]])
            frame['walker'] = walker[number]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(joints={self.joints.name!r}, seed={self.seed})'


def _path(boxes: np.ndarray, width: int, tall: float) -> np.ndarray:
    """(N,) x of the walker's middle: the same speed throughout."""
    middle, number = (len(boxes) - 1) / 2, np.arange(len(boxes))
    meeting = float(np.median((boxes[:, 0] + boxes[:, 2]) / 2))
    from_left = meeting <= (width - 1) / 2
    edge = -_HALF_WIDTH * tall if from_left else width - 1 + _HALF_WIDTH * tall
    unseen = _UNSEEN * len(boxes)
    speed = (meeting - edge) / max(middle - unseen, 1)
    return meeting + (number - middle) * speed


def _walk(rng: np.random.Generator, body: Proportions, speed: float, frames: int) -> PosedSkeleton:
    """Steps that carry as far as the body moves, on the spot.

    Args:
        speed: metres a frame.
    """
    seed = int(rng.integers(2**31))
    times = np.arange(frames) / _FPS
    pelvis = walking(np.random.default_rng(seed), body, times)['pelvis'][:, 0]
    usual = float(np.abs(np.diff(pelvis)).mean()) if frames > 1 else speed
    faster = float(np.clip(speed / max(usual, 1e-6), 0.5, 2.5))
    skeleton = walking(np.random.default_rng(seed), body, times * faster)
    joints = skeleton.joints.copy()
    joints[..., 0] -= skeleton['pelvis'][:, :1]
    return replace(skeleton, joints=joints)


def _camera(scale: float, path: np.ndarray, floor: float, way: float) -> Camera:
    """One that sees a walker on the spot from the side, and moves the picture along the path."""
    side = 1.0 if way >= 0 else -1.0
    rotation = np.array([[side, 0, 0], [0, 0, -1.0], [0, side, 0]])
    move = np.tile(np.eye(2, 3), (len(path), 1, 1))
    move[:, 0, 2], move[:, 1, 2] = path, floor
    return Camera(
        np.array([0, -side * _DISTANCE, 0.0]), rotation, scale * _DISTANCE, np.zeros(2), move
    )
