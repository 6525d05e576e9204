"""Clip mode against the frame-by-frame loop, in one run on one machine.

    python tools/benchmark.py configs/rpstn_penn.py

Times, in turns, float32, one clip at a time: the plain loop (each frame encoded by itself, the
model as PyTorch builds it, the way research code runs it) and clip mode (all frames encoded in
one batch), first with the same model, then as ``rpstn.apis.cpu.for_inference`` rearranges it,
then with freed memory kept for reuse. Prints parameters, multiply-adds, milliseconds per frame
(median over the repeats), peak memory, and the greatest difference of any heatmap value; then
the clips per second that the config's training loader delivers, beside what training consumes.
"""
from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch import Tensor, nn

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.apis.cpu import for_inference, keep_freed_memory
from rpstn.pose.tables import format_table

MODES = {
    'frame-by-frame loop': 'loop',
    'clip mode, same model': 'clip',
    'clip mode, for_inference': 'fast',
    'clip mode, for_inference, memory kept': 'kept',
}


def frame_by_frame(model: nn.Module, clips: Tensor) -> Tensor:
    """Heatmaps (B, T, K, h, w), every frame encoded by itself, P on the first."""
    heatmaps, features = [], None
    for t in range(clips.shape[1]):
        following = model.backbone.encoder(clips[:, t])
        heatmaps.append(
            model.head.refine(model.backbone.initializer(clips[:, 0])) if t == 0 else
            model.head.step(heatmaps[-1], features, following))
        features = following
    return torch.stack(heatmaps, dim=1)


def clip_mode(model: nn.Module, clips: Tensor) -> Tensor:
    """Heatmaps (B, T, K, h, w), all frames encoded in one batch."""
    return model(clips, None, mode='tensor')


def build(config: Config) -> nn.Module:
    """The config's model with random, fixed weights and batch statistics that fit them."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    with torch.no_grad():  # as after training: no batch norm is the identity
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(.5, 1.5)
                module.bias.uniform_(-.1, .1)
                module.running_mean.uniform_(-.1, .1)
                module.running_var.uniform_(.5, 1.5)
    return model.eval()


def timed(run: Callable[[], Tensor]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure(config: Config, mode: str, args: argparse.Namespace) -> dict[str, float]:
    """Time one mode in this process, and its difference to the loop."""
    torch.set_num_threads(args.threads)
    if mode == 'kept':
        keep_freed_memory()
    model = build(config)
    width, height = model.backbone.input_size
    clips = torch.randn(1, args.clip_len, 3, height, width)
    with torch.inference_mode():
        expected = frame_by_frame(model, clips)
        if mode in ('fast', 'kept'):
            model = for_inference(model)
        function = frame_by_frame if mode == 'loop' else clip_mode
        difference = (function(model, clips) - expected).abs().max().item()
        for _ in range(args.warmup):
            function(model, clips)
        seconds = [timed(lambda: function(model, clips)) for _ in range(args.repeats)]
    return dict(ms=1e3 * float(np.median(seconds)) / args.clip_len, difference=difference,
                greatest=expected.abs().max().item(),
                memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure_apart(mode: str, args: argparse.Namespace) -> dict[str, float]:
    """:func:`measure` in a process of its own, for the peak memory and the allocator."""
    command = [sys.executable, __file__, *sys.argv[1:], '--mode', mode]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def loader_speed(config: Config, clips: int) -> tuple[float, int]:
    """Clips per second of the training loader, once its workers run, and its workers."""
    init_default_scope('mmpose')
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    count, began = 0, None
    while began is None or count < clips:
        for batch in loader:
            if began is None:  # the first batch waits for the workers to start
                began = time.perf_counter()
                continue
            count += len(batch['inputs'])
            if count >= clips:
                break
    return count / (time.perf_counter() - began), loader.num_workers


def training_speed(config: Config, args: argparse.Namespace) -> float:
    """Clips per second that a training step consumes, float32, the config's batch."""
    model = MODELS.build(config.model).to(memory_format=torch.channels_last).train()
    width, height = model.backbone.input_size
    batch = config.train_dataloader.batch_size
    clips = torch.randn(batch, args.clip_len, 3, height, width)
    seconds = [timed(lambda: model(clips, None, mode='tensor').square().mean().backward())
               for _ in range(2)]
    return batch / min(seconds)


def processor() -> str:
    """The processor's name, where Linux tells it."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of an RPSTN')
    parser.add_argument('--clip-len', type=int, default=5, help='T (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=7, help='timed calls, per round')
    parser.add_argument('--rounds', type=int, default=3, help='turns that every mode gets')
    parser.add_argument('--warmup', type=int, default=2)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--loader-clips', type=int, default=100,
                        help='clips read from the training loader; 0 leaves it out')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    parser.add_argument('--mode', choices=list(MODES.values()), help=argparse.SUPPRESS)
    args = parser.parse_args()
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    if args.mode:
        print(json.dumps(measure(config, args.mode, args)))
        return

    model = build(config)
    width, height = model.backbone.input_size
    complexity = get_model_complexity_info(
        copy.deepcopy(model), inputs=(torch.zeros(1, args.clip_len, 3, height, width), None),
        show_table=False, show_arch=False)
    print(f'{args.config}: {width}x{height}, T = {args.clip_len}, batch 1, float32; '
          f'{args.threads} threads of {processor()}, torch {torch.__version__}')
    print(f'{complexity["params"] / 1e6:.1f} M parameters, '
          f'{complexity["flops"] / args.clip_len / 1e9:.1f} GFLOPs (multiply-adds) per frame')

    # In turns, so that a slow minute of the machine falls on all modes alike.
    runs = {mode: [] for mode in MODES.values()}
    for _ in range(args.rounds):
        for mode in runs:
            runs[mode].append(measure_apart(mode, args))
    loop = np.median([run['ms'] for run in runs['loop']])
    rows = []
    for name, mode in MODES.items():
        ms = float(np.median([run['ms'] for run in runs[mode]]))
        rows.append([name, f'{ms:.1f}', f'{loop / ms:.2f}', f'{runs[mode][0]["memory"]:.0f}',
                     f'{max(run["difference"] for run in runs[mode]):.1e}'])
    print(format_table(['', 'ms per frame', 'times faster', 'peak MB', 'difference'], rows))
    print(f'Heatmap values reach {runs["loop"][0]["greatest"]:.2f}.')

    if args.loader_clips:
        try:
            speed, workers = loader_speed(config, args.loader_clips)
        except FileNotFoundError as error:
            print(f'loader not measured: {error}')
            return
        print(f'Training loader, {workers} workers: {speed:.1f} clips per second; a training step '
              f'consumes {training_speed(config, args):.1f} here.')


if __name__ == '__main__':
    main()
