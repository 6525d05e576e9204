"""Labels and splits of Fitness-AQA (Parmar, Gharat, Rhodin, ECCV 2022), as released.

``Squat`` and ``OHP``: ``Labeled_Dataset/Labels/error_<error>.json`` maps the id of each video to a
list of ``[start, end]`` in seconds, empty where the error does not occur; ``BarbellRow``:
``labels_<error>_error.json`` maps frames to 0 or 1. ``Splits/{train,val,test}_keys.json`` list ids.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from rpstn.data.joints.joint_json import is_number, load_json

from ..sequence import BadSkeletonError, refuse

SPLITS = ('train', 'val', 'test')
_LABELS = re.compile(r'error_(?P<spans>.+)|labels_(?P<frames>.+)_error')
# '<video>_<frame>', '<video>/<frame>', with or without the suffix of an image.
_FRAME_KEY = re.compile(r'(.+)[_/](\d+)(?:\.\w+)?')
_IMAGES = ('.jpg', '.jpeg', '.png')


class Intervals(NamedTuple):
    """When an error occurs in a video: pairs (start, end) in seconds."""

    spans: tuple[tuple[float, float], ...]

    def occurs(self) -> bool:
        """Whether it does at all."""
        return bool(self.spans)

    def share(self, first: int, last: int, fps: float) -> float:
        """How much of a window is covered by one interval, or of that by the window.

        Of the shorter of the two, so that neither a brief error within a long window nor a long
        one around it counts for little; 1 for an interval without length that lies in the window.

        Args:
            first, last: the window's frames, ``last`` not included; frame t lasts from t / fps to
                (t + 1) / fps.
        """
        start, end = first / fps, last / fps
        shares = [0.0]
        for a, b in self.spans:
            shorter = min(b - a, end - start)
            overlap = min(b, end) - max(a, start)
            shares.append(float(start <= a < end) if shorter <= 0 else overlap / shorter)
        return max(shares)


class FrameLabels(NamedTuple):
    """Whether an error shows in a frame, for the frames that have a label: frame -> 0 or 1."""

    frames: Mapping[int, int]

    def occurs(self) -> bool:
        """Whether it shows in any frame."""
        return any(self.frames.values())

    def share(self, first: int, last: int, fps: float) -> float:
        """The part of a window's labelled frames with the error; NaN where none has a label."""
        inside = [value for frame, value in self.frames.items() if first <= frame < last]
        return sum(inside) / len(inside) if inside else math.nan


Occurrence = Intervals | FrameLabels


class FitnessAQALabels(NamedTuple):
    """What a folder of the release says about its videos."""

    folder: Path
    errors: tuple[str, ...]
    """Names of the errors, sorted."""
    videos: dict[str, dict[str, Occurrence]]
    """Video -> error -> when it occurs; an error is absent where a file does not have the video."""
    splits: dict[str, str]
    """Video -> 'train', 'val' or 'test'; empty if the folder has no splits."""


def read_labels(root: Path) -> FitnessAQALabels:
    """All labels and splits of one exercise.

    Args:
        root: ``Squat``, ``OHP`` or ``BarbellRow``, or its ``Labeled_Dataset``.

    Raises:
        FileNotFoundError: no labels there.
        BadSkeletonError: naming the file, the video, what was allowed and what came; or the
            folder holds single images, such as ``Shallow_Squat_Error_Dataset``.
    """
    found = [
        (place, file, match)
        for place in (root, root / 'Labeled_Dataset')
        for folder in (place / 'Labels', place)
        for file in sorted(folder.glob('*.json'))
        if (match := _LABELS.fullmatch(file.stem))
    ]
    if not found:
        _refuse_without_labels(root)
    folder = found[0][0]
    videos: dict[str, dict[str, Occurrence]] = {}
    errors: list[str] = []
    for _, file, match in found:
        error = match['spans'] or match['frames']
        if error in errors:
            refuse(str(file), 'the error', 'in one file', f'a second one of {error}')
        errors.append(error)
        occurrences = _read_intervals(file) if match['spans'] else _read_frames(file)
        for video, occurrence in occurrences.items():
            videos.setdefault(video, {})[error] = occurrence
    return FitnessAQALabels(folder, tuple(sorted(errors)), videos, _read_splits(folder))


