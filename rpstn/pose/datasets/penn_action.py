"""Penn Action (Zhang, Zhu, Derpanis, ICCV 2013): 2,326 sequences of 15 actions, 13 joints.

N frames of a sequence, 13 joints.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import scipy.io
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from rpstn.data.cache import cached_arrays
from rpstn.data.paths import find_data
from rpstn.video.readers import ImageReader

from .boxes import fill_boxes, inside_image, joints_boxes
from .clip_dataset import ClipDataset
from .holdout import SUBSETS, check_subset, choose_subset
from .metainfo import PENN13
from .sequence import BadSequenceError, PoseSequence

_FIELDS = ('x', 'y', 'visibility', 'bbox', 'train', 'nframes', 'dimensions', 'action')
# In a folder of frames that were drawn from the annotations.
RENDERED_MARKER = 'RENDERED.txt'
_RENDERED_ROOT = 'penn_action_rendered'
_JOINTS = 13
# 1-based pixels: the placeholder (1, 1) lies below 1.53 in every file, however it was rescaled,
# and no annotated joint lies nearer to the corner than 8.
_PLACEHOLDER = 2


@DATASETS.register_module()
class PennActionDataset(ClipDataset):
    """Clips of Penn Action, from the original download as it is.

    ``data_root`` holds ``labels/NNNN.mat`` and ``frames/NNNN/NNNNNN.jpg``. What the files hide:

    - coordinates are 1-based pixels; here they are 0-based;
    - a joint that was not annotated lies at (1, 1), in files that were rescaled anywhere from
      (0.67, 0.67) to (1.52, 1.52), and is unlabelled (here at (0, 0)); so is one outside the
      frame;
    - a joint with ``visibility`` 0 anywhere else is labelled and occluded;
    - two files have one box less than frames, and ten have boxes without area (the box was drawn
      around the visible joints, in these frames one). Such boxes are taken from the labelled
      joints, or else from the nearest frame that has one, and their number is logged;
    - fields are unsigned and as small as their content allows.

    Args:
        data_root: the folder, or its name below a data root (see :func:`find_data`).
        subset: ``'trainval'`` and ``'test'`` are the official ones (the files' own ``train``
            field), ``'all'`` is both. ``'val'`` is a part held out from the former, ``'train'``
            the rest. Ten neighbours in the numbering, often of one video, stay together.
        val_fraction: share of ``'val'`` in the sequences of ``'trainval'``.
        actions: use only these, e.g. ``['squat']``.
        frames_dir: where the frames are: a folder below ``data_root`` or any
            other. Defaults to ``<data_root>/frames``, and where there are none, to those of
            tools/data/render_penn.py in ``penn_action_rendered/frames`` below a data root. A
            warning says when rendered frames are used: results on them are none on Penn Action.
        check_frames: whether a sequence needs its frames. Without them only annotations
            can be used.
        kwargs: see :class:`ClipDataset`.

    Raises:
        FileNotFoundError: no labels, or no frames at all.
        BadSequenceError: see :class:`ClipDataset`.
    """

    METAINFO = PENN13

    def __init__(
        self,
        data_root: str = 'penn_action',
        subset: str = 'train',
        val_fraction: float = 0.1,
        actions: Sequence[str] | None = None,
        frames_dir: str | None = None,
        check_frames: bool = True,
        **kwargs,
    ) -> None:
        self.subset = subset
        self.val_fraction = val_fraction
        check_subset(self.subset, val_fraction, (*SUBSETS, 'all'))
        self.actions = None if actions is None else set(actions)
        self.check_frames = check_frames
        root = find_data(data_root)
        self.frames_dir = _find_frames(root, frames_dir, check_frames)
        if (
            self.frames_dir.parent.name == _RENDERED_ROOT
            or (self.frames_dir / RENDERED_MARKER).exists()
        ):
            print_log(
                f'{type(self).__name__}: the frames in {self.frames_dir} are NOT the '
                'photographs but rendered from the annotations; results on them are not '
                'results on Penn Action',
                logger='current',
                level=logging.WARNING,
            )
        super().__init__(data_root=str(root), **kwargs)

    def load_sequences(self) -> Iterator[PoseSequence]:
        root = Path(self.data_root)
        files = sorted((root / 'labels').glob('*.mat'))
        if not files:
            raise FileNotFoundError(f'{root / "labels"}: no label files (NNNN.mat) there')
        table = cached_arrays('penn_action', root, files, lambda: _parse_all(files))
        known = set(table['action'].tolist()) - {''}
        if self.actions is not None and not self.actions <= known:
            raise ValueError(
                f'actions must be among {sorted(known)}, got {sorted(self.actions - known)}'
            )
        chosen = set(table['name'].tolist())
        if self.subset != 'all':
            training = dict(zip(table['name'].tolist(), table['train'] == 1, strict=True))
            chosen = choose_subset(training, self.subset, self.val_fraction, _neighbours)
        mended: list[str] = []
        ends, box_ends = (np.cumsum([0, *table[k]]) for k in ('frames', 'boxes'))
        for i, name in enumerate(table['name'].tolist()):
            error, action = str(table['error'][i]), str(table['action'][i])
            try:
                if error:
                    raise BadSequenceError(f'{root / "labels" / name}.mat: {error}')
                if name not in chosen or (self.actions is not None and action not in self.actions):
                    continue
                frames, boxes = slice(ends[i], ends[i + 1]), slice(box_ends[i], box_ends[i + 1])
                sequence, count = _to_sequence(
                    name,
                    table['joints'][frames],
                    table['visible'][frames],
                    table['bbox'][boxes],
                    table['size'][i],
                    action,
                    self._reader(name, int(table['frames'][i])),
                    root / 'labels' / f'{name}.mat',
                )
            except BadSequenceError as bad:
                self.reject(bad)
                continue
            if count:
                mended.append(f'{name} ({count})')
            yield sequence
        if mended:
            print_log(
                f'{type(self).__name__}: boxes missing or without area taken from the '
                f'joints or the nearest frame, in {", ".join(mended)}',
                logger='current',
                level=logging.INFO,
            )

    def _reader(self, name: str, frames: int) -> ImageReader:
        folder = self.frames_dir / name
        if self.check_frames:
            try:
                present = set(os.listdir(folder))
            except OSError:
                raise BadSequenceError(f'{folder}: the folder of frames does not exist') from None
            missing = [
                f'{t:06d}.jpg' for t in range(1, frames + 1) if f'{t:06d}.jpg' not in present
            ]
            if missing:
                raise BadSequenceError(
                    f'{folder / missing[0]}: the frame does not exist; '
                    f'{len(missing)} of {frames} are missing'
                )
        return ImageReader(tuple(f'{folder}{os.sep}{t:06d}.jpg' for t in range(1, frames + 1)))


def _neighbours(name: str) -> str:
    return name[:-1]


def _find_frames(root: Path, frames_dir: str | None, required: bool) -> Path:
    if frames_dir is None:
        places, elsewhere = [root / 'frames'], f'{_RENDERED_ROOT}/frames' if required else ''
    else:
        places, elsewhere = [root / frames_dir, Path(frames_dir)], frames_dir
    if elsewhere and not Path(elsewhere).is_absolute():
        try:
            places.append(find_data(elsewhere))
        except FileNotFoundError:
            pass
    for place in places:
        if place.is_dir() and (not required or any(p.is_dir() for p in place.iterdir())):
            return place
    if required:
        raise FileNotFoundError(
            f'no frames of Penn Action (NNNN/NNNNNN.jpg); looked in: '
            f'{", ".join(map(str, dict.fromkeys(places)))}. Unpack the original frames there, '
            'set frames_dir, or render stand-ins from the labels with tools/data/render_penn.py.'
        )
    return places[0]


def _to_sequence(
    name: str,
    joints: np.ndarray,
    visible: np.ndarray,
    boxes: np.ndarray,
    size: np.ndarray,
    action: str,
    reader: ImageReader,
    file: Path,
) -> tuple[PoseSequence, int]:
    """The sequence, and how many of its boxes had to be mended.

    Args:
        joints: (N, 13, 2) 1-based, as in the file.
        visible: (N, 13) bool.
        boxes: (N', 4) 1-based.
        size: (2,) width and height.
    """
    if not np.isfinite(joints).all():
        frame, joint = np.argwhere(~np.isfinite(joints).all(axis=2))[0]
        found = joints[frame, joint].tolist()
        raise BadSequenceError(
            f'{file}: x and y must be finite, got {found} for joint {joint} of frame {frame}'
        )
    absent = ~visible & (joints < _PLACEHOLDER).all(axis=2)
    keypoints = np.where(absent[..., None], 0, joints - 1)
    size = (int(size[0]), int(size[1]))
    labelled = ~absent & inside_image(keypoints, size)
    boxes = boxes[: len(keypoints)] - 1
    boxes = np.concatenate([boxes, np.full((len(keypoints) - len(boxes), 4), np.nan)])
    filled, count = fill_boxes(boxes, joints_boxes(keypoints, labelled, size))
    return PoseSequence(
        name,
        reader,
        keypoints.astype(np.float32),
        labelled,
        labelled & ~visible,
        filled.astype(np.float32),
        size,
        action,
    ), count


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
                error=f'cannot be read as a Penn Action label file ({error})',
            )
        rows.append(row)
    return dict(
        name=np.array([f.stem for f in files]),
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
    content = scipy.io.loadmat(file, variable_names=_FIELDS)
    missing = [field for field in _FIELDS if field not in content]
    if missing:
        raise ValueError(f'fields {missing} are missing; needed are {_FIELDS}')
    # Widened before any arithmetic: uint8 - 1 wraps around at 0.
    x, y, visible, bbox = (content[k].astype(np.float64) for k in ('x', 'y', 'visibility', 'bbox'))
    frames, train = (int(content[k].item()) for k in ('nframes', 'train'))
    for field, array in (('x', x), ('y', y), ('visibility', visible)):
        if array.shape != (frames, _JOINTS):
            raise ValueError(
                f'{field} must be (nframes, {_JOINTS}) = {(frames, _JOINTS)}, got {array.shape}'
            )
    if bbox.ndim != 2 or bbox.shape[1] != 4:
        raise ValueError(f'bbox must be (boxes, 4), got {bbox.shape}')
    if train not in (1, -1):
        raise ValueError(f'train must be 1 or -1, got {train}')
    height, width = (int(v) for v in content['dimensions'].ravel()[:2])
    return dict(
        joints=np.stack([x, y], axis=2),
        visible=visible > 0,
        bbox=bbox,
        size=(width, height),
        train=train,
        action=str(content['action'].item()),
    )
