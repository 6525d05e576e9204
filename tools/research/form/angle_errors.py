#!/usr/bin/env python3
r"""Measure the error of every angle by view, and simulate it where it cannot be measured.

python tools/research/form/angle_errors.py --out rpstn/form/data/angle_errors.json

Measured are root mean squares against joints triangulated from four cameras, in the views that
these have of the person (measured_angles.py). Simulated squats of random bodies are seen from the
front, obliquely and from the side by a sensor whose joints are off by --across metres in the image
and --along metres along the line of sight, half of the variance constant over a recording, half
slow; the root mean square of an angle's differences at the bottom is its margin, how far it varies
from recording to recording. Where nothing was measured the error is that, times what measured
errors are of simulated ones in the median.

The defaults are what the bones of squat_mediapipe19 say, whose lengths should not change: from
standing to the bottom shoulders, seen across, change by 4 cm, trunk and shanks by 5, thighs, seen
end-on, by 12 (1.48 times the median absolute deviation).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np
from scipy.ndimage import gaussian_filter1d

from rpstn.data.paths import find_data
from rpstn.errors import RPSTNError
from rpstn.files import replacing
from rpstn.form.angle_table import ANGLES, VIEWS
from rpstn.form.angles import measure_angles
from rpstn.simulation.squats.squat import squat_joints
from rpstn.simulation.squats.squat_form import (
    SQUAT_CLASSES,
    SquatForm,
    SquatStyle,
    SquatTempo,
    random_body,
)

from measured_angles import measured_errors

FPS, SLOW = 30, 6.0
"""Frames a second, and frames over which the slow half of the errors lasts, as of joints behind a
low-pass filter."""
AZIMUTHS = dict(zip(VIEWS, (0.0, 45.0, 90.0)))
HIDDEN = {'front': ('heel_lift',), 'side': ('fppa', 'knee_valgus', 'knee_offset', 'stance_width')}
"""From the side what lies across the body is all depth. From the front heels are behind the feet:
in three filmed squats with flat feet they seem to rise by 5 to 6 cm."""
# From the world of the simulation, x ahead and z up, to a camera ahead: x right, y up, z towards.
_FACING = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def squat(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, 33, 3) of one squat that faces the camera, and its course (T,)."""
    body = random_body(rng)
    form = SquatForm.random(rng, str(rng.choice(SQUAT_CLASSES)))
    times, course = SquatTempo(1, 0.8, 1.3, 0.4, 1.1).course(FPS)
    style = SquatStyle.random(rng, body)
    joints = squat_joints(
        body, form, times, course, style, int(rng.integers(1000)), skeleton='mediapipe33'
    )
    return joints @ _FACING, course


def turned(joints: np.ndarray, azimuth: float) -> np.ndarray:
    """About the vertical, to the camera's right."""
    cos, sin = np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))
    return joints @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])


def seen(joints: np.ndarray, rng: np.random.Generator, sizes: np.ndarray) -> np.ndarray:
    """As a sensor of such standard deviations (3,) has them."""
    slow = gaussian_filter1d(rng.normal(size=joints.shape), SLOW, axis=0, mode='wrap')
    slow *= np.sqrt(2 * np.sqrt(np.pi) * SLOW)
    return joints + np.sqrt(0.5) * sizes * (slow + rng.normal(size=joints.shape[1:]))


def simulated(across: float, along: float, squats: int) -> dict[str, list[float | None]]:
    """Angle -> its root mean square error by view; None where it cannot be seen."""
    found: dict[str, list[float | None]] = {}
    for view, azimuth in AZIMUTHS.items():
        rng = np.random.default_rng(0)
        squares: dict[str, list[np.ndarray]] = {key: [] for key in ANGLES}
        for _ in range(squats):
            joints, course = squat(rng)
            joints = turned(joints, azimuth)
            true = measure_angles(joints, 'mediapipe33')
            other = measure_angles(
                seen(joints, rng, np.array([across, across, along])), 'mediapipe33'
            )
            for key, row in ANGLES.items():
                name = f'left_{key}' if row.sided else key
                difference = (other[name] - true[name])[course > 0.95]
                squares[key].append(((difference + 180) % 360 - 180) ** 2)
        for key, parts in squares.items():
            error = float(np.sqrt(np.nanmean(np.concatenate(parts))))
            found.setdefault(key, []).append(None if key in HIDDEN.get(view, ()) else error)
    return found


def joined(
    simulated: dict[str, list[float | None]], measured: dict[str, list[float | None]]
) -> tuple[dict[str, list[float | None]], dict[str, list[bool]], float]:
    """Errors by angle and view, whether each was measured, and how much larger measured ones are
    than simulated ones, the median."""
    ratio = float(
        np.median(
            [
                found / guess
                for key, row in simulated.items()
                for guess, found in zip(row, measured[key])
                if guess is not None and found is not None
            ]
        )
    )
    errors: dict[str, list[float | None]] = {}
    known: dict[str, list[bool]] = {}
    for key, row in simulated.items():
        known[key] = [
            guess is not None and found is not None for guess, found in zip(row, measured[key])
        ]
        errors[key] = [
            None if guess is None else guess * ratio if found is None else found
            for guess, found in zip(row, measured[key])
        ]
    return errors, known, ratio


def rounded(rows: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """To as many digits as are told."""
    return {
        key: [None if x is None else round(x, 2 if ANGLES[key].unit == 'x' else 1) for x in row]
        for key, row in rows.items()
    }


def main() -> int:
    """Measures, simulates, writes, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--across', type=float, default=0.02, help='metres (default: 0.02)')
    parser.add_argument('--along', type=float, default=0.06, help='metres (default: 0.06)')
    parser.add_argument('--squats', type=int, default=60, help='(default: 60)')
    parser.add_argument('--data', default='four_cameras', help='(default: %(default)s)')
    parser.add_argument('--out', required=True, type=Path, help='JSON file')
    args = parser.parse_args()
    guessed = simulated(args.across, args.along, args.squats)
    try:
        errors, known, ratio = joined(guessed, measured_errors(find_data(args.data)))
    except (RPSTNError, FileNotFoundError, StopIteration, ParseError) as error:
        print(f'{args.data}: {error or "no *.qca.txt there"}', file=sys.stderr)
        return 1
    content = {
        'source': 'measured: root mean square against joints triangulated from four cameras, 100 '
        'moments of one person who balances; simulated: '
        f'{args.squats} simulated squats, joints off by {100 * args.across:g} cm in the '
        f'image and {100 * args.along:g} cm along the line of sight, as the lengths of bones in '
        f'squat_mediapipe19 suggest, times {ratio:.2f}, the median of measured to simulated; '
        'margins: the simulated ones alone (tools/research/form/angle_errors.py)',
        'views': list(VIEWS),
        'errors': rounded(errors),
        'measured': known,
        'margins': rounded(guessed),
    }
    with replacing(args.out) as partial:
        partial.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
