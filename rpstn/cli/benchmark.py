"""Speed on this machine, all ways to compute a model in turns, in one run.

    rpstn benchmark configs/rpstn_penn.py --video person.mp4 --end-to-end --out docs/performance.md
    rpstn benchmark configs/rpstn_penn.py --ways release 'clip as built' 'clip folded' clip
    rpstn benchmark configs/tdm_squat.py configs/stgcn_squat.py

Of each RPSTN a table has milliseconds per frame, the processor's own milliseconds (which other
programs change less) and peak memory of each way, compared with the first; then come multiply-adds,
the share of the machine's peak, and where the time goes. With --end-to-end RPSTN-Lite is timed by
`rpstn infer` as a whole, on the video brought to 640x480. Recognizers of exercise form share a
table: milliseconds per clip, by the network alone and with the test pipeline before it.

Weights are random, as time does not depend on them; accuracy of the reduced precisions is what
`rpstn export --clips` tells, of trained weights. In FILE all stands between the lines
`<!-- benchmark -->` and `<!-- /benchmark -->`; a FILE without them is refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import Subparsers, add_cfg_options, count


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser(
        'benchmark',
        help='speed of a model on this machine',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config', nargs='+', help='config file of an RPSTN, or of a recognizer of exercise form')
    add('--ways', nargs='+', metavar='WAY', help="e.g. 'onnx int8' (default: all)")
    add('--rounds', type=count, default=5, help='turns of each way (default: %(default)s)')
    add('--frames', type=count, default=10, help='frames, or clips, a turn (default: %(default)s)')
    add('--threads', type=count, metavar='N', help='of each (default: all cores)')
    add('--clip-len', type=count, metavar='T', help='frames of a clip (default: 5; of form 300)')
    add('--video', help='with a person in it, for MediaPipe, which is left out without')
    add('--end-to-end', action='store_true', help='RPSTN-Lite by `rpstn infer`, too, on --video')
    add('--exports', type=Path, metavar='DIR', help='folder to keep exported graphs in, or use')
    add('--keep-float', nargs='+', default=[], metavar='NAME', help='as of `rpstn export`')
    add('--out', type=Path, metavar='FILE', help='page to write into, beside printing')
    add('--json', type=Path, metavar='FILE', help='file for all that was measured')
    add_cfg_options(parser)
    parser.set_defaults(run=run, needs=('rpstn.benchmark.run',))


def run(args: argparse.Namespace) -> int:
    """Measure, print and write."""
    import json
    from dataclasses import asdict, fields

    from rpstn.benchmark import Settings, benchmark, read_page
    from rpstn.engine.configs import parse_settings
    from rpstn.files import replacing

    before, after = read_page(args.out) if args.out else ('', '')
    given = {field.name: getattr(args, field.name) for field in fields(Settings) if field.init}
    given = {name: value for name, value in given.items() if value is not None}
    given['cfg_options'] = parse_settings(args.cfg_options, '--cfg-options')
    settings = Settings(**given)
    report = benchmark(args.config, settings)
    text = report.markdown()
    print(text)
    if args.json:
        with replacing(args.json) as partial:
            partial.write_text(json.dumps(asdict(report), indent=1) + '\n')
    if args.out:
        with replacing(args.out) as partial:
            partial.write_text(f'{before}{text}{after}')
    return 0
