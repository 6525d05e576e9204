"""Clips cut out about a person's body, turned upright, as BlazePose's crops are.

T frames of a clip, K joints.
"""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rpstn.errors import SettingError
from rpstn.skeletons import get_skeleton

from ..bodies import Body, BodyJoints, body_of_box
from ..crops import body_scale


@TRANSFORMS.register_module()
class ClipBody(BaseTransform):
    """Choose what each frame is cut out by: the circle about the labelled hips, turned upright.

    In place of :class:`ClipBBox`; frames of which fewer than three joints are labelled are cut out
    about their box, upright. A frame with a ``body``, as it comes from following, is cut out by
    that. ``TopdownAffine`` comes behind it, ``RandomFlip`` before it.

    With ``lag`` a frame is cut out by the joints of the one before, as in a stream. The random
    factors stand for what else a stream does wrong. They are drawn once for a clip, and once more
    for each frame, a ``wobble`` as large.

    Args:
        joints: skeleton of the labels, which must have hips and shoulders, e.g. ``'jhmdb15'``.
        padding: factor on the circle's diameter. Defaults to 1.25.
        input_size: (W, H) pixels of the network's input.
        lag: whether crops are a frame late. Defaults to False.
        scale_factor: least and greatest factor on the crop's sides.
        rotate_factor: degrees, standard deviation of a rotation, at most twice that.
        shift_factor: standard deviation of a shift in each direction, at most twice that, as a
            share of the crop's sides.
        wobble: share of these that each frame draws for itself. Defaults to 0.2.

    Added keys of each frame: ``bbox_center`` and ``bbox_scale`` (1, 2), pixels, ``bbox_rotation``
    (1,), degrees.

    Raises:
        SettingError: an unknown skeleton, or one without hips and shoulders; a scale_factor that
            is none.
    """

    def __init__(
        self,
        joints: str,
        padding: float = 1.25,
        input_size: tuple[int, int] = (256, 256),
        lag: bool = False,
        scale_factor: tuple[float, float] = (1.0, 1.0),
        rotate_factor: float = 0.0,
        shift_factor: float = 0.0,
        wobble: float = 0.2,
    ) -> None:
        low, high = scale_factor
        if not 0 < low <= high:
            raise SettingError(
                f'ClipBody: scale_factor must be two factors, 0 < low <= high, got {scale_factor}'
            )
        skeleton = get_skeleton(joints)
        self.joints = skeleton.name
        self.parts = BodyJoints.of(skeleton.joints)
        self.padding = padding
        self.input_size = (input_size[0], input_size[1])
        self.lag = lag
        self.scale_range = np.log([low, high])
        self.rotate_factor = rotate_factor
        self.shift_factor = shift_factor
        self.wobble = wobble

    def transform(self, results: dict) -> dict:
        frames = results['frames']
        bodies = [self._body(frame) for frame in frames]
        if self.lag:
            bodies = [bodies[0], *bodies[:-1]]
        clip, middle = self._draw(), self.scale_range.mean()
        for frame, body in zip(frames, bodies, strict=True):
            log_scale, rotation, shift = clip
            if self.wobble:
                own = self._draw()
                log_scale = log_scale + self.wobble * (own[0] - middle)
                rotation, shift = rotation + self.wobble * own[1], shift + self.wobble * own[2]
            center, scale, upright = body_scale(body, self.padding, self.input_size)
            scale = scale * np.float32(np.exp(log_scale))
            frame['bbox_center'] = (center + shift * scale).astype(np.float32)[None]
            frame['bbox_scale'] = scale[None]
            frame['bbox_rotation'] = np.array([upright + rotation], np.float32)
        return results

    def _body(self, frame: dict) -> Body:
        if 'body' in frame:
            return frame['body']
        joints, used = frame['keypoints'][0, :, :2], frame['keypoints_visible'][0] > 0
        return self.parts.body(joints.astype(float), used) or body_of_box(frame['bbox'][0])

    def _draw(self) -> tuple[float, float, np.ndarray]:
        """Logarithm of a scale, degrees, and a shift (2,) as a share of the sides."""
        rotation, *shift = np.clip(np.random.randn(3), -2, 2)
        return (
            np.random.uniform(*self.scale_range),
            self.rotate_factor * rotation,
            self.shift_factor * np.array(shift),
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(joints={self.joints!r}, padding={self.padding}, '
            f'lag={self.lag}, scale_factor={tuple(np.exp(self.scale_range))}, '
            f'rotate_factor={self.rotate_factor}, shift_factor={self.shift_factor})'
        )
