"""Pack a trained model, its convolutions in bfloat16, to be shipped with the package.

python tools/research/pack_lite.py configs/lite/rpstn_lite.py work_dirs/rpstn_lite/epoch_5.pth

writes rpstn/engine/weights/lite.pt, which loads safely, and lite.json with its config and sha256;
rpstn.engine.shipped.from_pretrained('lite') loads them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import rpstn  # noqa: F401
from rpstn.checkpoints import ModelError
from rpstn.engine.shipped import FOLDER, LARGEST_MB, from_pretrained, pack


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--name', default='lite', help='(default: %(default)s)')
    parser.add_argument('--out', type=Path, default=FOLDER, help='(default: rpstn/engine/weights)')
    parser.add_argument(
        '--about',
        nargs='*',
        default=[],
        metavar='KEY=TEXT',
        help='facts for the description, e.g. torso_pck=66.0',
    )
    parser.add_argument(
        '--largest-mb', type=float, default=LARGEST_MB, help='refuse more (default: %(default)s)'
    )
    args = parser.parse_args()
    for fact in args.about:
        if '=' not in fact:
            parser.error(f'--about {fact}: must be KEY=TEXT')
    return args


def main() -> int:
    """Packs, loads what was packed, and returns the exit status."""
    args = parse_args()
    about = dict(fact.split('=', 1) for fact in args.about)
    try:
        if not Path(args.config).is_file():
            raise ModelError(f'{args.config}: no such config file')
        description, weights = pack(
            args.config, args.checkpoint, args.name, args.out, about, args.largest_mb
        )
        from_pretrained(args.name, folder=args.out)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{weights}: {weights.stat().st_size / 1e6:.1f} MB; {description}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
