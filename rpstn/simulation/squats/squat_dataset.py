"""Squats of the seven classes of the Waseda set, simulated: training and tests without a file.

T frames, V skeleton joints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import DATASETS

from rpstn.errors import SettingError
from rpstn.form.datasets.sequence import SkeletonSequence
from rpstn.form.datasets.skeleton_dataset import SkeletonDataset
from rpstn.skeletons import get_skeleton

from ..athletes.skeleton import Proportions
from .observation import JointSensor
from .squat import squat_joints
from .squat_form import SQUAT_CLASSES, SquatForm, SquatStyle, SquatTempo, random_body

PARTS = ('train', 'test')
SIMULATED = 'simulated'
"""The day of all simulated squats."""


@DATASETS.register_module()
class SyntheticSquatDataset(SkeletonDataset):
    """Simulated squats, each class in the same number, in metres.

    Everything is drawn from ``seed``: people of different proportions and habits, who each
    perform all classes in turn; for each sequence how strong the fault is, what else varies
    within good form, tempo, standing before, between and after repetitions; then how a
    :class:`JointSensor` sees it. Two data sets of the same arguments are the same, and a sequence
    does not depend on how many others there are. Sequences begin and end standing.

    Groups: ``subject``, of whom none is in both parts, ``split``, the part, and ``day``, which is
    ``'simulated'`` for all: beside recordings they are a session of their own. Sequences are made
    when the data set is built.

    Args:
        num_sequences: how many.
        part: ``'train'`` or ``'test'``; the two share nothing, people included.
        num_subjects: how many people.
        repetitions: fewest and most squats in a sequence.
        skeleton: of the joints, see :func:`get_skeleton`; those that are not simulated
            (such as SMPL's spine) are NaN throughout.
        fps: frames per second.
        sensor: arguments of :class:`JointSensor`; 8 mm noise, 5 mm bias and 3 % scale
            error by default.
        mapping: simulated class -> the same among another data set's classes, which ``metainfo``
            gives; classes that are not in it are left out. None: all, by their own names.
        seed: decides everything.
        kwargs: see :class:`SkeletonDataset`.

    Raises:
        SettingError: an argument that is not allowed.
    """

    METAINFO = dict(classes=SQUAT_CLASSES, skeleton='cocoplus19', unit='m')

    def __init__(
        self,
        num_sequences: int = 700,
        part: str = 'train',
        num_subjects: int = 20,
        repetitions: Sequence[int] = (1, 3),
        skeleton: str = 'cocoplus19',
        fps: float = 30.0,
        sensor: dict | None = None,
        mapping: Mapping[str, str] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if part not in PARTS:
            raise SettingError(f'part must be one of {PARTS}, got {part!r}')
        low, high = repetitions
        for field, value, least in (
            ('num_sequences', num_sequences, 1),
            ('num_subjects', num_subjects, 1),
            ('fewest repetitions', low, 1),
            ('most repetitions', high, low),
            ('seed', seed, 0),
        ):
            if not isinstance(value, int) or value < least:
                raise SettingError(f'{field} must be an integer of at least {least}, got {value!r}')
        if not 1 <= fps <= 1000:
            raise SettingError(f'fps must be in [1, 1000], got {fps!r}')
        self.mapping = dict(zip(SQUAT_CLASSES, SQUAT_CLASSES) if mapping is None else mapping)
        classes = (kwargs.get('metainfo') or {}).get('classes') or SQUAT_CLASSES
        if mapping is not None and not (
            set() < {*self.mapping} <= {*SQUAT_CLASSES} and {*self.mapping.values()} <= {*classes}
        ):
            raise SettingError(
                f'mapping must be from some of {SQUAT_CLASSES} to some of the classes '
                f'{tuple(classes)}, got {self.mapping}'
            )
        if 'skeleton' in (kwargs.get('metainfo') or {}):
            raise SettingError(
                "the skeleton must be given as 'skeleton', not in 'metainfo', got "
                f'{kwargs["metainfo"]!r}'
            )
        self.skeleton = get_skeleton(skeleton).name
        self.num_sequences, self.num_subjects = num_sequences, num_subjects
        self.part, self.repetitions, self.fps, self.seed = part, (low, high), fps, seed
        self.sensor = JointSensor(**{**dict(noise=0.008, bias=0.005, scale=0.03), **(sensor or {})})
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        # Not through the argument metainfo, where MMEngine takes each string for a file's name.
        self._metainfo['skeleton'] = self.skeleton
        return super().load_data_list()

    def load_sequences(self) -> Iterator[SkeletonSequence]:
        people = [self._person(number) for number in range(self.num_subjects)]
        kept = [label for label in SQUAT_CLASSES if label in self.mapping]
        for index in range(self.num_sequences):
            turn, number = divmod(index, len(kept))
            subject, label = turn % self.num_subjects, kept[number]
            person = f'{self.part}_{subject:03d}'
            joints = self._joints(index, label, *people[subject])
            yield SkeletonSequence(
                f'{person}/{label.replace(" ", "_")}/{index:05d}',
                f'{type(self).__name__}(seed={self.seed})',
                self.mapping[label],
                joints[None].astype(np.float32),
                dict(subject=person, split=self.part, day=SIMULATED),
            )

    def _rng(self, kind: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, PARTS.index(self.part), kind, number])

    def _person(self, number: int) -> tuple[Proportions, SquatStyle]:
        rng = self._rng(0, number)
        body = random_body(rng)
        return body, SquatStyle.random(rng, body)

    def _joints(self, index: int, label: str, body: Proportions, style: SquatStyle) -> np.ndarray:
        """(T, V, 3) of one sequence."""
        rng = self._rng(1, index)
        low, high = self.repetitions
        tempo = SquatTempo.random(rng, int(rng.integers(low, high + 1)))
        times, course = tempo.course(self.fps, rng)
        joints = squat_joints(
            body,
            SquatForm.random(rng, label),
            times,
            course,
            style.varied(rng),
            int(rng.integers(2**31)),
            skeleton=self.skeleton,
        )
        return self.sensor.observe(joints, rng)
