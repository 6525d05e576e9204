"""Somebody guessed where the finder sees nobody, or nobody who can be followed.

The pose network itself is shown all of a frame, by crops of three sizes side by side, as of upright
people of three heights, and once more the best of them, about the joints in it. BlazePose's
detector goes by faces; the network knows bodies whose faces are turned away, small or blurred, too.
That costs some 30 to 70 passes a frame.

Shapes: N crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rpstn.pose.bodies import Body, box_of_body
from rpstn.pose.finders import FoundPerson
from rpstn.pose.finders.blazepose import apart
from rpstn.pose.presence import presences
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.video.readers import size_of

HEIGHTS = (1.2, 0.75, 0.45)
"""Of people, as shares of the image's height. Smaller people are found by the finder's tiles; four
heights, and crops nearer to each other, found nobody else in JHMDB's training clips."""
INSIDE = (0.6, 0.8)
"""How far from the image's border the outermost hips are, across and down, of half a height."""
MOST = 128
"""Crops of a frame; of a very wide image the smaller ones are left out."""
AGAIN = 8
"""Of the guesses, the best, that are looked at a second time."""
PRESENT = 0.9
"""Probability that there is a person from which a guess is believed. Where the people of 20 of
JHMDB's training clips had been painted over, the one of a guess was above 0.4 in two, one of them
of somebody else; of guesses that were right it was 0.93 or more in 19 of 20."""
BATCH = 16
"""Crops that go through the network together."""


def can_guess(streaming: StreamingRPSTN) -> bool:
    """Whether its model looks at upright crops, and its scores say how many joints are right."""
    return streaming.cropper.upright and streaming.meta.get('score_knots') is not None


def guessed(streaming: StreamingRPSTN, image: np.ndarray) -> FoundPerson | None:
    """Who is surest to be in a frame (H, W, 3) BGR uint8; its score is the mean of the joints'.

    None where there is nobody, or where the model is not built on BlazePose. What is followed in
    the streams is not touched.
    """
    first = apart(_looked_at(streaming, image, grid(size_of(image)), 0.0))
    again = [person.body for person in first[:AGAIN] if person.body is not None]
    second = _looked_at(streaming, image, again, PRESENT)
    return max(second, key=lambda person: person.score, default=None)


def grid(size: tuple[int, int]) -> list[Body]:
    """Upright bodies all over an image of (width, height) pixels, from large to small."""
    bodies: list[Body] = []
    for radius in (share * size[1] / 2 for share in HEIGHTS):
        xs, ys = (_middles(*along, radius) for along in zip(size, INSIDE))
        if len(bodies) + len(xs) * len(ys) > MOST:
            break
        bodies += [Body(np.array([x, y]), radius, 0.0) for y in ys for x in xs]
    return bodies


def _middles(length: int, inside: float, radius: float) -> np.ndarray:
    """Of bodies along one direction, no further from each other than their radius."""
    edge = inside * radius
    room = length - 1 - 2 * edge
    if room <= 0:
        return np.array([(length - 1) / 2])
    return np.linspace(edge, length - 1 - edge, math.ceil(room / radius) + 1)


def _looked_at(
    streaming: StreamingRPSTN, image: np.ndarray, bodies: Sequence[Body], least: float
) -> list[FoundPerson]:
    """Who is found where such bodies may be, of at least a probability of being there."""
    size, found = size_of(image), []
    for start in range(0, len(bodies), BATCH):
        name = object()
        try:
            batch = dict(enumerate(bodies[start : start + BATCH]))
            people = streaming.step(image, batch, name).people
            present = presences(streaming.stepper)
        finally:
            streaming.close(name)
        if present is None:
            return []
        for person, probability in zip(people, present, strict=True):
            follower = streaming.follower()
            follower.update(person.keypoints, person.scores)
            body = follower.current(size)
            if probability >= least and not follower.lost and isinstance(body, Body):
                box = np.clip(box_of_body(body), 0, np.tile(size, 2) - 1).astype(np.float32)
                found.append(FoundPerson(box, float(person.scores.mean()), body))
    return found
