"""Fill the table that compares representations of exercise form, on real data, by one command.

    python tools/research/compare_form.py

Rows: distance matrices with four normalizations of the limbs, the coordinates themselves with the
same network, MMAction2's ST-GCN, our network, and our discriminant, which is for squats alone and
needs one pass. Columns: real squats on the given split and with whole days left out (4 folds), and
the actions of Penn Action, as they are and with the test set rotated at random. All networks have
the same data, epochs and batches, and no row looks at its test set before the end. Each training is
one experiment, kept in a file: a run that was stopped goes on where it was. Figures are accuracies
in percent: mean and standard deviation over seeds.

Settings are chosen without the test sets, on parts of the training sets, by the same columns:

    python tools/research/compare_form.py --inner --rows form --seeds 1 --work-dir work_dirs/inner
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.config import DictAction
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.errors import RPSTNError
from rpstn.files import write_text
from rpstn.tables import format_table

from experiments import Experiment, epoch_options, mean_and_spread, run_experiments

CONFIGS = Path(__file__).parents[2] / 'configs'
NUM_FOLDS = 4
NUM_INNER_FOLDS = 3

# row -> (stem of the configs, settings to replace)
ROWS = {
    'distance matrices, none': ('tdm', {}),
    'distance matrices, head': ('tdm', {'model.representation.limbs': 'head'}),
    'distance matrices, body': ('tdm', {'model.representation.limbs': 'body'}),
    'distance matrices, full': ('tdm', {'model.representation.limbs': 'full'}),
    'raw coordinates, same network': ('coordinates', {}),
    "ST-GCN (MMAction2's own)": ('stgcn', {}),
    'network, ours': ('form', {}),
    'discriminant, ours': ('movement', {}),
}
COLUMNS = {
    'given': 'squats, given split',
    'days': f'squats, leave-days-out ({NUM_FOLDS} folds)',
    'penn': 'Penn actions',
    'rotated': 'Penn actions, test set rotated at random',
}
# Many times the work of the others, or no randomness: one seed does.
ONE_SEED = ('stgcn', 'movement')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seeds', type=int, default=3, help='trainings of each figure')
    parser.add_argument('--epochs', type=int, help="in place of the configs' own")
    parser.add_argument(
        '--rows',
        nargs='+',
        choices=sorted({stem for stem, _ in ROWS.values()}),
        help='only these rows, by the stem of their configs',
    )
    parser.add_argument(
        '--processes',
        type=int,
        default=os.cpu_count(),
        help='trainings at a time, with one thread each; 0 trains nothing, and '
        'tabulates what is there',
    )
    parser.add_argument(
        '--cluster',
        metavar='ADDRESS',
        help='of a Ray cluster (auto for one of this machine), whose tasks the trainings are, '
        'in place of --processes; its machines have the repository and data at the same places',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/compare_form'),
        help='folder of the results; what is there is not trained again',
    )
    parser.add_argument(
        '--inner',
        action='store_true',
        help='test on parts of the training sets: a random fifth of the given one, '
        'a third of the training days of each fold, a quarter of Penn by source',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of all configs to replace, as key=value',
    )
    parser.add_argument(
        '--amp',
        nargs='*',
        default=[],
        metavar='STEM',
        help='rows to train in mixed precision, by the stem of their configs',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='where the table goes; default '
        'docs/form_comparison.md, or table.md in the work folder by --inner',
    )
    args = parser.parse_args()
    args.out = args.out or (
        args.work_dir / 'table.md' if args.inner else Path('docs/form_comparison.md')
    )
    return args


def experiments_of(row: str, args: argparse.Namespace) -> Iterator[tuple[str, Experiment]]:
    """The trainings of a row, each with its column: of squats and of Penn, per seed and fold."""
    stem, options = ROWS[row]
    squats, penn = (str(CONFIGS / f'{stem}_{data}.py') for data in ('squat', 'penn_actions'))
    if args.epochs and stem != 'movement':  # the others share their schedule
        options = {**options, **epoch_options(squats, args.epochs)}
    options = {**options, **args.cfg_options}
    name = row.replace(', ', '_').replace(' ', '_').replace("'", '')
    given, random = dict(type='given'), dict(type='random')
    sources = dict(type='leave_group_out', group='source', fold=0)
    for seed in range(1 if stem in ONE_SEED else args.seeds):
        common = dict(seed=seed, amp=stem in args.amp)
        yield (
            'given',
            Experiment(
                f'{name}_given_{seed}', squats, {**options, **split(given, random, args)}, **common
            ),
        )
        for fold in range(NUM_FOLDS):
            days = dict(type='leave_days_out', num_folds=NUM_FOLDS, fold=fold)
            inner = dict(days, num_folds=NUM_INNER_FOLDS, fold=fold % NUM_INNER_FOLDS)
            yield (
                'days',
                Experiment(
                    f'{name}_days{fold}_{seed}',
                    squats,
                    {**options, **split(days, inner, args)},
                    **common,
                ),
            )
        if Path(penn).exists():
            yield (
                'penn',
                Experiment(
                    f'{name}_penn_{seed}',
                    penn,
                    {**options, **split(given, sources, args)},
                    **common,
                    tests=dict(test=[], rotated=[dict(type='RotateSkeleton', seed=0)]),
                ),
            )


def split(outer: dict, inner: dict, args: argparse.Namespace) -> dict:
    """Options that train and test on the parts of the outer split, or of the inner one within."""
    parts = {
        part: [dict(outer, part='train'), dict(inner, part=part)]
        if args.inner
        else dict(outer, part=part)
        for part in ('train', 'test')
    }
    return {f'{part}_dataloader.dataset.split': value for part, value in parts.items()}


def collect(done: list[tuple[str, Experiment, dict]], column: str, metric: str) -> list[float]:
    """The figures of a cell in percent, one of each seed; folds are averaged."""
    test = 'rotated' if column == 'rotated' else 'test'
    values: dict[int, list[float]] = {}
    for kind, experiment, result in done:
        if kind == ('penn' if column == 'rotated' else column):
            values.setdefault(experiment.seed, []).append(100 * result['tests'][test][metric])
    # Before the end of a run, some folds of a seed may be missing.
    needed = NUM_FOLDS if column == 'days' else 1
    return [float(np.mean(folds)) for folds in values.values() if len(folds) == needed]


def table(results: dict[str, list], metric: str) -> str:
    """The table of one metric."""
    return format_table(
        ['', *COLUMNS.values()],
        [
            [row, *(mean_and_spread(collect(done, column, metric)) for column in COLUMNS)]
            for row, done in results.items()
        ],
    )


def costs(results: dict[str, list]) -> str:
    """The table of parameters and training times."""
    squats = {
        row: [result for kind, _, result in done if kind in ('given', 'days')]
        for row, done in results.items()
    }
    return format_table(
        ['squats', 'parameters', 'seconds of a training, median'],
        [
            [
                row,
                f'{found[0]["parameters"] / 1e6:.2f} M',
                f'{np.median([result["seconds"] for result in found]):.0f}',
            ]
            for row, found in squats.items()
        ],
    )


def report(results: dict[str, list], args: argparse.Namespace) -> str:
    """The whole page."""
    seconds = sum(result['seconds'] for done in results.values() for _, _, result in done)
    epochs = next(iter(results.values()))[0][1].load().train_cfg.max_epochs
    return f"""# Representations of exercise form, compared

