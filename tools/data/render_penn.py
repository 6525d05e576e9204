"""Renders frames for Penn Action's labels where the original photographs are not at hand.

The output folder is a data root in Penn Action's own layout (labels/NNNN.mat,
frames/NNNN/NNNNNN.jpg), its frames marked as rendered. Runs can be stopped and started again.

    python tools/data/render_penn.py --sequences 40

The configs of Penn Action use the frames of the default output, with a warning, wherever the
data root itself has none: configs/rpstn_penn.py runs as it is.
"""

import argparse
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import rpstn  # noqa: F401
from rpstn.pose.datasets import find_data
from rpstn.simulation.clips.penn_export import RealFramesError, export, select


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--data',
        type=Path,
        help='folder that holds labels/NNNN.mat; looked for '
        'as penn_action in $RPSTN_DATA, data and ../shared/data if not given',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/penn_action_rendered'),
        help='data root to write (default: %(default)s)',
    )
    parser.add_argument(
        '--sequences',
        nargs='+',
        default=[],
        metavar='N|NAME',
        help='how many, evenly spread (30 or more reach training, validation and '
        'test), or the names of some (default: all 2,326)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='render sequences again that are already complete'
    )
    parser.add_argument('--workers', type=int, default=2, help='processes (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='looks of people and places')
    return parser.parse_args()


def main() -> int:
    """Renders, and returns the exit status."""
    args = parse_args()
    try:
        root = args.data or find_data('penn_action')
        sequences = select(root, args.sequences)
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('frames, {task.fields[speed]:.0f} frames/s'),
            TimeRemainingColumn(),
        )
        rendered = skipped = 0
        with Progress(*columns) as progress:
            task = progress.add_task('rendering', total=sum(map(len, sequences)), speed=0.0)
            for name, count, fresh in export(
                root, args.out, sequences, args.overwrite, args.workers, args.seed
            ):
                rendered, skipped = rendered + fresh, skipped + (not fresh)
                speed = progress.tasks[task].speed or 0.0
                progress.update(task, advance=count, description=name, speed=speed)
    except (RealFramesError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{args.out}: {rendered} sequences rendered, {skipped} were already complete')
    return 0


if __name__ == '__main__':
    sys.exit(main())
