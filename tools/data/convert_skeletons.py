"""Convert skeletons of your own into the files that SkeletonFormDataset reads.

    python tools/data/convert_skeletons.py joints my_squats --out data/my_squats --target coco17
    python tools/data/convert_skeletons.py fitness-aqa Squat --skeletons poses --out data/aqa_squat

Writes keypoints3d.npz (keypoints2d.npz where joints have two coordinates) and labels.csv, which
appear when they are complete; what was there before stays until then. docs/form_data.md describes
the formats.
"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path

import rpstn  # noqa: F401 (before MMAction2: makes the OpenMMLab stack work)
from rpstn.errors import RPSTNError
from rpstn.form.datasets.converters import (
    UNREADABLE,
    Conversion,
    Windows,
    convert_fitness_aqa,
    convert_joints_folder,
)
from rpstn.skeletons import SKELETONS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--out', type=Path, required=True, help='folder of the results')
    common.add_argument(
        '--skeleton',
        choices=SKELETONS,
        help='whose joints the files hold; needed where they do not name them',
    )
    common.add_argument(
        '--target', choices=SKELETONS, help="whose joints to write (default: the files' own)"
    )
    common.add_argument(
        '--scale',
        type=float,
        default=1.0,
        metavar='FACTOR',
        help='multiplies coordinates, e.g. 0.1 from millimetres to centimetres',
    )
    common.add_argument(
        '--fps', type=float, help='frames per second, in place of what the files say'
    )
    common.add_argument(
        '--person',
        metavar='ID',
        help='whose joints, where a file has several people: an identity of the file, a place in a '
        "frame's list where it has none, or 'most', who has the most joints",
    )
    common.add_argument(
        '--min-score',
        type=float,
        default=0.0,
        metavar='SCORE',
        help='joints whose score is not above it are missing (default: %(default)s)',
    )
    common.add_argument(
        '--skip-bad',
        action='store_true',
        help='leave out, count and list what cannot be read, rather than stop',
    )
    common.add_argument(
        '--annotations',
        action='store_true',
        help="write annotations.pkl, too: MMAction2's format, with scores",
    )
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    formats = parser.add_subparsers(dest='format', required=True, metavar='{joints,fitness-aqa}')
    joints = formats.add_parser(
        'joints', parents=[common], help='a folder of CSV, JSON, NPZ or TRC files'
    )
    joints.add_argument('root', type=Path, help='folder with a folder for each label')
    joints.add_argument(
        '--labels', type=Path, help='CSV table with the columns name and label, in place of folders'
    )
    joints.add_argument(
        '--multi-label',
        action='store_true',
        help='a label in the table may be several, separated by ";", or empty',
    )
    joints.add_argument(
        '--per-frame', action='store_true', help='a folder is a sequence, its files are frames'
    )
    joints.add_argument(
        '--first-frame',
        type=int,
        metavar='N',
        help='the number of the first frame, where all files count alike '
        '(default: the smallest number in each)',
    )
    aqa = formats.add_parser('fitness-aqa', parents=[common], help='Fitness-AQA as released')
    aqa.add_argument('root', type=Path, help='Squat, OHP or BarbellRow of the release')
    aqa.add_argument(
        '--skeletons',
        type=Path,
        required=True,
        help="folder of its videos' skeletons, <id>.json, .csv, ..., as of joints",
    )
    aqa.add_argument('--errors', nargs='+', help='which of them (default: all)')
    aqa.add_argument(
        '--window',
        type=float,
        metavar='SECONDS',
        help='sequences of this length (default: whole videos)',
    )
    aqa.add_argument(
        '--stride',
        type=float,
        metavar='SECONDS',
        help='from one window to the next (default: their length)',
    )
    aqa.add_argument(
        '--overlap',
        type=float,
        metavar='PART',
        help='an error counts if it shares this part with a window (default: 0.5)',
    )
    args = parser.parse_args(argv)
    if args.format == 'fitness-aqa' and args.window is None and (args.stride or args.overlap):
        parser.error('--stride and --overlap need --window')
    return args


def convert(args: argparse.Namespace) -> Conversion:
    """Call the converter that the arguments name."""
    names = ('skeleton', 'target', 'scale', 'fps', 'person', 'min_score', 'skip_bad', 'annotations')
    options = {name: getattr(args, name) for name in names}
    if args.format == 'joints':
        return convert_joints_folder(
            args.root,
            args.out,
            labels=args.labels,
            multi_label=args.multi_label,
            per_frame=args.per_frame,
            first_frame=args.first_frame,
            **options,
        )
    window = (
        None
        if args.window is None
        else Windows(args.window, args.stride, 0.5 if args.overlap is None else args.overlap)
    )
    return convert_fitness_aqa(
        args.root, args.skeletons, args.out, errors=args.errors, window=window, **options
    )


def list_skipped(conversion: Conversion, most: int = 10) -> list[str]:
    """Every file that cannot be read, and the first of all others that were left out."""
    lines = []
    for kind, group in groupby(
        sorted(conversion.skipped.items(), key=lambda item: item[1][0]), key=lambda item: item[1][0]
    ):
        names = [(name, reason) for name, (_, reason) in group]
        if kind == UNREADABLE:
            lines += [f'skipped: {reason}' for _, reason in names]
        else:
            more = f' and {len(names) - most:,} more' if len(names) > most else ''
            lines.append(f'skipped, {kind}: {", ".join(name for name, _ in names[:most])}{more}')
    return lines


def main(argv: list[str] | None = None) -> None:
    """Run the tool; exit status 1, and one line on what is wrong, if it cannot."""
    try:
        conversion = convert(parse_args(argv))
    except (RPSTNError, OSError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        print('\nstopped; nothing was written', file=sys.stderr)
        raise SystemExit(130) from None
    for line in list_skipped(conversion):
        print(line, file=sys.stderr)
    print(conversion.summary())


if __name__ == '__main__':
    main()
