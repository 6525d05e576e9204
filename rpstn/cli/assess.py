"""Assess the form of an exercise in videos: a report that a coach can read.

    rpstn assess squat.mp4 --out out
    rpstn assess joints.trc --out out               joints of another tool
    rpstn assess 0 --show                           a camera: counted as it goes

VIDEO is a video, a folder of images (the frames of one video) or of videos, a glob, or a file of
joints (.npz, .json, .csv, .tsv, .trc). Writes, for each, into OUT/NAME

    report.html   summary, repetitions with pictures, curves, numbers; one file, no network
    report.json   the same for programs
    angles.csv    all angles of every frame, beside its time
    joints.trc    joints in space, for OpenSim
    video.mp4     the video with skeleton, count, phase and angle drawn

Of a file of joints there are no pictures and no video. With --show a camera (0, 1, ...), a stream
(rtsp://...) or a video is shown in a window, with count, phase and the worst fault of the last
repetition; nothing is written.

With --workers or --cluster it is an archive: many videos at a time, from and into any storage,
with tables of all repetitions and angles; docs/archives.md.

The exit status is 0, or 3 where there was nothing to assess in a video; its report says why then.
docs/cli/assess.md tells more.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from rpstn.choices import LIFTERS, UNITS
from rpstn.errors import SettingError

from .archives import add_archive_options, is_archive, run_archive_command
from .options import Subparsers
from .printing import say


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser(
        'assess',
        help='the form of an exercise in videos, as a report',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('inputs', nargs='+', metavar='VIDEO', help='video, folder or glob')
    add(
        '--out',
        metavar='FOLDER',
        help='folder of the reports, one folder a video in it; left out with --show',
    )
    add(
        '--exercise',
        default='squat',
        metavar='NAME',
        help='what is done: a name, or the JSON file of an exercise of your own '
        '(default: %(default)s)',
    )
    add(
        '--height',
        type=float,
        metavar='CM',
        help='body height of the person, which scales what is told in cm',
    )
    add(
        '--tilt',
        type=float,
        metavar='DEG',
        help='tilt of the camera, above 0 looking down (default: from how the person stands)',
    )
    add(
        '--box',
        default='follow',
        metavar='BOX',
        help="whom to follow: 'follow', the surest found at first; or 'follow:x1,y1,x2,y2', a box "
        'around the person in the first frame, in pixels (default: %(default)s)',
    )
    add('--blur-faces', action='store_true', help='in pictures and video')
    add(
        '--no-video', action='store_true', help='leave out the annotated video, which takes longest'
    )
    add('--overwrite', action='store_true', help='replace reports that are there already')
    add('--show', action='store_true', help='count in a window, and write nothing')
    add('--fps', type=float, metavar='N', help='frames per second, in place of what a file states')
    add(
        '--lift',
        choices=LIFTERS,
        help='what brings joints of the image into space (default: fused for videos, '
        'lifter_simulated for files of two coordinates)',
    )
    add(
        '--axes',
        metavar='AXES',
        help="of a file of joints: its axes that point to the camera's right, up, and towards the "
        "camera, as in 'x,-y,-z' (default: x,y,z)",
    )
    add('--unit', choices=UNITS, default='m', help='of a file of joints (default: %(default)s)')
    add_archive_options(parser)
    add('--device', help='as torch names it (default: cuda where there is one, or cpu)')
    parser.set_defaults(run=run, needs=('rpstn.assess.run',))


def run(args: argparse.Namespace) -> int:
    """Assess all videos."""
    from rpstn.assess.run import AssessOptions, assess_all
    from rpstn.lift.scale import HEIGHTS

    given: dict[str, Any] = {
        field.name: getattr(args, field.name, None) for field in fields(AssessOptions)
    }
    given['video'] = not args.no_video
    if args.height is not None:
        low, high = (100 * height for height in HEIGHTS)
        if not low <= args.height <= high:
            raise SettingError(f'--height must be {low:g} to {high:g} cm, got {args.height:g}')
        given['height'] = args.height / 100
    if is_archive(args):
        from rpstn.cluster.assess_job import AssessJob

        given.update(inputs=(), out=None)
        return run_archive_command(args, args.inputs, AssessJob(AssessOptions(**given)))
    return assess_all(AssessOptions(**given), say)
