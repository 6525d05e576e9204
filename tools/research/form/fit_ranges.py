#!/usr/bin/env python3
r"""Learn ranges of good and faulty squats from squat_mediapipe19.

python tools/research/form/fit_ranges.py --out rpstn/form/data/ranges/squat.json

Quantiles over the first whole repetition of each sequence, by class, of all angles at the start,
the bottom and the extremes of a repetition, and over its course. The set has joints in
space before a camera: what that saw of them takes the place of joints in the image, so that they
are lifted as those of videos are. Prints how well each angle tells
each fault from good form: the area under the ROC curve, over all days and, as recordings of one
day are alike, the mean over the days that have both.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rpstn.data.paths import find_data
from rpstn.errors import RPSTNError
from rpstn.files import replacing
from rpstn.form.angle_table import ANGLES
from rpstn.form.angles import measure_angles
from rpstn.form.exercise_fields import MOMENTS
from rpstn.form.exercises import count, load_exercise
from rpstn.form.ranges import at_moment, learn_ranges
from rpstn.form.repetitions import Repetition
from rpstn.lift import Track, lift
from rpstn.skeletons import get_skeleton
from rpstn.tables import format_table

GOOD = ('olympic squat', 'powerlifting squat')
FPS = 30.0
"""Assumed, the set does not tell; only the shortest and longest repetitions depend on it."""
SOURCE = (
    'squat_mediapipe19 (MediaPipe joints of 1,163 filmed squats, seen from the front and obliquely;'
    ' Machine-Learning-for-Squat-Analysis-and-Correction, Mukundan Chariar 2023)'
)

Example = tuple[str, dict[str, np.ndarray], Repetition]


def examples(folder: Path) -> Iterator[tuple[str, Example]]:
    """The day of each sequence, and its label, angles and first whole repetition."""
    squat = load_exercise('squat')
    with np.load(folder / 'keypoints3d.npz') as sequences, open(folder / 'labels.csv') as file:
        for row in csv.DictReader(file):
            angles, times = lifted(sequences[row['name']].astype(float))
            found = count(angles, times, squat)
            whole = next((r for r in found if not r.partial), None)
            if whole is not None:
                yield row['day'], (row['label'], angles, whole)


def lifted(joints: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Angles, and seconds, of a sequence's joints (T, 19, 3): centimetres from the camera, y down,
    z away."""
    frames = np.arange(len(joints))
    known = np.isfinite(joints).all(-1)
    known &= joints[..., 2] > 0
    joints = np.where(known[..., None], joints, np.nan)
    track = Track(
        joints[..., :2] / joints[..., 2:],
        known.astype(float),
        frames / FPS,
        frames,
        get_skeleton('mediapipe19'),
        world=joints / 100,
    )
    # In the axes of the camera, as the set does not tell its tilt.
    found = lift(track, tilt=0.0, cutoff=None)
    return measure_angles(found.joints, found.skeleton), track.times


def area(bad: list[float], good: list[float]) -> float:
    """Under the ROC curve: how often a faulty value is larger than a good one."""
    pairs = np.subtract.outer(np.array(bad), np.array(good))
    pairs = pairs[np.isfinite(pairs)]
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean()) if pairs.size else float('nan')


def separation(found: list[tuple[str, Example]]) -> list[list]:
    """Rows for each fault: the three angles and moments that tell it best within days."""
    rows = []
    labels = sorted({label for _, (label, _, _) in found} - set(GOOD))
    values = {
        (key, moment): [at_moment(angles[key], r, moment) for _, (_, angles, r) in found]
        for key in ANGLES
        for moment in MOMENTS
    }
    days = np.array([day for day, _ in found])
    of = np.array([label for _, (label, _, _) in found])
    good = np.isin(of, GOOD)
    for label in labels:
        best = []
        for (key, moment), numbers in values.items():
            x = np.array(numbers)
            within = [
                area(x[(days == day) & (of == label)], x[(days == day) & good])
                for day in np.unique(days[of == label])
                if (good & (days == day)).any()
            ]
            best.append((float(np.nanmean(within)), area(x[of == label], x[good]), key, moment))
        best.sort(key=lambda row: -abs(row[0] - 0.5))
        rows += [[label, key, moment, all_days, day] for day, all_days, key, moment in best[:5]]
    return rows


def main() -> int:
    """Learns, writes, prints, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', default='squat_mediapipe19', help='(default: %(default)s)')
    parser.add_argument('--out', required=True, type=Path, help='file of the ranges, JSON')
    args = parser.parse_args()
    try:
        found = list(examples(Path(find_data(args.data))))
    except (RPSTNError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    ranges = learn_ranges([one for _, one in found], tuple(ANGLES), MOMENTS, GOOD, SOURCE)
    with replacing(args.out) as partial:
        partial.write_text(json.dumps(ranges, separators=(',', ':')) + '\n', encoding='utf-8')
    print(format_table(['Fault', 'Angle', 'Moment', 'AUC', 'within days'], separation(found), 1, 2))
    return 0


if __name__ == '__main__':
    sys.exit(main())
