"""Speed of an RPSTN on this machine, all ways to run it in turns, in one run.

    rpstn benchmark configs/rpstn_penn.py --video person.mp4 --end-to-end --out docs/performance.md

Weights are random, as time does not depend on them; accuracy of the reduced precisions is what
`rpstn export --clips` tells, of trained weights. Writes a table with the milliseconds per frame,
the processor's own milliseconds (which other programs change less), peak memory, multiply-adds,
the share of the machine's peak, and where the time goes. In FILE it stands between the lines
`<!-- benchmark -->` and `<!-- /benchmark -->`; a FILE without them is refused.

`tools/research/benchmark.py` measures clip mode alone, its training data, and form recognizers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .options import add_cfg_options

MARKS = ('<!-- benchmark -->', '<!-- /benchmark -->')


def add_parser(subparsers) -> None:
    """Adds the subcommand to the command line."""
    parser = subparsers.add_parser(
        'benchmark',
        help='speed of a model on this machine',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config', nargs='+', help='config file of an RPSTN; further ones get tables of their own')
    add(
        '--ways',
        nargs='+',
        metavar='WAY',
        help="which, e.g. 'clip' or 'openvino int8'; the first "
        'is what others are compared with (default: all)',
    )
    add('--rounds', type=_count, default=5, help='turns of each way (default: %(default)s)')
    add('--frames', type=_count, default=10, help='frames in a turn (default: %(default)s)')
    add('--threads', type=_count, help="of each way (default: the machine's cores)")
    add(
        '--clip-len',
        type=_count,
        default=5,
        metavar='T',
        help='frames of a clip (default: %(default)s)',
    )
    add('--video', help='with a person in it, for MediaPipe, which is left out without')
    add(
        '--end-to-end',
        action='store_true',
        help='time `rpstn infer`, too: RPSTN-Lite on --video, brought to 640x480',
    )
    add(
        '--exports',
        type=Path,
        metavar='DIR',
        help='keep the exported graphs there, and use those that a run before has left',
    )
    add(
        '--keep-float',
        nargs='+',
        default=[],
        metavar='NAME',
        help='of the exports in 8-bit integers, as of `rpstn export`',
    )
    add('--out', type=Path, metavar='FILE', help='page to write into, beside printing')
    add('--json', type=Path, metavar='FILE', help='file for all that was measured')
    add_cfg_options(parser)
    parser.set_defaults(run=run, needs=('rpstn.deploy.checking',))


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; 0, or 1 after one line on what is wrong."""
    from rpstn.checkpoints import ModelError

    try:
        _run(args)
    except (ModelError, OSError, ValueError) as error:
        print(str(error).strip() or type(error).__name__, file=sys.stderr)
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    import os

    import torch

    from rpstn.benchmark.speed import WAYS, machine
    from rpstn.benchmark.speed_end_to_end import end_to_end_table, measure_end_to_end
    from rpstn.checkpoints import ModelError

    ways = args.ways or [way for way in WAYS if way != 'mediapipe' or args.video]
    if unknown := [way for way in ways if way not in WAYS]:
        raise ModelError(f'--ways must be of {", ".join(map(repr, WAYS))}, got {unknown[0]!r}')
    if 'mediapipe' in ways and not args.video:
        raise ModelError('mediapipe needs --video, with a person in it')
    if args.end_to_end and not args.video:
        raise ModelError('--end-to-end needs --video, with a person in it')
    for path in [*args.config, *([args.video] if args.video else [])]:
        if not Path(path).is_file():
            raise ModelError(f'{path}: no such file')
    page = _page(args.out) if args.out else None
    threads = args.threads or os.cpu_count()
    torch.set_num_threads(threads)
    head = (
        f'{machine(threads)}; load {os.getloadavg()[0]:.1f} before; turns: {args.rounds} of '
        f'{args.frames} frames, weights random, batch 1'
    )
    results = {path: _measure(path, ways, args, threads) for path in args.config}
    rates = measure_end_to_end(args.video, threads) if args.end_to_end else {}
    head += f'; load {os.getloadavg()[0]:.1f} after.'
    text = '\n\n'.join(
        [
            head,
            *(_text(path, result, args.clip_len) for path, result in results.items()),
            *([end_to_end_table(rates)] if rates else []),
        ]
    )
    print(text)
    if args.json:
        args.json.write_text(
            json.dumps(dict(machine=head, results=results, end_to_end=rates), indent=1) + '\n'
        )
    if page is not None:
        before, after = page
        args.out.write_text(f'{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}')


