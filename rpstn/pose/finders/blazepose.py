"""BlazePose's person detector, whose weights come with the package.

Boxes are x1 y1 x2 y2, in 0-based image pixels whose centres have whole coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from rpstn.checkpoints import (
    SHIPPED,
    ModelError,
    load_all_weights,
    read_checkpoint,
    shipped_weights,
)
from rpstn.errors import SettingError

from ..bodies import Body, box_of_body
from ..models.blazepose_detection import Detections, View, detect_in_views
from ..models.blazepose_detector import BlazePoseDetector
from .base import FoundPerson

VISIBLE = 0.36
"""Of the square's side: people of this height or more are found."""
STRIDE = 1 - VISIBLE
"""Between tiles, as a share of their side: who is smaller than the rest is whole in one of them."""
SMALLEST = 112
"""Pixels of a tile's side; smaller ones show too little."""
SURE = 0.9
"""Score from which other turns tell nothing else: on JHMDB's training and validation clips and 24
push-ups, their first frames turned by quarters, in all 461 that had it."""
SAME = 0.3
"""Intersection over union from which two boxes are one person's."""
SHOWN = 1 / 3
"""Of a person's box, at least, that is in the image; nobody found in JHMDB's training frames showed
less."""
BATCH = 16


class BlazePoseFinder:
    """BlazePose's detector: centre, size and direction of people, in any position.

    Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204. The whole image is looked
    at, and unless enough people are seen for sure, by its other three turns, too, as lying and
    upside down people are found more surely upright; of one person the surest answer is kept. Where
    that shows too few people it is looked at by overlapping tiles, finer and finer, as the detector
    finds nobody who is smaller than about a third of what it is shown; these take long, so that for
    ``rest`` searches they are not repeated where they were in vain.

    Args:
        people: so many are enough: tiles are left out, or not made finer, once they are found.
        min_score: of a person.
        min_height: of people, as a share of the image's height.
        rest: searches of a stream without tiles after tiles have shown too few.
        sure: score of so many people from which turns are left out; above 1 all are looked at.
        device: as torch names it.
        folder: of the weights.

    Raises:
        SettingError: an option is out of range.
        ModelError: the weights are damaged.
    """

    any_frame = True

    def __init__(
        self,
        people: int = 1,
        min_score: float = 0.5,
        min_height: float = 1 / 12,
        rest: int = 25,
        sure: float = SURE,
        device: str = 'cpu',
        folder: Path = SHIPPED,
    ) -> None:
        for name, value, allowed, fits in (
            ('people', people, 'at least 1', people >= 1),
            ('min_score', min_score, 'between 0 and 1', 0 < min_score < 1),
            ('min_height', min_height, 'above 0 and at most 1', 0 < min_height <= 1),
            ('rest', rest, 'at least 0', rest >= 0),
            ('sure', sure, 'above 0', sure > 0),
        ):
            if not fits:
                raise SettingError(f'{name} must be {allowed}, got {value}')
        self.people = people
        self.min_score = min_score
        self.min_height = min_height
        self.rest = rest
        self.sure = sure
        self._detector = load_blazepose_detector(folder).to(device)
        self._resting: dict[Hashable, int] = {}

    def observe(self, image: np.ndarray, stream: Hashable = 0) -> None:
        """Nothing to see in frames that are not searched."""

    def find(self, image: np.ndarray, stream: Hashable = 0) -> list[FoundPerson]:
        """The people in a frame (H, W, 3) BGR uint8, the surest first."""
        height, width = image.shape[:2]
        size = (width, height)
        whole, *turned = (View.whole(size, turn) for turn in range(4))
        found = self._look(image, [whole], self.min_score)
        if sum(person.score >= self.sure for person in found) < self.people:
            found = apart([*found, *self._look(image, turned, self.min_score)])
        left = self._resting.pop(stream, 0)
        if len(found) >= self.people:
            return found
        if left:
            self._resting[stream] = left - 1
            return found
        for tiles in tile_levels(size, self.min_height):
            found = apart([*found, *self._look(image, tiles, surer(self.min_score))])
            if len(found) >= self.people:
                return found
        self._resting[stream] = self.rest
        return found

    def forget(self, stream: Hashable = 0) -> None:
        """A stream has ended."""
        self._resting.pop(stream, None)

    def _look(
        self, image: np.ndarray, views: Sequence[View], min_score: float
    ) -> list[FoundPerson]:
        """People in any of several squares, each once."""
        height, width = image.shape[:2]
        people: list[FoundPerson] = []
        for start in range(0, len(views), BATCH):
            batch = views[start : start + BATCH]
            answers = detect_in_views(self._detector, image, batch, min_score)
            for view, found in zip(batch, answers):
                for person in people_of(found, (width, height)):
                    if shown_whole(person.box, view):
                        people.append(person)
        return apart(people)


