"""From a person's box to the network's input, and from its joints back to the image.

The one place where this is computed: :class:`ClipBBox`, :class:`ClipBody` and
:class:`TopdownStretch` of the training and test pipelines call it, streaming cuts its frames by
it, and it reproduces MMPose's :class:`TopdownAffine` to the pixel, with whose own functions it
computes.

A crop is cut about a box, upright, or about a body (:mod:`.bodies`), turned with it.

Boxes are x1 y1 x2 y2 and points x y, in 0-based pixels whose centres are at whole numbers. Input
pixel (0, 0) lies at the crop's upper left corner, (W, H) at its lower right.

Shapes: N points, (H, W) input pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from mmengine.config import Config
from mmpose.datasets.transforms import TopdownAffine
from mmpose.structures.bbox import bbox_xyxy2cs, get_udp_warp_matrix, get_warp_matrix

from rpstn.errors import SettingError

from .bodies import Body, Place, body_of_box, box_of


def padded_box(box: np.ndarray, padding: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre and sides of boxes, with a margin.

    Args:
        box: (4,) or (N, 4) pixels.
        padding: factor on both sides.

    Returns:
        Centre and sides, (2,) or (N, 2), pixels.
    """
    return bbox_xyxy2cs(box, padding=padding)


def body_scale(
    body: Body, padding: float, input_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Centre (2,) and sides (2,), pixels, of a body's crop, and its rotation in degrees."""
    width, height = input_size
    sides = 2 * padding * body.radius * np.array([max(width / height, 1), max(height / width, 1)])
    return body.center.astype(np.float32), sides.astype(np.float32), float(np.degrees(body.angle))


@dataclass(frozen=True, eq=False)
class Crop:
    """What of an image one network input shows."""

    center: np.ndarray
    """(2,) pixels of the image."""
    scale: np.ndarray
    """(2,) width and height in pixels of the image."""
    input_size: tuple[int, int]
    """(W, H) pixels."""
    rotation: float = 0.0
    """Degrees by which the crop is turned in the image, from x to y; with UDP from y to x."""
    keep_aspect: bool = True
    """Whether one factor, width by W, serves both directions, as in :class:`TopdownAffine`."""
    use_udp: bool = False
    """Unbiased data processing, as :class:`TopdownAffine` has it."""

    @cached_property
    def matrix(self) -> np.ndarray:
        """(2, 3), from image pixels to pixels of the input image."""
        rotation = np.float32(self.rotation)  # as drawn in training, to the last bit
        if self.use_udp:
            return get_udp_warp_matrix(self.center, self.scale, rotation, self.input_size)
        return get_warp_matrix(
            self.center, self.scale, rotation, self.input_size, fix_aspect_ratio=self.keep_aspect
        )

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The input image (H, W, ...) out of an image; black where it has no pixels."""
        return cv2.warpAffine(image, self.matrix, self.input_size, flags=cv2.INTER_LINEAR)

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the image in input pixels."""
        return transform_points(points, self.matrix)

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Decoded joints (..., 2), in input pixels as MMPose's codecs give them, in the image."""
        if self.use_udp:
            # The warp takes the crop's corners to pixels 0 and W - 1, MMPose's codecs to 0 and W.
            sides = np.array(self.input_size, float)
            points = np.asarray(points) * (sides - 1) / sides
        return transform_points(points, cv2.invertAffineTransform(self.matrix))


@dataclass(frozen=True)
class Cropper:
    """How boxes become crops: what the transforms of a config say about it."""

    input_size: tuple[int, int]
    """(W, H) pixels."""
    padding: float = 1.25
    """Factor on the box's sides, or on the diameter of the body's circle."""
    keep_aspect: bool = True
    """Whether the shorter side is widened to the input's aspect, or stretched to it."""
    use_udp: bool = False
    """Unbiased data processing."""
    upright: bool = False
    """Whether crops are about bodies, turned so that these are upright, in place of boxes."""

    @classmethod
    def from_pipeline(cls, pipeline: Sequence[Mapping]) -> Cropper:
        """That of a pipeline of clips, with ``TopdownAffine`` or ``TopdownStretch``.

        What comes before it, ``ClipBBox`` or ``ClipBody``, says whether crops are about boxes or
        bodies; the former's mode makes no difference, as a frame is all that is looked at.

        Raises:
            SettingError: one of them is missing.
        """
        steps = {_name(step['type']): step for step in _flat(pipeline)}
        crop = steps.get('TopdownStretch') or steps.get('TopdownAffine')
        about = steps.get('ClipBody') or steps.get('ClipBBox')
        if about is None or crop is None:
            raise SettingError(
                'the pipeline of the test data set must have ClipBBox or ClipBody, and '
                f'TopdownAffine or TopdownStretch, got {list(steps)}'
            )
        return cls(
            tuple(crop['input_size']),
            about.get('padding', 1.25),
            'TopdownStretch' not in steps,
            crop.get('use_udp', False),
            is_upright(pipeline),
        )

    @classmethod
    def from_config(cls, config: Config) -> Cropper:
        """That of a config's test data set.

        Raises:
            SettingError: it has none, or one whose pipeline does not say.
        """
        loader = config.get('test_dataloader') or config.get('val_dataloader') or {}
        dataset = loader.get('dataset') or {}
        while 'pipeline' not in dataset and 'dataset' in dataset:  # wrapped
            dataset = dataset['dataset']
        return cls.from_pipeline(dataset.get('pipeline') or ())

    def about(self, place: Place) -> Crop:
        """What is cut out about a box or a body, upright where that is asked for."""
        if not self.upright:
            return self.crop(box_of(place))
        return self.crop_body(place if isinstance(place, Body) else body_of_box(place))

    def crop(self, box: np.ndarray, rotation: float = 0.0) -> Crop:
        """What is cut out for a box (4,)."""
        center, scale = padded_box(np.asarray(box, np.float32), self.padding)
        if self.keep_aspect:
            width, height = self.input_size
            scale = TopdownAffine._fix_aspect_ratio(scale[None], width / height)[0]
        return Crop(center, scale, self.input_size, rotation, self.keep_aspect, self.use_udp)

    def crop_body(self, body: Body) -> Crop:
        """What is cut out for a body: its circle's square, turned so that it stands upright."""
        center, scale, rotation = body_scale(body, self.padding, self.input_size)
        sign = -1 if self.use_udp else 1  # MMPose's unbiased warp turns the other way round
        return Crop(center, scale, self.input_size, sign * rotation, True, self.use_udp)


def looks_upright(config: Config) -> bool:
    """Whether a config's test data are cut out about bodies."""
    try:
        return Cropper.from_config(config).upright
    except SettingError:
        return False


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """An affine transformation (2, 3) of points (..., 2)."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def rotate_about(points: np.ndarray, center: np.ndarray, degrees: float) -> np.ndarray:
    """Points (..., 2) turned about a centre (2,), as a crop of that rotation is, without UDP."""
    sin, cos = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return (np.asarray(points) - center) @ np.array([[cos, sin], [-sin, cos]]) + center


def is_upright(pipeline: Sequence[Mapping]) -> bool:
    """Whether a pipeline of clips cuts them out about bodies, by ``ClipBody``."""
    return any(_name(step['type']) == 'ClipBody' for step in _flat(pipeline))


def _name(component: str | type) -> str:
    """Configs name a component by a string or by its class."""
    return component if isinstance(component, str) else component.__name__


def _flat(pipeline: Sequence[Mapping]) -> list[Mapping]:
    """The steps, those inside of ``ForEachFrame`` among them."""
    return [
        inner
        for step in pipeline
        for inner in (_flat(step['transforms']) if 'transforms' in step else [step])
    ]
