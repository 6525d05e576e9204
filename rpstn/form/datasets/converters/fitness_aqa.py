"""Fitness-AQA (Parmar, Gharat, Rhodin, ECCV 2022) -> multi-label skeleton sequences.

Its videos become skeletons by pose estimation first (``rpstn infer``, or any that writes one
of the formats of :func:`~rpstn.data.joints.joint_files.read_joints`); errors are the classes, and a
sequence has any number of them, none where the exercise is done well.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpstn.data.joints.joint_files import ENDINGS, read_joints
from rpstn.data.joints.joint_people import Person
from rpstn.data.joints.to_skeleton import ToSkeleton
from rpstn.errors import SettingError

from ..sequence import BadSkeletonError
from .fitness_aqa_labels import FitnessAQALabels, Intervals, Occurrence, read_labels
from .joints_folder import UNREADABLE, check_arguments, facts
from .skeleton_files import Conversion, SkeletonFiles

UNLABELLED, UNSPLIT, POSELESS = 'without labels', 'in no split', 'without a skeleton'
UNKNOWN = 'windows without a labelled frame'


@dataclass(frozen=True)
class Windows:
    """How sequences are cut into windows with targets of their own.

    Args:
        seconds: length of a window.
        stride: from the start of one to that of the next; defaults to their length.
        overlap: a window has an error if this part of the window and an interval of the error is
            shared, measured by the shorter of the two; for labels of frames, if this part of the
            window's labelled frames has it.
    """

    seconds: float
    stride: float | None = None
    overlap: float = 0.5

    def __post_init__(self) -> None:
        for name, value in (('seconds', self.seconds), ('stride', self.stride)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise SettingError(f'window: {name} must be above 0, got {value}')
        if not 0 < self.overlap <= 1:
            raise SettingError(f'window: overlap must be above 0 and at most 1, got {self.overlap}')

    def cut(self, frames: int, fps: float) -> Iterator[tuple[int, int]]:
        """First frame, and the one after the last, of each window; the last window ends with the
        sequence, and a sequence shorter than a window is one.
        """
        length = max(1, round(self.seconds * fps))
        step = max(1, round((self.stride or self.seconds) * fps))
        last = max(0, frames - length)
        for first in (*range(0, last, step), last):
            yield first, min(first + length, frames)


def convert_fitness_aqa(
    root: str | Path,
    skeletons: str | Path,
    out: str | Path,
    *,
    errors: Sequence[str] | None = None,
    window: Windows | None = None,
    skeleton: str | None = None,
    target: str | None = None,
    person: Person | None = None,
    min_score: float = 0.0,
    fps: float | None = None,
    scale: float = 1.0,
    skip_bad: bool = False,
    annotations: bool = False,
) -> Conversion:
    """Convert the labelled videos of one exercise.

    Left out, counted and named in the result: videos that are labelled but in no split (unless
    there are no splits at all), or in a split but not in the label files of all ``errors``, or
    without a skeleton.

    Args:
        root: ``Squat``, ``OHP`` or ``BarbellRow`` of the release, or its ``Labeled_Dataset``.
        skeletons: folder of the skeletons, ``<id>.json`` or another of
            :data:`~rpstn.data.joints.joint_files.ENDINGS`, whose frames count from 0 at the
            beginning of the video.
        out: the folder that is written to, see :mod:`.skeleton_files`.
        errors: which of them, e.g. ``['knees_inward']``; None takes all.
        window: a sequence and its target are this much of a video. None: the whole video, with
            the errors that occur in it at all.
        skeleton, target, scale: see :class:`ToSkeleton`.
        person, min_score: see :func:`read_joints`.
        fps: frames per second, in place of what the skeletons' files say; needed for windows.
        skip_bad: leave out and count skeletons that cannot be read, rather than stop at one.
        annotations: write MMAction2's format, too, see :class:`SkeletonFiles`.

    Raises:
        BadSkeletonError: naming the file, the place in it, what was allowed and what came.
        FileNotFoundError: there is no such folder.
        SettingError: an option is not allowed.
    """
    root, skeletons, out = Path(root), Path(skeletons), Path(out)
    labels = read_labels(root)
    check_arguments(skeletons, out, fps)
    errors = _choose(labels, errors)
    conversion = Conversion(out, classes=Counter(dict.fromkeys(errors, 0)))
    to_skeleton, beyond = ToSkeleton(skeleton, target, scale), 0
    with SkeletonFiles(conversion, annotations, multi_label=True) as files:
        for video, path in _usable(labels, errors, skeletons, conversion):
            try:
                # Seconds of the labels count from the beginning of the video.
                sequence = read_joints(path, person, min_score, first_frame=0)
                joints, scores = to_skeleton(sequence)
                found = facts(sequence, fps)
                rate = fps or sequence.fps
                if window is not None and rate is None:
                    raise BadSkeletonError(
                        f'{path}: fps must be told for windows, for the file does not tell it'
                    )
            except BadSkeletonError as error:
                if not skip_bad:
                    raise
                conversion.skip(video, UNREADABLE, str(error))
                continue
            occurrences = {error: labels.videos[video][error] for error in errors}
            beyond += rate is not None and _ends(occurrences) > len(joints) / rate + 0.5
            fields = {'split': labels.splits.get(video, ''), 'video': video, **found}
            if window is None or rate is None:
                whole = [e for e, occurrence in occurrences.items() if occurrence.occurs()]
                files.write(video, joints, whole, fields, scores)
                continue
            for first, last in window.cut(len(joints), rate):
                name = f'{video}@{first:05d}'
                present = _present(occurrences, first, last, rate, window.overlap)
                if present is None:
                    conversion.skip(name, UNKNOWN)
                    continue
                files.write(
                    name,
                    joints[first:last],
                    present,
                    {**fields, 'start': f'{first / rate:.6g}', 'end': f'{last / rate:.6g}'},
                    None if scores is None else scores[first:last],
                )
        conversion.skeleton = to_skeleton.written
        conversion.notes += to_skeleton.notes()
        if beyond:
            conversion.notes.append(
                f'{beyond:,} videos have errors more than half a second after '
                'the end of their skeleton: is fps right?'
            )
    return conversion


def _choose(labels: FitnessAQALabels, errors: Sequence[str] | None) -> tuple[str, ...]:
    unknown = sorted(set(errors or ()) - set(labels.errors))
    if unknown or (errors is not None and not errors):
        raise SettingError(
            f'errors must be some of {", ".join(labels.errors)}, got {", ".join(unknown) or "none"}'
        )
    return tuple(sorted(set(errors or labels.errors)))


def _usable(
    labels: FitnessAQALabels, errors: Sequence[str], skeletons: Path, conversion: Conversion
) -> Iterator[tuple[str, Path]]:
    for video in sorted({*labels.videos, *labels.splits}):
        lacking = [error for error in errors if error not in labels.videos.get(video, {})]
        if labels.splits and video not in labels.splits:
            conversion.skip(video, UNSPLIT)
        elif lacking:
            conversion.skip(video, UNLABELLED, f'no label of {", ".join(lacking)}')
        elif path := next(
            (p for end in ENDINGS if (p := skeletons / f'{video}{end}').is_file()), None
        ):
            yield video, path
        else:
            conversion.skip(video, POSELESS)


def _present(
    occurrences: dict[str, Occurrence], first: int, last: int, fps: float, overlap: float
) -> list[str] | None:
    """The errors of a window; None if one of them is not known."""
    shares = {e: occurrence.share(first, last, fps) for e, occurrence in occurrences.items()}
    if any(map(math.isnan, shares.values())):
        return None
    return [error for error, share in shares.items() if share >= overlap]


def _ends(occurrences: dict[str, Occurrence]) -> float:
    """When the last error ends, in seconds; 0 without one."""
    return max(
        (end for o in occurrences.values() if isinstance(o, Intervals) for _, end in o.spans),
        default=0.0,
    )
