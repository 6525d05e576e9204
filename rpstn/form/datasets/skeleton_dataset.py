"""Base of the data sets of labelled skeleton sequences, in MMAction2's own item format.

M persons, T frames, V skeleton joints, D = 2 or 3 coordinates.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.datasets import BaseActionDataset
from mmaction.registry import TRANSFORMS
from mmengine.dataset import force_full_init
from mmengine.logging import print_log

from rpstn.data.paths import find_data
from rpstn.errors import SettingError, first_line
from rpstn.skeletons import get_skeleton

from .sequence import BadSkeletonError, SkeletonSequence, refuse
from .splits import split_indices


class SkeletonDataset(BaseActionDataset):
    """Skeleton sequences with a label, or several; subclasses read them from files.

    An item, before the pipeline, is what MMAction2's skeleton pipelines take: ``frame_dir`` (a
    unique name), ``label`` (int, or with ``multi_class`` one-hot float (num_classes,)),
    ``keypoint`` (M, T, V, D) float32 with NaN where a joint is missing, ``total_frames``,
    ``start_index`` 0, ``modality`` ``'Pose'``, each group the file gives (``day``, ``subject``,
    ``split``), and for 2D joints ``keypoint_score`` (M, T, V) float32 and ``img_shape`` (h, w).
    It is a copy of its own, so transforms may change it in place.

    ``metainfo`` has ``classes`` (tuple of names; a number is one, too: 0 is ``'0'``),
    ``skeleton`` (see :func:`get_skeleton`) and ``unit`` of length.

    Args:
        data_root: the folder, or its name below a data root (see :func:`find_data`).
        ann_file: below ``data_root``; empty if the data set has no single file.
        split: which sequences; a list is applied one after the
            other, each on what the one before it leaves (:mod:`rpstn.form.datasets.splits`).
        pipeline: transforms of MMAction2.
        prepare: transforms without randomness that come before ``pipeline``, applied
            once, when the data are loaded: cleaning costs more than all else in a pipeline.
        metainfo: overrides the class's own, e.g. ``dict(classes=(...))``.
        bad_data: ``'skip'`` leaves out what cannot be used, counts it, logs one line and
            keeps the reasons in :attr:`skipped`; ``'raise'`` stops at it.
        min_frames: frames with a joint in them that a sequence needs.
        multi_class: a sequence may have any number of labels.
        num_classes: defaults to the number of classes.
        test_mode: as in MMEngine.
        serialize_data: as in MMEngine. False by default: workers share the arrays of a
            forked process anyway, and only the small objects around them are ever copied.
        kwargs: ``indices``, ``lazy_init``, ``max_refetch`` of MMEngine's ``BaseDataset``.

    Attributes:
        skipped: name of each sequence left out -> why.

    Raises:
        BadSkeletonError: nothing usable is found; or any sequence is bad, with ``'raise'``.
        SettingError: a split or an option that is not allowed.
    """

    METAINFO: dict = {}
    num_classes: int | None

    def __init__(
        self,
        data_root: str | None = '',
        ann_file: str = '',
        split: Mapping | Sequence[Mapping] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        prepare: Sequence[dict | Callable] = (),
        metainfo: dict | None = None,
        bad_data: str = 'skip',
        min_frames: int = 2,
        multi_class: bool = False,
        num_classes: int | None = None,
        test_mode: bool = False,
        serialize_data: bool = False,
        **kwargs: Any,
    ) -> None:
        if bad_data not in ('skip', 'raise'):
            raise SettingError(f"bad_data must be 'skip' or 'raise', got {bad_data!r}")
        if not isinstance(min_frames, int) or min_frames < 1:
            raise SettingError(f'min_frames must be an integer of at least 1, got {min_frames!r}')
        self.split = split
        self.bad_data = bad_data
        self.min_frames = min_frames
        self.skipped: dict[str, str] = {}
        # MMEngine's Compose looks in the root registry, unless a default scope is set.
        self.prepare = _build(prepare)
        super().__init__(
            ann_file,
            pipeline=_build(pipeline),
            data_root=str(find_data(data_root)) if data_root else '',
            data_prefix={},
            metainfo=_with_named_classes(metainfo),
            multi_class=multi_class,
            num_classes=num_classes,
            test_mode=test_mode,
            modality='Pose',
            serialize_data=serialize_data,
            **kwargs,
        )

    @abstractmethod
    def load_sequences(self) -> Iterator[SkeletonSequence]:
        """Every sequence of the data set, whatever the split; a bad one goes to :meth:`reject`.

        Where ``metainfo`` has no classes, it sets them before the first sequence.
        """

    def reject(self, name: str, error: BadSkeletonError) -> None:
        """Note a sequence that cannot be used, or stop, as ``bad_data`` says."""
        if self.bad_data == 'raise':
            raise error
        key, count = name, 1
        while key in self.skipped:
            count += 1
            key = f'{name} ({count})'
        self.skipped[key] = str(error)

    def load_data_list(self) -> list[dict]:
        """Checks all sequences, says what was left out, and gives the items of the split."""
        self.skipped = {}
        items: dict[str, dict] = {}
        groups: list[Mapping] = []
        joints = get_skeleton(self._metainfo['skeleton']).num_joints
        for sequence in self.load_sequences():
            try:
                if sequence.name in items:
                    refuse(sequence.where, 'name', 'unique', 'a second sequence of this name')
                sequence.check(joints, self.min_frames)
                items[sequence.name] = self._item(sequence)
                groups.append(sequence.groups)
            except BadSkeletonError as error:
                self.reject(sequence.name, error)
            except (TypeError, ValueError, OverflowError) as error:  # of a label, a size, ...
                found = f'{type(error).__name__}: {first_line(error)}'
                self.reject(
                    sequence.name, BadSkeletonError(f'{sequence.where}: cannot be used ({found})')
                )
        self._report(len(items))
        count = len(self._metainfo['classes'])
        self.num_classes = self.num_classes or count
        if self.num_classes < count:
            raise SettingError(f'num_classes must be at least {count}, got {self.num_classes}')
        fields = {
            name: [g.get(name, '') for g in groups]
            for name in dict.fromkeys(name for g in groups for name in g)
        }
        data = list(items.values())
        try:
            chosen = split_indices(self.split, [item['label'] for item in data], fields)
        except ValueError as error:
            raise SettingError(f'{type(self).__name__} ({self._place}): {error}') from None
        return [self._prepared(data[i]) for i in chosen]

    @force_full_init
    def prepare_data(self, idx: int) -> dict | None:
        """The item after the pipeline; what fails in it says with which sequence."""
        info = self.get_data_info(idx)
        try:
            return self.pipeline(info)
        except Exception as error:
            # In a worker, whose traceback shows no data, nothing else would tell the sequence.
            raise RuntimeError(
                f'{self._place}, {self._stored(idx)["frame_dir"]}: {type(error).__name__}: {error}'
            ) from error

    def _prepared(self, item: dict) -> dict:
        for transform in self.prepare:
            item = transform(item)
        return item

    def _item(self, sequence: SkeletonSequence) -> dict:
        numbers = sequence.class_numbers(self._metainfo['classes'])
        if not self.multi_class and len(numbers) != 1:
            refuse(
                sequence.where,
                'label',
                'one class, unless multi_class is set',
                f'{sequence.label!r}',
            )
        item: dict[str, Any] = dict(
            frame_dir=sequence.name,
            label=numbers if self.multi_class else numbers[0],
            keypoint=np.ascontiguousarray(sequence.keypoint, np.float32),
            total_frames=sequence.keypoint.shape[1],
            **sequence.groups,
        )
        if sequence.keypoint_score is not None:
            item['keypoint_score'] = np.ascontiguousarray(sequence.keypoint_score, np.float32)
        if sequence.img_shape is not None:
            item['img_shape'] = tuple(map(int, sequence.img_shape))
        return item

    def _report(self, usable: int) -> None:
        if not usable and not self.skipped:
            raise BadSkeletonError(f'{self._place}: no sequences there')
        if not self.skipped:
            return
        name, reason = next(iter(self.skipped.items()))
        text = (
            f'{type(self).__name__}: skipped {len(self.skipped)} of '
            f'{usable + len(self.skipped)} sequences (reasons in dataset.skipped), '
            f'the first {name!r}: {reason}'
        )
        if not usable:
            raise BadSkeletonError(f'{text}; none is left')
        print_log(text, logger='current', level=logging.WARNING)

    @property
    def _place(self) -> Path:
        """What error messages about the whole data set name."""
        return Path(self.ann_file or self.data_root)

    @force_full_init
    def labels(self) -> list[int | list[int]]:
        """The label of each item, a list of them with ``multi_class``."""
        return [self._stored(i)['label'] for i in range(len(self))]

    @force_full_init
    def class_counts(self) -> dict[str, int]:
        """How many items have each class."""
        counts = Counter(i for label in self.labels() for i in np.atleast_1d(label).tolist())
        return {name: counts[i] for i, name in enumerate(self._metainfo['classes'])}

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class numbers of an item, as MMEngine's ``ClassBalancedDataset`` asks for them."""
        return [int(i) for i in np.atleast_1d(self._stored(idx)['label'])]

    def _stored(self, idx: int) -> dict:
        """An item as it is kept, not to be changed."""
        if self.serialize_data:
            return super(BaseActionDataset, self).get_data_info(idx)
        return self.data_list[idx]


def _with_named_classes(metainfo: dict | None) -> dict | None:
    """Its classes as a tuple of names, as the labels of a table are.

    Raises:
        SettingError: they are no list, or two have one name.
    """
    if not metainfo or metainfo.get('classes') is None:
        return metainfo
    classes = metainfo['classes']
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise SettingError(f'classes must be a list of names, got {classes!r}')
    names = tuple(map(str, classes))
    if len(set(names)) < len(names):
        raise SettingError(f'classes must differ, got {names}')
    return dict(metainfo, classes=names)


def _build(transforms: Sequence[dict | Callable]) -> list[Callable]:
    """Out of MMAction2's registry, whatever the default scope is."""
    return [
        t if callable(t) else TRANSFORMS.build({'_scope_': 'mmaction', **t}) for t in transforms
    ]
