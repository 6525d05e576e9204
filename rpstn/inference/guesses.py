"""People guessed where the finder sees nobody, or somebody who cannot be followed.

The pose network itself is shown all of a frame, by crops of three sizes side by side, as of upright
people of three heights, and once more the best of them, about the joints in it. How many joints it
is sure of tells whether there is somebody: it knows bodies whose faces, which BlazePose's detector
goes by, are turned away, small or blurred. That costs some fifty passes a frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from rpstn.pose.bodies import Body
from rpstn.pose.finders import FoundPerson
from rpstn.pose.finders.blazepose import apart
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.video.readers import size_of

HEIGHTS = (1.2, 0.75, 0.45)
"""Of people, as shares of the image's height."""
INSIDE = (0.6, 0.8)
"""How far from the image's border the outermost hips are, across and down, of half a height."""
AGAIN = 8
"""Of the guesses, the best, that are looked at a second time."""
BATCH = 32
"""Crops that go through the network together."""


def can_guess(streaming: StreamingRPSTN) -> bool:
    """Whether its crops are about bodies, and its scores say how many joints are right."""
    return streaming.cropper.upright and streaming.meta.get('score_knots') is not None


def guessed(streaming: StreamingRPSTN, image: np.ndarray) -> list[FoundPerson]:
    """People in a frame (H, W, 3) BGR uint8, the surest first; scores are means of their joints'.

    What the streams follow is not touched.
    """
    first = _looked_at(streaming, image, grid(size_of(image)))
    first.sort(key=lambda person: -person.score)
    best = [person.body for person in first[:AGAIN] if person.body]
    return apart(_looked_at(streaming, image, best))


def grid(size: tuple[int, int]) -> list[Body]:
    """Upright bodies all over an image of (width, height) pixels, from large to small."""
    return [
        Body(np.array([x, y]), radius, 0.0)
        for radius in (share * size[1] / 2 for share in HEIGHTS)
        for y in _middles(size[1], radius, INSIDE[1])
        for x in _middles(size[0], radius, INSIDE[0])
    ]


def _middles(length: int, radius: float, inside: float) -> np.ndarray:
    """Of bodies along one direction, no further from each other than their radius."""
    room = length - 2 * inside * radius
    if room <= 0:
        return np.array([length / 2])
    return np.linspace(inside * radius, length - inside * radius, math.ceil(room / radius) + 1)


def _looked_at(
    streaming: StreamingRPSTN, image: np.ndarray, bodies: Sequence[Body]
) -> list[FoundPerson]:
    """Who is found where such bodies may be."""
    return [
        person
        for start in range(0, len(bodies), BATCH)
        for person in _batch(streaming, image, bodies[start : start + BATCH])
    ]


def _batch(
    streaming: StreamingRPSTN, image: np.ndarray, bodies: Sequence[Body]
) -> Iterator[FoundPerson]:
    name = object()
    try:
        result = streaming.step(image, dict(enumerate(bodies)), name)
    finally:
        streaming.close(name)
    for person in result.people:
        follower = streaming.follower()
        follower.update(person.keypoints, person.scores)
        if not follower.lost:
            body = follower.current(size_of(image))
            assert isinstance(body, Body)
            yield FoundPerson(person.box.astype(np.float32), float(person.scores.mean()), body)
