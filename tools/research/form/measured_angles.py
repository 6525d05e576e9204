"""How far angles of one camera's joints in space are from those that four cameras see together.

Of every moment of ``four_cameras`` the joints are triangulated from RPSTN-Lite's in all videos (see
four_cameras.py), and lifted from each video by itself. Both are turned so that y is the vertical of
the calibration: what is measured are the joints, and not how the vertical was found.

Shapes: C cameras, T moments, K joints.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rpstn.form.angle_table import ANGLES, VIEWS, sides_of
from rpstn.form.angles import azimuth, measure_angles
from rpstn.inference.inferencer import PoseInferencer
from rpstn.lift import Track, lift, longest_track, tracks_of
from rpstn.lift.sources import in_own_axes
from rpstn.lift.vertical import rotation_to_y

sys.path.append(str(Path(__file__).parents[1]))
from four_cameras import Camera, read_cameras, triangulate

LEAST = 50
"""Moments, of all cameras together, from which an error is told."""


def measured_errors(folder: Path, source: str | None = None) -> dict[str, list[float | None]]:
    """Angle -> its root mean square error by view; None where nobody was seen from there.

    Args:
        folder: of ``cam*.mp4`` and a calibration.
        source: of joints in space; by default that of :func:`rpstn.lift.lift`.

    Raises:
        RPSTNError: a video cannot be read. StopIteration: there is no calibration.
    """
    cameras = read_cameras(next(folder.glob('*.qca.txt')))
    inferencer = PoseInferencer(world=True)
    tracks = [longest_track(tracks_of(inferencer(v))) for v in sorted(folder.glob('cam*.mp4'))]
    return errors_by_view(cameras, tracks, source)


def errors_by_view(
    cameras: list[Camera], tracks: list[Track], source: str | None
) -> dict[str, list[float | None]]:
    """The same of what was seen by each camera: all frames by all, T each."""
    points = [camera.normalized(track.keypoints) for camera, track in zip(cameras, tracks)]
    world = triangulate(np.stack(points), cameras)
    off: dict[str, list[list[np.ndarray]]] = {key: [[] for _ in VIEWS] for key in ANGLES}
    for camera, track in zip(cameras, tracks):
        turn = rotation_to_y(in_own_axes(camera.extrinsics[:, 2])).T  # z of the world is up
        true = in_own_axes(world @ camera.extrinsics[:, :3].T) @ turn
        found = lift(track, source, tilt=0.0)
        views = view_numbers(azimuth(true, track.skeleton))
        expected = measure_angles(true, track.skeleton)
        answered = measure_angles(found.joints @ turn, found.skeleton)
        for key, row in ANGLES.items():
            for name in sides_of(key):
                away = answered[name] - expected[name]
                away = (away + 180) % 360 - 180 if row.unit == '°' else away
                for number, parts in enumerate(off[key]):
                    parts.append(away[views == number])
    return {key: [_error(np.concatenate(parts)) for parts in rows] for key, rows in off.items()}


def view_numbers(degrees: np.ndarray) -> np.ndarray:
    """Which of :data:`VIEWS` each frame is, of azimuths (T,)."""
    folded = np.minimum(np.abs(degrees), 180 - np.abs(degrees))
    return np.digitize(folded, (30.0, 60.0))


def _error(away: np.ndarray) -> float | None:
    known = away[np.isfinite(away)]
    return float(np.sqrt((known**2).mean())) if len(known) >= LEAST else None
