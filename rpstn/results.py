"""What inference answers, whoever computed it, frame by frame; and how it is drawn.

Shapes: N people, K joints, (H, W) image pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rpstn.drawing import draw_pose


@dataclass(frozen=True)
class PersonResult:
    """One person in one frame.

    >>> person = PersonResult(0, np.array([0, 0, 9, 9]), np.array([[4.0, 5.0]]), np.array([0.9]))
    >>> person.to_dict()['keypoints'], person.state
    ([[4.0, 5.0]], 'tracked')
    """

    id: int
    """The same for the same person through the video; 0 is the first."""
    box: np.ndarray
    """(4,) x1 y1 x2 y2 pixels: what was looked at, without the padding that the config adds; of
    models that look at upright bodies the box of the sure joints, with a margin."""
    keypoints: np.ndarray
    """(K, 2) x y in image pixels, 0-based; may lie outside of the image."""
    scores: np.ndarray
    """(K,) of RPSTN-Lite the share of joints of such a score that are right, see
    :class:`rpstn.pose.calibration.CalibratedHeatmap`; of other models heights of the heatmaps'
    peaks, about 1 where the model is sure."""
    state: str = 'tracked'
    """``'started'``: the frame was looked at alone, by the initializer P; ``'guessed'``: likewise,
    and no finder said where (:mod:`rpstn.inference.guesses`); ``'tracked'``: the pose of the frame
    before was carried on; ``'between'``: the frame was not looked at, and joints lie between those
    before and after it (:mod:`rpstn.inference.sparing`); ``'lost'``: hardly a joint is sure, and
    the person is searched for again."""
    meta: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """MMPose's data set meta: names, limbs and colours of the joints; and what their scores are,
    see :func:`rpstn.pose.calibration.score_meta`."""
    rotation: float = 0.0
    """Degrees by which the crop that was looked at is turned clockwise in the image; 0 of models
    that look at boxes."""
    world: np.ndarray | None = None
    """(K, 3) metres from the middle of the hips, of a body of average size, in the image's axes: x
    right, y down, z away from the camera; None where it was not asked for."""

    @property
    def lost(self) -> bool:
        """Whether hardly a joint is sure."""
        return self.state == 'lost'

    @property
    def size(self) -> float:
        """The larger side of the box, pixels."""
        return max(float(np.max(self.box[2:] - self.box[:2])), 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """All but the meta as plain numbers, lists and strings."""
        return dict(
            id=self.id,
            state=self.state,
            box=np.asarray(self.box).tolist(),
            rotation=self.rotation,
            keypoints=self.keypoints.tolist(),
            scores=self.scores.tolist(),
            **({} if self.world is None else dict(world=self.world.tolist())),
        )

    @classmethod
    def from_dict(
        cls, plain: Mapping[str, Any], meta: Mapping[str, Any] | None = None
    ) -> PersonResult:
        """What :meth:`to_dict` gave, to the last digit; the box is float32, as boxes are."""
        return cls(
            plain['id'],
            np.array(plain['box'], np.float32),
            np.array(plain['keypoints']),
            np.array(plain['scores']),
            plain['state'],
            meta or {},
            plain.get('rotation', 0.0),  # journals of older versions have none
            np.array(plain['world']) if 'world' in plain else None,
        )

    def draw(self, image: np.ndarray, kpt_thr: float | None = None) -> np.ndarray:
        """Draw box and skeleton on an image (H, W, 3) BGR uint8, in place, and return it.

        Joints with a score below ``kpt_thr``, by default the model's own, are left out, see
        :func:`rpstn.drawing.draw_pose`.
        """
        meta = self.meta or nameless(len(self.keypoints))
        return draw_pose(image, self.keypoints, self.scores, meta, self.box, kpt_thr)


@dataclass(frozen=True)
class FrameResult:
    """One frame; ``keypoints, scores = result`` takes it apart.

    >>> result = FrameResult(7, 0.28, ())
    >>> result.to_dict()
    {'frame': 7, 'time': 0.28, 'people': []}
    >>> for result in PoseInferencer()('squat.mp4'):  # doctest: +SKIP
    ...     cv2.imwrite(f'{result.index}.png', result.draw())
    """

    index: int
    """0-based, in the video; numbers that --stride or a busy live stream leaves out are missing."""
    time: float
    """Seconds since the video's first frame; NaN where frames come without a clock."""
    people: tuple[PersonResult, ...]
    """In the order of their ids; none where nobody was found."""
    image: np.ndarray | None = field(default=None, repr=False, compare=False)
    """(H, W, 3) BGR uint8, the frame itself."""
    meta: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """As :attr:`PersonResult.meta`."""

    @property
    def keypoints(self) -> np.ndarray:
        """(N, K, 2) image pixels."""
        found = [person.keypoints for person in self.people]
        return np.stack(found) if found else np.zeros((0, self._num_joints, 2))

    @property
    def scores(self) -> np.ndarray:
        """(N, K)."""
        found = [person.scores for person in self.people]
        return np.stack(found) if found else np.zeros((0, self._num_joints))

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.keypoints, self.scores))

    @property
    def _num_joints(self) -> int:
        return len(self.meta.get('keypoint_id2name', ()))

    def to_dict(self) -> dict[str, Any]:
        """All but image and meta as plain numbers, lists and strings, for JSON."""
        return dict(
            frame=self.index,
            time=None if math.isnan(self.time) else self.time,
            people=[person.to_dict() for person in self.people],
        )

    @classmethod
    def from_dict(
        cls, plain: Mapping[str, Any], meta: Mapping[str, Any] | None = None
    ) -> FrameResult:
        """What :meth:`to_dict` gave, to the last digit, without the image."""
        return cls(
            plain['frame'],
            math.nan if plain['time'] is None else plain['time'],
            tuple(PersonResult.from_dict(person, meta) for person in plain['people']),
            meta=meta or {},
        )

    def draw(self, image: np.ndarray | None = None, kpt_thr: float | None = None) -> np.ndarray:
        """Draw everybody, in place, and return the image.

        Args:
            image: (H, W, 3) BGR uint8. Defaults to the frame itself.
            kpt_thr: see :meth:`PersonResult.draw`.

        Raises:
            ValueError: the result has no image, and none is given.
        """
        image = self.image if image is None else image
        if image is None:
            raise ValueError(
                f'frame {self.index}: an image to draw on is needed, the result has none'
            )
        for person in self.people:
            person.draw(image, kpt_thr)
        return image


def peaks_of(scores: np.ndarray, meta: Mapping[str, Any]) -> np.ndarray:
    """Heights (...) of the heatmaps' peaks that a model has made scores (...) of, up to 1.

    Args:
        scores: of results.
        meta: of the same results.
    """
    knots = meta.get('score_knots')
    if knots is None:
        return scores
    peaks, shares = np.transpose(knots)
    return np.where(scores > 0, np.interp(scores, shares, peaks), scores)


def nameless(num_joints: int) -> dict[str, Any]:
    """Meta of K joints of which nothing but their number is known: dots without limbs."""
    return dict(
        keypoint_id2name={k: f'joint_{k}' for k in range(num_joints)},
        keypoint_colors=np.full((num_joints, 3), 255),
        skeleton_links=[],
        skeleton_link_colors=np.zeros((0, 3)),
    )