Written by `python tools/research/compare_form.py` (its help says what rows and columns are).
Accuracy in percent, mean ± standard deviation over seeds; without a deviation it is one seed.
Every training has {epochs} epochs, the discriminant's one pass.{
        ' Tested on parts of the training sets.' if args.inner else ''
    }

{table(results, 'form/accuracy')}

Macro F1 in percent:

{table(results, 'form/macro_f1')}

{costs(results)}

All {sum(map(len, results.values()))} trainings took {seconds / 3600:.1f} hours, one after another.
torch {torch.__version__}, {platform.machine()}, one thread for each training{
        '; in bfloat16: ' + ', '.join(args.amp) if args.amp else ''
    }.
"""


def main() -> None:
    """Train what is missing, print and write the tables."""
    args = parse_args()
    rows = [row for row, (stem, _) in ROWS.items() if not args.rows or stem in args.rows]
    planned = {
        experiment.name: (row, column, experiment)
        for row in rows
        for column, experiment in experiments_of(row, args)
    }
    # The longest first, so that no process is left alone with one at the end; then seed by seed,
    # so that a run that is stopped has a whole table.
    order = sorted(
        (e for _, _, e in planned.values()), key=lambda e: ('stgcn' not in e.config, e.seed)
    )
    results: dict[str, list] = {row: [] for row in rows}
    with Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ) as progress:
        task = progress.add_task('trainings', total=len(order))
        for experiment, result in run_experiments(
            order, args.work_dir, args.processes, cluster=args.cluster
        ):
            row, column, _ = planned[experiment.name]
            results[row].append((column, experiment, result))
            shown = ', '.join(
                f'{name} {metrics["form/accuracy"]:.3f}'
                for name, metrics in result['tests'].items()
            )
            progress.console.print(f'{experiment.name}: {shown} ({result["seconds"]:.0f} s)')
            progress.advance(task)
    text = report(results, args)
    print(text)
    write_text(args.out, text)
    write_text(
        args.work_dir / 'table.json',
        json.dumps(
            {
                row: {column: collect(done, column, 'form/accuracy') for column in COLUMNS}
                for row, done in results.items()
            },
            indent=1,
        ),
    )


if __name__ == '__main__':
    try:
        main()
    except RPSTNError as error:
        sys.exit(str(error))
