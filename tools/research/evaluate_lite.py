r"""Measure RPSTN-Lite beside its references on JHMDB, and write the table of docs/model_zoo.md.

python tools/research/evaluate_lite.py --mediapipe \
    --row RPSTN-Lite configs/lite/rpstn_lite.py work_dirs/rpstn_lite/epoch_5.pth \
    --row "single frame" configs/lite/single_lite.py work_dirs/single_lite/epoch_5.pth

A row of several seeds names its checkpoints with commas between them; it shows means and standard
deviations. Without --row the model that comes with the package is measured. Settings are chosen on
--subset val; the test clips (the default) are for the table alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from lite_evaluation import (
    COLUMNS,
    Evaluation,
    cells,
    evaluate,
    group_cells,
    jhmdb_clips,
    mean_text,
    mediapipe_evaluation,
    model_megabytes,
    model_milliseconds,
    model_predictor,
)

import rpstn  # noqa: F401
from rpstn.checkpoints import ModelError
from rpstn.engine.loading import load_model
from rpstn.engine.shipped import shipped_files
from rpstn.pose.evaluation.pck import GROUPS
from rpstn.tables import format_table

BEGIN, END = '<!-- lite table -->', '<!-- end of lite table -->'


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--row',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT[,CHECKPOINT]'),
        help='a model',
    )
    parser.add_argument(
        '--mediapipe',
        action='store_true',
        help='MediaPipe Pose full, on whole frames doubled in size, tracking on',
    )
    parser.add_argument('--subset', default='test', choices=['val', 'test', 'train', 'trainval'])
    parser.add_argument('--data-root', default='jhmdb', help='(default: %(default)s)')
    parser.add_argument('--every', type=int, default=1, help='only every so many clips, to try it')
    parser.add_argument('--flip', action='store_true', help='average with the mirrored frame')
    parser.add_argument('--seed', type=int, default=0, help='of the occluders')
    parser.add_argument('--threads', type=int, default=2, help='of torch (default: %(default)s)')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/model_zoo.md'),
        help='page whose table is replaced, or - for none (default: %(default)s)',
    )
    parser.add_argument('--json', type=Path, help='file for all figures')
    args = parser.parse_args()
    if args.every < 1:
        parser.error(f'--every {args.every}: must be at least 1')
    if str(args.out) != '-' and args.out.is_file() and BEGIN not in args.out.read_text():
        parser.error(f'--out {args.out}: has no line {BEGIN}')
    return args


def measure(name: str, config, checkpoint, dataset, args: argparse.Namespace) -> Evaluation:
    """One model's figures."""
    model = load_model(config, checkpoint)
    row = evaluate(name, model_predictor(model, args.flip), dataset, args.every, args.seed)
    row.milliseconds = model_milliseconds(model)
    row.megabytes = model_megabytes(model)
    return row


def tables(rows: dict[str, list[Evaluation]], dataset, args: argparse.Namespace) -> str:
    """Both tables, and what they are of."""
    shown = len(range(0, len(dataset), args.every))
    counts = dataset.sequences.lengths()[:: args.every]
    missing = ', '.join(
        f'{name} in {row.missing:.1%} of the frames'
        for name, runs in rows.items()
        for row in runs[:1]
        if row.missing
    )
    caption = (
        f'PCK@0.2 in percent on {int(counts.sum())} frames of {shown} clips of JHMDB, split 1, '
        f'`{args.subset}`'
        + (f' (every {args.every}th clip)' if args.every > 1 else '')
        + ', by `tools/research/evaluate_lite.py`. '
        "Ours see the labels' box of each frame and carry heatmaps through the whole clip"
        + (', averaged with the mirrored frame' if args.flip else '')
        + '; MediaPipe sees whole frames, doubled in size. *limbs*: the 12 joints of arms and legs.'
        f' *with occluders*: half of the frames get something over one limb (seed {args.seed}); of '
        'these clips *occluded* are the joints under it, *visible* all others. *swapped*: '
        "left-right pairs that lie nearer to each other's labels, percent. *jitter*: mean "
        'acceleration error, pixels per frame². *ms*: median per frame, CPU, '
        f'{args.threads} threads, network alone for ours, on a machine that may have had other '
        'work. *MB*: weights, half precision for ours.'
        + (f' Nobody was found by {missing}; such frames count as wrong.' if missing else '')
    )
    main = format_table(
        ['', *COLUMNS],
        [[name, *mean_text([cells(row) for row in runs])] for name, runs in rows.items()],
    )
    groups = format_table(
        ['', 'by', *GROUPS],
        [
            [name, normalizer, *mean_text([group_cells(row, normalizer) for row in runs])]
            for name, runs in rows.items()
            for normalizer in ('torso', 'bbox')
        ],
    )
    return f'{caption}\n\n{main}\n\n{groups}'


def write_between(path: Path, text: str) -> None:
    """Put the text between the page's two markers; a page of its own where there is none."""
    page = (
        path.read_text(encoding='utf-8') if path.is_file() else (f'# Model zoo\n\n{BEGIN}\n{END}\n')
    )
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ModelError(f'{path}: {BEGIN} is there, {END} is not')
    path.write_text(f'{before}{BEGIN}\n{text}\n{END}{after}', encoding='utf-8')


def main() -> int:
    """Measures, writes, and returns the exit status."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    try:
        given = [(name, config, checkpoints.split(',')) for name, config, checkpoints in args.row]
        if not given and not args.mediapipe:
            config, checkpoint = shipped_files('lite')
            given = [('RPSTN-Lite', config, [checkpoint])]
        for _, _, checkpoints in given:  # all, before hours of measuring
            for checkpoint in checkpoints:
                if not Path(checkpoint).is_file():
                    raise ModelError(f'{checkpoint}: no such checkpoint file')
        dataset = jhmdb_clips(args.subset, data_root=args.data_root)
        rows = {
            name: [measure(name, config, checkpoint, dataset, args) for checkpoint in checkpoints]
            for name, config, checkpoints in given
        }
        if args.mediapipe:
            row = mediapipe_evaluation(dataset, args.every, args.seed)
            rows[row.name] = [row]
        text = tables(rows, dataset, args)
        print(text)
        if str(args.out) != '-':
            write_between(args.out, text)
        if args.json:
            args.json.write_text(
                json.dumps(
                    {name: [asdict(row) for row in runs] for name, runs in rows.items()}, indent=1
                )
            )
    except (ModelError, FileNotFoundError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
