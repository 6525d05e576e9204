"""Test one checkpoint per split of a data set, and average the figures over the splits.

python tools/research/average_splits.py configs/rpstn_subjhmdb.py SPLIT1.pth SPLIT2.pth SPLIT3.pth

The test data set of the config takes split=1, 2, 3.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

import mmengine
import numpy as np
from mmengine.config import Config

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.checkpoints import read_checkpoint
from rpstn.cli.options import add_runner_options
from rpstn.engine.run import RunOptions, load_config
from rpstn.engine.runner import build_runner
from rpstn.tables import format_table


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_runner_options(parser)
    parser.add_argument('checkpoints', nargs=3, help='of splits 1, 2 and 3, in this order')
    parser.add_argument('--out', help='file for the figures, .json, .yaml or .pkl')
    args = parser.parse_args()
    for path in args.checkpoints:
        if not Path(path).is_file():
            parser.error(f'{path}: no such checkpoint file')
    if args.out is not None and Path(args.out).suffix not in ('.json', '.yaml', '.yml', '.pkl'):
        parser.error(f'--out {args.out}: must end in .json or .yaml or .yml or .pkl')
    return args


def trained_splits(checkpoint: str) -> set[int]:
    """The splits its training data is set to in the config that MMEngine saved along with it.

    The config is read as text, nothing in it is run; empty where there is none.
    """
    meta = read_checkpoint(checkpoint).get('meta') or {}
    try:
        body = ast.parse(str(meta.get('cfg') or '')).body
    except (SyntaxError, ValueError, RecursionError):
        return set()
    loaders = [
        line.value
        for line in body
        if isinstance(line, ast.Assign) and getattr(line.targets[0], 'id', '') == 'train_dataloader'
    ]
    return {
        node.value.value
        for loader in loaders
        for node in ast.walk(loader)
        if isinstance(node, ast.keyword)
        and node.arg == 'split'
        and isinstance(node.value, ast.Constant)
    }


def check_checkpoints(checkpoints: list[str]) -> None:
    """Refuse what was trained on another split: its test videos were trained on."""
    if len(set(map(str, map(Path.resolve, map(Path, checkpoints))))) < len(checkpoints):
        raise SystemExit(f'one checkpoint per split is needed, got {" ".join(checkpoints)}')
    for split, path in enumerate(checkpoints, 1):
        trained = trained_splits(path)
        if trained - {split}:
            raise SystemExit(
                f'{path}: trained on split {min(trained - {split})}, given as that of '
                f'split {split}; its test videos may have been trained on'
            )


def test_split(args: argparse.Namespace, split: int, checkpoint: str) -> dict[str, float]:
    """The figures of one split."""
    cfg: Config = load_config(args.config, RunOptions.of(vars(args)))
    if 'split' not in cfg.test_dataloader.dataset:
        raise SystemExit(f'{args.config}: test_dataloader.dataset must have a split')
    for loader in ('train', 'val', 'test'):
        if cfg.get(f'{loader}_dataloader'):
            cfg[f'{loader}_dataloader'].dataset.split = split
    cfg.load_from = checkpoint
    cfg.work_dir = str(Path(cfg.work_dir) / f'split{split}')
    return build_runner(cfg).test()


def average(figures: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the splits; NaN where one of them has none."""
    names = dict.fromkeys(name for split in figures for name in split)
    return {name: float(np.mean([split.get(name, np.nan) for split in figures])) for name in names}


def main() -> None:
    """Test the three, print and write their figures and the mean."""
    args = parse_args()
    check_checkpoints(args.checkpoints)
    splits = [test_split(args, n, path) for n, path in enumerate(args.checkpoints, 1)]
    mean = average(splits)
    rows = [
        [name, *(float(split.get(name, np.nan)) for split in splits), value]
        for name, value in mean.items()
        if '/joint/' not in name
    ]
    print(
        '\n' + format_table(['percent', 'split 1', 'split 2', 'split 3', 'mean'], rows, scale=100)
    )
    if args.out is not None:
        mmengine.dump(dict(mean=mean, splits=splits), args.out)


if __name__ == '__main__':
    main()
