"""Longer occlusions, somebody who crosses, and motion blur on real video: docs/stress.md.

python tools/research/stress/stress_table.py

measures the single-frame model of configs/lite/single_lite.py, the RPSTN-Lite that comes with the
package, and, where it is installed, MediaPipe on JHMDB's test clips, and writes tables and plot.
--subset val takes the validation clips, --every 4 only every fourth clip, --answers FOLDER keeps
the answers there and reads again those that are kept: for a run that was stopped, not for other
models.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import torch

from rpstn.checkpoints import ModelError
from rpstn.engine.loading import load_model
from rpstn.engine.shipped import shipped_files
from rpstn.errors import RPSTNError

# The scripts of tools/research, and those beside this one, however it is loaded.
sys.path += map(str, Path(__file__).parents[:2])

from evaluate_lite import write_between  # noqa: E402
from lite_evaluation import jhmdb_clips  # noqa: E402
from lite_predictors import (  # noqa: E402
    LABELS,
    Predictor,
    inferencer_predictor,
    label_predictor,
    mediapipe_predictor,
    seen_crops,
    streaming_inferencer,
)
from stress_counts import hidden_joints  # noqa: E402
from stress_report import (  # noqa: E402
    LENGTHS,
    OURS,
    Measured,
    age_table,
    blur_differences,
    blur_table,
    crossing_differences,
    crossing_table,
    difference_table,
    occluded,
    occlusion_table,
    plot,
    rows_of,
)
from stress_run import WHOLE, measure, stresses  # noqa: E402

BEGIN, END = '<!-- stress tables -->', '<!-- end of stress tables -->'
SINGLE = ('configs/lite/single_lite.py', 'work_dirs/single_lite/epoch_8.pth')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--single',
        nargs=2,
        default=SINGLE,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='the single-frame model (default: %(default)s)',
    )
    parser.add_argument(
        '--rpstn',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='RPSTN-Lite (default: as shipped)',
    )
    parser.add_argument('--subset', default='test', choices=['val', 'test', 'train', 'trainval'])
    parser.add_argument('--data-root', default='jhmdb', help='(default: %(default)s)')
    parser.add_argument('--every', type=int, default=1, help='only every so many clips')
    parser.add_argument('--seed', type=int, default=0, help='of all that is drawn')
    parser.add_argument(
        '--draws', type=int, default=1, help='limbs hidden in each clip, in turn (default: 1)'
    )
    parser.add_argument(
        '--blur-every',
        type=int,
        default=2,
        help='of these clips only so many are blurred (default: %(default)s)',
    )
    parser.add_argument('--threads', type=int, default=1, help='of torch (default: %(default)s)')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/stress.md'),
        help='page whose tables are replaced, with its plot beside it (default: %(default)s)',
    )
    parser.add_argument('--answers', type=Path, help='folder that keeps the answers')
    args = parser.parse_args()
    for name in ('every', 'draws', 'blur_every'):
        if (value := getattr(args, name)) < 1:
            parser.error(f'--{name.replace("_", "-")} {value}: must be at least 1')
    return args


def predictors(args: argparse.Namespace) -> dict[tuple[str, str], Predictor]:
    """All rows: both of ours on crops from labels, then everything on whole frames."""
    if not Path(args.single[1]).is_file():
        raise ModelError(f'{args.single[1]}: no such checkpoint file')
    files = {'single frame': args.single, OURS: args.rpstn or shipped_files('lite')}
    models = {name: load_model(*pair) for name, pair in files.items()}
    rows = {(name, seen_crops(model)): label_predictor(model) for name, model in models.items()}
    for name, pair in files.items():
        rows[name, WHOLE] = inferencer_predictor(streaming_inferencer(*pair, live=True))
    if find_spec('mediapipe'):
        rows['MediaPipe Pose, full', WHOLE] = mediapipe_predictor()
    else:
        print('MediaPipe is left out: pip install --no-deps -r requirements/mediapipe.txt')
    return rows


def tables(measured: Measured, args: argparse.Namespace) -> str:
    """Everything that stands between the page's markers."""
    clips = measured['clean'].clips
    frames = sum(len(clip.labelled) for clip in clips)
    some = f' (every {args.every}th clip)' if args.every > 1 else ''
    row = rows_of(measured)[0]
    hidden = {
        n: int(occluded(measured, row, hidden_joints(1, n), 'bbox').counted.sum()) for n in LENGTHS
    }
    number = ', '.join(f'{count:,} of {n}' for n, count in hidden.items())
    blurred = len(measured['blur 5'].clips)
    limbs = 'one limb' if args.draws == 1 else f'{args.draws} limbs'
    return '\n\n'.join(
        [
            f'PCK@0.2 in percent on {frames} frames of {len(clips)} clips of JHMDB, split 1, '
            f'`{args.subset}`{some}, seed {args.seed}, {limbs} a clip, by '
            f'`tools/research/stress/stress_table.py`.',
            f'![PCK over the length of the occlusion]({args.out.stem}.png)',
            '### Occlusion',
            f'Hidden joints over the frames that they are hidden (joints and frames: {number}):',
            occlusion_table(measured, 'hidden'),
            'The other joints in the same frames:',
            occlusion_table(measured, 'others'),
            'RPSTN-Lite less the others, points, with 95 % intervals of a paired bootstrap over '
            'clips; bold where these exclude 0:',
            difference_table(measured),
            'Hidden joints by the frame since the occlusion began; all joints in the frames behind '
            'the longest one, and in the same frames of the clips as they are:',
            age_table(measured),
            '### Somebody crosses',
            crossing_table(measured),
            'RPSTN-Lite less the others:',
            crossing_differences(measured),
            '### Motion blur',
            f'All joints, over the length of the blur in pixels, {blurred} clips:',
            blur_table(measured),
            'RPSTN-Lite less the others:',
            blur_differences(measured),
        ]
    )


def main() -> int:
    """Measures, writes, and returns the exit status."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.INFO)
    folder = args.answers and args.answers / f'{args.subset}_{args.every}_{args.seed}'
    began, measured = time.process_time(), {}
    try:
        dataset = jhmdb_clips(args.subset, data_root=args.data_root)
        conditions = stresses(LABELS.name, args.seed, args.draws)
        for name, answers in measure(
            predictors(args), dataset, conditions, args.every, folder, args.blur_every
        ):
            measured[name] = answers
            print(f'{name}: measured, {time.process_time() - began:.0f} s of a core', flush=True)
        plot(measured, args.out.with_suffix('.png'))
        write_between(args.out, tables(measured, args), BEGIN, END)
        print(f'{args.out}: written')
    except (RPSTNError, FileNotFoundError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        logging.disable(logging.NOTSET)
    return 0


if __name__ == '__main__':
    sys.exit(main())
