"""Whether joints seen by several calibrated cameras are those of one body: reprojection errors.

python tools/research/four_cameras.py [--mediapipe] [--every 2]

Every camera's video is looked at for itself, as `rpstn infer` does. The joints of each moment are
triangulated from all cameras (direct linear transformation; Hartley, Zisserman, Multiple View
Geometry, 2004, section 12.2) and projected back into each. That measures consistency, not truth:
an error that all cameras share does not show. The folder holds `cam*.mp4` of the same length and a
calibration of Qualisys, `*.qca.txt`, as Pose2Sim's demo does.

Shapes: C cameras, N moments, K joints.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.data.paths import find_data
from rpstn.errors import RPSTNError
from rpstn.inference.inferencer import PoseInferencer
from rpstn.skeletons import get_skeleton
from rpstn.tables import format_table
from rpstn.video.readers import VideoReader

from mediapipe_pose import MediaPipePose

LIMBS = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_SUBPIXELS = 64  # of Qualisys' intrinsics


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with radial and tangential distortion, as OpenCV has it."""

    intrinsics: np.ndarray
    """(3, 3), pixels."""
    distortion: np.ndarray
    """(5,), k1 k2 p1 p2 k3."""
    extrinsics: np.ndarray
    """(3, 4), from the world, in metres, to the camera: x right, y down, z ahead."""

    @classmethod
    def of(cls, element: ElementTree.Element) -> Camera:
        """One of a Qualisys calibration, whose cameras look along -z, y up."""
        inner, outer = (
            {name: float(value) for name, value in found.attrib.items() if _number(value)}
            for found in (element.find('intrinsic'), element.find('transform'))
            if found is not None
        )
        focal = np.array([inner['focalLengthU'], inner['focalLengthV']]) / _SUBPIXELS
        middle = np.array([inner['centerPointU'], inner['centerPointV']]) / _SUBPIXELS
        intrinsics = np.array([[focal[0], 0, middle[0]], [0, focal[1], middle[1]], [0, 0, 1]])
        radial = [inner[f'radialDistortion{n}'] for n in (1, 2, 3)]
        tangential = [inner[f'tangentalDistortion{n}'] for n in (1, 2)]
        turned = np.array([[outer[f'r{row}{column}'] for column in '123'] for row in '123'])
        turned = np.diag([1, -1, -1]) @ turned
        place = np.array([outer[axis] for axis in 'xyz']) / 1000
        return cls(
            intrinsics,
            np.array([*radial[:2], *tangential, radial[2]]),
            np.column_stack([turned, -turned @ place]),
        )

    def normalized(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) without distortion, where the focal length is 1."""
        flat = np.reshape(points, (-1, 1, 2)).astype(np.float64)
        return cv2.undistortPoints(flat, self.intrinsics, self.distortion).reshape(points.shape)


def read_cameras(path: Path) -> list[Camera]:
    """Those of a Qualisys calibration, in its order."""
    return [Camera.of(element) for element in ElementTree.parse(path).iter('camera')]


def triangulate(points: np.ndarray, cameras: list[Camera]) -> np.ndarray:
    """Places (..., 3) in the world of points (C, ..., 2), normalized."""
    rows = np.stack(
        [
            points[c][..., axis, None] * camera.extrinsics[2] - camera.extrinsics[axis]
            for c, camera in enumerate(cameras)
            for axis in (0, 1)
        ],
        axis=-2,
    )  # (..., 2 C, 4)
    homogeneous = np.linalg.svd(rows)[2][..., -1, :]
    return homogeneous[..., :3] / homogeneous[..., 3:]


def reprojection_errors(pixels: np.ndarray, cameras: list[Camera]) -> np.ndarray:
    """How far joints (C, ..., 2) lie from where all cameras' together would, in pixels (C, ...)."""
    points = np.stack([camera.normalized(p) for camera, p in zip(cameras, pixels)])
    world = triangulate(points, cameras)
    errors = []
    for camera, found in zip(cameras, points):
        seen = world @ camera.extrinsics[:, :3].T + camera.extrinsics[:, 3]
        away = (found - seen[..., :2] / seen[..., 2:]) * np.diag(camera.intrinsics)[:2]
        errors.append(np.linalg.norm(away, axis=-1))
    return np.stack(errors)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def joints_of(video: Path, mediapipe: bool, every: int) -> np.ndarray:
    """The first person's landmarks (N, 33, 2) in every so many frames, NaN where nobody is."""
    nobody = np.full((33, 2), np.nan)
    if not mediapipe:
        found = [
            result.people[0].keypoints if result.people else nobody
            for result in PoseInferencer(joints='blazepose33')(video)
        ]
        return np.stack(found[::every])
    reader = VideoReader(str(video))
    with MediaPipePose(scale=1.0) as pose:
        found = [pose(image)[0] for image in reader.read(range(reader.count()))]
    return np.stack(found[::every])


def main() -> int:
    """Measures, prints, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', default='four_cameras', help='folder (default: %(default)s)')
    parser.add_argument('--mediapipe', action='store_true', help='MediaPipe Pose full, too')
    parser.add_argument('--every', type=int, default=2, help='moments (default: %(default)s)')
    args = parser.parse_args()
    try:
        folder = find_data(args.data)
        cameras = read_cameras(next(folder.glob('*.qca.txt')))
        videos = sorted(folder.glob('cam*.mp4'))
    except (RPSTNError, FileNotFoundError, StopIteration, ElementTree.ParseError) as error:
        print(f'{args.data}: {error or "no *.qca.txt there"}', file=sys.stderr)
        return 1
    skeleton = get_skeleton('blazepose33')
    parts = {
        limb: [k for k, name in enumerate(skeleton.joints) if name.endswith(f'_{limb}')]
        for limb in LIMBS
    }
    rows = []
    for name in ('RPSTN-Lite', 'MediaPipe Pose, full')[: 1 + args.mediapipe]:
        pixels = np.stack([joints_of(v, name.startswith('Media'), args.every) for v in videos])
        seen = np.isfinite(pixels).all((0, 2, 3))
        errors = reprojection_errors(pixels[:, seen], cameras)
        limbs = errors[..., sum(parts.values(), [])]
        rows.append(
            [
                name,
                f'{100 * seen.mean():.0f}',
                *(f'{np.median(errors[..., k]):.1f}' for k in parts.values()),
                f'{np.median(limbs):.1f}',
                f'{np.percentile(limbs, 95):.1f}',
            ]
        )
    header = ['', 'seen by all, %', *LIMBS, 'all', 'all, 95th percentile']
    print(f'Medians in pixels, {pixels.shape[1]} moments, {len(videos)} cameras.\n')
    print(format_table(header, rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
