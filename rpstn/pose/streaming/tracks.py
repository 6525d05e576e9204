"""People followed through a stream: what is kept of each, and what is answered.

Boxes are x1 y1 x2 y2 and joints x y, in 0-based image pixels.

Shapes: N people, K joints, C channels, (H, W) image pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..crops import Crop
from .person_box import FollowedBox, whole_frame


@dataclass(frozen=True)
class PersonPose:
    """The joints of one person in one frame."""

    person: int
    """The same number in all frames of a stream."""
    box: np.ndarray
    """(4,) what was looked in, without the padding that the config adds."""
    joints: np.ndarray
    """(K, 2) image pixels."""
    scores: np.ndarray
    """(K,) heights of the heatmaps' peaks."""
    started: bool
    """Whether the initializer P ran, rather than the last frame's pose being carried on."""
    lost: bool
    """Whether hardly any joint is certain."""


@dataclass(frozen=True)
class StreamPoses:
    """The people of one frame; ``joints, scores = ...`` takes it apart."""

    index: int
    """0-based, of the stream."""
    people: tuple[PersonPose, ...]
    """In the order of their numbers."""
    num_joints: int
    """K."""

    @property
    def joints(self) -> np.ndarray:
        """(N, K, 2) image pixels."""
        return np.array([pose.joints for pose in self.people]).reshape(-1, self.num_joints, 2)

    @property
    def scores(self) -> np.ndarray:
        """(N, K)."""
        return np.array([pose.scores for pose in self.people]).reshape(-1, self.num_joints)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.joints, self.scores))


class PersonFinder(Protocol):
    """Who says where people are, when they are not followed yet or were lost."""

    def observe(self, image: np.ndarray, stream: Hashable) -> None:
        """See every frame (H, W, 3) BGR of every stream, in order; most need not."""

    def find(self, image: np.ndarray, stream: Hashable) -> np.ndarray:
        """Boxes (N, 4) of the people in the frame observed last, the surest first; N may be 0."""

    def forget(self, stream: Hashable) -> None:
        """A stream has ended."""


class WholeFrame:
    """The whole image, for one person who fills a good part of it.

    A person found so is looked at twice: in the whole image, and then in the box of the joints.
    """

    def observe(self, image: np.ndarray, stream: Hashable) -> None:
        """Nothing to see."""

    def find(self, image: np.ndarray, stream: Hashable) -> np.ndarray:
        """The whole image (1, 4)."""
        return whole_frame(image.shape[1::-1])[None]

    def forget(self, stream: Hashable) -> None:
        """Nothing to forget."""


@dataclass
class Track:
    """A person who is followed, and what is carried from frame to frame."""

    person: int
    follower: FollowedBox
    """Where the joints are."""
    box: np.ndarray | None = None
    """(4,) looked in last."""
    heatmaps: Tensor | None = None
    """M'_t, (1, K, h, w); None before the first frame and when lost."""
    features: Tensor | None = None
    """f_t, (1, C, h, w)."""
    age: int = 0
    """Frames since P ran last."""
    missed: int = 0
    """Frames for which the person has been lost."""
    rough: bool = False
    """Whether the box holds much more than the person."""
    sure: bool = False
    """Whether the person was seen in the last frame."""
    retry: bool = False
    """Whether P is to look at the follower's box next."""

    def found(
        self,
        task: Task,
        joints: np.ndarray,
        scores: np.ndarray,
        heatmaps: Tensor,
        features: Tensor,
        started: bool,
    ) -> bool:
        """Take note of a frame; returns whether the person is lost in it.

        A frame of P is not the end even if nothing in it is certain, but carried on to the next:
        the batch norm behind both P and the propagation has statistics mostly of the latter, and
        can leave P's peaks at a small part of their height.
        """
        self.rough = task.rough or (
            self.rough and not started and np.array_equal(task.box, self.box)
        )
        self.box = task.box
        self.age = 0 if started else self.age
        self.follower.update(joints, scores)
        lost = self.follower.box is None
        if lost:
            self.missed += 1
            self.retry = self.sure and not started
            carried = started
            if self.retry or (started and not self.rough):
                self.follower.box = self.box
        else:
            self.missed = 0
            self.retry = self.rough  # closer
            carried = not self.rough
        self.sure = not lost
        self.heatmaps, self.features = (heatmaps, features) if carried else (None, None)
        return lost


@dataclass
class Task:
    """One person to look for in one frame."""

    track: Track
    image: np.ndarray
    """(H, W, 3) BGR uint8."""
    box: np.ndarray
    """(4,) to look in."""
    given: bool = False
    """Whether the caller knows that the person is there."""
    rough: bool = False
    """Whether the box holds much more than the person."""
    crop: Crop | None = None
    pose: PersonPose | None = None
    """The answer."""


@dataclass
class Stream:
    """The people of one video."""

    tracks: dict[int, Track] = field(default_factory=dict)
    index: int = 0
    """Of the next frame."""
    people: int = 0
    """Numbers given so far."""

    def add(self, follower: FollowedBox, person: int | None = None) -> Track:
        """A new person, by default with a number not used before."""
        person = self.people if person is None else person
        self.people = max(self.people, person + 1)
        self.tracks[person] = Track(person, follower)
        return self.tracks[person]

    def without_doubles(self, tasks: Sequence[Task]) -> tuple[PersonPose, ...]:
        """Poses by number; where two tracks have come upon one person, the older goes on.

        Two are one if their joints are apart by less than a twentieth of the box on average, as
        neighbours' are not; a person whose box was given is never dropped.
        """
        kept: list[PersonPose] = []
        for task in sorted(
            tasks, key=lambda task: (not task.given, task.pose.lost, task.track.person)
        ):
            pose = task.pose
            side = (pose.box[2:] - pose.box[:2]).max()
            double = any(
                np.linalg.norm(pose.joints - other.joints, axis=1).mean() < side / 20
                for other in kept
            )
            if double and not task.given:
                del self.tracks[pose.person]
            else:
                kept.append(pose)
        return tuple(sorted(kept, key=lambda pose: pose.person))

    def give_up(self, seen: Collection[int], max_lost: int) -> None:
        """Drop who has been lost for more than ``max_lost`` frames, of which this is one."""
        for person, track in list(self.tracks.items()):
            track.missed += person not in seen
            if track.missed > max_lost:
                del self.tracks[person]


def cut_crops(tasks: Sequence[Task]) -> Tensor:
    """What the network is to see, (N, 3, H, W) BGR uint8."""
    images = np.stack([task.crop.cut(task.image) for task in tasks])
    # By NumPy, as PyTorch's threads would stay awake beside those of other engines.
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))
