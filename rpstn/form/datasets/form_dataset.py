"""Skeleton sequences of exercise form out of an archive and a table, or MMAction2's own files.

T frames, V skeleton joints, D = 2 or 3 coordinates.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import DATASETS

from rpstn.data_files import read_lines, read_npz
from rpstn.errors import SettingError, first_line

from .sequence import BadSkeletonError, SkeletonSequence, refuse
from .skeleton_dataset import SkeletonDataset

LABEL_SEPARATOR = ';'
_MOST_CLASSES = 10_000
_NEEDED = ('name', 'label')
# What an item has under these names comes from elsewhere.
_RESERVED = {
    'frame_dir',
    'filename',
    'label',
    'keypoint',
    'keypoint_score',
    'total_frames',
    'img_shape',
    'original_shape',
    'start_index',
    'modality',
    'sample_idx',
}


@DATASETS.register_module()
class SkeletonFormDataset(SkeletonDataset):
    """Real squats by default: 3D joints in centimetres and seven forms.

    Two kinds of annotation:

    - ``ann_file`` an ``.npz`` archive, name -> (T, V, D), NaN where a joint is missing, and
      ``label_file`` a CSV table with the columns ``name`` and ``label``. ``frames`` is checked
      against the array, ``width`` and ``height`` give 2D joints their ``img_shape``, and each
      other column (``split``, ``day``, ``subject``, ...) is a group. A sequence with several
      labels has them in one cell, separated by ``;``, and needs ``multi_class=True``; there an
      empty cell means none of the classes.
    - ``ann_file`` a ``.pkl`` in MMAction2's skeleton format: ``dict(split={part: [names]},
      annotations=[dict(frame_dir, label, keypoint (M, T, V, D), ...)])``. It is read without
      executing anything (:func:`rpstn.safe_pickle.load_arrays`). What is missing there is 0: joints
      at 0 with score 0, or all of a person in a frame, become NaN, and those of the converters'
      ``missing`` (M, T, V).

    Args:
        data_root: see :class:`SkeletonDataset`.
        ann_file: see above.
        label_file: see above; not used with a ``.pkl``.
        kwargs: see :class:`SkeletonDataset`. Without classes in ``metainfo`` they are the labels
            of the table, sorted, or the numbers in a ``.pkl``. Joints other than the squat set's
            need ``metainfo=dict(skeleton='coco17', unit='px')`` or the like.
    """

    METAINFO = dict(skeleton='mediapipe19', unit='cm', axes=(1, -1, -1))

    def __init__(
        self,
        data_root: str | None = 'squat_mediapipe19',
        ann_file: str = 'keypoints3d.npz',
        label_file: str = 'labels.csv',
        **kwargs: Any,
    ) -> None:
        if Path(ann_file).suffix not in ('.npz', '.pkl'):
            raise SettingError(f'ann_file must be an .npz or a .pkl file, got {ann_file!r}')
        self.label_file = label_file
        super().__init__(data_root=data_root, ann_file=ann_file, **kwargs)

    def load_sequences(self) -> Iterator[SkeletonSequence]:
        path = Path(self.ann_file)
        if path.suffix == '.pkl':
            yield from self._load_pickle(path)
        else:
            yield from self._load_table(path, Path(self.data_root) / self.label_file)

    def _load_table(self, path: Path, table: Path) -> Iterator[SkeletonSequence]:
        rows = _read_table(table)
        self._metainfo.setdefault(
            'classes', tuple(sorted({label for row in rows for label in self._labels(row)}))
        )
        columns = [c for c in (rows[0] if rows else ()) if c not in (*_NEEDED, 'frames')]
        arrays, unread = _read_archive(path)
        for row in rows:
            name = row['name']
            try:
                if name in unread:
                    refuse(f'{path}, {name}', 'the array', 'readable without pickle', unread[name])
                if name not in arrays:
                    refuse(f'{path}', 'names', f'those of {table}', f'no {name!r}')
                joints = arrays[name]
                if joints.ndim != 3:
                    refuse(f'{path}, {name}', 'the array', '(T, V, D)', f'shape {joints.shape}')
                if 'frames' in row and row['frames'].strip() != str(len(joints)):
                    refuse(
                        f'{table}, {name}',
                        'frames',
                        f'the {len(joints)} of {path.name}',
                        repr(row['frames']),
                    )
            except BadSkeletonError as error:
                self.reject(name, error)
                continue
            labels = self._labels(row)
            yield SkeletonSequence(
                name,
                str(path),
                labels if self.multi_class else row['label'],
                joints[None],
                {c: row[c] for c in columns},
                img_shape=_image_shape(row, joints.shape[2]),
            )
        listed = {row['name'] for row in rows}
        for name in (n for n in (*arrays, *unread) if n not in listed):
            self.reject(
                name, BadSkeletonError(f'{table}: names must be those of {path}, got no {name!r}')
            )

    def _labels(self, row: dict) -> list[str]:
        """The labels in a row of the table; an empty cell is none with multi_class."""
        if not self.multi_class:
            return [row['label']] if row['label'] else []
        return [label for label in map(str.strip, row['label'].split(LABEL_SEPARATOR)) if label]

    def _load_pickle(self, path: Path) -> Iterator[SkeletonSequence]:
        from rpstn.safe_pickle import load_arrays

        content = load_arrays(path)
        annotations, parts = _annotations(path, content)
        labels = (a.get('label') for a in annotations if isinstance(a, dict))
        numbers = [number for label in labels for number in _class_numbers(label)]
        self._metainfo.setdefault('classes', tuple(map(str, range(max(numbers, default=-1) + 1))))
        for number, annotation in enumerate(annotations):
            name = f'annotation {number}'
            try:
                if not isinstance(annotation, dict):
                    refuse(f'{path}, {name}', 'it', 'a dict', type(annotation).__name__)
                name = str(annotation.get('frame_dir', annotation.get('filename', name)))
                yield _from_annotation(path, name, annotation, parts)
            except BadSkeletonError as error:
                self.reject(name, error)
            except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
                found = f'{type(error).__name__}: {first_line(error)}'
                self.reject(
                    name, BadSkeletonError(f'{path}, {name}: must be as MMAction2 has it ({found})')
                )


def _class_numbers(label: object) -> list[int]:
    """Those that a label is, or holds; none of what cannot be one."""
    numbers = label if isinstance(label, (list, tuple, np.ndarray)) else [label]
    return [
        int(number)
        for number in np.ravel(np.asarray(numbers, object))
        if isinstance(number, (int, np.integer)) and 0 <= number < _MOST_CLASSES
    ]


def _read_table(path: Path) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(read_lines(path), restval='')
        columns = tuple(reader.fieldnames or ())
        missing = [c for c in _NEEDED if c not in columns]
        if missing:
            raise BadSkeletonError(f'{path}: columns must include {_NEEDED}, got {columns}')
        if taken := sorted((_RESERVED - {'label'}) & set(columns)):
            refuse(str(path), 'columns', 'called other than what the joints give', f'{taken}')
        return [
            {key: value.strip() for key, value in row.items() if isinstance(value, str)}
            for row in reader
        ]
    except BadSkeletonError:
        raise
    except (ValueError, csv.Error) as error:
        raise BadSkeletonError(f'{path}: must be a CSV table in UTF-8, got {error}') from None


def _image_shape(row: dict[str, str], dims: int) -> tuple[int, int] | None:
    height, width = row.get('height', ''), row.get('width', '')
    known = dims == 2 and all(re.fullmatch('[0-9]{1,9}', side) for side in (height, width))
    return (int(height), int(width)) if known else None


def _read_archive(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays, and for those that cannot be read, why."""
    unread: dict[str, str] = {}
    try:
        return read_npz(path, unread), unread
    except ValueError as error:
        raise BadSkeletonError(f'{path}: must be an .npz archive of arrays, got {error}') from None


