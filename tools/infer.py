"""Find the joints of a person in a video: drawn on it, as JSON and as CSV.

    python tools/infer.py configs/rpstn_jhmdb.py work_dirs/rpstn_jhmdb/best.pth squat.mp4 --out out

VIDEO is a video file, a folder of images or one image. Writes, with VIDEO's name,

    OUT/NAME.mp4   the video with skeleton and box drawn (NAME.png for one image)
    OUT/NAME.csv   frame, time (seconds), joint (name), x, y (pixels, 0-based), score;
                   one row per joint and frame
    OUT/NAME.json  the same by frame, with the box looked in, joint names and skeleton

which appear when they are complete; what was there before stays until then.
"""
from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack
from itertools import tee
from pathlib import Path

# One line of our own instead of FFmpeg's and OpenCV's many.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
os.environ.setdefault('OPENCV_LOG_LEVEL', 'ERROR')

import cv2
import torch
from mmengine.config import Config, DictAction

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.apis.boxes import BoxError, parse_box
from rpstn.apis.cpu import keep_freed_memory
from rpstn.apis.drawing import draw_pose
from rpstn.apis.inference import ModelError, joint_names, load_model, predict_video
from rpstn.apis.pose_files import PoseFiles
from rpstn.apis.video import FrameSource, VideoWriter, open_frames, staging
from rpstn.pose.datasets.readers import UnreadableFrameError


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('video', type=Path, help='video file, folder of images, or image')
    parser.add_argument('--out', type=Path, required=True, help='folder of the results')
    parser.add_argument('--box', default='follow', metavar='BOX',
                        help="where the person is: 'frame', the whole image; x1,y1,x2,y2 in "
                        "pixels, for all frames; 'follow', the whole image at first, then by the "
                        "joints found; or 'follow:x1,y1,x2,y2', a box at first (default: "
                        '%(default)s)')
    parser.add_argument('--kpt-thr', type=float, default=0.3,
                        help='score from which a joint is drawn, and trusted when following '
                        '(default: %(default)s); the files hold all joints')
    parser.add_argument('--fps', type=float,
                        help='frames per second, in place of what the video states; images are '
                        'taken to be 25 per second')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='as torch names it (default here: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        help='settings of the config to replace, as key=value')
    args = parser.parse_args(args)
    if args.fps is not None and not 0 < args.fps <= 1000:
        parser.error(f'--fps must be above 0 and at most 1000, got {args.fps}')
    return args


class Progress:
    """Frames done and frames per second, on one line of the terminal."""

    def __init__(self, total: int) -> None:
        self.total = f'/{total}' if total else ''
        self.start = self.shown = time.perf_counter()
        self.done = 0

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.done / max(time.perf_counter() - self.start, 1e-9)

    def step(self) -> None:
        self.done += 1
        now = time.perf_counter()
        if sys.stderr.isatty() and now - self.shown > 0.2:
            self.shown = now
            print(f'\rframe {self.done}{self.total}, {self.rate:.1f} frames/s ', end='',
                  file=sys.stderr, flush=True)

    def close(self) -> None:
        if sys.stderr.isatty():
            print('\r\033[K', end='', file=sys.stderr, flush=True)


def infer(model: torch.nn.Module, source: FrameSource, args: argparse.Namespace,
          name: str) -> int:
    """Write all files; returns the number of frames."""
    single = source.images == (str(source.path), )
    meta, names = model.dataset_meta, joint_names(model.dataset_meta)
    header = dict(video=source.path.name, fps=source.fps, size=source.size,
                  config=args.config, checkpoint=args.checkpoint, box=args.box,
                  skeleton=meta['skeleton_links'])
    progress = Progress(source.expected)
    with staging(args.out) as folder, ExitStack() as stack:
        files = stack.enter_context(PoseFiles(folder / name, names, header))
        if not single:
            video = stack.enter_context(
                VideoWriter(folder / f'{name}.mp4', source.fps, source.size))
        stack.callback(progress.close)
        # The model reads a clip ahead; tee keeps just those frames for drawing.
        frames, shown = tee(source)
        for pose, frame in zip(predict_video(model, frames, args.box, kpt_thr=args.kpt_thr), shown):
            files.write(pose)
            image = draw_pose(frame.image, pose.keypoints, pose.scores, meta, pose.box,
                              args.kpt_thr)
            if not single:
                video.write(image)
            elif not cv2.imwrite(str(folder / f'{name}.png'), image):
                raise OSError(f'{args.out / name}.png cannot be written')
            progress.step()
    files = ', '.join(str(args.out / f'{name}{end}')
                      for end in ('.png' if single else '.mp4', '.csv', '.json'))
    print(f'{progress.done} frames, {progress.rate:.1f} per second: {files}')
    if source.expected > progress.done:
        print(f'{source.path}: the header states {source.expected} frames, '
              f'{progress.done} could be decoded')
    return progress.done


def main(args: list[str] | None = None) -> None:
    """Run the tool; exit status 1, and one line on what is wrong, if it cannot."""
    args = parse_args(args)
    try:
        parse_box(args.box)
        source = open_frames(args.video, args.fps)
        name = source.path.resolve().name if source.path.is_dir() else source.path.stem
        for end in ('.mp4', '.png', '.csv', '.json'):
            target = args.out / f'{name}{end}'
            if target.exists() and target.samefile(source.path):
                raise OSError(f'{target}: would overwrite the input; choose another --out')
        if not Path(args.config).is_file():
            raise ModelError(f'{args.config}: no such config file')
        cfg = Config.fromfile(args.config)
        cfg.merge_from_dict(args.cfg_options)
        if args.device == 'cpu':
            keep_freed_memory()
        infer(load_model(cfg, args.checkpoint, args.device), source, args, name)
    except (ModelError, BoxError, UnreadableFrameError, OSError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        print('\nstopped; nothing was written', file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == '__main__':
    main()
