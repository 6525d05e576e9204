"""Find people's joints in a video, an image or a live stream: drawn on it, and as files.

    rpstn infer squat.mp4 --out out                    by RPSTN-Lite, which comes with the package
    rpstn infer configs/rpstn_jhmdb.py work_dirs/rpstn_jhmdb/best.pth squat.mp4 --out out

INPUT is a video, an image, a folder of images (the frames of one video) or of videos, a glob, the
number of a camera, or a URL (rtsp://, http://, ...). Writes, with the input's name,

    video    OUT/NAME.mp4   skeletons and boxes drawn (NAME.png for an image)
    json     OUT/NAME.json  a person and frame on each line, with joint names and skeleton
    csv      OUT/NAME.csv   frame, time (seconds), person, joint (name), x, y (pixels), score
    npz      OUT/NAME.npz   NumPy arrays
    coco     OUT/NAME.coco.json    COCO's keypoint results
    mmpose   OUT/NAME.mmpose.json  as MMPose's demos write them

which appear when they are complete; what is there before is refused, or with --overwrite stays
until then. Until then they lie in OUT/NAME.incomplete, where they stay after Ctrl-C or a kill:
--resume goes on with them. docs/cli/infer.md tells more.

With --workers or --cluster it is an archive: many videos at a time, from and into any storage,
with a manifest that the same command goes on from; docs/archives.md.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from rpstn.choices import (
    ENGINES,
    FINDERS,
    JOINTS,
    KPT_THR,
    LOOK_AHEAD,
    MODES,
    OUTPUTS,
    PRECISIONS,
    SAVED,
)
from rpstn.errors import SettingError

from .archives import add_archive_options, is_archive, run_archive_command
from .options import Subparsers, add_cfg_options, count, moment
from .printing import say


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser(
        'infer',
        help="people's joints in videos, images and live streams",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='video, image, folder, glob, camera or URL; before them, CONFIG (NAME.py) and '
        'CHECKPOINT of another model than RPSTN-Lite',
    )
    add('--out', metavar='FOLDER', help='folder of the results; may be left out with --show')
    add(
        '--save',
        nargs='+',
        choices=tuple(OUTPUTS),
        metavar='OUTPUT',
        help=f'what is written: any of {", ".join(OUTPUTS)} (default: {" ".join(SAVED)})',
    )
    add(
        '--box',
        default='follow',
        metavar='BOX',
        help="where the person is: 'frame', the whole image; x1,y1,x2,y2 in pixels, for all "
        "frames; 'follow', where the finder says at first, then by the joints found; or "
        "'follow:x1,y1,x2,y2', a box at first (default: %(default)s)",
    )
    add(
        '--people',
        type=count,
        default=1,
        metavar='N',
        help='people followed at a time; with more than one, mode stream, see --finder '
        '(default: %(default)s)',
    )
    add(
        '--finder',
        choices=FINDERS,
        help='who finds people in stream mode: the whole frame, its motion, or a detector; default '
        "blazepose by RPSTN-Lite, unless one person's --box is fixed; frame by other models",
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
        choices=MODES,
        default='auto',
        help='clip: cut into clips as in rpstn test; stream: frame by frame, carried on for as '
        'long as a person is seen; auto (default): clip for files, stream for live sources, by '
        'RPSTN-Lite, and where another option needs it',
    )
    add(
        '--reset-every',
        type=count,
        metavar='N',
        help='in stream mode, look at every N-th frame alone, too',
    )
    add(
        '--smooth',
        nargs='*',
        metavar='KEY=VALUE',
        help='smooth the joints: of files by the frames before and after, of live sources by a '
        'one-euro filter, which looks back only; with one of its settings (min_cutoff=2 (Hz), '
        'beta=10, derivative_cutoff=1 (Hz)) by that in files, too; or off (default: on by '
        'RPSTN-Lite in stream mode, else off)',
    )
    add(
        '--look-ahead',
        type=int,
        default=LOOK_AHEAD,
        metavar='N',
        help='in stream mode, of a file: begin in the surest of so many frames; 0 begins in the '
        'first, as of live sources (default: %(default)s)',
    )
    add(
        '--every-frame',
        action='store_true',
        help='look at every frame; otherwise RPSTN-Lite in stream mode leaves frames of files to '
        'those around them while everybody is followed surely and moves calmly',
    )
    add(
        '--joints',
        choices=JOINTS,
        help="skeleton of the results (default: the model's); a joint that the model does not "
        'tell has score 0',
    )
    add(
        '--start',
        type=moment,
        default='0',
        metavar='TIME',
        help='first frame looked at: its 0-based number, or seconds as in 10s',
    )
    add('--end', type=moment, metavar='TIME', help='first frame not looked at any more, likewise')
    add('--stride', type=count, default=1, metavar='N', help='look at every N-th frame only')
    add(
        '--kpt-thr',
        type=float,
        help="score from which a joint is drawn, and trusted when following (default: the model's "
        f"own, where its heatmaps' peaks are {KPT_THR}); the files hold all joints",
    )
    add(
        '--fps',
        type=float,
        help='frames per second, in place of what the video states; images '
        'are taken to be 25 per second',
    )
    add(
        '--engine',
        choices=tuple(ENGINES),
        default='torch',
        help='what computes the network (default: %(default)s)',
    )
    add(
        '--precision',
        choices=PRECISIONS,
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
        type=count,
        metavar='N',
        help='times that a live stream that broke off is opened anew, after 1, 2, 4, ... seconds '
        '(default: 5)',
    )
    add('--show', action='store_true', help='show the drawn frames in a window; q ends')
    add('--resume', action='store_true', help='go on with an interrupted run')
    add(
        '--overwrite',
        action='store_true',
        help='replace results that are there already; without it they are refused',
    )
    add_archive_options(parser)
    add_cfg_options(parser)
    parser.set_defaults(run=run, needs=('rpstn.inference.run',))


def run(args: argparse.Namespace) -> int:
    """Look at all inputs."""
    from rpstn.engine.configs import parse_settings
    from rpstn.inference.options import InferOptions
    from rpstn.inference.run import infer

    smooth = args.smooth
    if smooth is not None:
        smooth = smooth != ['off'] and (parse_settings(smooth, '--smooth') or True)
    given: dict[str, Any] = {
        field.name: getattr(args, field.name, None) for field in fields(InferOptions)
    }
    config, checkpoint, words = _model_and_inputs(args.inputs)
    given.update(
        config=config,
        checkpoint=checkpoint,
        inputs=words,
        smooth=smooth,
        cfg_options=parse_settings(args.cfg_options, '--cfg-options'),
    )
    if is_archive(args):
        from rpstn.cluster.infer_job import InferJob

        given.update(inputs=(), out=None)
        return run_archive_command(args, words, InferJob(InferOptions(**given)))
    infer(InferOptions(**given), say)
    return 0


def _model_and_inputs(words: list[str]) -> tuple[str | None, str | None, list[str]]:
    """CONFIG and CHECKPOINT, if the words begin with them, and the inputs."""
    config = checkpoint = None
    if words[0].endswith('.py'):
        if len(words) < 3:
            raise SettingError(
                f'{words[0]}: a config is followed by CHECKPOINT and INPUT, got '
                f'{" ".join(words[1:]) or "nothing"}'
            )
        config, checkpoint, *words = words
    for text in words:  # or RPSTN-Lite would answer in place of the model that was meant
        if text.endswith(('.py', '.pth', '.pt')):
            raise SettingError(
                f'{text}: no input; CONFIG (NAME.py) and CHECKPOINT come first, in this order'
            )
    return config, checkpoint, words
