"""Memory and time of the relation modules: forward and backward, each in a process of its own.

    python tools/research/relation/benchmark_relation.py
    python tools/research/relation/benchmark_relation.py --device cuda --batch-size 32

The first row is MMCV's non-local block, which makes the matrix of all pairs of cells.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch
from mmengine.registry import MODELS
from torch import nn

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.benchmark.timing import Call, measure
from rpstn.tables import format_table

from mmcv.cnn import NonLocal2d  # isort: skip

NAMES = ('mmcv.cnn.NonLocal2d', 'NonLocalRelation', 'JRE')


def build_step(name: str, num_joints: int, size: int, batch_size: int, device: str) -> Call:
    """Forward and backward of a module whose output depends on all of its weights."""
    torch.manual_seed(0)
    if name == 'mmcv.cnn.NonLocal2d':
        module = NonLocal2d(num_joints, use_scale=False)
    else:
        module = MODELS.build(dict(type=name, num_joints=num_joints))
    for parameter in module.to(device).parameters():
        nn.init.normal_(parameter, std=0.3)
    maps = torch.randn(batch_size, num_joints, size, size, device=device)

    def step(maps: torch.Tensor) -> None:
        module(maps.clone().requires_grad_()).square().mean().backward()
        if maps.is_cuda:
            torch.cuda.synchronize()

    step(maps[:, :, :8, :8])  # libraries are loaded, threads started
    return Call(partial(step, maps), 1, device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--batch-size', type=int, default=8, help='maps (default: %(default)s)')
    add('--num-joints', type=int, default=13, help='K (default: %(default)s)')
    add('--size', type=int, default=64, help='side of the maps, cells (default: %(default)s)')
    add('--repeats', type=int, default=3, help='steps (default: %(default)s)')
    add('--threads', type=int, default=1, help='(default: %(default)s)')
    add('--device', default='cpu', help='(default: %(default)s)')
    args = parser.parse_args()
    common = (args.num_joints, args.size, args.batch_size, args.device)
    builds = {name: partial(build_step, name, *common) for name in NAMES}
    timings = measure(builds, rounds=1, units=args.repeats, threads=args.threads)
    print(
        f'Forward and backward of {args.batch_size} maps of {args.size}x{args.size} cells, '
        f'K = {args.num_joints}, float32, {args.device}, {args.threads} threads, '
        f'torch {torch.__version__}'
    )
    rows = [
        [name, f'{timing.memory - timing.memory_before:.0f}', f'{np.median(timing.ms) / 1e3:.3f}']
        for name, timing in timings.items()
    ]
    print(format_table(['', 'peak MB', 'seconds'], rows))


if __name__ == '__main__':
    main()
