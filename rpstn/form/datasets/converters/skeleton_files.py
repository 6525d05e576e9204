"""The files that :class:`rpstn.form.datasets.form_dataset.SkeletonFormDataset` reads.

    keypoints3d.npz   name -> (T, V, 3) float32; keypoints2d.npz and (T, V, 2) for 2D joints
    labels.csv        name, label, split, ..., frames
    annotations.pkl   if asked for: the same in MMAction2's skeleton format, with scores, and 0 in
                      place of NaN, which its networks would learn NaN from

T frames, V skeleton joints, D = 2 or 3 coordinates.
"""

from __future__ import annotations

import csv
import pickle
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.files import staging

from ..sequence import BadSkeletonError

LABEL_SEPARATOR = ';'
LABELS, ANNOTATIONS = 'labels.csv', 'annotations.pkl'


@dataclass
class Conversion:
    """What was written, and what was not."""

    folder: Path
    skeleton: str = ''
    """Name of the skeleton that the joints are of."""
    sequences: int = 0
    frames: int = 0
    missing: float = 0.0
    """Share of the joints that are NaN."""
    classes: Counter = field(default_factory=Counter)
    """Sequences of each class."""
    skipped: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name of what was left out -> what kind of reason, and the reason in one line."""
    notes: list[str] = field(default_factory=list)
    """What else to know: columns that were not read, joints that have no place."""

    def skip(self, name: str, kind: str, reason: str = '') -> None:
        """Note something that was left out."""
        self.skipped[name] = kind, reason or kind

    def summary(self) -> str:
        """One line: sequences, frames, classes, skipped."""
        kinds = Counter(kind for kind, _ in self.skipped.values())
        why = ': ' + ', '.join(f'{n:,} {kind}' for kind, n in kinds.items()) if kinds else ''
        classes = ', '.join(f'{name} {n:,}' for name, n in sorted(self.classes.items()))
        return '; '.join(
            [
                f'{self.folder}: {self.sequences:,} sequences, {self.frames:,} frames of '
                f'{self.skeleton} ({self.missing:.1%} of joints missing)',
                f'{classes or "no labels"}',
                f'skipped {len(self.skipped):,}{why}',
                *self.notes,
            ]
        )


class SkeletonFiles:
    """Writes the files, sequence by sequence; use it in a ``with`` statement.

    They appear in ``folder`` when all is complete, and those of an earlier conversion stay until
    then; a table of labels that is of none is refused.
    After an error, or Ctrl-C, nothing is changed.

    Args:
        conversion: its ``folder`` is written to, and what is written is counted in it.
        annotations: write ``annotations.pkl``, too, which keeps scores and sizes of images (in
            memory until the end).
        multi_label: several labels of a sequence, or none, are allowed.
    """

    def __init__(
        self, conversion: Conversion, annotations: bool = False, multi_label: bool = False
    ) -> None:
        self.conversion, self.folder, self.multi_label = conversion, conversion.folder, multi_label
        self._annotations: list[dict] | None = [] if annotations else None
        self._rows: dict[str, dict] = {}
        self._dim = self._joints = self._missing = 0

    def __enter__(self) -> SkeletonFiles:
        labels = self.folder / LABELS
        if labels.exists() and not any(self.folder.glob('keypoints?d.npz')):
            raise BadSkeletonError(
                f'{labels}: is there already, and of no conversion, as there is no keypoints.npz; '
                'use another folder'
            )
        self._stack = ExitStack()
        self._hidden = self._stack.enter_context(staging(self.folder))
        self._archive = zipfile.ZipFile(self._hidden / 'joints', 'w', zipfile.ZIP_DEFLATED)
        self._stack.push(self._finish)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def write(
        self,
        name: str,
        keypoints: np.ndarray,
        labels: Sequence[str],
        fields: Mapping[str, object] | None = None,
        scores: np.ndarray | None = None,
    ) -> None:
        """Append a sequence.

        Args:
            name: unique.
            keypoints: (T, V, D) float32, NaN where a joint is missing.
            labels: one class, or any number of them with ``multi_label``.
            fields: more columns of its row: ``split``, ``day``, ``fps``, ``width``, ...
            scores: (T, V).

        Raises:
            BadSkeletonError: the name is taken, or D is not that of the sequences before.
        """
        if name in self._rows:
            raise BadSkeletonError(f'{name}: names must be unique, got it a second time')
        if self._dim and keypoints.shape[2] != self._dim:
            raise BadSkeletonError(
                f'{name}: joints must have {self._dim} coordinates, as those '
                f'of the sequences before, got {keypoints.shape[2]}'
            )
        self._dim = keypoints.shape[2]
        # As numpy.savez does it, which however takes all arrays at once, and none called 'file'.
        with self._archive.open(f'{name}.npy', 'w', force_zip64=True) as file:
            np.lib.format.write_array(
                file, np.ascontiguousarray(keypoints, np.float32), allow_pickle=False
            )
        self._rows[name] = dict(
            name=name, label=LABEL_SEPARATOR.join(labels), **(fields or {}), frames=len(keypoints)
        )
        if self._annotations is not None:
            self._annotations.append(_annotation(name, keypoints, labels, fields or {}, scores))
        self.conversion.frames += len(keypoints)
        self.conversion.sequences += 1
        self.conversion.classes.update(labels)
        gone = np.isnan(keypoints).any(axis=2)
        self._missing, self._joints = self._missing + int(gone.sum()), self._joints + gone.size

    def _finish(self, kind: type | None, *_: Any) -> None:
        """Complete the files in the hidden folder, unless an error ended the conversion."""
        self._archive.close()
        if kind is not None:
            return
        if not self._rows:
            reasons = '; '.join(reason for _, reason in list(self.conversion.skipped.values())[:3])
            raise BadSkeletonError(
                f'{self.folder}: no sequence could be converted{f" ({reasons})" if reasons else ""}'
            )
        (self._hidden / 'joints').rename(self._hidden / f'keypoints{self._dim}d.npz')
        self.conversion.missing = self._missing / self._joints
        columns = dict.fromkeys(('name', 'label', 'split'))
        columns.update((key, None) for row in self._rows.values() for key in row)
        columns['frames'] = columns.pop('frames')  # the last one
        with open(self._hidden / LABELS, 'w', encoding='utf-8', newline='') as file:
            table = csv.DictWriter(file, list(columns), restval='')
            table.writeheader()
            table.writerows(self._rows.values())
        if self._annotations is not None:
            _number_labels(self._annotations, sorted(self.conversion.classes), self.multi_label)
            with open(self._hidden / ANNOTATIONS, 'wb') as file:
                pickle.dump(self._with_split(self._annotations), file, protocol=4)

    def _with_split(self, annotations: list[dict]) -> dict | list[dict]:
        """As PoseDataset reads it: annotations and their split, or a list where there is none."""
        split: dict[str, list[str]] = {}
        for name, row in self._rows.items():
            if part := str(row.get('split', '')):
                split.setdefault(part, []).append(name)
        if not split:
            return annotations
        if rest := len(self._rows) - sum(map(len, split.values())):
            self.conversion.notes.append(f'{rest:,} sequences of {ANNOTATIONS} are in no split')
        return dict(split=split, annotations=annotations)


def _annotation(
    name: str,
    keypoints: np.ndarray,
    labels: Sequence[str],
    fields: Mapping[str, object],
    scores: np.ndarray | None,
) -> dict:
    """One entry of MMAction2's format, its label still by name."""
    missing = np.isnan(keypoints).any(axis=2)
    entry = dict(
        fields,
        frame_dir=name,
        label=list(labels),
        total_frames=len(keypoints),
        keypoint=np.where(missing[..., None], 0, keypoints)[None].astype(np.float32),
        missing=missing[None],  # of ours: in 3D nothing else tells it from a joint at 0
    )
    if fields.get('width') and fields.get('height'):
        entry['img_shape'] = entry['original_shape'] = fields['height'], fields['width']
    if keypoints.shape[2] == 2:
        scores = ~missing if scores is None else np.where(missing, 0, np.nan_to_num(scores))
        entry['keypoint_score'] = scores[None].astype(np.float32)
    return entry


def _number_labels(annotations: list[dict], classes: list[str], multi_label: bool) -> None:
    for entry in annotations:
        numbers = [classes.index(label) for label in entry['label']]
        entry['label'] = numbers if multi_label else numbers[0]
