"""The next frame's crops encoded while this frame is answered.

A frame waits for the last one twice: its crops are cut where people were in it, and their maps are
carried on. Where the next frame can be had already, as of files, its crops follow the people one
frame later; so the larger half of the network, which looks at crops alone, is a frame ahead, in a
thread of its own. With one thread the two halves follow each other, and answer the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from torch import Tensor

from rpstn.video.readers import size_of

from ..crops import Crop, Cropper
from .people import FollowedPerson, Task, cut_crops
from .steppers import Encoded, EncodingStepper, Stepper

SOON = 0.12
"""Seconds between two frames up to which crops may follow people a frame later: JHMDB's validation
clips lose nothing by it at 30, 15 and 10 frames a second."""


@dataclass(frozen=True, eq=False)
class _Batch:
    """Crops of a next frame."""

    tasks: Sequence[Task]
    encoded: Callable[[], Encoded]

    def is_of(self, tasks: Sequence[Task]) -> bool:
        """Whether the crops are those of these tasks."""
        return len(tasks) == len(self.tasks) and all(
            ours.person is theirs.person
            and ours.image is theirs.image
            and ours.place is theirs.place
            for ours, theirs in zip(self.tasks, tasks)
        )


class Ahead:
    """What is encoded of next frames, of each stream one.

    Args:
        stepper: one that is no :class:`EncodingStepper` takes every frame by its step alone.
        cropper: what its crops are cut by.
        keep_iou: see :meth:`FollowedPerson.next_place`.
    """

    def __init__(self, stepper: Stepper, cropper: Cropper, keep_iou: float) -> None:
        self._stepper = stepper
        self._halves: EncodingStepper | None = None
        if getattr(stepper, 'encodes', False):
            self._halves = cast('EncodingStepper', stepper)
        self._cropper = cropper
        self._keep_iou = keep_iou
        self._pool: ThreadPoolExecutor | None = None
        self._running: Future[Encoded] | None = None  # the last one; those before it are done first
        self._batches: list[_Batch] = []
        self._here: list[_Batch] = []  # of the frames that are answered

    def task(self, person: FollowedPerson, image: np.ndarray, following: np.ndarray | None) -> Task:
        """To look for somebody in a frame, where the crop is that was encoded, if one was.

        Args:
            person: who is carried on.
            image: the frame.
            following: the next one, if it can be had.
        """
        known = (task for batch in self._batches for task in batch.tasks)
        places = (t.place for t in known if t.person is person and t.image is image)
        encoded = next(places, None)
        last = person.place if encoded is None else encoded
        place = person.next_place(last, size_of(image), self._keep_iou)
        later = None
        if self._halves is not None and following is not None and following.shape == image.shape:
            later = Task(person, following, place)
        return Task(person, image, place if encoded is None else encoded, later=later)

    def arrive(self, images: Collection[np.ndarray]) -> None:
        """These frames have come: what was encoded of others before is not asked for any more."""
        self._here = [
            b for b in self._batches if any(t.image is i for t in b.tasks for i in images)
        ]
        self._batches = [batch for batch in self._batches if batch not in self._here]

    def step(
        self, tasks: Sequence[Task], crops: Sequence[Crop], heatmaps: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step of the recurrence, the next frame's crops being encoded meanwhile.

        Args:
            tasks: people who are carried on.
            crops: where they are to be looked for.
            heatmaps, features: of the last frame.

        Returns:
            As :meth:`Stepper.step`.
        """
        ready = next((batch for batch in self._here if batch.is_of(tasks)), None)
        later = [task.later for task in tasks if task.later is not None]
        images = None
        if len(later) == len(tasks):  # else the next batch would not be theirs
            # Cut here, while the thread may still be at work on this frame's.
            images = cut_crops(later, [self._cropper.about(task.place) for task in later])
        if self._halves is None or (ready is None and images is None):
            self.wait()
            return self._stepper.step(cut_crops(tasks, crops), heatmaps, features)
        if ready is None:
            self.wait()
            encoded = self._halves.encode(cut_crops(tasks, crops))
        else:
            encoded = ready.encoded()
        if images is not None:
            self._begin(self._halves, later, images)
        return self._halves.carry_on(encoded, heatmaps, features)

    def wait(self) -> None:
        """Until nothing is being encoded, as one encoder looks at one batch at a time."""
        if self._running is not None:
            wait([self._running])
            self._running = None

    def forget(self, people: Collection[FollowedPerson]) -> None:
        """What is encoded of any of these people, and of who is in one batch with them."""
        self.wait()
        self._here = []
        self._batches = [
            b for b in self._batches if not any(t.person is p for t in b.tasks for p in people)
        ]

    def _begin(self, stepper: EncodingStepper, tasks: Sequence[Task], images: Tensor) -> None:
        if stepper.threads < 2:
            self._batches.append(_Batch(tasks, partial(stepper.encode, images)))
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, 'encoder')
        self._running = self._pool.submit(stepper.encode, images)
        self._batches.append(_Batch(tasks, self._running.result))
