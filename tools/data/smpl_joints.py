"""Joints from SMPL parameter files, in one .npz that a SkeletonFormDataset reads.

    python tools/data/smpl_joints.py motions/*.npz --model SMPL_NEUTRAL.pkl --skeleton cocoplus19 \
        --out joints.npz

Each file (.npz, or a pickle of plain arrays) becomes an array (T, V, 3) in metres under the file's
name without its extension. The SMPL model is yours: https://smpl.is.tue.mpg.de
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import track

import rpstn  # noqa: F401
from rpstn.files import replacing
from rpstn.lift import SMPLJoints, read_smpl_parameters
from rpstn.skeletons import SKELETONS

SUFFIXES = ('.npz', '.pkl', '.pickle')


def parse_vertex(text: str) -> tuple[str, int]:
    """('head_top', 411) of 'head_top=411'."""
    joint, _, vertex = text.partition('=')
    if not vertex.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not JOINT=NUMBER")
    return joint, int(vertex)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'params',
        nargs='+',
        type=Path,
        metavar='PARAMS',
        help='files of betas, body_pose, global_orient and transl (or pose, poses, '
        'trans), or folders of them',
    )
    parser.add_argument('--model', required=True, help='SMPL model file, .pkl or .npz')
    parser.add_argument(
        '--skeleton',
        default='smpl24',
        choices=list(SKELETONS),
        help='joints to write (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, required=True, help='.npz file to write')
    parser.add_argument(
        '--num-betas',
        type=int,
        default=10,
        help='the first so many shape coefficients of each file are used, if the '
        'model has them (default: %(default)s)',
    )
    parser.add_argument('--regressor', help='.npy of (joints, vertices) for this skeleton')
    parser.add_argument(
        '--vertex',
        nargs='+',
        type=parse_vertex,
        default=[],
        metavar='JOINT=NUMBER',
        help='joints to take from single vertices, e.g. head_top=411',
    )
    parser.add_argument(
        '--batch-size', type=int, default=64, help='frames at once (default: %(default)s)'
    )
    parser.add_argument('--device', default='cpu', help='default: %(default)s')
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='go on after a file that cannot be read; it is named and counted',
    )
    return parser.parse_args()


def find_files(given: list[Path]) -> list[Path]:
    """The files, those of folders sorted; each name may be there once."""
    files = []
    for path in given:
        files += (
            sorted(p for p in path.rglob('*') if p.suffix in SUFFIXES) if path.is_dir() else [path]
        )
    twice = [stem for stem, count in Counter(p.stem for p in files).items() if count > 1]
    if twice:
        paths = ', '.join(str(p) for p in files if p.stem == twice[0])
        raise ValueError(f"the name '{twice[0]}' is there more than once: {paths}")
    if not files:
        raise ValueError(f'no {" or ".join(SUFFIXES)} files in {", ".join(map(str, given))}')
    return files


def convert(
    files: list[Path], joints: SMPLJoints, bad: list[str] | None
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, (T, V, 3)) of each file; what is wrong goes to ``bad``, or is raised if None."""
    for file in track(files, 'SMPL to joints', disable=not sys.stderr.isatty()):
        try:
            parameters = read_smpl_parameters(file)
            betas = parameters['betas']
            parameters['betas'] = betas[..., : joints.num_betas]
            yield file.stem, joints(**parameters), betas.shape[-1] > joints.num_betas
        except (ValueError, OSError) as error:
            message = str(error) if str(file) in str(error) else f'{file}: {error}'
            if bad is None:
                raise ValueError(message) from error
            bad.append(message)


def main() -> int:
    """Converts, and returns the exit status."""
    args = parse_args()
    bad: list[str] = []
    written = frames = cut = 0
    try:
        files = find_files(args.params)
        joints = SMPLJoints(
            args.model,
            args.skeleton,
            args.batch_size,
            args.num_betas,
            args.regressor,
            dict(args.vertex),
            args.device,
        )
        # One sequence at a time, which np.savez cannot; a name such as 'file' it cannot take.
        with (
            replacing(args.out) as part,
            zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as archive,
        ):
            for name, array, was_cut in convert(files, joints, bad if args.skip_bad else None):
                with archive.open(f'{name}.npy', 'w', force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
                written, frames, cut = written + 1, frames + len(array), cut + was_cut
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for message in bad:
        print(f'skipped: {message}', file=sys.stderr)
    print(
        f'{args.out}: {written} sequences, {frames} frames of {args.skeleton} in metres, '
        f'{len(bad)} files skipped'
    )
    if cut:
        print(
            f'{cut} files have more than the {joints.num_betas} betas that were used '
            '(see --num-betas)'
        )
    if joints.missing:
        print(f'without a source, NaN: {", ".join(joints.missing)} (see --vertex, --regressor)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