def _measure(path: str, ways: list[str], args: argparse.Namespace, threads: int) -> dict:
    import tempfile

    from mmengine.config import Config

    from rpstn.benchmark.speed import measure
    from rpstn.benchmark.speed_profile import eager_parts, multiply_adds, operator_parts, peak_rates
    from rpstn.benchmark.speed_worker import Streaming, build_model
    from rpstn.deploy.export import MANIFEST, Exported, ExportError, check_exportable, export_model
    from rpstn.deploy.exported_steppers import OpenVINOStepper
    from rpstn.deploy.sample_clips import random_clips
    from rpstn.engine.configs import parse_settings
    from rpstn.engine.cpu import for_inference

    config = Config.fromfile(path)
    config.merge_from_dict(parse_settings(args.cfg_options, '--cfg-options'))
    model = build_model(config)
    check_exportable(model)
    size = tuple(model.backbone.input_size)
    clips = random_clips(size, args.clip_len)
    exporting = [way for way in ways if way.startswith(('onnx', 'openvino'))]
    with tempfile.TemporaryDirectory() as temporary:
        fast, operators = for_inference(model), None
        fast.cfg = config
        folder = args.exports / Path(path).stem if args.exports else Path(temporary)
        try:
            if exporting and (folder / MANIFEST).is_file():
                exported = Exported.open(folder)
                kept = exported.manifest.get('keep_float', [])
                if kept != args.keep_float:
                    raise ExportError(
                        f'{folder}: was exported with --keep-float {kept}, not {args.keep_float}'
                    )
            elif exporting:
                exported = export_model(
                    fast,
                    folder,
                    graphs=('start', 'step'),
                    keep_float=args.keep_float,
                    calibration=clips[:1] if any('int8' in way for way in exporting) else (),
                )
        except ExportError as error:
            raise ExportError(
                f'{error}; or name other --ways than {", ".join(exporting)}'
            ) from None
        settings = dict(
            config=path,
            cfg_options=args.cfg_options,
            clip_len=args.clip_len,
            input_size=size,
            threads=threads,
            exported=str(folder),
            video=args.video,
        )
        ways = measure(settings, ways, args.rounds, args.frames)
        counted = next(
            (
                p
                for p in ('bfloat16', 'float32')
                if f'openvino {p}' in exporting and not ways[f'openvino {p}']['error']
            ),
            None,
        )
        if counted:
            streaming = Streaming(
                OpenVINOStepper(exported, counted, threads, counters=True), clips[0]
            )
            for _ in range(3):
                streaming()
            operators = dict(
                precision=counted, parts=operator_parts(streaming.stepper.operator_times())
            )
    return dict(
        parameters=sum(p.numel() for p in model.parameters()),
        input_size=size,
        multiply_adds=multiply_adds(fast),
        eager=eager_parts(fast),
        operators=operators,
        peaks=peak_rates(),
        ways=ways,
    )


def _text(path: str, result: dict, clip_len: int) -> str:
    import numpy as np

    from rpstn.benchmark.speed import report
    from rpstn.tables import format_table

    counts, peaks = result['multiply_adds'], result['peaks']
    shares = []
    for way, entry in result['ways'].items():
        precision = way.split()[-1]
        if entry['error'] or way.split()[0] not in ('torch', 'onnx', 'openvino'):
            continue
        rate = counts['all'] / (1e-3 * np.median(np.concatenate(entry['ms'])))
        against = precision if precision in peaks else list(peaks)[-1]
        shares.append(
            f'{way} {rate / 1e9:.0f} G/s, {100 * rate / peaks[against]:.0f} %'
            + (f' of the peak in {against}' if against != precision else '')
        )
    header = ['part of a step', 'multiply-adds, G', 'PyTorch, eager: ms']
    operators = result['operators']
    if operators:
        header.append(f'OpenVINO, {operators["precision"]}: ms')
    rows = [
        [
            part,
            f'{count / 1e9:.2f}',
            f'{result["eager"][part]:.1f}',
            *([f'{operators["parts"][part]:.1f}'] if operators else []),
        ]
        for part, count in counts.items()
    ]
    width, height = result['input_size']
    return '\n\n'.join(
        [
            f'### {Path(path).stem}: {width}x{height}, {result["parameters"] / 1e6:.1f} M '
            f'parameters, {counts["all"] / 1e9:.1f} G multiply-adds in a step',
            report(result['ways'], clip_len),
            'Greatest rates of a product of two 2048x2048 matrices in PyTorch: '
            + ', '.join(
                f'{name} {rate / 1e9:.0f} G multiply-adds/s' for name, rate in peaks.items()
            )
            + (f'. Of these are reached: {"; ".join(shares)}.' if shares else '.'),
            format_table(header, rows),
        ]
    )


def _page(path: Path) -> tuple[str, str]:
    """What stands before and after the marks."""
    from rpstn.checkpoints import ModelError

    text = path.read_text() if path.is_file() else f'{MARKS[0]}\n{MARKS[1]}\n'
    before, first, rest = text.partition(MARKS[0])
    _, second, after = rest.partition(MARKS[1])
    if not (first and second):
        raise ModelError(f'{path}: has no lines {MARKS[0]} and {MARKS[1]}, between which to write')
    return before, after


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be a whole number of at least 1, got {text!r}')
    return number
