"""JHMDB (Jhuang et al., ICCV 2013): 928 clips of 21 actions, 15 joints.

N frames of a clip, 15 joints.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from rpstn.data.cache import cached_arrays
from rpstn.data.paths import find_data
from rpstn.data.points import too_far
from rpstn.data_files import read_mat
from rpstn.errors import SettingError, one_line
from rpstn.limits import FARTHEST
from rpstn.video.readers import ImageReader, UnreadableFrameError, VideoReader

from .boxes import fill_boxes, inside_image, joints_boxes, mask_box
from .clip_dataset import ClipDataset
from .holdout import check_subset, choose_subset
from .jhmdb_splits import read_split, source_video
from .metainfo import JHMDB15
from .sequence import BadSequenceError, PoseSequence

_SOURCES = ('auto', 'videos', 'images')
_JOINTS = 15


@DATASETS.register_module()
class JHMDBClipDataset(ClipDataset):
    """Clips of JHMDB, from its videos or its frame folders.

    ``data_root`` holds ``splits/<class>_test_split{1,2,3}.txt``,
    ``joint_positions/<class>/<clip>/joint_positions.mat`` (``pos_img`` (2, 15, N), 1-based),
    ``ReCompress_Videos/<class>/<clip>.avi`` or ``Rename_Images/<class>/<clip>/00001.png``, and,
    where there are any, ``puppet_mask/<class>/<clip>/puppet_mask.mat`` (``part_mask`` (H, W, N)).

    Boxes are those of the masks, or else the tight boxes of all joints, cut at the border of the
    image. Joints outside the frame are unlabelled. The data set says nothing about occlusion, so
    no joint counts as occluded. Where frames and joints differ in number by a few, the surplus is
    left out, and logged; where they differ by more than a tenth, the clip is bad data.

    Args:
        data_root: the folder, or its name below a data root (see :func:`find_data`).
        split: 1, 2 or 3.
        subset: ``'test'`` and ``'trainval'`` are the official lists. ``'val'`` is a part
            held out from the latter, ``'train'`` the rest. Clips cut from one source video are
            never divided between the two.
        val_fraction: share of ``'val'`` in the clips of ``'trainval'``.
        actions: use only these classes.
        source: ``'videos'``, ``'images'``, or ``'auto'``: a clip's frame folder where it
            exists, its video otherwise.
        kwargs: see :class:`ClipDataset`.

    Raises:
        FileNotFoundError: the split files are absent.
        BadSequenceError: see :class:`ClipDataset`.
    """

    METAINFO = JHMDB15
    SPLITS = 'splits'  # the folder of the lists

    def __init__(
        self,
        data_root: str = 'jhmdb',
        split: int = 1,
        subset: str = 'train',
        val_fraction: float = 0.15,
        actions: Sequence[str] | None = None,
        source: str = 'auto',
        **kwargs: Any,
    ) -> None:
        for field, value, allowed in (('split', split, (1, 2, 3)), ('source', source, _SOURCES)):
            if value not in allowed:
                raise SettingError(f'{field} must be one of {allowed}, got {value!r}')
        check_subset(subset, val_fraction)
        self.split = split
        self.subset = subset
        self.val_fraction = val_fraction
        self.actions = None if actions is None else set(actions)
        self.source = source
        super().__init__(data_root=str(find_data(data_root)), **kwargs)

    def load_sequences(self) -> Iterator[PoseSequence]:
        root = Path(self.data_root)
        listed = read_split(root / self.SPLITS, self.split)
        known = {name.partition('/')[0] for name in listed}
        if self.actions is not None and not self.actions <= known:
            raise SettingError(
                f'actions must be among {sorted(known)}, got {sorted(self.actions - known)}'
            )
        names = sorted(listed)
        files = [f for name in names for f in _files(root, name, self.source)]
        table = cached_arrays(
            f'jhmdb_{self.SPLITS.removesuffix("s")}{self.split}_{self.source}',
            root,
            files,
            lambda: _parse_all(root, names, self.source),
        )
        chosen = choose_subset(listed, self.subset, self.val_fraction, source_video)
        ends, surplus = np.cumsum([0, *table['frames']]), []
        for i, name in enumerate(table['name'].tolist()):
            if name not in chosen or (
                self.actions is not None and name.partition('/')[0] not in self.actions
            ):
                continue
            if table['error'][i]:
                self.reject(BadSequenceError(str(table['error'][i])))
                continue
            frames = slice(ends[i], ends[i + 1])
            if table['surplus'][i]:
                surplus.append(f'{name} ({table["surplus"][i]})')
            yield _to_sequence(
                name,
                table['joints'][frames],
                table['masks'][frames],
                tuple(table['size'][i].tolist()),
                _reader(root, name, self.source),
            )
        if surplus:
            print_log(
                f'{type(self).__name__}: frames without joints, or joints without frames, '
                f'left out at the end of {", ".join(surplus)}',
                logger='current',
                level=logging.WARNING,
            )


def _paths(root: Path, name: str) -> tuple[Path, Path, Path, Path]:
    """Joints, mask, video, frame folder."""
    return (
        root / 'joint_positions' / name / 'joint_positions.mat',
        root / 'puppet_mask' / name / 'puppet_mask.mat',
        root / 'ReCompress_Videos' / f'{name}.avi',
        root / 'Rename_Images' / name,
    )


def _uses_images(root: Path, name: str, source: str) -> bool:
    return source == 'images' or (source == 'auto' and _paths(root, name)[3].is_dir())


def _files(root: Path, name: str, source: str) -> list[Path]:
    joints, mask, video, folder = _paths(root, name)
    frames = folder if _uses_images(root, name, source) else video
    return [path for path in (joints, mask, frames) if path.exists()]


def _reader(root: Path, name: str, source: str) -> VideoReader | ImageReader:
    *_, video, folder = _paths(root, name)
    if not _uses_images(root, name, source):
        return VideoReader(str(video))
    try:
        present = {int(f[:-4]) for f in os.listdir(folder) if re.fullmatch(r'\d{5}\.png', f)}
    except OSError:
        raise UnreadableFrameError(f'{folder}: the folder of frames does not exist') from None
    if not present:
        raise UnreadableFrameError(f'{folder}: no frames (00001.png, ...) there')
    missing = sorted(set(range(1, max(present) + 1)) - present)
    if missing:
        raise UnreadableFrameError(f'{folder / f"{missing[0]:05d}.png"}: the frame does not exist')
    return ImageReader(tuple(f'{folder}{os.sep}{t:05d}.png' for t in range(1, max(present) + 1)))


def _to_sequence(
    name: str,
    joints: np.ndarray,
    masks: np.ndarray,
    size: tuple[int, int],
    reader: VideoReader | ImageReader,
) -> PoseSequence:
    """``joints`` (N, 15, 2) 1-based as in the file, ``masks`` (N, 4) boxes, NaN for none."""
    keypoints = joints - 1
    # A joint that is not a number stays labelled, so that the check of the sequence refuses it.
    labelled = inside_image(keypoints, size) | ~np.isfinite(keypoints).all(axis=2)
    boxes, _ = fill_boxes(masks, joints_boxes(keypoints, np.ones_like(labelled), size))
    return PoseSequence(
        name,
        reader,
        keypoints.astype(np.float32),
        labelled,
        np.zeros_like(labelled),
        boxes.astype(np.float32),
        size,
        name.partition('/')[0],
    )


def _parse_all(root: Path, names: Sequence[str], source: str) -> dict[str, np.ndarray]:
    rows = []
    for name in names:
        try:
            rows.append(_parse(root, name, source))
        except (BadSequenceError, UnreadableFrameError) as error:
            rows.append(
                dict(
                    joints=np.zeros((0, _JOINTS, 2)),
                    masks=np.zeros((0, 4)),
                    size=(0, 0),
                    surplus=0,
                    error=str(error),
                )
            )
    return dict(
        name=np.array(names),
        error=np.array([r.get('error', '') for r in rows]),
        size=np.array([r['size'] for r in rows], np.int32).reshape(-1, 2),
        surplus=np.array([r['surplus'] for r in rows], np.int32),
        frames=np.array([len(r['joints']) for r in rows], np.int64),
        joints=np.concatenate([r['joints'] for r in rows]).astype(np.float32),
        masks=np.concatenate([r['masks'] for r in rows]).astype(np.float32),
    )


def _parse(root: Path, name: str, source: str) -> dict:
    joints_file, mask_file, *_ = _paths(root, name)
    joints = _load(joints_file, 'pos_img')
    if joints.ndim != 3 or joints.shape[:2] != (2, _JOINTS):
        raise BadSequenceError(
            f'{joints_file}: pos_img must be (2, {_JOINTS}, frames), got {joints.shape}'
        )
    if too_far(joints).any():
        raise BadSequenceError(
            f'{joints_file}: pos_img must lie within {FARTHEST:,.0f} of the origin'
        )
    joints = joints.transpose(2, 1, 0).astype(np.float64)
    reader = _reader(root, name, source)
    size = reader.size()
    # The header's number of frames is wrong in these videos; counting decodes them once.
    frames = reader.count() if isinstance(reader, VideoReader) else len(reader.paths)
    used, surplus = min(frames, len(joints)), abs(frames - len(joints))
    if surplus > max(2, len(joints) // 10):
        raise BadSequenceError(
            f'{reader.path}: must have as many frames as {joints_file} has '
            f'joints, {len(joints)}, got {frames}'
        )
    masks = np.full((used, 4), np.nan)
    if mask_file.exists():
        mask = _load(mask_file, 'part_mask')
        if mask.ndim != 3 or mask.shape[:2] != size[::-1]:
            raise BadSequenceError(
                f'{mask_file}: part_mask must be (height, width, frames) of '
                f'the video, {(*size[::-1], used)}, got {mask.shape}'
            )
        for t in range(min(used, mask.shape[2])):
            masks[t] = mask_box(mask[:, :, t])
    return dict(joints=joints[:used], masks=masks, size=size, surplus=surplus)


def _load(file: Path, field: str) -> np.ndarray:
    if not file.is_file():
        raise BadSequenceError(f'{file}: the file does not exist')
    try:
        content = read_mat(file, [field])
    except (OSError, ValueError) as error:
        found = one_line(error)
        raise BadSequenceError(f'{file}: cannot be read as a .mat file ({found})') from None
    if field not in content:
        raise BadSequenceError(f'{file}: has no field {field}')
    if content[field].dtype.kind not in 'buif':
        raise BadSequenceError(f'{file}: {field} must be numbers, got {content[field].dtype}')
    return content[field]