def _refuse_without_labels(root: Path) -> NoReturn:
    if not root.is_dir():
        raise FileNotFoundError(f'{root}: no such folder')
    if 'Shallow_Squat' in root.resolve().name or any(
        path.suffix.lower() in _IMAGES for path in root.rglob('*')
    ):
        raise BadSkeletonError(
            f'{root}: holds images with one label each, no videos; a single frame is no sequence, '
            'and nothing that is learned from movement can be learned from it. Labelled videos '
            'are in Squat, OHP and BarbellRow'
        )
    raise FileNotFoundError(
        f'{root}: no labels; looked for Labels/error_<error>.json and '
        'labels_<error>_error.json in it and in Labeled_Dataset'
    )


def _mapping(file: Path) -> dict:
    content = load_json(file)
    if not isinstance(content, dict):
        refuse(str(file), 'the file', 'an object', type(content).__name__)
    return content


def _video(key: str) -> str:
    return key.removesuffix('.mp4')


def _read_intervals(file: Path) -> dict[str, Occurrence]:
    found: dict[str, Occurrence] = {}
    for key, spans in _mapping(file).items():
        if not isinstance(spans, list):
            refuse(f'{file}: {key}', 'intervals', 'a list of [start, end]', repr(spans))
        for span in spans:
            numbers = isinstance(span, list) and len(span) == 2 and all(map(is_number, span))
            if not (numbers and 0 <= span[0] <= span[1] < math.inf):
                allowed = '[start, end] in seconds, 0 <= start <= end'
                refuse(f'{file}: {key}', 'an interval', allowed, repr(span))
        found[_video(key)] = Intervals(tuple((float(a), float(b)) for a, b in spans))
    return found


def _read_frames(file: Path) -> dict[str, Occurrence]:
    """``{video: {frame: 0 or 1}}``, ``{video: [0 or 1, ...]}`` or ``{<video>_<frame>: 0 or 1}``."""
    found: dict[str, dict[int, int]] = {}
    for key, value in _mapping(file).items():
        video = _video(key)
        if isinstance(value, list):
            value = dict(enumerate(value))
        if not isinstance(value, dict):
            match = _FRAME_KEY.fullmatch(key)
            if match is None:
                refuse(f'{file}: {key}', 'the name of a frame', '<video>_<frame>', repr(key))
            video, value = match[1], {match[2]: value}
        for frame, label in value.items():
            digits = re.search(r'\d+(?=\D*$)', Path(str(frame)).stem)
            if digits is None:
                refuse(f'{file}: {key}', 'a frame', 'a number', repr(frame))
            if label not in (0, 1):
                refuse(f'{file}: {key}: frame {frame}', 'the label', '0 or 1', repr(label))
            number = int(digits[0])
            if found.setdefault(video, {}).setdefault(number, int(label)) != label:
                refuse(f'{file}: {key}', f'frame {number}', 'labelled once', 'both 0 and 1')
    return {video: FrameLabels(frames) for video, frames in found.items()}


def _read_splits(folder: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split in SPLITS:
        file = folder / 'Splits' / f'{split}_keys.json'
        if not file.exists():
            continue
        keys = load_json(file)
        if not isinstance(keys, list) or not all(isinstance(key, str | int) for key in keys):
            refuse(str(file), 'the file', 'a list of ids', type(keys).__name__)
        for video in map(_video, map(str, keys)):
            if splits.setdefault(video, split) != split:
                found = f'it in {splits[video]} and {split}'
                refuse(f'{file}: {video}', 'a video', 'in one split', found)
    return splits
