"""Speed, in one run on one machine: an RPSTN's clip mode, or a recognizer of exercise form.

    python tools/research/benchmark.py configs/rpstn_penn.py

sets clip mode against the frame-by-frame loop. Times, in turns, float32, one clip at a time: the
plain loop (each frame encoded by itself, the model as PyTorch builds it, the way research code
runs it) and clip mode (all frames encoded in one batch), first with the same model, then as
``rpstn.engine.cpu.for_inference`` rearranges it, then with freed memory kept for reuse. Prints
parameters, multiply-adds, milliseconds per frame (median over the repeats), peak memory, and the
greatest difference of any heatmap value; then the clips per second of the config's training loader
alone, and how long some real training steps wait for it.

    python tools/research/benchmark.py configs/tdm_squat.py --against configs/stgcn_squat.py

sets a recognizer of exercise form beside another, in turns: parameters, multiply-adds,
milliseconds to classify a clip of 300 frames (by the network alone, and with the test pipeline
before it), and seconds and accuracy of a training on the configs' own data. Before that, how many
frames per second the distances of 19 joints take.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
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
from rpstn.engine.cpu import channels_last, for_inference, keep_freed_memory
from rpstn.tables import format_table

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
        if t == 0:
            heatmaps.append(model.head.refine(model.backbone.initializer(clips[:, 0])))
        else:
            following = model.head.embed(following)
            heatmaps.append(model.head.step(heatmaps[-1], features, following))
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
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.1, 0.1)
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 1.5)
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
    if mode in ('fast', 'kept'):
        model = for_inference(model)
    width, height = model.backbone.input_size
    clips = torch.randn(1, args.clip_len, 3, height, width)
    function = frame_by_frame if mode == 'loop' else clip_mode
    with torch.inference_mode():
        for _ in range(args.warmup):
            function(model, clips)
        seconds = [timed(lambda: function(model, clips)) for _ in range(args.repeats)]
        # Before the second model, below, is built.
        memory = peak_memory()
        heatmaps = function(model, clips)
        expected = frame_by_frame(build(config), clips)
    return dict(
        ms=1e3 * float(np.median(seconds)) / args.clip_len,
        memory=memory,
        difference=(heatmaps - expected).abs().max().item(),
        greatest=expected.abs().max().item(),
    )


def peak_memory() -> float:
    """The most memory this process has had, MB."""
    status = Path('/proc/self/status')
    if status.exists():  # ru_maxrss would count what the process that started this one had
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_apart(mode: str, args: argparse.Namespace) -> dict[str, float]:
    """:func:`measure` in a process of its own, for the peak memory and the allocator."""
    command = [sys.executable, __file__, *sys.argv[1:], '--mode', mode]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def training_data(config: Config, clips: int, steps: int) -> str:
    """How fast the training loader is alone, and how long training steps wait for it."""
    init_default_scope('mmpose')
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    batches = endless(loader)
    # Those that the workers had ready before the clock started do not count.
    for _ in range(1 + loader.num_workers * (loader.prefetch_factor or 0)):
        next(batches)
    count, began = 0, time.perf_counter()
    while count < clips:
        count += len(next(batches)['inputs'])
    alone = count / (time.perf_counter() - began)

    model = channels_last(MODELS.build(config.model)).train()
    waited = worked = 0.0
    for step in range(steps + 1):
        asked = time.perf_counter()
        batch = next(batches)
        got = time.perf_counter()
        losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
        model.parse_losses(losses)[0].backward()
        model.zero_grad()
        if step:  # the first is slower
            waited, worked = waited + got - asked, worked + time.perf_counter() - got
    return (
        f'Training loader, {loader.num_workers} workers: {alone:.1f} clips per second alone. '
        f'Training steps of {loader.batch_size} clips, float32, take '
        f'{steps * loader.batch_size / (waited + worked):.1f} clips per second and wait for '
        f'data {100 * waited / (waited + worked):.1f} % of the time.'
    )


def endless(loader: Iterable) -> Iterator:
    """Batches of epoch after epoch."""
    while True:
        yield from loader


def processor() -> str:
    """The processor's name, where Linux tells it."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor()


