"""Things drawn over real frames, so that a network learns what it cannot see.

Shape letters: N frames, K image joints.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rpstn.skeletons import get_skeleton

from .occluders import Occluder, random_occluder

_SPRITE = 64  # pixels of the drawn thing's side
SIZES = 0.2, 0.4  # of a thing over a limb, in larger sides of the person's box
_SEGMENTS = (('shoulder', 'elbow'), ('elbow', 'wrist'), ('hip', 'knee'), ('knee', 'ankle'))


def limb_segments(joints: str) -> np.ndarray:
    """(8, 2) indices of the two ends of both sides' upper and lower arms and legs."""
    skeleton = get_skeleton(joints)
    return np.array(
        [
            [skeleton.index(f'{side}_{end}') for end in ends]
            for side in ('left', 'right')
            for ends in _SEGMENTS
        ]
    )


def limb_cover(
    rng: np.random.Generator, ends: np.ndarray, size: float, picture: np.ndarray | None = None
) -> Occluder:
    """Something that hides a part of a limb and moves with it, but does not show how it lies.

    A random point of the limb is under a random point of the thing, whose shape, size and
    direction know nothing of the limb: a thing laid along it would show the joints to a network
    that has seen some.

    Args:
        rng: draws its looks.
        ends: (N, 2, 2), the limb's two ends in each frame, pixels.
        size: mean diameter of the thing, in pixels.
        picture: (H, W, 3); where given, the thing is cut out of it at random, in place of a
            cloudy colour.
    """
    if picture is None:
        image = rng.uniform(0, 255, 3) + rng.normal(0, 60, (4, 4, 3))
    else:
        high, wide = picture.shape[:2]
        side = int(min(high, wide) * rng.uniform(0.15, 0.4))
        y, x = int(rng.integers(high - side + 1)), int(rng.integers(wide - side + 1))
        image = picture[y : y + side, x : x + side].astype(float)
    image = cv2.resize(
        np.clip(image, 0, 255).astype(np.uint8), (_SPRITE, _SPRITE), interpolation=cv2.INTER_CUBIC
    )
    alpha = np.zeros((_SPRITE, _SPRITE), np.uint8)
    middle = (_SPRITE - 1) / 2
    # A superellipse, from round to square; 29 of 32 pixels wide, so that its rim is soft.
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    power = rng.uniform(0.3, 1)
    rim = np.stack([np.sign(f(angles)) * np.abs(f(angles)) ** power for f in (np.cos, np.sin)], -1)
    cv2.fillPoly(alpha, [np.rint((middle + 29 * rim) * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)

    stretch, angle = rng.uniform(1, 1.4), rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn * (size / 2 / 29 * np.array([stretch, 1 / stretch]))
    on_limb = ends[:, 0] + rng.random() * (ends[:, 1] - ends[:, 0])
    direction, distance = rng.uniform(0, 2 * np.pi), 0.8 * np.sqrt(rng.random())
    in_thing = middle + 29 * distance * np.array([np.cos(direction), np.sin(direction)])
    matrices = np.empty((len(ends), 2, 3))
    matrices[:, :, :2] = linear
    matrices[:, :, 2] = on_limb - linear @ in_thing
    return Occluder(image, alpha, matrices)


def covered_joints(
    occluder: Occluder, frame: int, keypoints: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """(K,) bool, joints (K, 2) that lie under the occluder."""
    at = np.rint(keypoints).astype(int)
    inside = ((at >= 0) & (at < size)).all(-1)
    at = np.clip(at, 0, np.array(size) - 1)
    return inside & (occluder.mask(frame, size)[at[:, 1], at[:, 0]] > 127)


def stacked_joints(frames: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, K, 2) of a clip's one person, and (N, K) bool which of them are labelled."""
    return (
        np.stack([frame['keypoints'][0] for frame in frames]),
        np.stack([frame['keypoints_visible'][0] > 0 for frame in frames]),
    )


def draw_cover(
    frames: Sequence[dict], occluder: Occluder, covered: np.ndarray, shown: np.ndarray
) -> None:
    """Paint it in the frames ``shown``, (N,), and mark joints ``covered``, (N, K), in place."""
    for number, frame in enumerate(frames):
        if not shown[number]:
            continue
        frame['img'] = np.ascontiguousarray(frame['img'])
        occluder.paint(frame['img'], number)
        mark_hidden(frame, covered[number])


def mark_hidden(frame: dict, covered: np.ndarray) -> None:
    """Call labelled joints, of ``covered`` (K,) bool, occluded, in place."""
    hidden = covered[None] & (frame['keypoints_visible'] > 0)
    frame['keypoints_occluded'] = np.maximum(frame['keypoints_occluded'], hidden.astype(np.float32))


@TRANSFORMS.register_module()
class ClipOccluders(BaseTransform):
    """Random things over the frames of a clip, the same ones in all or some of them.

    Either a thing that covers one limb and moves with it, or furniture, a pole, a plant or a
    passer-by of :mod:`rpstn.simulation.rendering.occluders`, which stays or drifts. Joints under it
    keep their label and become ``keypoints_occluded``, so that the loss asks for them. Comes behind
    :class:`LoadClip` and before cropping; frames are changed in place.

    Args:
        joints: skeleton of the data set, e.g. ``'jhmdb15'``.
        prob: that a clip gets any. Defaults to 0.5.
        most: one to so many things. Defaults to 2.
        limb_share: of things that follow a limb. Defaults to 0.6.
        passing: share of things that come in some frame after the first and stay, or go
            before the last, so that other frames show what they hide. Defaults to 0.
        most_covered: a thing that would bring the share of covered joints above this, over
            all frames, is left out. Defaults to 0.5.

    Raises:
        ValueError: an unknown skeleton.
    """

    def __init__(
        self,
        joints: str = 'jhmdb15',
        prob: float = 0.5,
        most: int = 2,
        limb_share: float = 0.6,
        passing: float = 0.0,
        most_covered: float = 0.5,
    ) -> None:
        self.joints, self.prob, self.most = joints, prob, most
        self.limb_share, self.passing, self.most_covered = limb_share, passing, most_covered
        self.segments = limb_segments(joints)

    def transform(self, results: dict) -> dict:
        # By np.random, as all transforms, so that the loader's seed decides.
        rng = np.random.default_rng(np.random.randint(2**31 - 1))
        if rng.random() >= self.prob:
            return results
        frames = results['frames']
        size = frames[0]['img'].shape[1::-1]
        keypoints, labelled = stacked_joints(frames)
        boxes = np.stack([frame['bbox'][0] for frame in frames])
        height = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(-1)))
        total = np.zeros(labelled.shape, bool)
        for _ in range(int(rng.integers(1, self.most + 1))):
            occluder = (self._limb if rng.random() < self.limb_share else self._thing)(
                rng, frames, keypoints, labelled, height, size
            )
            if occluder is None:
                continue
            shown = self._shown(rng, len(frames))
            covered = np.stack(
                [
                    covered_joints(occluder, n, keypoints[n], size) & shown[n]
                    for n in range(len(frames))
                ]
            )
            share = ((total | covered) & labelled).sum() / max(labelled.sum(), 1)
            if share <= self.most_covered:
                total |= covered
                draw_cover(frames, occluder, covered, shown)
        return results

    def _shown(self, rng: np.random.Generator, frames: int) -> np.ndarray:
        """(N,) bool, in which frames a thing is there."""
        if frames == 1 or rng.random() >= self.passing:
            return np.ones(frames, bool)
        change = rng.integers(1, frames)
        return (np.arange(frames) >= change) ^ (rng.random() < 0.25)

    def _limb(
        self,
        rng: np.random.Generator,
        frames: Sequence[dict],
        keypoints: np.ndarray,
        labelled: np.ndarray,
        height: float,
        size: tuple[int, int],
    ) -> Occluder | None:
        whole = labelled[:, self.segments].all((0, 2))  # in all frames, or it would jump
        if not whole.any():
            return None
        ends = keypoints[:, self.segments[rng.choice(np.flatnonzero(whole))]]
        picture = frames[0]['img'] if rng.random() < 0.5 else None
        return limb_cover(rng, ends, height * rng.uniform(*SIZES), picture)

    def _thing(
        self,
        rng: np.random.Generator,
        frames: Sequence[dict],
        keypoints: np.ndarray,
        labelled: np.ndarray,
        height: float,
        size: tuple[int, int],
    ) -> Occluder | None:
        frame = int(rng.integers(len(frames)))
        if not labelled[frame].any():
            return None
        target = keypoints[frame, rng.choice(np.flatnonzero(labelled[frame]))]
        matrices = np.tile(np.eye(2, 3), (len(frames), 1, 1))
        drift = rng.normal(0, 0.01, 2) * height
        matrices[:, :, 2] = (np.arange(len(frames)) - frame)[:, None] * drift
        return random_occluder(rng, size, matrices, frame, target, height)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(joints={self.joints!r}, prob={self.prob}, '
            f'most={self.most}, limb_share={self.limb_share}, passing={self.passing})'
        )


@TRANSFORMS.register_module()
class SpanOccluders(BaseTransform):
    """Half of a video's frames with a thing over one limb, the same ones in every run: for tests.

    Every other span of ``span`` consecutive frames has one. Whether the first span has it, the
    limb, and the thing's looks follow from ``seed``, the video's name and the span alone, so that
    clips of any length show the same pictures. A frame in which the limb is not labelled shows the
    next in line.

    Args:
        joints: skeleton of the data set, e.g. ``'jhmdb15'``.
        span: frames. Defaults to 8.
        seed: of everything. Defaults to 0.
    """

    def __init__(self, joints: str = 'jhmdb15', span: int = 8, seed: int = 0) -> None:
        self.joints, self.span, self.seed = joints, span, seed
        self.segments = limb_segments(joints)

    def transform(self, results: dict) -> dict:
        video = zlib.crc32(results['video'].encode())
        first = int(np.random.default_rng([self.seed, video]).integers(2))
        for frame in results['frames']:
            number = frame['frame_index'] // self.span
            if (number + first) % 2 == 0:
                self._cover(frame, np.random.default_rng([self.seed, video, number]))
        return results

    def _cover(self, frame: dict, rng: np.random.Generator) -> None:
        order = rng.permutation(len(self.segments))
        share, cloudy = rng.uniform(*SIZES), bool(rng.random() < 0.5)
        keypoints, labelled = stacked_joints([frame])
        whole = [n for n in order if labelled[0, self.segments[n]].all()]
        if not whole:
            return
        box = frame['bbox'][0]
        size = frame['img'].shape[1::-1]
        occluder = limb_cover(
            rng,
            keypoints[:, self.segments[whole[0]]],
            share * float((box[2:] - box[:2]).max()),
            None if cloudy else frame['img'],
        )
        draw_cover(
            [frame],
            occluder,
            covered_joints(occluder, 0, keypoints[0], size)[None],
            np.ones(1, bool),
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(joints={self.joints!r}, span={self.span}, seed={self.seed})'
