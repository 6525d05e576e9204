r"""Ablations of RPSTN on real video: what relation and propagation are worth, on JHMDB.

python tools/research/ablations/ablate.py

caches what the frozen encoder of configs/lite/rpstn_lite.py makes of JHMDB's clips, augmented and
occluded to train on, whole with and without occluders to measure on; trains the rows of grid.py
on it, every row of a group with the same budget; and writes docs/ablations.md. Whatever is done
is kept in the work folder, so that a run that was stopped goes on where it was; the page tells of
what is there. Needs the checkpoints of docs/training_lite.md, steps 1 to 7.

    --only single relation/tokens      these groups or rows alone
    --whole relation/none relation/tokens
                                       these rows end to end, too, on whole frames
    --processes 0                      train nothing, write the page of what is there
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path

import torch
from mmengine.config import Config

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.cluster.trainings import map_tasks
from rpstn.errors import RPSTNError

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import feature_cache  # noqa: E402
from ablation_page import write_page  # noqa: E402
from ablation_rows import read_grid, train_row  # noqa: E402
from closed_loop import measure_whole  # noqa: E402

GRID = Path(__file__).with_name('grid.py')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--grid', type=Path, default=GRID, help='rows (default: grid.py beside)')
    parser.add_argument('--only', nargs='+', default=[], metavar='GROUP[/ROW]')
    parser.add_argument('--whole', nargs='+', default=[], metavar='GROUP/ROW')
    parser.add_argument(
        '--seeds', type=int, default=3, help='at most so many of a row (default: %(default)s)'
    )
    parser.add_argument(
        '--processes', type=int, default=os.cpu_count() or 1, help='at a time, one thread each'
    )
    parser.add_argument(
        '--cluster',
        metavar='ADDRESS',
        help='of a Ray cluster (auto for one of this machine), whose tasks all is, in place of '
        '--processes; its machines share the repository, the data and the work folder',
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablate'))
    parser.add_argument('--out', type=Path, default=Path('docs/ablations.md'))
    return parser.parse_args()


Job = tuple[str, Callable, tuple]


def run_all(jobs: list[Job], processes: int, cluster: str | None = None) -> None:
    """Run jobs in processes or tasks of a cluster, of one thread each; say which are done."""
    if not processes:
        return
    if cluster is not None:
        for (name, *_), _ in map_tasks(partial(_run_in_task, Path.cwd()), jobs, cluster):
            print(f'{name}: done', flush=True)
        return
    with ProcessPoolExecutor(processes, get_context('spawn'), _start) as pool:
        futures = {pool.submit(call, *given): name for name, call, given in jobs}
        try:
            for future in as_completed(futures):
                future.result()
                print(f'{futures[future]}: done', flush=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _run_in_task(folder: Path, job: Job) -> None:
    os.chdir(folder)
    _start()
    _, call, given = job
    call(*given)


def _start() -> None:
    torch.set_num_threads(1)
    logging.disable(logging.INFO)


def main() -> int:
    """Caches, trains, measures, writes, and returns the exit status."""
    args = parse_args()
    try:
        rows = read_grid(args.grid, args.only, args.seeds)
        config = Config.fromfile(rows[0].config)
        features = args.work_dir / 'features'
        feature_cache.claim_folder(features, config)
        training = feature_cache.training_parts(config)
        parts = [*training, *feature_cache.WHOLE_PARTS]
        caching: list[Job] = [(p, feature_cache.make_part, (config, features, p)) for p in parts]
        run_all(caching, args.processes, args.cluster)
        # Seed by seed, so that a run that is stopped has a whole table.
        runs = sorted(((row, seed) for row in rows for seed in range(row.seeds)), key=itemgetter(1))
        jobs: list[Job] = [
            (f'{row.name}, seed {seed}', train_row, (row, seed, args.work_dir, training))
            for row, seed in runs
        ]
        jobs += [
            (f'{row.name}, seed {seed}, {part}', measure_whole, (row, seed, args.work_dir, part))
            for row, seed in runs
            if row.name in args.whole
            for part in ('test-occluded', 'test-clean')
        ]
        run_all(jobs, args.processes, args.cluster)
        write_page(read_grid(args.grid), args.grid, args.work_dir, args.out)
    except (RPSTNError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
