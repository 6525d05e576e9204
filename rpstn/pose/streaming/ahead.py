"""The next frame's crops encoded while this frame is answered.

A frame waits for the last one twice: its crops are cut where people were in it, and their maps are
carried on. Where the next frame can be had already, as of files, its crops follow the people one
frame later; so the larger half of the network, which looks at crops alone, is a frame ahead, in a
thread of its own. The answers are the same whether there is such a thread or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import numpy as np
from torch import Tensor

from ..bodies import Place
from ..crops import Crop, Cropper
from .people import FollowedPerson, Task, cut_crops
from .steppers import Encoded, EncodingStepper, Stepper

SOON = 0.12
"""Seconds between two frames up to which crops may follow people a frame later: JHMDB's validation
clips lose nothing by it at 30, 15 and 10 frames a second."""


class Ahead:
    """What is being encoded of the next frame; at most one batch at a time.

    Args:
        stepper: one that is no :class:`EncodingStepper` takes every frame by its step alone.
        cropper: what its crops are cut by.
    """

    def __init__(self, stepper: Stepper, cropper: Cropper) -> None:
        self._stepper = stepper
        self._cropper = cropper
        self._encodes = isinstance(stepper, EncodingStepper)
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: list[Task] = []
        self._result: Callable[[], Encoded]  # of these tasks' crops
        self._encoding: Future[Encoded] | None = None

    def task(
        self, person: FollowedPerson, image: np.ndarray, following: np.ndarray | None, place: Place
    ) -> Task:
        """To look for somebody where the crop is that was encoded, or else at a place.

        Args:
            person: who is carried on.
            image: the frame.
            following: the next one, if it can be had.
            place: where the person is to be looked for by all that is known now.
        """
        later = None
        if self._encodes and following is not None and following.shape == image.shape:
            later = Task(person, following, place)
        for task in self._tasks:
            if task.person is person and task.image is image:
                place = task.place
        return Task(person, image, place, later=later)

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
        stepper = self._stepper
        later = [task.later for task in tasks if task.later is not None]
        ready = self._is_of(tasks)
        if not isinstance(stepper, EncodingStepper) or not (later or ready):
            self.forget()
            return stepper.step(cut_crops(tasks, crops), heatmaps, features)
        images = None
        if later:  # cut here, while the thread may still be at work on this frame's
            images = cut_crops(later, [self._cropper.about(task.place) for task in later])
        if ready:
            encoded = self._result()
        else:
            self.wait()
            encoded = stepper.encode(cut_crops(tasks, crops))
        self.forget()
        if images is not None:
            self._begin(stepper, later, images)
        return stepper.carry_on(encoded, heatmaps, features)

    def wait(self) -> None:
        """Until nothing is being encoded, as one encoder looks at one batch at a time."""
        if self._encoding is not None:
            wait([self._encoding])

    def forget(self) -> None:
        """What was encoded."""
        self.wait()
        self._tasks, self._encoding = [], None

    def _is_of(self, tasks: Sequence[Task]) -> bool:
        """Whether what is encoded are these tasks' crops."""
        return len(tasks) == len(self._tasks) and all(
            ours.person is theirs.person
            and ours.image is theirs.image
            and ours.place is theirs.place
            for ours, theirs in zip(self._tasks, tasks)
        )

    def _begin(self, stepper: EncodingStepper, tasks: list[Task], images: Tensor) -> None:
        self._tasks = tasks
        if stepper.threads < 2:
            self._result = partial(stepper.encode, images)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, 'encoder')
        self._encoding = self._pool.submit(stepper.encode, images)
        self._result = self._encoding.result
