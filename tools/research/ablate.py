"""Train the ablations of RPSTN on the same data with the same budget; write a table and a plot.

    python tools/research/ablate.py --amp

trains each of configs/ablations on top of configs/rpstn_demo.py, synthetic clips; with
``--config configs/rpstn_r18_jhmdb.py``, on JHMDB, or on top of any other RPSTN config, with its
own epochs or ``--epochs``. All start alike, have the same epochs, and seeds that are the same
for all. An epoch has the same number of frames for any T, in nearly as many steps (batches are
larger where clips are shorter), and every T is tested on the same frames, each of them once. No
variant looks at its test set before the end. Each training is one experiment, kept in a file: a
run that was stopped goes on where it was. A change that changes nothing, such as ResNet-18 on top
of a config that has it, is the base itself and not trained again.

    python tools/research/ablate.py --config configs/rpstn_jhmdb.py --dump work_dirs/jhmdb_ablations

trains nothing, but writes the whole configs, for tools/train.py and tools/dist_train.sh.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import textwrap
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.files import write_text
from rpstn.tables import format_table

from ablations import PARTS, frame_times, plot_ablations
from experiments import Experiment, epoch_options, mean_and_spread, run_experiments

CONFIGS = Path(__file__).parents[2] / 'configs'
BASE = 'base'
# group -> stem of a config in configs/ablations, or BASE, which is the config itself -> label
GROUPS = {
    'relation': {
        BASE: 'JRE',
        'no_relation': 'none',
        'prior_relation': 'fixed graph',
        'non_local': 'non-local',
        'non_local_later': 'JRE, then\nnon-local',
    },
    'propagation': {BASE: 'JRPSP', 'cat': 'Cat', 'no_propagation': 'without P'},
    'backbone': {'resnet18': 'ResNet-18', 'resnet50': 'ResNet-50', 'resnet101': 'ResNet-101'},
    'clip length': {'t1': 'T = 1', 't3': 'T = 3', 't5': 'T = 5', 't7': 'T = 7'},
}
NAMES = list(dict.fromkeys(name for group in GROUPS.values() for name in group))
# column -> metric of the test
COLUMNS = {
    'torso': 'torso_PCK@0.2/mean',
    'bbox': 'bbox_PCK@0.2/mean',
    'visible': 'torso_PCK@0.2/visible',
    'occluded': 'torso_PCK@0.2/occluded',
}


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--config',
        default=str(CONFIGS / 'rpstn_demo.py'),
        help='RPSTN config that is changed (default: configs/rpstn_demo.py)',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=NAMES,
        default=NAMES,
        metavar='NAME',
        help=f'only these of {", ".join(NAMES)}',
    )
    parser.add_argument('--epochs', type=int, help="in place of the config's own")
    parser.add_argument('--seeds', type=int, default=1, help='trainings of each variant')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--processes',
        type=int,
        default=os.cpu_count(),
        help='trainings at a time, with one thread each; 0 trains nothing, and '
        'tabulates what is there',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of the results; what is there is not trained again '
        '(default: work_dirs/ablate_<stem of the config>)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of all configs to replace, as key=value',
    )
    parser.add_argument('--dump', type=Path, metavar='FOLDER', help='only write the configs there')
    parser.add_argument(
        '--out',
        type=Path,
        help='Markdown file of the table, the plot beside it '
        'as PNG (default: table.md in the work folder)',
    )
    args = parser.parse_args()
    args.work_dir = args.work_dir or Path('work_dirs') / f'ablate_{Path(args.config).stem}'
    args.out = args.out or args.work_dir / 'table.md'
    return args


def experiment_of(name: str, seed: int, args: argparse.Namespace) -> Experiment:
    """A training of a variant."""
    options = epoch_options(args.config, args.epochs) if args.epochs else {}
    return Experiment(
        f'{name}_{seed}',
        args.config,
        {**options, **args.cfg_options},
        seed,
        amp=args.amp,
        change=None if name == BASE else str(CONFIGS / f'ablations/{name}.py'),
    )


def plan(args: argparse.Namespace) -> dict[str, list[Experiment]]:
    """The trainings of each variant, one a seed; those of BASE for a variant that is the base."""
    planned: dict[str, list[Experiment]] = {name: [] for name in args.only}
    for seed in range(args.seeds):
        base = experiment_of(BASE, seed, args)
        same = base.fingerprint()
        for name in args.only:
            variant = experiment_of(name, seed, args)
            planned[name].append(base if variant.fingerprint() == same else variant)
    return planned


def figures(results: list[dict], metric: str) -> list[float]:
    """A metric in percent, one figure a seed; none where the data does not tell it."""
    return [
        100 * result['tests']['test'][metric]
        for result in results
        if metric in result['tests']['test']
    ]


def rows_of(
    planned: dict[str, list[Experiment]], results: dict[str, dict], times: dict[str, float]
) -> dict[str, dict]:
    """All that is known of each variant, for the table, the plot and the JSON file."""
    rows = {}
    for name, experiments in planned.items():
        done = [results[e.name] for e in experiments if e.name in results]
        if done:
            rows[name] = dict(
                is_base=experiments[0].change is None,
                **{column: figures(done, metric) for column, metric in COLUMNS.items()},
                parameters=done[0]['parameters'],
                ms_per_frame=times[name],
                seconds=[result['seconds'] for result in done],
                from_scratch=done[0]['from_scratch'],
            )
    return rows


def groups_of(rows: dict[str, dict]) -> dict[str, dict[str, str]]:
    """The part of GROUPS that there are rows of; groups of one row only if all are so."""
    found = {
        group: {name: label for name, label in variants.items() if name in rows}
        for group, variants in GROUPS.items()
    }
    least = min(2, max(map(len, found.values())))
    return {group: variants for group, variants in found.items() if len(variants) >= least}


def table(rows: dict[str, dict]) -> str:
    """Markdown; a variant that is the base is so in every group."""
    lines = [
        [
            group,
            label.replace('\n', ' ') + ' (base)' * rows[name]['is_base'],
            *(mean_and_spread(rows[name][column]) or '-' for column in COLUMNS),
            f'{rows[name]["parameters"] / 1e6:.2f} M',
            f'{rows[name]["ms_per_frame"]:.1f}',
            f'{np.mean(rows[name]["seconds"]):.0f}',
        ]
        for group, variants in groups_of(rows).items()
        for name, label in variants.items()
    ]
    return format_table(
        [
            '',
            'variant',
            'PCK, torso',
            'PCK, bbox',
            'visible',
            'occluded',
            'parameters',
            'ms per frame',
            'training, s',
        ],
        lines,
    )


def command(args: argparse.Namespace) -> str:
    """The command line that decides the figures."""
    parts = ['python', 'tools/research/ablate.py']
    if Path(args.config) != CONFIGS / 'rpstn_demo.py':
        parts += ['--config', args.config]
    if args.only != NAMES:
        parts += ['--only', *args.only]
    parts += [f'--epochs {args.epochs}'] * bool(args.epochs)
    parts += [f'--seeds {args.seeds}'] * (args.seeds > 1) + ['--amp'] * args.amp
    if args.cfg_options:
        parts += ['--cfg-options', *(f'{key}={value}' for key, value in args.cfg_options.items())]
    return textwrap.fill(
        ' '.join(parts),
        96,
        subsequent_indent='    ',
        break_long_words=False,
        break_on_hyphens=False,
    ).replace('\n', ' \\\n')


def report(rows: dict[str, dict], args: argparse.Namespace, cfg: Config) -> str:
    """The whole page."""
    loader = cfg.train_dataloader
    scratch = any(row['from_scratch'] for row in rows.values())
    return f"""# Ablations of RPSTN