def load_blazepose_detector(folder: Path = SHIPPED) -> BlazePoseDetector:
    """The detector with the weights that come with the package, in evaluation mode.

    Raises:
        ModelError: they are missing, damaged or of another network.
    """
    _, weights = shipped_weights(Path(folder) / 'blazepose_detector.json')
    detector, saved = BlazePoseDetector(), read_checkpoint(weights)
    try:
        load_all_weights(detector, saved)
    except RuntimeError as error:
        raise ModelError(f'{weights}: no weights of BlazePoseDetector: {error}') from None
    # Twice as fast on CPUs.
    return detector.eval().to(memory_format=torch.channels_last)


def people_of(found: Detections, size: tuple[int, int]) -> list[FoundPerson]:
    """Detections in an image of (width, height) pixels, but those of whom hardly a part shows."""
    people = []
    for score, center, radius, angle in zip(
        found.scores.tolist(), found.centers, found.radii.tolist(), found.angles.tolist()
    ):
        body = Body(center, radius, angle)
        whole = box_of_body(body)
        box = np.clip(whole, 0, np.tile(size, 2) - 1)
        if np.prod(box[2:] - box[:2]) > SHOWN * np.prod(whole[2:] - whole[:2]):
            people.append(FoundPerson(box.astype(np.float32), score, body))
    return people


def shown_whole(box: np.ndarray, view: View) -> bool:
    """Whether a square of an image shows all of a box, which lies in the image.

    A body cut by the square's edge is guessed from a part, and is whole in another square.
    """
    reach = 0.55 * view.side  # a twentieth beyond the edge
    return bool((np.abs(box.reshape(2, 2) - view.center) <= reach).all())


def surer(score: float) -> float:
    """From which score tiles are believed: many of them are more likely to be wrong once."""
    return (1 + score) / 2


def apart(people: Sequence[FoundPerson]) -> list[FoundPerson]:
    """Of each person the surest answer, the surest first."""
    corners = [[*p.box[:2].tolist(), *(p.box[2:] - p.box[:2]).tolist()] for p in people]
    kept = cv2.dnn.NMSBoxes(corners, [p.score for p in people], 0.0, SAME)
    return [people[int(i)] for i in np.reshape(kept, -1)]


def tile_levels(size: tuple[int, int], min_height: float = 1 / 12) -> list[list[View]]:
    """Overlapping squares of an image of (width, height) pixels, from large to small.

    Each level's are about half as large as those before, the last show people of ``min_height`` of
    the image's height.
    """
    largest = max(size)
    smallest = max(min_height * size[1] / VISIBLE, SMALLEST)
    levels = round(math.log2(max(largest / smallest, 1)))
    sides = [largest * (smallest / largest) ** (n / levels) for n in range(1, levels + 1)]
    return [
        [
            View(np.array([x, y]), side)
            for y in _middles(size[1], side)
            for x in _middles(size[0], side)
        ]
        for side in sides
    ]


def _middles(length: int, side: float) -> np.ndarray:
    """Of tiles along one direction."""
    if side >= length:
        return np.array([(length - 1) / 2])
    count = math.ceil((length - side) / (STRIDE * side)) + 1
    return np.linspace((side - 1) / 2, length - 1 - (side - 1) / 2, count)
