"""Answers of several models for real clips that are made harder.

Shapes: N frames of a clip, K joints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpstn.files import replacing
from rpstn.pose.datasets import ClipDataset
from rpstn.simulation import CrossingPerson, LimbOcclusion, MotionBlur

from lite_evaluation import videos
from lite_predictors import Predictor

BLURS = (5, 9, 15)
LONGEST = 20
WHOLE = 'whole frames'
Stress = Callable[[dict], dict]


@dataclass(frozen=True)
class Clip:
    """What is known of a clip under one stress."""

    video: str
    keypoints: np.ndarray
    """(N, K, 2) labels, pixels."""
    labelled: np.ndarray
    """(N, K) bool."""
    hidden: np.ndarray
    """(N, K) bool, labelled joints under what was drawn."""
    boxes: np.ndarray
    """(N, 4) of the labelled person."""
    hidden_for: np.ndarray
    """(N,) frames since the occlusion began, from 1 on; 0 outside of it."""
    walker: np.ndarray
    """(N, K, 2) joints of the person who crosses; NaN where there is none."""

    @classmethod
    def of(cls, results: dict) -> Clip:
        """From frames as a stress leaves them."""
        frames = results['frames']

        def stacked(key: str) -> np.ndarray:
            return np.stack([frame[key][0] for frame in frames])

        keypoints, labelled = stacked('keypoints'), stacked('keypoints_visible') > 0
        nobody = np.full(keypoints.shape[1:], np.nan)
        return cls(
            results['video'],
            keypoints,
            labelled,
            labelled & (stacked('keypoints_occluded') > 0),
            stacked('bbox'),
            np.array([frame.get('hidden_for', 0) for frame in frames]),
            np.stack([frame.get('walker', nobody) for frame in frames]),
        )


@dataclass(frozen=True)
class Answers:
    """All rows' answers for all clips under one stress.

    ``found[row][clip]`` is (N, K, 2), NaN where there is none.
    """

    clips: Sequence[Clip]
    found: Mapping[tuple[str, str], Sequence[np.ndarray]]


def only(answers: Answers, others: Answers) -> Answers:
    """Those of the clips that are among the others'."""
    names = {clip.video for clip in others.clips}
    chosen = [number for number, clip in enumerate(answers.clips) if clip.video in names]
    return Answers(
        [answers.clips[number] for number in chosen],
        {row: [found[number] for number in chosen] for row, found in answers.found.items()},
    )


def stresses(joints: str, seed: int, draws: int) -> dict[str, Stress | None]:
    """By name: nothing, the longest occlusion (its beginning is any shorter one), somebody who
    crosses, blur."""
    return {
        'clean': None,
        **{
            f'occlusion {draw}': LimbOcclusion(joints, LONGEST, LONGEST, seed + draw)
            for draw in range(draws)
        },
        'crossing': CrossingPerson(joints, seed),
        **{f'blur {length}': MotionBlur(length, seed) for length in BLURS},
    }


def measure(
    rows: Mapping[tuple[str, str], Predictor],
    dataset: ClipDataset,
    conditions: Mapping[str, Stress | None],
    every: int = 1,
    folder: Path | None = None,
    blur_every: int = 1,
) -> Iterator[tuple[str, Answers]]:
    """Each condition's answers.

    Args:
        rows: models, by name and by what they see.
        dataset: whole clips.
        conditions: by name, as :func:`stresses` has them.
        every: only so many clips.
        folder: where answers are kept, and read again from.
        blur_every: of these clips only so many are blurred.
    """
    for name, stress in conditions.items():
        blurred = name.startswith('blur')
        step = every * blur_every if blurred else every
        results = [(stress(r) if stress else r) for r in videos(dataset, step)]
        clips = [Clip.of(r) for r in results]
        found = {}
        for row, predict in rows.items():
            if blurred and row[1] != WHOLE:
                continue  # crops from labels are as they were, and blur hides nothing
            file = folder and folder / f'{_slug(name)}_{_slug(" ".join(row))}.npz'
            found[row] = _read(file, clips) if file and file.is_file() else []
            if not found[row]:
                found[row] = [np.stack(list(predict(r))) for r in results]
                if file:
                    _write(file, found[row])
        yield name, Answers(clips, found)


def _slug(text: str) -> str:
    return re.sub(r'\W+', '-', text.lower())


def _write(file: Path, found: Sequence[np.ndarray]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as partial, partial.open('wb') as out:
        np.savez_compressed(out, *found)


def _read(file: Path, clips: Sequence[Clip]) -> list[np.ndarray]:
    """What was kept, or nothing where that is of other clips."""
    with np.load(file) as kept:
        found = [kept[f'arr_{i}'] for i in range(len(kept.files))]
    fits = [a.shape for a in found] == [clip.keypoints.shape for clip in clips]
    return found if fits else []
