"""People followed through a stream: what is kept of each, and what is answered.

Boxes are x1 y1 x2 y2 and joints x y, in 0-based image pixels.

Shapes: N people, K joints, C channels, (H, W) image pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch import Tensor

from rpstn.results import PersonResult

from ..appearance import Appearance
from ..bodies import Body, Place, middle_of
from ..boxes import overlap
from ..crops import Crop
from ..finders import FoundPerson, PersonFinder
from ..followed_body import FollowedBody, Follower
from .checks import check_found


@dataclass
class FollowedPerson:
    """Somebody who is looked for in every frame, and what is carried from frame to frame."""

    id: int
    """The same number in all frames of a stream."""
    follower: Follower
    """Where the joints are."""
    place: Place
    """Looked at last, or to look at first."""
    state: tuple[Tensor, Tensor] | None = None
    """M'_t, (1, K, h, w), and f_t, (1, C, h, w); None before the first frame and when lost."""
    age: int = 0
    """Frames since P ran last."""
    missed: int = 0
    """Frames for which the person has been lost."""
    rough: bool = False
    """Whether the place holds much more than the person."""
    sure: bool = False
    """Whether the person was seen in the last frame."""
    retry: bool = False
    """Whether P is to look where the follower is next."""
    since: int = 0
    """Frame of the stream in which the person was new."""
    appearance: Appearance = field(default_factory=Appearance)
    """What the person looks like, as far as joints tell where the trunk is."""

    def found(
        self,
        task: Task,
        joints: np.ndarray,
        scores: np.ndarray,
        heatmaps: Tensor,
        features: Tensor,
        started: bool,
        aligned: Body | None = None,
    ) -> bool:
        """Take note of a frame; returns whether the person is lost in it.

        A frame of P is not the end even if nothing in it is certain, but carried on to the next:
        the batch norm behind both P and the propagation has statistics mostly of the latter, and
        can leave P's peaks at a small part of their height.
        """
        self.rough = task.rough or (self.rough and not started and self.follower.lost)
        self.place = task.place
        self.age = 0 if started else self.age
        if aligned is not None and isinstance(self.follower, FollowedBody):
            self.follower.update(joints, scores, aligned)
        else:
            self.follower.update(joints, scores)
        lost = self.follower.lost
        if lost:
            self.missed += 1
            self.retry = self.sure and not started
            carried = started
            if self.retry or (started and not self.rough):
                self.follower.look_at(self.place)
        else:
            self.missed = 0
            self.retry = self.rough  # closer
            carried = not self.rough
        self.sure = not lost
        self.state = (heatmaps, features) if carried else None
        return lost

    def next_place(self, last: Place, size: tuple[int, int], keep_iou: float) -> Place:
        """Where to look after a place, in an image of (width, height) pixels: boxes stay while that
        of the last joints overlaps them by so much, bodies move at once, as in training."""
        place = self.follower.current(size)
        if isinstance(place, Body) or isinstance(last, Body):
            return place
        return last if overlap(place, last) >= keep_iou else place


@dataclass
class Task:
    """One person to look for in one frame."""

    person: FollowedPerson
    image: np.ndarray
    """(H, W, 3) BGR uint8."""
    place: Place
    """To look at."""
    given: bool = False
    """Whether the caller knows that the person is there."""
    rough: bool = False
    """Whether the place holds much more than the person."""
    again: bool = False
    """Whether P is to look a second time, where it finds the joints."""
    later: Task | None = None
    """The same person in the next frame, where that is encoded while this one is answered."""
    result: PersonResult = field(init=False, repr=False, compare=False)
    """The answer, once the person has been looked for."""


@dataclass
class Stream:
    """The people of one video."""

    people: dict[int, FollowedPerson] = field(default_factory=dict)
    """By their ids."""
    index: int = 0
    """Of the next frame."""
    named: int = 0
    """Ids given so far."""
    told: Sequence[FoundPerson] | None = None
    """Who is in the next frame, where the finder was asked before."""
    found: tuple[int, Sequence[FoundPerson]] = (-1, ())
    """The frame that was searched last, and who is in it."""

    def add(self, follower: Follower, place: Place, number: int | None = None) -> FollowedPerson:
        """A new person, looked for at a place, by default with an id not used before."""
        number = self.named if number is None else number
        self.named = max(self.named, number + 1)
        self.people[number] = FollowedPerson(number, follower, place, since=self.index)
        return self.people[number]

    def seen(
        self, finder: PersonFinder, image: np.ndarray, name: Hashable
    ) -> Sequence[FoundPerson]:
        """Who is in the next frame (H, W, 3), as was told, or as the finder says, asked once."""
        if self.found[0] != self.index:
            seen = finder.find(image, name) if self.told is None else self.told
            check_found(seen, finder)
            self.found, self.told = (self.index, seen), None
        return self.found[1]

    def take(
        self,
        places: Sequence[Place],
        lost: Sequence[FollowedPerson],
        room: int,
        follower: Callable[[], Follower],
    ) -> list[tuple[FollowedPerson, Place]]:
        """Who is at places where somebody was found: those who are lost, and so many newcomers.

        Everybody who is lost is at the nearest; those lost first choose first.
        """
        free, found = list(places), []
        for person in lost:
            if free:
                away = [np.linalg.norm(middle_of(p) - middle_of(person.place)) for p in free]
                found.append((person, free.pop(int(np.argmin(away)))))
        return found + [(self.add(follower(), place), place) for place in free[:room]]

    def without_doubles(self, tasks: Sequence[Task]) -> tuple[PersonResult, ...]:
        """Results by number; where two have come upon one person, the older goes on.

        Two are one if their joints are apart by less than a twentieth of the box on average, as
        neighbours' are not; a person whose box was given is never dropped.
        """
        kept: list[PersonResult] = []
        for task in sorted(
            tasks, key=lambda task: (not task.given, task.result.lost, task.person.id)
        ):
            found = task.result
            side = (found.box[2:] - found.box[:2]).max()
            double = any(
                np.linalg.norm(found.keypoints - other.keypoints, axis=1).mean() < side / 20
                for other in kept
            )
            if double and not task.given:
                del self.people[found.id]
            else:
                kept.append(found)
        return tuple(sorted(kept, key=lambda found: found.id))

    def give_up(self, seen: Collection[int], max_lost: int) -> None:
        """Drop who has been lost for more than ``max_lost`` frames, of which this is one."""
        for number, person in list(self.people.items()):
            person.missed += number not in seen
            if person.missed > max_lost:
                del self.people[number]


def cut_crops(tasks: Sequence[Task], crops: Sequence[Crop]) -> Tensor:
    """What the network is to see, (N, 3, H, W) BGR uint8."""
    # Not by PyTorch, whose threads would stay awake beside those of other engines.
    images = [cv2.split(crop.cut(task.image)) for crop, task in zip(crops, tasks)]
    return torch.from_numpy(np.stack(images))


def together(maps: Sequence[Tensor]) -> Tensor:
    """N of (1, C, h, w) as one (N, C, h, w)."""
    return maps[0] if len(maps) == 1 else torch.cat(list(maps))