def benchmark_form(config: Config, args: argparse.Namespace) -> None:
    """Measure a recognizer of exercise form beside another, print and write."""
    import form_benchmark

    path = Path(args.config)
    against = args.against or path.with_name(f'stgcn_{path.stem.partition("_")[2]}.py')
    if not against.is_file():
        raise SystemExit(f'{against}: no such config file; --against names another')
    machine = (
        f'{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, torch '
        f'{torch.__version__}, mmengine {version("mmengine")}, mmaction2 {version("mmaction2")}'
    )
    print(f'{args.config} and {against}; {machine}')
    result = form_benchmark.benchmark_form(
        args.config,
        str(against),
        args.cfg_options,
        args.epochs,
        rounds=args.rounds,
        repeats=args.repeats or 40,
        warmup=args.warmup,
        num_threads=args.threads or 2,
    )
    result['machine'] = machine
    print(form_benchmark.report(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of an RPSTN or of a form recognizer')
    parser.add_argument('--clip-len', type=int, default=5, help='T (default: %(default)s)')
    parser.add_argument(
        '--repeats', type=int, help='timed calls, per round (default: 7; 40 for form)'
    )
    parser.add_argument('--rounds', type=int, default=3, help='turns that every mode gets')
    parser.add_argument('--warmup', type=int, default=2)
    parser.add_argument('--threads', type=int, help="(default: the machine's cores; 2 for form)")
    parser.add_argument(
        '--loader-clips',
        type=int,
        default=100,
        help='clips read from the training loader; 0 leaves it out',
    )
    parser.add_argument(
        '--training-steps',
        type=int,
        default=3,
        help='real training steps timed, to see what they wait',
    )
    parser.add_argument(
        '--against',
        type=Path,
        help='form: config to compare with (default: the ST-GCN for the same data)',
    )
    parser.add_argument(
        '--epochs',
        type=int,
        help="form: of the trainings, in place of the configs' own; 0 for none",
    )
    parser.add_argument('--json', type=Path, help='form: file for all that was measured')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the config (not of the other) to replace',
    )
    parser.add_argument('--mode', choices=list(MODES.values()), help=argparse.SUPPRESS)
    args = parser.parse_args()
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    if config.get('default_scope') == 'mmaction':
        benchmark_form(config, args)
        return
    args.repeats, args.threads = args.repeats or 7, args.threads or os.cpu_count()
    if args.mode:
        print(json.dumps(measure(config, args.mode, args)))
        return

    model = build(config)
    width, height = model.backbone.input_size
    logging.disable(logging.WARNING)  # of operators that cost no multiply-adds
    complexity = get_model_complexity_info(
        copy.deepcopy(model),
        inputs=(torch.zeros(1, args.clip_len, 3, height, width), None),
        show_table=False,
        show_arch=False,
    )
    logging.disable(logging.NOTSET)
    print(
        f'{args.config}: {width}x{height}, T = {args.clip_len}, batch 1, float32; '
        f'{args.threads} threads of {processor()}, torch {torch.__version__}'
    )
    print(
        f'{complexity["params"] / 1e6:.1f} M parameters, '
        f'{complexity["flops"] / args.clip_len / 1e9:.1f} GFLOPs (multiply-adds) per frame'
    )

    # In turns, so that a slow minute of the machine falls on all modes alike.
    runs = {mode: [] for mode in MODES.values()}
    for _ in range(args.rounds):
        for mode in runs:
            runs[mode].append(measure_apart(mode, args))
    loop = np.median([run['ms'] for run in runs['loop']])
    rows = []
    for name, mode in MODES.items():
        ms = float(np.median([run['ms'] for run in runs[mode]]))
        rows.append(
            [
                name,
                f'{ms:.1f}',
                f'{loop / ms:.2f}',
                f'{runs[mode][0]["memory"]:.0f}',
                f'{max(run["difference"] for run in runs[mode]):.1e}',
            ]
        )
    print(format_table(['', 'ms per frame', 'times faster', 'peak MB', 'difference'], rows))
    print(f'Heatmap values reach {runs["loop"][0]["greatest"]:.2f}.')

    if args.loader_clips:
        try:
            print(training_data(config, args.loader_clips, args.training_steps))
        except FileNotFoundError as error:
            print(f'Training loader not measured: {error}')


if __name__ == '__main__':
    main()
