"""Find people's joints in a video, an image or a live stream: drawn on it, and as files.

    rpstn infer squat.mp4 --out out                    by RPSTN-Lite, which comes with the package
    rpstn infer configs/rpstn_jhmdb.py work_dirs/rpstn_jhmdb/best.pth squat.mp4 --out out
    python tools/infer.py ...                          the same

INPUT is a video, an image, a folder of images (the frames of one video) or of videos, a glob, the
number of a camera, or a URL (rtsp://, http://, ...). Writes, with the input's name,

    video    OUT/NAME.mp4   skeletons and boxes drawn (NAME.png for an image, NAME.avi for a camera)
    json     OUT/NAME.json  a person and frame on each line, with joint names and skeleton
    csv      OUT/NAME.csv   frame, time (seconds), person, joint (name), x, y (pixels), score
    npz      OUT/NAME.npz   NumPy arrays
    coco     OUT/NAME.coco.json    COCO's keypoint results
    mmpose   OUT/NAME.mmpose.json  as MMPose's demos write them

which appear when they are complete; what was there before stays until then. Until then they lie,
up to date, in OUT/NAME.incomplete, where they stay after Ctrl-C or a kill: --resume goes on with
them. docs/cli/infer.md tells more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

OUTPUTS = ('video', 'json', 'csv', 'npz', 'coco', 'mmpose')


def add_parser(subparsers) -> None:
    """Adds the subcommand to the command line."""
    parser = subparsers.add_parser(
        'infer',
        help="people's joints in videos, images and live streams",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, for ``rpstn infer`` and ``tools/infer.py`` alike."""
    add = parser.add_argument
    add(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='video, image, folder, glob, camera or URL; before them, CONFIG (NAME.py) and '
        'CHECKPOINT of another model than RPSTN-Lite',
    )
    add('--out', type=Path, help='folder of the results; may be left out with --show')
    add(
        '--save',
        nargs='+',
        choices=OUTPUTS,
        default=['video', 'json', 'csv'],
        metavar='OUTPUT',
        help=f'what is written: any of {", ".join(OUTPUTS)} (default: video json csv)',
    )
    add(
        '--box',
        default='follow',
        metavar='BOX',
        help="where the person is: 'frame', the whole image; x1,y1,x2,y2 in pixels, for all "
        "frames; 'follow', the whole image at first, then by the joints found; or "
        "'follow:x1,y1,x2,y2', a box at first (default: %(default)s)",
    )
    add(
        '--people',
        type=_count,
        default=1,
        metavar='N',
        help='people followed at a time; with more than one, mode stream, see --finder '
        '(default: %(default)s)',
    )
    add(
        '--finder',
        choices=('frame', 'motion', 'mediapipe', 'rtmdet'),
        help='who finds people in stream mode: the whole frame (default), its motion, or a '
        'detector',
    )
    add(
        '--det-model',
        metavar='CONFIG',
        help='of --finder rtmdet: another detector of MMDetection, a config file or a name, that '
        'knows people (default: rtmdet_m_8xb32-300e_coco)',
    )
    add(
        '--det-weights',
        metavar='CHECKPOINT',
        help='of --finder rtmdet: file or URL (default: those published for the name)',
    )
    add(
        '--mode',
        choices=('auto', 'clip', 'stream'),
        default='auto',
        help='clip: cut into clips as in tools/test.py; stream: frame by frame, carried on for as '
        'long as a person is seen; auto (default): clip for files, stream for live sources, by '
        'RPSTN-Lite, and where another option needs it',
    )
    add(
        '--reset-every',
        type=_count,
        metavar='N',
        help='in stream mode, look at every N-th frame alone, too',
    )
    add(
        '--smooth',
        nargs='*',
        metavar='KEY=VALUE',
        help='smooth the joints, by a one-euro filter that looks back only; settings: '
        'min_cutoff=1 (Hz), beta=5, derivative_cutoff=1 (Hz)',
    )
    add(
        '--joints',
        choices=('jhmdb15', 'penn13', 'coco17'),
        help="skeleton of the results (default: the model's); a joint that the model does not "
        'tell has score 0',
    )
    add(
        '--start',
        type=_moment,
        metavar='TIME',
        help='first frame looked at: its 0-based number, or seconds as in 10s',
    )
    add('--end', type=_moment, metavar='TIME', help='first frame not looked at any more, likewise')
    add('--stride', type=_count, default=1, metavar='N', help='look at every N-th frame only')
    add(
        '--kpt-thr',
        type=float,
        default=0.3,
        help='score from which a joint is drawn, and trusted when following (default: '
        '%(default)s); the files hold all joints',
    )
    add(
        '--fps',
        type=float,
        help='frames per second, in place of what the video states; images '
        'are taken to be 25 per second',
    )
    add(
        '--engine',
        choices=('torch', 'onnx', 'openvino'),
        default='torch',
        help='what computes the network (default: %(default)s)',
    )
    add(
        '--precision',
        choices=('float32', 'bfloat16', 'int8'),
        default='float32',
        help='of the engine (default: %(default)s); not all engines have all',
    )
    add(
        '--exported',
        type=Path,
        metavar='FOLDER',
        help='of `rpstn export`, for engines other than torch; without it the model is exported '
        'on the way',
    )
    add('--device', help='as torch names it (default: cuda where there is one, or cpu)')
    add(
        '--retries',
        type=_count,
        default=5,
        metavar='N',
        help='times that a live stream that broke off is opened anew, after 1, 2, 4, ... seconds '
        '(default: %(default)s)',
    )
    add('--show', action='store_true', help='show the drawn frames in a window; q ends')
    add('--resume', action='store_true', help='go on with an interrupted run')
    add(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings of the config to replace',
    )


def run(args: argparse.Namespace) -> int:
    """Look at all inputs; 0, or 1 after a line on each that cannot be used."""
    from rpstn.inference.run import InferRun  # what takes seconds to import, not needed for --help

    args.config = args.checkpoint = None
    if args.inputs[0].endswith('.py'):
        if len(args.inputs) < 3:
            raise SystemExit(
                f'{args.inputs[0]}: a config is followed by CHECKPOINT and INPUT, got '
                f'{" ".join(args.inputs[1:]) or "nothing"}'
            )
        args.config, args.checkpoint, *args.inputs = args.inputs
    for text in args.inputs:  # or RPSTN-Lite would answer in place of the model that was meant
        if text.endswith(('.py', '.pth', '.pt')):
            raise SystemExit(
                f'{text}: no input; CONFIG (NAME.py) and CHECKPOINT come first, in this order'
            )
    return InferRun(args).run()


def main(argv: list[str] | None = None) -> None:
    """``tools/infer.py``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    status = run(parser.parse_args(argv))
    if status:
        raise SystemExit(status)


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be a whole number of at least 1, got {text!r}')
    return number


def _moment(text: str):
    from rpstn.video.part import Moment

    try:
        return Moment.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
