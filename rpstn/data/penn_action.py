"""Penn Action's label files (Zhang, Zhu, Derpanis, ICCV 2013), which poses and forms are read from.

N frames of a sequence, 13 joints. What the files hide:

- coordinates are 1-based pixels; here they are 0-based;
- a joint that was not annotated lies at (1, 1), in files that were rescaled anywhere from
  (0.67, 0.67) to (1.52, 1.52); here it is NaN;
- a joint with ``visibility`` 0 anywhere else is hidden, its label the annotators' guess;
- two files have one box less than frames, ten have boxes without area: these are as they are;
- fields are unsigned and as small as their content allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpstn.data_files import read_mat
from rpstn.errors import BadSequenceError, SettingError, one_line
from rpstn.files import is_stray
from rpstn.limits import FARTHEST, PIXELS

from .cache import cached_arrays
from .points import too_far

_FIELDS = ('x', 'y', 'visibility', 'bbox', 'train', 'nframes', 'dimensions', 'action')
_JOINTS = 13
# 1-based pixels: the placeholder (1, 1) lies below 1.53 in every file, however it was rescaled,
# and no annotated joint lies nearer to the corner than 8.
_PLACEHOLDER = 2


@dataclass(frozen=True)
class PennLabels:
    """What one file says of one sequence.

    Attributes:
        file: ``labels/NNNN.mat``.
        error: why the file cannot be read, else ''. Then nothing else is known.
        training: it belongs to the training part of the files' own split.
        action: one of 15.
        image_size: (width, height).
        joints: (N, 13, 2) float32, 1-based pixels as in the file.
        visible: (N, 13) bool.
        boxes: (about N, 4) float32, x1 y1 x2 y2 in 0-based pixels.
    """

    file: Path
    error: str
    training: bool
    action: str
    image_size: tuple[int, int]
    joints: np.ndarray
    visible: np.ndarray
    boxes: np.ndarray

    @property
    def name(self) -> str:
        """``'NNNN'``, of the file and of the folder of frames."""
        return self.file.stem

    @property
    def source(self) -> str:
        """What ten neighbours in the numbering share, which often were cut from one video."""
        return self.name[:-1]

    def keypoints(self) -> np.ndarray:
        """(N, 13, 2) float32, 0-based pixels, NaN where a joint was not annotated.

        Raises:
            BadSequenceError: the file cannot be read, or holds a joint that is not finite.
        """
        if self.error:
            raise BadSequenceError(f'{self.file}: {self.error}')
        if not np.isfinite(self.joints).all():
            frame, joint = np.argwhere(~np.isfinite(self.joints).all(axis=2))[0]
            raise BadSequenceError(
                f'{self.file}: x and y must be finite, got '
                f'{self.joints[frame, joint].tolist()} for joint {joint} of frame {frame}'
            )
        absent = ~self.visible & (self.joints < _PLACEHOLDER).all(axis=2)
        return np.where(absent[..., None], np.float32(np.nan), self.joints - 1)


def read_penn_labels(root: str | Path) -> list[PennLabels]:
    """All of ``<root>/labels/NNNN.mat``, by name; the parsed files are kept for the next time.

    Raises:
        FileNotFoundError: there is none.
    """
    root = Path(root)
    files = sorted(file for file in (root / 'labels').glob('*.mat') if not is_stray(file))
    if not files:
        raise FileNotFoundError(f'{root / "labels"}: no label files (NNNN.mat) there')
    table = cached_arrays('penn_action', root, files, lambda: _parse_all(files))
    ends, box_ends = (np.cumsum([0, *table[key]]) for key in ('frames', 'boxes'))
    return [
        PennLabels(
            file,
            str(table['error'][i]),
            bool(table['train'][i] == 1),
            str(table['action'][i]),
            tuple(table['size'][i].tolist()),
            table['joints'][ends[i] : ends[i + 1]],
            table['visible'][ends[i] : ends[i + 1]],
            table['bbox'][box_ends[i] : box_ends[i + 1]] - 1,
        )
        for i, file in enumerate(files)
    ]


def _parse_all(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """All label files as arrays: frames one after the other, their numbers per file."""
    rows = []
    for file in files:
        try:
            row = _parse(file)
        # SciPy raises many kinds for a damaged file; each is one bad sequence, none the end.
        except Exception as error:  # noqa: BLE001
            row = dict(
                joints=np.zeros((0, _JOINTS, 2)),
                visible=np.zeros((0, _JOINTS)),
                bbox=np.zeros((0, 4)),
                size=(0, 0),
                train=0,
                action='',
                error=f'cannot be read as a Penn Action label file ({one_line(error)})',
            )
        rows.append(row)
    return dict(
        error=np.array([r.get('error', '') for r in rows]),
        action=np.array([r['action'] for r in rows]),
        train=np.array([r['train'] for r in rows], np.int8),
        size=np.array([r['size'] for r in rows], np.int32).reshape(-1, 2),
        frames=np.array([len(r['joints']) for r in rows], np.int64),
        boxes=np.array([len(r['bbox']) for r in rows], np.int64),
        joints=np.concatenate([r['joints'] for r in rows]).astype(np.float32),
        visible=np.concatenate([r['visible'] for r in rows]).astype(bool),
        bbox=np.concatenate([r['bbox'] for r in rows]).astype(np.float32),
    )


def _parse(file: Path) -> dict:
    content = read_mat(file, _FIELDS)
    missing = [field for field in _FIELDS if field not in content]
    if missing:
        raise SettingError(f'fields {missing} are missing; needed are {_FIELDS}')
    # Widened before any arithmetic: uint8 - 1 wraps around at 0.
    x, y, visible, bbox = (content[k].astype(np.float64) for k in ('x', 'y', 'visibility', 'bbox'))
    frames, train = (int(content[k].item()) for k in ('nframes', 'train'))
    for field, array in (('x', x), ('y', y), ('visibility', visible)):
        if array.shape != (frames, _JOINTS):
            raise SettingError(
                f'{field} must be (nframes, {_JOINTS}) = {(frames, _JOINTS)}, got {array.shape}'
            )
    if bbox.ndim != 2 or bbox.shape[1] != 4:
        raise SettingError(f'bbox must be (boxes, 4), got {bbox.shape}')
    if train not in (1, -1):
        raise SettingError(f'train must be 1 or -1, got {train}')
    for field, array in (('x', x), ('y', y), ('bbox', bbox)):
        if too_far(array).any():
            raise SettingError(f'{field} must lie within {FARTHEST:,.0f} of the origin')
    height, width = map(float, content['dimensions'].ravel()[:2])
    if not (height >= 1 and width >= 1 and height * width <= PIXELS.value):
        raise SettingError(
            f'dimensions must be height and width of at most {PIXELS.value:,} pixels together '
            f'({PIXELS.variable}), got {height:g} and {width:g}'
        )
    return dict(
        joints=np.stack([x, y], axis=2),
        visible=visible > 0,
        bbox=bbox,
        size=(int(width), int(height)),
        train=train,
        action=str(content['action'].item()),
    )
