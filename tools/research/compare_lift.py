"""How wrong each source of joints in space is about the knees that four cameras see.

python tools/research/compare_lift.py [--mediapipe] [--sources blazepose] [--cutoffs 0 4]

Every camera's video is looked at for itself, and every source of :data:`rpstn.lift.SOURCES` that
starts from joints in the image lifts them. The reference are the joints of each moment triangulated
from RPSTN-Lite's in all four (see four_cameras.py): flexion is the angle by which hip, knee and
ankle depart from a straight line, which needs neither axes nor a scale. The person balances and
hardly ever stands straight, before cameras that look down and are rolled.

Shapes: C cameras, T moments, V joints.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.data.paths import find_data
from rpstn.errors import RPSTNError
from rpstn.inference.inferencer import PoseInferencer
from rpstn.lift import SOURCES, Joints3D, Track, build_source, longest_track, smoothed, tracks_of
from rpstn.lift.sources import in_own_axes
from rpstn.lift.vertical import found_vertical
from rpstn.skeletons import Skeleton, get_skeleton
from rpstn.tables import format_table
from rpstn.video.inputs import open_input

from four_cameras import Camera, read_cameras, triangulate
from mediapipe_pose import MediaPipePose

DEEP = 40.0  # degrees of flexion


def knee_flexion(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Degrees (T, 2), left and right, of joints (T, V, 3)."""
    sides = []
    for side in ('left', 'right'):
        hip, knee, ankle = (
            joints[:, skeleton.index(f'{side}_{part}')] for part in ('hip', 'knee', 'ankle')
        )
        thigh, shank = knee - hip, ankle - knee
        cosine = (thigh * shank).sum(-1) / (
            np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shank, axis=-1)
        )
        sides.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.stack(sides, axis=-1)


def vertical_error(joints: Joints3D, camera: Camera) -> float:
    """Degrees between the vertical that is found and the calibration's, NaN where none is."""
    found = found_vertical(joints)
    if found is None:
        return float('nan')
    true = in_own_axes(camera.extrinsics[:, 2])  # the third of the world's axes points up
    return float(np.degrees(np.arccos(np.clip(found @ true, -1, 1))))


def mediapipe_joints(video: Path, tracking: bool) -> Joints3D:
    """MediaPipe's own world landmarks, with its smoothing where it tracks."""
    frames = list(open_input(str(video)))
    with MediaPipePose(scale=1.0, tracking=tracking) as pose:
        joints = in_own_axes(np.stack([pose.world(frame.image) for frame in frames]))
    return Joints3D(
        joints,
        np.isfinite(joints).all(-1).astype(float),
        np.array([frame.time for frame in frames]),
        np.array([frame.index for frame in frames]),
        get_skeleton('mediapipe33'),
        'mediapipe',
        'nominal',
        upright=False,
    )


def errors_of(joints: Joints3D, reference: np.ndarray) -> np.ndarray:
    """Degrees (T, 2) of the reference's T moments, NaN where nobody was seen."""
    errors = np.full_like(reference, np.nan)
    errors[joints.frames] = knee_flexion(joints.joints, joints.skeleton) - reference[joints.frames]
    return errors


def rows_of(
    name: str, answers: list[Joints3D], cameras: list[Camera], reference: np.ndarray
) -> list[str]:
    """A row of the table, over the C cameras' answers."""
    errors = np.stack([errors_of(joints, reference) for joints in answers])
    away, deep = np.abs(errors), np.broadcast_to(reference > DEEP, errors.shape)
    up = [vertical_error(joints, camera) for joints, camera in zip(answers, cameras)]
    return [
        name,
        *(f'{np.nanmean(away[c]):.1f}' for c in range(len(cameras))),
        f'{np.nanmean(away):.1f}',
        f'{np.nanmean(errors):+.1f}',
        f'{np.nanmean(away[deep]):.1f}',
        ' '.join('-' if np.isnan(degrees) else f'{degrees:.0f}' for degrees in up),
    ]


def filtered(joints: list[Joints3D], cutoffs: list[float]) -> Iterator[tuple[str, list[Joints3D]]]:
    """The answers through each low-pass, and what to call that."""
    for cutoff in cutoffs:
        words = f', {cutoff:g} Hz' if cutoff else ''
        yield words, [smoothed(one, cutoff) if cutoff else one for one in joints]


def main() -> int:
    """Measures, prints, and returns the exit status."""
    flat = [name for name, kind in SOURCES.module_dict.items() if kind.takes is Track]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', default='four_cameras', help='folder (default: %(default)s)')
    parser.add_argument('--sources', nargs='*', choices=flat, default=flat, help='(default: all)')
    parser.add_argument('--mediapipe', action='store_true', help="MediaPipe's own, too")
    parser.add_argument('--cutoffs', nargs='*', type=float, default=[0, 4], help='Hz; 0 is none')
    args = parser.parse_args()
    try:
        folder = find_data(args.data)
        cameras = read_cameras(next(folder.glob('*.qca.txt')))
        videos = sorted(folder.glob('cam*.mp4'))
        inferencer = PoseInferencer(world=True)
        tracks = [longest_track(tracks_of(inferencer(video))) for video in videos]
    except (RPSTNError, FileNotFoundError, StopIteration, ElementTree.ParseError) as error:
        print(f'{args.data}: {error or "no *.qca.txt there"}', file=sys.stderr)
        return 1
    cv2.setNumThreads(1)
    normalized = [camera.normalized(track.keypoints) for camera, track in zip(cameras, tracks)]
    world = triangulate(np.stack(normalized), cameras)
    reference = knee_flexion(world, tracks[0].skeleton)
    rows = []
    for source in args.sources:
        answers = [build_source(source)(track) for track in tracks]
        for words, through in filtered(answers, args.cutoffs):
            rows.append(rows_of(source + words, through, cameras, reference))
    if args.mediapipe:
        for name, tracking in (('MediaPipe, each frame', False), ('MediaPipe, tracking', True)):
            answers = [mediapipe_joints(video, tracking) for video in videos]
            for words, through in filtered(answers, args.cutoffs):
                rows.append(rows_of(name + words, through, cameras, reference))
    flattened = [
        replace(joints, joints=joints.joints * (1, 1, 0))
        for joints in (build_source('blazepose')(track) for track in tracks)
    ]
    rows.append(rows_of('blazepose without depth', flattened, cameras, reference))
    header = ['', *(video.stem for video in videos), 'all', 'bias', f'above {DEEP:g}', 'vertical']
    print(
        f'\nMean absolute error of knee flexion in degrees, {len(reference)} moments, both knees; '
        f'true flexion {reference.min():.0f} to {reference.max():.0f}.\n'
    )
    print(format_table(header, rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