def _annotations(path: Path, content: object) -> tuple[list, dict[str, tuple[str, ...]]]:
    """The annotations of a file in MMAction2's format, and name -> parts of its splits."""
    if isinstance(content, list):
        return content, {}
    if not isinstance(content, dict) or not isinstance(content.get('annotations'), list):
        raise BadSkeletonError(
            f'{path}: must be a list of annotations or a dict with '
            f"'annotations' and 'split', got {type(content).__name__}"
            + (f' with {sorted(map(str, content))}' if isinstance(content, dict) else '')
        )
    parts: dict[str, tuple[str, ...]] = {}
    split = content.get('split') or {}
    if not isinstance(split, dict) or not all(
        isinstance(names, (list, tuple, np.ndarray)) for names in split.values()
    ):
        refuse(str(path), 'split', 'a dict of lists of names', type(split).__name__)
    for part, names in split.items():
        for name in names:
            parts[str(name)] = (*parts.get(str(name), ()), str(part))
    return content['annotations'], parts


def _from_annotation(
    path: Path, name: str, annotation: dict, parts: dict[str, tuple[str, ...]]
) -> SkeletonSequence:
    where = f'{path}, {name}'
    for key in ('label', 'keypoint'):
        if key not in annotation:
            refuse(where, 'fields', f'such that {key!r} is among them', f'{sorted(annotation)}')
    arrays: dict[str, np.ndarray] = {}
    for key in ('keypoint', 'keypoint_score'):
        if annotation.get(key) is not None:
            arrays[key] = np.asarray(annotation[key])
    joints = arrays['keypoint']
    total = annotation.get('total_frames', joints.shape[1] if joints.ndim == 4 else None)
    if joints.ndim == 4 and total != joints.shape[1]:
        refuse(where, 'total_frames', f"keypoint's {joints.shape[1]}", f'{total!r}')
    if joints.ndim == 4 and np.issubdtype(joints.dtype, np.floating):
        joints = np.where(
            _missing(annotation, joints, arrays.get('keypoint_score')), np.nan, joints
        )
    groups: dict[str, str | tuple[str, ...]] = {
        key: str(value)
        for key, value in annotation.items()
        if key not in _RESERVED and isinstance(value, (str, int, float, np.generic))
    }
    if parts:
        groups['split'] = parts.get(name, ())
    return SkeletonSequence(
        name,
        str(path),
        _plain(annotation['label']),
        joints,
        groups,
        arrays.get('keypoint_score'),
        annotation.get('img_shape'),
    )


def _missing(annotation: dict, joints: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
    """(M, T, V, 1): where joints (M, T, V, D) at 0 stand for none."""
    zero = (joints == 0).all(axis=3)
    known = annotation.get('missing')
    if isinstance(known, np.ndarray) and known.shape == zero.shape:
        gone = known.astype(bool)
    elif scores is not None and scores.shape == zero.shape:
        gone = zero & (scores == 0)
    else:
        gone = zero.all(axis=2, keepdims=True) & zero
    return gone[..., None]


def _plain(label: Any) -> str | int | Sequence:
    return label.tolist() if isinstance(label, (np.ndarray, np.generic)) else label
