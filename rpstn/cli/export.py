"""Write a trained RPSTN as ONNX graphs, and check them.

    rpstn export configs/rpstn_jhmdb.py work_dirs/rpstn_jhmdb/best.pth --out exported
    rpstn export ... --calibrate train --clips test       8-bit integers, too; checked on real clips

Writes DIR/start.onnx (a person's first frame), DIR/step.onnx (every further frame, state in and
state out), DIR/clip.onnx (clips of T frames), the same as .int8.onnx where there are clips to
calibrate by, and DIR/export.json. All or nothing is written. At the end every engine and
precision that is installed runs them, against PyTorch in float32. docs/cli/export.md tells more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rpstn.deploy.integer_sums import WEIGHT_BITS


class Settings(argparse.Action):
    """MMEngine's ``DictAction``, imported when it is needed only."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest, nargs='+')(
            parser, namespace, values, option_string
        )


def add_parser(subparsers) -> None:
    """Adds the subcommand to the command line."""
    parser = subparsers.add_parser(
        'export',
        help='ONNX graphs of a trained model',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='checkpoint file')
    add('--out', type=Path, required=True, metavar='DIR', help='folder of the graphs')
    add(
        '--clip-len',
        type=int,
        metavar='T',
        help="frames of the clip graph (default: the config's, or 5)",
    )
    add(
        '--clips',
        nargs='+',
        default=[],
        metavar='CLIPS',
        help="real clips for the check: videos, or parts of the config's data, 'train', 'val' or "
        "'test' (default: random blobs)",
    )
    add(
        '--calibrate',
        nargs='+',
        default=[],
        metavar='CLIPS',
        help='clips to calibrate 8-bit integers by, given likewise',
    )
    add(
        '--keep-float',
        nargs='+',
        default=[],
        metavar='NAME',
        help='convolutions with this in their name stay in float where others are 8-bit integers, '
        'e.g. layer3 deconv: fewer joints move, and it takes longer',
    )
    add(
        '--weight-bits',
        type=int,
        choices=WEIGHT_BITS,
        help='of weights as integers: 8 are nearer to float; 7 are right on processors without '
        'VNNI or AMX, too (default: 8 where this processor can)',
    )
    add(
        '--limit',
        type=int,
        default=16,
        metavar='N',
        help='clips of each kind that are used (default: %(default)s)',
    )
    add(
        '--cfg-options',
        nargs='+',
        action=Settings,
        default={},
        metavar='KEY=VALUE',
        help='settings of the config to replace',
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, and check; 0, or 1 after one line on what is wrong."""
    from rpstn.checkpoints import ModelError
    from rpstn.video.readers import UnreadableFrameError

    try:
        _run(args)
    except (ModelError, UnreadableFrameError, OSError, ValueError) as error:
        print(str(error).strip() or type(error).__name__, file=sys.stderr)
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    from mmengine.config import Config

    from rpstn.checkpoints import ModelError
    from rpstn.deploy.engines import ENGINES, build_stepper, precision_here
    from rpstn.deploy.export import ExportError, check_exportable, export_model
    from rpstn.deploy.exported_steppers import BitsError
    from rpstn.deploy.parity import compare_steppers, decoder_in_cells
    from rpstn.deploy.sample_clips import random_clips, read_clips
    from rpstn.engine.loading import load_model

    for name, least in (('clip_len', 1), ('limit', 1)):
        if getattr(args, name) is not None and getattr(args, name) < least:
            raise ModelError(
                f'--{name.replace("_", "-")} must be {least} or more, got {getattr(args, name)}'
            )
    if args.weight_bits and not args.calibrate:
        raise ModelError('--weight-bits is of 8-bit integers, which need --calibrate')
    if not Path(args.config).is_file():
        raise ModelError(f'{args.config}: no such config file')
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    model = load_model(config, args.checkpoint)
    check_exportable(model)
    loader = config.get('test_dataloader') or {}
    clip_len = args.clip_len or loader.get('dataset', {}).get('clip_len', 5)
    frames = max(clip_len, 2)
    calibration = read_clips(model, args.calibrate, frames, args.limit) if args.calibrate else []
    clips = (
        read_clips(model, args.clips, frames, args.limit)
        if args.clips
        else random_clips(model.backbone.input_size, frames)
    )

    exported = export_model(
        model,
        args.out,
        clip_len=clip_len,
        calibration=calibration,
        keep_float=args.keep_float,
        weight_bits=args.weight_bits,
        checkpoint=args.checkpoint,
    )
    for name, entry in exported.manifest['files'].items():
        print(
            f'{args.out / name}: {entry["bytes"] / 1e6:.1f} MB, opset {exported.manifest["opset"]}'
        )
    if calibration:
        print(f'integer weights have {exported.manifest["weight_bits"]} bits')
    print(
        f'Against PyTorch, float32, on {len(clips)} '
        + (
            f'clips of {", ".join(args.clips)}'
            if args.clips
            else 'clips of random blobs, for '
            'want of --clips: differences are to be seen, shares of joints mean little'
        )
        + ':'
    )
    reference = build_stepper(model)
    ways = [
        (engine, precision)
        for engine, precisions in ENGINES.items()
        for precision in precisions
        if (engine, precision) != ('torch', 'float32')
    ]
    checked = []
    for engine, precision in ways:
        if precision == 'int8' and not calibration:
            print(f'{engine}, int8: not written, for want of --calibrate')
            continue
        try:
            if precision_here(engine, precision) != precision:
                print(f'{engine}, {precision}: not checked: this processor has no {precision}')
                continue
            stepper = build_stepper(
                model,
                engine=engine,
                precision=precision,
                exported=None if engine == 'torch' else exported,
            )
        except (ExportError, BitsError) as error:  # not installed, or not for here
            print(f'{engine}, {precision}: not checked: {error}')
            continue
        parity = compare_steppers(reference, stepper, clips, decoder_in_cells(model))
        print(f'{stepper.device}: {parity}')
        if engine != 'torch':
            checked.append((engine, precision))
    for line in _check_clip_graph(model, exported, clips, clip_len, checked):
        print(line)


def _check_clip_graph(
    model, exported, clips, clip_len: int, ways: Sequence[tuple[str, str]]
) -> Iterator[str]:
    """A line on the clip graph for each engine and precision; no stepper uses it."""
    import torch

    from rpstn.checkpoints import ModelError
    from rpstn.deploy.exported_steppers import run_clip_graph
    from rpstn.deploy.onnx_graphs import Normalize
    from rpstn.deploy.parity import compare_heatmaps, decoder_in_cells

    whole = [clip[:clip_len] for clip in clips if len(clip) >= clip_len][:4]
    if not whole:
        yield f'clip graph: not checked: no clip has {clip_len} frames'
        return
    whole = torch.stack(whole)
    with torch.inference_mode():
        expected = model(Normalize(model.data_preprocessor)(whole), None, mode='tensor').numpy()
    for engine, precision in ways:
        try:
            found = run_clip_graph(exported, whole, engine, precision)
        except ModelError as error:
            yield f'clip graph, {engine}, {precision}: not checked: {error}'
            continue
        yield (
            f'clip graph, {engine}, {precision}, a batch of {len(whole)}: '
            f'{compare_heatmaps(expected, found, decoder_in_cells(model))}'
        )
