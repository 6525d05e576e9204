"""Label videos of one person each by MediaPipe Pose, to train on.

python tools/research/label_by_teacher.py jhmdb_unlabelled --out data/teacher_labels

Every video is read twice, once mirrored; joints on which the two do not agree get score 0. One
NPZ per video is written to --out, in the layout that rpstn.pose.datasets.TeacherClipDataset
documents; nothing is written beside the videos. Videos already done are left out, so an
interrupted run goes on. Needs the extra mediapipe.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import rpstn  # noqa: F401
from rpstn.pose.datasets import UnreadableFrameError, find_data
from rpstn.skeletons import get_skeleton

from teacher import label_video

SUFFIXES = ('.avi', '.mp4', '.mov', '.mkv')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('videos', help='folder of videos, or its name below a data root')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/teacher_labels'),
        help='folder of labels (default: %(default)s)',
    )
    parser.add_argument('--skeleton', default='jhmdb15', help='(default: %(default)s)')
    parser.add_argument(
        '--tolerance',
        type=float,
        default=0.1,
        help='how far the mirrored video '
        "may differ, as a share of the person's size (default: %(default)s)",
    )
    parser.add_argument(
        '--scale', type=float, default=2.0, help='enlarge frames by this (default: %(default)s)'
    )
    parser.add_argument('--most', type=int, help='only so many videos, evenly spread')
    parser.add_argument('--workers', type=int, default=2, help='processes (default: %(default)s)')
    return parser.parse_args()


def main() -> int:
    """Labels, and returns the exit status."""
    args = parse_args()
    try:
        root = find_data(args.videos)
        get_skeleton(args.skeleton)
        videos = sorted(p for p in root.rglob('*') if p.suffix.lower() in SUFFIXES)
        if not videos:
            raise FileNotFoundError(f'{root}: no videos ({", ".join(SUFFIXES)}) there')
        if args.out.resolve().is_relative_to(root.resolve()):
            raise ValueError(f"--out {args.out} lies in the videos' folder; choose another")
        import mediapipe  # noqa: F401 (before any process is started)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except ImportError:
        print(
            'tools/research/label_by_teacher.py needs mediapipe: pip install --no-deps -r '
            'requirements/mediapipe.txt',
            file=sys.stderr,
        )
        return 1
    if args.most:
        chosen = np.linspace(0, len(videos) - 1, min(args.most, len(videos))).round().astype(int)
        videos = [videos[i] for i in chosen]
    todo = [
        video
        for video in videos
        if not (args.out / video.relative_to(root).with_suffix('.npz')).exists()
    ]
    failed = 0
    common = (root, args.out, args.skeleton, args.tolerance, args.scale)
    with ProcessPoolExecutor(max(args.workers, 1), mp_context=get_context('spawn')) as pool:
        jobs = [pool.submit(label_video, video, *common) for video in todo]
        for job in jobs:
            try:
                name, share = job.result()
                print(f'{name}: {share:.0%} of joints trusted', flush=True)
            except UnreadableFrameError as error:
                failed += 1
                print(error, file=sys.stderr)
    print(
        f'{args.out}: {len(todo) - failed} videos labelled, {len(videos) - len(todo)} were done '
        f'already, {failed} could not be read'
    )
    return int(failed > 0 and failed == len(todo))


if __name__ == '__main__':
    sys.exit(main())
