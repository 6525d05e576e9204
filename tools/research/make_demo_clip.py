"""Make the demo's clip of a video of one person: no faces, and without its first frames.

    python tools/research/make_demo_clip.py squat_no_depth.mp4 demo/squat.mp4 --skip 14 \
        --also 80 225 14

wrote demo/squat.mp4. The face is found by BlazePose in each frame alone; look at every frame of
what was written. Needs the extra mediapipe.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.files import replacing
from rpstn.video.frames import VideoWriter, open_frames

from mediapipe_pose import MediaPipePose

FACE = slice(0, 11)  # of BlazePose's joints: nose, eyes, ears, mouth


def coarsen(image: np.ndarray, center: np.ndarray, width: float) -> None:
    """Leave four cells across a face, in an ellipse with a soft edge, in place.

    Nobody can be told by so few, while it still is a face: of one blurred to a single colour
    RPSTN-Lite took the front for the back, and so left for right.

    Args:
        image: (H, W, 3) BGR uint8.
        center: (2,) pixels.
        width: of the face, from ear to ear, in pixels.
    """
    radii = width * np.array([0.8, 1.0])
    x1, y1 = np.maximum(center - 1.2 * radii, 0).astype(int)
    x2, y2 = (center + 1.2 * radii).astype(int) + 1
    part = image[y1:y2, x1:x2]
    size = part.shape[1::-1]
    cells = [max(round(4 * side / width), 1) for side in size]
    coarse = cv2.resize(cv2.resize(part, cells, interpolation=cv2.INTER_AREA), size)
    points = np.stack(np.meshgrid(*(np.arange(side) for side in size)), axis=-1) + (x1, y1)
    distance = np.linalg.norm((points - center) / radii, axis=-1, keepdims=True)
    inside = np.clip((1.2 - distance) / 0.2, 0, 1)
    part[:] = np.rint(inside * coarse + (1 - inside) * part)


def main() -> None:
    """Read, coarsen and write, frame by frame."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='video of one person')
    parser.add_argument('out', type=Path, help='MP4 file')
    parser.add_argument('--skip', type=int, default=0, help='frames to cut off at the start')
    parser.add_argument(
        '--also',
        type=float,
        nargs=3,
        action='append',
        default=[],
        metavar=('X', 'Y', 'WIDTH'),
        help='face of somebody else, who stays there',
    )
    args = parser.parse_args()
    source = open_frames(args.source)
    with (
        MediaPipePose(tracking=False) as pose,
        replacing(args.out) as partial,
        VideoWriter(partial, source.fps, source.size) as video,
    ):
        for frame in source:
            if frame.index < args.skip:
                continue
            face = pose(frame.image)[0][FACE]
            if np.isnan(face).any():
                parser.error(f'{args.source}: nobody is found in frame {frame.index}')
            low, high = face.min(axis=0), face.max(axis=0)
            coarsen(frame.image, (low + high) / 2, max(high - low))
            for x, y, width in args.also:
                coarsen(frame.image, np.array([x, y]), width)
            video.write(frame.image)


if __name__ == '__main__':
    main()
