"""RPSTN on live video: one frame at a time, nothing of the future needed.

    stream = StreamingRPSTN(load_model(config, checkpoint))
    for frame in camera:
        for person in stream.step(frame).people:
            print(person.id, person.keypoints, person.scores)

RPSTN only looks back: (heatmaps, features) of the last frame is all that a step takes of the past
(and, to tell people apart, the colours of their trunks: :mod:`.recognition`).

Where the crop has moved between two frames, the maps are carried on as they are, though they lie
in the old crop. That is what the network saw in training, where every frame is cut out by a box of
its own. (Warped into the new crop, features lose too much by being resampled.) The crop rather
stays where it is until the person has moved; an upright one follows at once.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor

from rpstn.choices import kpt_thr_of
from rpstn.results import FrameResult, PersonResult
from rpstn.video.readers import size_of

from ..alignment import aligned_bodies
from ..bodies import Body, BodyJoints, Place, body_of_box, box_of, rotation_of
from ..boxes import FollowedBox, overlap
from ..calibration import score_meta
from ..crops import Crop, Cropper
from ..datasets.boxes import has_area
from ..decoding import decode_heatmaps
from ..finders import FoundPerson, PersonFinder, WholeFrame
from ..followed_body import FollowedBody, Follower, box_about
from ..models.estimator import VideoPoseEstimator
from ..world import check_world, world_joints
from .ahead import Ahead
from .checks import Boxes, check_options, checked_streams
from .people import Stream, Task, cut_crops, together
from .recognition import exchanged, found_again, look_at_trunk
from .steppers import Stepper, TorchStepper, cropping_and_decoding, meta_of

__all__ = ['Stepper', 'StreamingRPSTN', 'TorchStepper']


class StreamingRPSTN:
    """Poses of people in one or several live videos, frame by frame.

    Of each person the last heatmaps and features are kept, (K + C) h w numbers, or (2 K + C) with a
    readout, and two histograms of colours, so it runs for ever in constant memory. P sees a
    person's first frame, the frames after the track was lost, and every N-th frame where that is
    asked for; all other frames take one pass of the encoder F and one step of the recurrence.
    Everybody in every stream goes through the network in one batch.

    A person is lost when hardly any joint is certain (:class:`FollowedBox`). P then looks at the
    same place again, and after that wherever the finder says, until somebody is found, who keeps
    the number, or ``max_lost`` frames have gone by. Whether P has found anybody shows in the frame
    after, see :meth:`FollowedPerson.found`.

    A model whose pipeline has ``ClipBody`` looks at upright crops: people are followed as bodies
    (:class:`FollowedBody`), and P looks twice at a frame in which a finder or a box says where
    somebody is, the second time about the joints that it has just found.

    Args:
        stepper: what computes the recurrence; a model becomes a
            :class:`TorchStepper`.
        config: whose test pipeline says how boxes become crops, and whose codec
            decodes. Defaults to the model's ``cfg``.
        finder: looks for people who are not followed: one of
            :mod:`rpstn.pose.finders`, or your own. Defaults to the whole frame.
        max_people: so many are followed at a time in each stream; more only if boxes of more
            are given.
        reset_every: run P on every N-th frame of a person.
        min_score: joints with a lower score count as uncertain; by default the model's own, see
            :func:`rpstn.pose.calibration.score_meta`. With ``-inf`` nobody is ever lost.
        keep_iou: the crop stays where it is while the box of the last joints overlaps it
            by this much (intersection over union); 1 moves it in every frame. Upright crops
            always move.
        find_every: frames between two searches for people, but for who is missed by colours.
        max_lost: frames after which a lost person is given up.
        cropper, decoder: in place of the config's.
        meta: MMPose's data set meta, which results are drawn by. Defaults to the model's, or to
            that of the config's test data.
        world: answer people's joints in metres, too, of models built on BlazePose.

    Raises:
        SettingError: no config, an option out of range, upright crops of joints without hips and
            shoulders, or ``world`` of what has none; ValueError: the config says not how to crop.
    """

    def __init__(
        self,
        stepper: Stepper | VideoPoseEstimator,
        config: Config | None = None,
        *,
        finder: PersonFinder | None = None,
        max_people: int = 1,
        reset_every: int | None = None,
        min_score: float | None = None,
        keep_iou: float = 0.7,
        find_every: int = 1,
        max_lost: int = 50,
        cropper: Cropper | None = None,
        decoder: BaseKeypointCodec | None = None,
        meta: Mapping[str, Any] | None = None,
        world: bool = False,
    ) -> None:
        if isinstance(stepper, VideoPoseEstimator):
            config = config or getattr(stepper, 'cfg', None)
            meta = meta or getattr(stepper, 'dataset_meta', None)
            decoder = decoder or stepper.head.decoder
            stepper = TorchStepper(stepper)
        check_options(finder, max_people, find_every, reset_every, max_lost)
        self.stepper = stepper
        self.cropper, self.decoder = cropping_and_decoding(config, cropper, decoder, stepper)
        meta = meta or meta_of(config, stepper.num_joints)
        self.meta = dict(meta, **score_meta(self.decoder))
        names = [self.meta['keypoint_id2name'][k] for k in range(stepper.num_joints)]
        self._parts = BodyJoints.of(names) if self.cropper.upright else None
        self.finder = finder or WholeFrame()
        self.max_people = max_people
        self._reset = reset_every or math.inf
        self.min_score = kpt_thr_of(self.meta) if min_score is None else min_score
        self.keep_iou = keep_iou
        self.find_every = find_every
        self.max_lost = max_lost
        self.world = world and check_world(stepper)
        self._ahead = Ahead(stepper, self.cropper, keep_iou)
        self._streams: dict[Hashable, Stream] = {}

    def step(
        self,
        frame: np.ndarray,
        boxes: Boxes | None = None,
        stream: Hashable = 0,
        following: np.ndarray | None = None,
    ) -> FrameResult:
        """The people in the next frame of one stream.

        Args:
            frame: (H, W, 3) BGR uint8.
            boxes: box (4,) of person 0, 1, ..., or by number, to
                look in, exactly; None for a person who has left. Where none is given a person's
                box follows the last joints. With upright crops a box stands for an upright body
                that fills it; P looks a second time about the joints, if it is a person's first.
                A :class:`Body <rpstn.pose.bodies.Body>` in its place is looked at exactly.
            stream: its name.
            following: the next frame, where it can be had already. Its crops are encoded while this
                one is answered, and follow people by the frames before this one (:mod:`.ahead`).

        Returns:
            Unpacks to ``joints, scores``, (N, K, 2) image pixels and (N, K).

        Raises:
            BoxError: a box is no box, or lies outside the frame.
            ValueError: the frame is no BGR image.
        """
        given = {} if boxes is None else {stream: boxes}
        return self.step_streams({stream: frame}, given, {stream: following})[stream]

    @torch.inference_mode()
    def step_streams(
        self,
        frames: Mapping[Hashable, np.ndarray],
        boxes: Mapping[Hashable, Boxes] | None = None,
        following: Mapping[Hashable, np.ndarray | None] | None = None,
    ) -> dict[Hashable, FrameResult]:
        """The next frames of several streams, by name, as :meth:`step` takes one.

        Streams need not come in every call; one that is left out stands still.
        """
        # Before anything is changed.
        given, later = checked_streams(frames, boxes or {}, following or {}, self.cropper.upright)
        tasks = {n: self._place(n, image, given[n], later) for n, image in frames.items()}
        self._ahead.arrive(frames.values())
        everybody = [task for found in tasks.values() for task in found]
        self._zoom([task for task in everybody if task.again])
        self._run([task for task in everybody if not task.again])
        return {
            name: self._answer(self._streams[name], frames[name], found)
            for name, found in tasks.items()
        }

    def tell(self, found: Sequence[FoundPerson], stream: Hashable = 0) -> None:
        """Say what the finder would of a stream's next frame, as it was asked before."""
        self._streams.setdefault(stream, Stream()).told = found

    def doubts(self, stream: Hashable = 0) -> bool:
        """Whether the colours of somebody in a stream have come to be another's."""
        people = self._streams[stream].people.values() if stream in self._streams else ()
        return any(person.appearance.strange_for > 0 for person in people)

    def close(self, stream: Hashable = 0) -> None:
        """Forget a stream, which may start anew under the same name."""
        ended = self._streams.pop(stream, None)
        self._ahead.forget(ended.people.values() if ended else ())
        self.finder.forget(stream)

    def follower(self) -> Follower:
        """What follows one person's joints in this model's crops."""
        if self._parts is not None:
            return FollowedBody(self._parts, min_score=self.min_score)
        return FollowedBox(min_score=self.min_score)

    def _place(
        self,
        name: Hashable,
        image: np.ndarray,
        given: Mapping[int, Place | None],
        following: Mapping[Hashable, np.ndarray],
    ) -> list[Task]:
        """Who is to be looked for, and where."""
        stream = exchanged(self._streams.setdefault(name, Stream()), given)
        self.finder.observe(image, name)
        tasks: list[Task] = []
        for number, asked in given.items():
            if asked is None:
                stream.people.pop(number, None)
                continue
            place = asked if isinstance(asked, Body) else self._about(np.asarray(asked, np.float32))
            person = stream.people.get(number) or stream.add(self.follower(), place, number)
            person.follower.look_at(place)
            again = self.cropper.upright and place is not asked and person.state is None
            tasks.append(Task(person, image, place, given=True, again=again))
        for number, person in stream.people.items():
            if given.get(number) is not None:
                continue
            if person.state is not None:
                elsewhere = found_again(person, stream, self.finder, image, name)
                known = following.get(name) if person.age + 2 < self._reset else None  # else P's
                tasks.append(elsewhere or self._ahead.task(person, image, known))
            elif person.retry:
                tasks.append(Task(person, image, person.follower.current(size_of(image))))
        if stream.index % self.find_every == 0:
            tasks += self._find(name, stream, image, tasks)
        return sorted(tasks, key=lambda task: task.person.id)

    def _find(
        self, name: Hashable, stream: Stream, image: np.ndarray, tasks: Sequence[Task]
    ) -> list[Task]:
        """Boxes for those who are lost, and for newcomers."""
        followed = {task.person.id for task in tasks}
        lost = [person for number, person in stream.people.items() if number not in followed]
        room = max(0, self.max_people - len(stream.people))
        rough = isinstance(self.finder, WholeFrame)
        if not (lost or room) or (rough and tasks):  # the whole frame shows those followed, too
            return []
        last = np.tile(size_of(image), 2) - 1
        seen = stream.seen(self.finder, image, name)
        boxes = np.clip(np.reshape([person.box for person in seen], (-1, 4)), 0, last)
        boxes = boxes.astype(np.float32)
        taken = [box_of(task.place) for task in tasks]
        free = [
            self._about(box, person.body)
            for person, box, some in zip(seen, boxes, has_area(boxes))
            if some and all(overlap(box, other) < 0.3 for other in taken)
        ]
        found = stream.take(free, lost, room, self.follower)
        for person, place in found:
            person.follower.look_at(None if rough else place)
        again = rough or self.cropper.upright
        return [Task(person, image, place, rough=rough, again=again) for person, place in found]

    def _about(self, box: np.ndarray, body: Body | None = None) -> Place:
        """Where to look for who is in a box (4,), or is such a body if that is known."""
        return (body or body_of_box(box)) if self.cropper.upright else box

    def _zoom(self, tasks: Sequence[Task]) -> None:
        """From a rough start to where P finds the joints in it."""
        if not tasks:
            return
        self._advance(tasks)
        for task in tasks:
            if not task.result.lost:  # else there is no place, and this is the answer
                task.place = task.person.follower.current(size_of(task.image))
                task.person.state = None
                task.rough = task.again = False

    def _run(self, tasks: Sequence[Task]) -> None:
        """One batch of those who start, and one of those who are carried on."""
        starting, carried, states = [], [], []
        for task in tasks:
            person = task.person
            person.age += 1
            if person.state is None or person.age >= self._reset:
                starting.append(task)
            else:
                carried.append(task)
                states.append(person.state)
        if starting:
            self._advance(starting)
        if carried:
            self._advance(carried, states)

    def _advance(
        self, tasks: Sequence[Task], states: Sequence[tuple[Tensor, Tensor]] | None = None
    ) -> None:
        """Look for everybody, from their states of the last frame, or by P."""
        crops = [self.cropper.about(task.place) for task in tasks]
        start = states is None
        if states is None:
            self._ahead.wait()
            heatmaps, features = self.stepper.start(cut_crops(tasks, crops))
        else:
            before = (together(maps) for maps in zip(*states))
            heatmaps, features = self._ahead.step(tasks, crops, *before)
        turned = [rotation_of(task.place) for task in tasks]
        world = world_joints(self.stepper, turned) if self.world else [None] * len(tasks)
        aligned = aligned_bodies(self.stepper, crops)
        for i, (task, crop) in enumerate(zip(tasks, crops)):
            joints, scores = self._decode(heatmaps[i], crop)
            lost = task.person.found(
                task, joints, scores, heatmaps[i : i + 1], features[i : i + 1], start, aligned[i]
            )
            state = 'lost' if lost else 'started' if start else 'tracked'
            task.result = PersonResult(
                task.person.id,
                box_about(task.place, joints, scores, self.min_score, size_of(task.image)),
                joints.astype(np.float64),  # so that they are the same after a way through text
                scores.astype(np.float64),
                state,
                self.meta,
                turned[i],
                world[i],
            )

    def _decode(self, heatmaps: Tensor, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
        """Joints (K, 2) in image pixels and scores (K,) of heatmaps (K, h, w)."""
        keypoints, scores = decode_heatmaps(self.decoder, heatmaps.float().cpu().numpy())
        return crop.to_image(keypoints[0][:, :2]), scores[0]

    def _answer(self, stream: Stream, image: np.ndarray, tasks: Sequence[Task]) -> FrameResult:
        for task in tasks:
            look_at_trunk(task, self.min_score, self._parts)
        people = stream.without_doubles(tasks)
        stream.give_up({task.person.id for task in tasks}, self.max_lost)
        stream.index += 1
        return FrameResult(stream.index - 1, math.nan, people, image, self.meta)
