"""What is wrong with results, if anything is."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np

from .cases import Case


def wrong_results(case: Case, said: str) -> str | None:
    """What is wrong with the results of `rpstn infer`, if anything is."""
    stems = {p.name.removesuffix('.json') for p in case.out.glob('*.json')}
    if len(stems) != 1:
        return f'results of {len(stems)} inputs'
    stem = stems.pop()
    try:
        frames = json.loads((case.out / f'{stem}.json').read_text())['frames']
        with open(case.out / f'{stem}.csv', newline='') as file:
            rows = list(csv.DictReader(file))
        with np.load(case.out / f'{stem}.npz') as arrays:
            content = dict(arrays)
    except (OSError, ValueError, KeyError) as error:
        return f'half written: {type(error).__name__}: {error}'
    numbers = [frame['frame'] for frame in frames]
    times = [frame['time'] for frame in frames]
    if numbers != sorted(set(numbers)):
        return f'frames are {numbers}'
    if not all(math.isfinite(time) for time in times) or times != sorted(times):
        return f'times are {times}'
    points = np.array([frame['keypoints'] for frame in frames], float)
    if not np.isfinite(points).all():
        return 'joints are not finite'
    found = np.array([[float(row[name]) for name in ('x', 'y', 'score')] for row in rows])
    if not np.array_equal(found.ravel(), points.ravel()):
        return 'CSV and JSON differ'
    if content['frame'].tolist() != numbers:
        return 'NPZ and JSON differ'
    if case.frames is not None and len(numbers) < case.frames and not _told(said):
        return f'{len(numbers)} of {case.frames} frames, and not told'
    if case.same is not None:
        expected = json.loads((Path(case.same) / f'{stem}.json').read_text())['frames']
        if expected != frames:
            return f'{len(frames)} frames, other than those of a run that was never stopped'
    return None


def _told(said: str) -> bool:
    return any(
        word in said for word in ('could be decoded', 'cannot be decoded', 'damaged', 'left out')
    )


def wrong_figures(case: Case) -> str | None:
    """What is wrong with what `rpstn test` wrote, if anything is."""
    try:
        figures = json.loads((case.out / 'figures.json').read_text())
    except (OSError, ValueError) as error:
        return f'half written: {type(error).__name__}: {error}'
    return None if figures else 'no figures'


def wrong_skeletons(case: Case) -> str | None:
    """What is wrong with what the converter wrote, if anything is."""
    try:
        (archive,) = case.out.glob('*.npz')
        with np.load(archive) as file:
            arrays = dict(file)
        with open(case.out / 'labels.csv', newline='') as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        return f'half written: {type(error).__name__}: {error}'
    if [row['name'] for row in rows] != list(arrays):
        return 'table and archive differ'
    if any(np.isinf(array).any() for array in arrays.values()):
        return 'joints are not finite'
    if case.same is not None:
        (other,) = Path(case.same).glob('*.npz')
        with np.load(other) as file:
            if any(not np.array_equal(file[k], arrays[k], equal_nan=True) for k in file):
                return 'other joints than the file holds'
    return None
