"""The Waseda squat set (Ogata, Simo-Serra, Iizuka, Ishikawa, CVPRW 2019).

T frames, V = 19 joints, P = V (V - 1) / 2 = 171 pairs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import DATASETS
from mmengine.logging import print_log

from rpstn.data.cache import cached_arrays
from rpstn.data_files import read_json
from rpstn.errors import SettingError
from rpstn.limits import FARTHEST

from ..geometry.distances import joints_from_distances, pairwise_distances
from .sequence import BadSkeletonError, SkeletonSequence, refuse
from .skeleton_dataset import SkeletonDataset

_FOLDER = '1115_3djoints_index'
_JOINTS, _PAIRS = 19, 171
# Folder -> the paper's name of the class, in its order. The release misspells the first; the
# corrected spelling is meant as well.
_FOLDERS = dict(
    bad_innner_thigh='inward knee',
    bad_inner_thigh='inward knee',
    bad_back_round='round back',
    bad_back_warp='warped back',
    bad_head='upwards head',
    bad_shallow='shallowness',
    bad_toe='frontal knee',
    good='good',
)
# A clip has 300 frames; a frame number far beyond is an error, not a gap to make room for.
_MAX_FRAMES = 10_000
# Metres by which distances may miss those of the points that explain them best.
_TOLERANCE = 0.01


@DATASETS.register_module()
class WasedaSquatDataset(SkeletonDataset):
    """Squats of seven forms as the released distances, turned back into joints.

    The layout is the release's: ``<class>/1115_3djoints_index/<name>.json``, each file
    ``{"<frame>": {"index": <frame>, "3d_joint": [171 distances in metres]}}``, the upper triangle
    of the distances between 19 joints. Distances determine the joints up to rotation, translation
    and reflection (classical multidimensional scaling); each frame is laid over the one before,
    so that a sequence moves as the person did. Frames missing between the first and the last are
    NaN, so that time is right. Parsed files are kept, for reading 2,001 of them takes minutes.

    Classes have the paper's names: bad_innner_thigh (sic) is inward knee, bad_toe frontal knee.
    Group: ``day`` is the four digits that names begin with, e.g. ``'0918'``, empty where a name
    has none; the release lists no subjects. It has no split of its own either.

    Args:
        data_root: the folder of the class folders, or its name below a data root.
        kwargs: see :class:`SkeletonDataset`.

    Raises:
        BadSkeletonError: see :class:`SkeletonDataset`. Bad are a class folder that is not known
            (one entry for all its files), malformed JSON, frame numbers that are none or differ
            from ``index``, another number of values than 171, values that are not finite, not
            positive, or not the distances of points in space (by more than 1 cm).
    """

    METAINFO = dict(
        skeleton='cocoplus19', unit='m', classes=tuple(dict.fromkeys(_FOLDERS.values()))
    )

    def __init__(self, data_root: str = 'Pose_Dataset', **kwargs: Any) -> None:
        super().__init__(data_root=data_root, **kwargs)

    def load_sequences(self) -> Iterator[SkeletonSequence]:
        root = Path(self.data_root)
        files = self._find_files(root)
        if not files:
            return
        table = cached_arrays('waseda_joints', root, files, lambda: _parse_all(files))
        ends = np.cumsum([0, *table['frames']])
        for i, file in enumerate(files):
            folder, name = file.parent.parent.name, file.stem
            if error := str(table['error'][i]):
                self.reject(f'{folder}/{name}', BadSkeletonError(f'{file}: {error}'))
                continue
            day = re.match(r'\d{4}(?=_)', name)
            yield SkeletonSequence(
                f'{folder}/{name}',
                str(file),
                _FOLDERS[folder],
                table['joints'][None, ends[i] : ends[i + 1]],
                dict(day=day.group() if day else ''),
            )

    def _find_files(self, root: Path) -> list[Path]:
        files: list[Path] = []
        for folder in sorted(
            p for p in root.iterdir() if p.is_dir() and not p.name.startswith('.')
        ):
            found = sorted((folder / _FOLDER).glob('*.json'))
            try:
                if folder.name not in _FOLDERS:
                    count = len(list(folder.rglob('*.json')))
                    refuse(
                        str(folder),
                        'the class folder',
                        f'one of {sorted(_FOLDERS)}',
                        f'{folder.name!r} ({count} files)',
                    )
                if not found:
                    refuse(str(folder), f'{_FOLDER}/*.json', 'in each class folder', 'no file')
            except BadSkeletonError as error:
                self.reject(folder.name, error)
                continue
            files += found
        return files


def _parse_all(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """All files as arrays: joints (frames of all files, 19, 3), their numbers and errors."""
    joints, frames, errors = [], [], []
    print_log(
        f'WasedaSquatDataset: reading {len(files)} files, this once',
        logger='current',
        level=logging.INFO,
    )
    for file in files:
        try:
            sequence, error = _parse(file), ''
        except ValueError as bad:
            sequence, error = np.zeros((0, _JOINTS, 3), np.float32), str(bad)
        joints.append(sequence)
        frames.append(len(sequence))
        errors.append(error)
    return dict(
        joints=np.concatenate(joints), frames=np.array(frames, np.int64), error=np.array(errors)
    )


def _parse(file: Path) -> np.ndarray:
    """The joints (T, 19, 3) in a file, metres, NaN in frames that are missing.

    Raises:
        SettingError: what is wrong, without the file.
    """
    try:
        content = read_json(file, _unique)
    except (ValueError, OSError) as error:
        raise SettingError(f'must be JSON, got {error}') from None
    if not isinstance(content, dict) or not content:
        raise SettingError(
            'must be an object with an entry for each frame, got '
            + ('an empty one' if content == {} else type(content).__name__)
        )
    rows = {_frame_number(key, entry): _distances(key, entry) for key, entry in content.items()}
    if len(rows) < len(content):
        raise SettingError(f'frame numbers must differ, got {len(content)} for {len(rows)} frames')
    first, last = min(rows), max(rows)
    if last - first >= _MAX_FRAMES:
        raise SettingError(f'frame numbers must lie within {_MAX_FRAMES}, got {first} to {last}')
    present = np.array(sorted(rows))
    distances = np.stack([rows[number] for number in present.tolist()])
    points = joints_from_distances(distances, align=True)
    misfit = np.abs(pairwise_distances(points) - distances).max(axis=1)
    if not misfit.max() <= _TOLERANCE:
        raise SettingError(
            f'3d_joint must be distances of {_JOINTS} points in space to within '
            f'{_TOLERANCE} m, got {misfit.max():.3g} m beside them in frame '
            f'{present[misfit.argmax()]}'
        )
    joints = np.full((last - first + 1, _JOINTS, 3), np.nan, np.float32)
    joints[present - first] = points
    return joints


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of a JSON file; json itself would silently keep the last of equal names."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise SettingError(f'{next(n for n in names if names.count(n) > 1)!r} twice in one object')
    return content


def _frame_number(key: str, entry: object) -> int:
    if not (key.isascii() and key.isdigit()):
        raise SettingError(f'frames must be named by their number, got {key!r}')
    if not isinstance(entry, dict) or '3d_joint' not in entry:
        raise SettingError(
            f"frame {key}: must be an object with 'index' and '3d_joint', got "
            + (f'{sorted(entry)}' if isinstance(entry, dict) else type(entry).__name__)
        )
    if entry.get('index', int(key)) != int(key):
        raise SettingError(f'frame {key}: index must be {int(key)}, got {entry["index"]!r}')
    return int(key)


def _distances(key: str, entry: dict) -> np.ndarray:
    try:
        values = np.array(entry['3d_joint'], float)
    except (TypeError, ValueError):
        raise SettingError(
            f'frame {key}: 3d_joint must be {_PAIRS} numbers, got something that is none'
        ) from None
    if values.shape != (_PAIRS,):
        raise SettingError(
            f'frame {key}: 3d_joint must be {_PAIRS} numbers, got '
            f'{" x ".join(map(str, values.shape)) or "one"}'
        )
    bad = np.flatnonzero(~((values > 0) & (values < FARTHEST)))
    if len(bad):
        raise SettingError(
            f'frame {key}: 3d_joint must be positive distances, got '
            f'{values[bad[0]]} as value {bad[0]} ({len(bad)} such)'
        )
    return values
