"""The body that follows the joints found last, for upright crops.

Points are x y and boxes x1 y1 x2 y2, in 0-based image pixels. Shapes: K joints.
"""

from __future__ import annotations

import math

import numpy as np

from rpstn.choices import KPT_THR

from .bodies import Body, BodyJoints, Place, body_of_box, box_of_body, circle_radius
from .boxes import FollowedBox, limited, sure_joints, too_few, whole_frame


class FollowedBody:
    """The body that the joints found last show.

    The first body found is taken as it is. From then on it follows at once, as BlazePose's crops
    do, but moves by no more than half of its radius at a time, turns by no more than an eighth of
    a circle, and becomes no more than a third larger, so that a few misplaced joints do not ruin
    it. It becomes smaller by half a percent at a time, as people who walk away do: about somebody
    of whom the image shows a part only it would close in otherwise. Where the trunk points at the
    camera, or is longer than the radius, it gives no direction, and the angle stays. Hips that are
    unsure, or too far apart to be hips, move with the joints that are sure in this frame and in the
    last. With many joints unsure the radius does not shrink. With hardly any sure the person counts
    as lost, as by :class:`FollowedBox`.

    Where BlazePose's regression says where the body is (:mod:`.alignment`), radius and direction
    are not the joints': whatever is sure, they go half of the way to what it says, the radius by no
    more than a tenth down or a third up. It knows how large somebody is whose legs are hidden or
    outside of the crop. Hips that are sure stay the joints', which somebody who crosses takes along
    less easily; where they are not, the centre goes half of the way, too.

    Args:
        joints: which of them are hips and shoulders.
        place: to start with; the whole image by default.
        min_score: joints with a lower score count as unsure.
        min_share: with fewer sure joints than this share, or than 3, the person is lost.
        most: with fewer than this share the radius does not shrink.
        min_radius: as a share of the image's longer side.
    """

    MAX_SHIFT, MAX_TURN = 0.5, math.pi / 4
    MOST_SHRUNK, MOST_GROWN = 0.995, 4 / 3
    MOST_SHRUNK_ALIGNED = 0.9
    """At a time, where alignment tells the radius."""
    LEAST_TRUNK = 0.15
    """Of the radius, from hips to shoulders; shorter ones give no direction."""
    WIDEST_HIPS = 0.6
    """Of the radius, from hip to hip."""

    def __init__(
        self,
        joints: BodyJoints,
        place: Place | None = None,
        min_score: float = KPT_THR,
        min_share: float = 1 / 3,
        most: float = 2 / 3,
        min_radius: float = 0.025,
    ) -> None:
        self.joints = joints
        self.min_score = min_score
        self.min_share = min_share
        self.most = most
        self.min_radius = min_radius
        self.look_at(place)

    @property
    def lost(self) -> bool:
        """Whether the person has to be searched for."""
        return self.body is None

    def look_at(self, place: Place | None) -> None:
        """Go on from a place, or from the whole image; the body found there is taken as it is."""
        self.body = place if place is None or isinstance(place, Body) else body_of_box(place)
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def current(self, size: tuple[int, int]) -> Body:
        """The body to look at next, in an image of (width, height) pixels."""
        if self.body is None:
            return body_of_box(whole_frame(size))
        # Hips may be below the image, but what is looked at must show some of it.
        radius = min(max(self.body.radius, self.min_radius * max(size)), float(max(size)))
        center = np.clip(self.body.center, -radius / 2, np.array(size) - 1 + radius / 2)
        self.body = Body(center, radius, self.body.angle)
        return self.body

    def update(
        self, keypoints: np.ndarray, scores: np.ndarray, aligned: Body | None = None
    ) -> None:
        """Take note of the joints (K, 2) that were found last, with their scores (K,), and of the
        body that alignment says, where it does."""
        sure = sure_joints(keypoints, scores, self.min_score)
        last, self._last = self._last, (keypoints, sure)
        if too_few(int(sure.sum()), len(sure), self.min_share):
            self.body = None
        elif self.body is None:
            self.body = self.joints.body(keypoints, sure)
            if self.body is not None and aligned is not None:
                self.body = Body(self.body.center, aligned.radius, aligned.angle)
        elif last is None:
            self.body = self._shown(
                self.body, keypoints, sure, self._hips(keypoints, sure), aligned
            )
        else:
            self.body = self._followed(self.body, keypoints, sure, *last, aligned)

    def _followed(
        self,
        before: Body,
        keypoints: np.ndarray,
        sure: np.ndarray,
        last: np.ndarray,
        last_sure: np.ndarray,
        aligned: Body | None,
    ) -> Body:
        """The body that follows another, by the joints of this frame and of the last."""
        center = self._hips(keypoints, sure, self.WIDEST_HIPS * before.radius)
        if center is None:
            both = sure & last_sure
            center = before.center
            if aligned is not None:
                center = (center + aligned.center) / 2
            elif both.any():
                center = center + np.median(keypoints[both] - last[both], axis=0)
        way = center - before.center
        far = math.hypot(*way) / (self.MAX_SHIFT * before.radius)
        found = self._shown(before, keypoints, sure, before.center + way / max(far, 1), aligned)
        radius, turn = found.radius, _wrapped(found.angle - before.angle)
        least = self.MOST_SHRUNK
        if aligned is not None:
            radius, turn = math.sqrt(before.radius * radius), turn / 2
            least = self.MOST_SHRUNK_ALIGNED
        return Body(
            found.center,
            min(max(radius, before.radius * least), before.radius * self.MOST_GROWN),
            _wrapped(before.angle + min(max(turn, -self.MAX_TURN), self.MAX_TURN)),
        )

    def _shown(
        self,
        before: Body,
        keypoints: np.ndarray,
        sure: np.ndarray,
        center: np.ndarray | None,
        aligned: Body | None,
    ) -> Body:
        """The body as alignment or the sure joints show it, and where they do not, as before."""
        center = before.center if center is None else center
        if aligned is not None:
            return Body(center, aligned.radius, aligned.angle)
        radius = circle_radius(keypoints[sure], center)
        if sure.sum() < self.most * len(sure):
            radius = max(radius, before.radius)
        sides = [
            keypoints[shoulder] - keypoints[hip]
            for hip, shoulder in zip(self.joints.hips, self.joints.shoulders)
            if sure[hip]
            and sure[shoulder]
            and math.dist(keypoints[hip], keypoints[shoulder]) <= radius
        ]
        x, y = np.mean(sides, axis=0).tolist() if sides else (0.0, 0.0)
        tells = math.hypot(x, y) > self.LEAST_TRUNK * radius
        return Body(center, radius, math.atan2(x, -y) if tells else before.angle)

    def _hips(
        self, keypoints: np.ndarray, sure: np.ndarray, widest: float = math.inf
    ) -> np.ndarray | None:
        """Their middle (2,), if both are sure and no further apart."""
        left, right = self.joints.hips
        if not (sure[left] and sure[right]):
            return None
        ends = keypoints[left], keypoints[right]
        return (ends[0] + ends[1]) / 2 if math.dist(*ends) <= widest else None


Follower = FollowedBox | FollowedBody


def box_about(
    place: Place, keypoints: np.ndarray, scores: np.ndarray, min_score: float, size: tuple[int, int]
) -> np.ndarray:
    """The upright box (4,) to answer for a person who was looked for at a place.

    A box is answered as it is. About a body it is the box of the sure joints, with the margin of
    :class:`FollowedBox`, or of the body where there are fewer than three, cut at the border of the
    image of (width, height) pixels.
    """
    if not isinstance(place, Body):
        return place
    sure = sure_joints(keypoints, scores, min_score)
    box = box_of_body(place)
    if sure.sum() >= 3:
        low, high = keypoints[sure].min(axis=0), keypoints[sure].max(axis=0)
        more = FollowedBox.MARGIN * (high - low)
        box = np.concatenate([low - more, high + more])
    return limited(box, size, FollowedBox.MIN_SIDE)


def _wrapped(angle: float) -> float:
    """The same angle from -pi to pi."""
    return math.remainder(angle, 2 * math.pi)
