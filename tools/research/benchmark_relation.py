"""Memory and time of the relation modules: forward and backward, each in a process of its own.

    python tools/research/benchmark_relation.py
    python tools/research/benchmark_relation.py --device cuda --batch-size 32

The first row is MMCV's non-local block, which makes the matrix of all pairs of cells.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmengine.registry import MODELS
from torch import nn

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.tables import format_table

from mmcv.cnn import NonLocal2d  # isort: skip

NAMES = ('mmcv.cnn.NonLocal2d', 'NonLocalRelation', 'JRE')


def build(name: str, num_joints: int) -> nn.Module:
    """A relation module whose output depends on all of its weights."""
    torch.manual_seed(0)
    if name == 'mmcv.cnn.NonLocal2d':
        module = NonLocal2d(num_joints, use_scale=False)
    else:
        module = MODELS.build(dict(type=name, num_joints=num_joints))
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def resident(field: str) -> float:
    """``VmRSS``, the memory of this process, or ``VmHWM``, the most it has had; MB."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measure(name: str, args: argparse.Namespace) -> dict[str, float]:
    """Peak memory above what there was before (MB), and seconds of a step (median)."""
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    module = build(name, args.num_joints).to(device)
    maps = torch.randn(args.batch_size, args.num_joints, args.size, args.size, device=device)

    def step(maps: torch.Tensor) -> float:
        maps = maps.clone().requires_grad_()
        began = time.perf_counter()
        module(maps).square().mean().backward()
        if device.type == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter() - began

    step(maps[:, :, :8, :8])  # libraries are loaded, threads started
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = resident('VmRSS')
    seconds = [step(maps) for _ in range(args.repeats)]
    memory = (
        (torch.cuda.max_memory_allocated() - before) / 2**20
        if device.type == 'cuda'
        else resident('VmHWM') - before
    )
    return dict(memory=memory, seconds=statistics.median(seconds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch-size', type=int, default=8, help='maps (default: %(default)s)')
    parser.add_argument('--num-joints', type=int, default=13, help='K (default: %(default)s)')
    parser.add_argument(
        '--size', type=int, default=64, help='side of the heatmaps, cells (default: %(default)s)'
    )
    parser.add_argument('--repeats', type=int, default=3, help='steps (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='(default: %(default)s)')
    parser.add_argument('--device', default='cpu', help='(default: %(default)s)')
    parser.add_argument('--module', choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.module:
        print(json.dumps(measure(args.module, args)))
        return
    rows = []
    for name in NAMES:
        command = [sys.executable, __file__, *sys.argv[1:], '--module', name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        rows.append([name, f'{result["memory"]:.0f}', f'{result["seconds"]:.3f}'])
    print(
        f'Forward and backward of {args.batch_size} maps of {args.size}x{args.size} cells, '
        f'K = {args.num_joints}, float32, {args.device}, {args.threads} threads, '
        f'torch {torch.__version__}'
    )
    print(format_table(['', 'peak MB', 'seconds'], rows))


if __name__ == '__main__':
    main()