```bash
{command(args)}
```

The help of the tool says what is the same for all. The base is `{Path(args.config).name}`
({loader.dataset.type}), trained for {cfg.train_cfg.max_epochs} epochs of batches of {
        loader.batch_size
    } clips of {loader.dataset.clip_len} frames{', in mixed precision' if args.amp else ''}{
        ', from scratch, as the ImageNet weights could not be downloaded' if scratch else ''
    }.
PCK@0.2 in percent, on the test set; visible and occluded joints by the torso.
{
        'One seed: how far chance moves these figures is not known.'
        if args.seeds == 1
        else f'Mean ± standard deviation over {args.seeds} seeds.'
    }
Milliseconds per frame: one clip at a time, float32, one thread. T = 1 is P and R alone; its F and
its propagation are computed, but nothing comes of them.

{table(rows)}

![PCK of every variant]({args.out.with_suffix('.png').name})

torch {torch.__version__}, {platform.machine()}, one thread for each training.
"""


def main() -> None:
    """Train what is missing, print and write the table and the plot."""
    args = parse_args()
    if args.dump:
        args.dump.mkdir(parents=True, exist_ok=True)
        for name in args.only:
            path = args.dump / f'{Path(args.config).stem}_{name}.py'
            write_text(path, experiment_of(name, 0, args).read().pretty_text)
            print(path)
        return
    planned = plan(args)
    # Seed by seed, so that a run that is stopped has a whole table.
    order = {
        e.name: e for e in sorted((e for es in planned.values() for e in es), key=lambda e: e.seed)
    }
    results = {}
    with Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ) as progress:
        task = progress.add_task('trainings', total=len(order))
        for experiment, result in run_experiments(
            list(order.values()), args.work_dir, args.processes
        ):
            results[experiment.name] = result
            shown = ', '.join(
                f'{column} {np.mean(figures([result], metric)):.1f}'
                for column, metric in COLUMNS.items()
                if figures([result], metric)
            )
            progress.console.print(f'{experiment.name}: {shown} ({result["seconds"]:.0f} s)')
            progress.advance(task)
    if not results:
        raise SystemExit(f'{args.work_dir}: no result of these settings is there')
    torch.set_num_threads(1)
    # The base is timed once, not once for each name it goes by.
    unique = {experiments[0].name: experiments[0].read() for experiments in planned.values()}
    times = frame_times(unique)
    rows = rows_of(
        planned,
        results,
        {name: times[experiments[0].name] for name, experiments in planned.items()},
    )
    text = report(rows, args, experiment_of(BASE, 0, args).read())
    print(text)
    write_text(args.out, text)
    write_text(args.work_dir / 'table.json', json.dumps(rows, indent=1))
    plot_ablations(
        {
            group: {
                label + '*' * rows[name]['is_base']: {
                    part: rows[name]['torso' if part == 'mean' else part] for part in PARTS
                }
                for name, label in variants.items()
            }
            for group, variants in groups_of(rows).items()
        },
        args.out.with_suffix('.png'),
        'PCK@0.2 of torso (%)',
    )


if __name__ == '__main__':
    main()
