"""Measure lifters on UI-PRMD's optical capture through random cameras, as docs/lifter.md has it.

python tools/research/lifter/evaluate_lifter.py shipped zero work_dirs/lifter/iter_2500.pth

prints a table; --split val is that of the person who chose, --noise what is added to the joints in
the image.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.checkpoints import ModelError, load_all_weights, read_checkpoint
from rpstn.lift.datasets.captured_views import SPLITS, CapturedViews
from rpstn.lift.evaluation.lifting_metric import lifting_errors
from rpstn.lift.evaluation.random_views import VIEWS
from rpstn.lift.models.shipped_lifter import load_lifter
from rpstn.lift.models.views import normalize

from mmpose.registry import MODELS  # isort: skip

Lifter = Callable[[Tensor], Tensor]
NOISES = (0.0, 0.02)


def lifter_of(name: str) -> Lifter:
    """``shipped``, ``zero``, or a checkpoint; takes and gives one clip, (T, V, 2) and (T, V, 3).

    Raises:
        ModelError: the checkpoint cannot be read.
    """
    if name == 'zero':
        return lambda image: torch.cat([image, torch.zeros_like(image[..., :1])], dim=-1)
    if name == 'shipped':
        model = load_lifter()
    else:
        saved = read_checkpoint(name)
        weights = saved.get('state_dict', saved)
        model = MODELS.build(
            dict(
                type='UnsupervisedLifter',
                backbone=dict(
                    type='JointFeatures', width=weights['backbone.trunks.0.embed.bias'].numel()
                ),
                head=dict(type='DepthHead'),
            )
        )
        load_all_weights(model, saved)
        model.eval()

    def lift(image: Tensor) -> Tensor:
        with torch.inference_mode():
            return model.lift(normalize(image[None]))[0][0]

    return lift


def measure(lift: Lifter, data: CapturedViews) -> dict[str, dict[str, float]]:
    """:func:`lifting_errors` of all frames (``'all'``) and of each kind of view."""
    kinds = np.repeat([view.kind for view in data.views], [len(v.joints) for v in data.views])
    true = np.concatenate([view.joints for view in data.views])
    images = [torch.from_numpy(image.astype(np.float32)) for image in data.images]
    found = np.concatenate([lift(image).double().numpy() for image in images])
    chosen = {'all': np.ones(len(kinds), bool), **{kind: kinds == kind for kind in VIEWS}}
    return {kind: lifting_errors(found[mask], true[mask]) for kind, mask in chosen.items()}


def row(name: str, noise: float, parts: dict[str, dict[str, float]]) -> str:
    """A line of the table."""
    cells = [
        f'{part["PA-MPJPE"]:.1f} / {part["N-MPJPE"]:.1f} / {part["mirrored"]:.1f} / '
        f'{part["knee"]:.1f}'
        for part in parts.values()
    ]
    return '| ' + ' | '.join([name, f'{100 * noise:g} %', *cells]) + ' |'


def main() -> int:
    """Prints the table, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('lifters', nargs='+', help='shipped, zero, or checkpoints')
    parser.add_argument('--data', default='ui_prmd_vicon', help='(default: %(default)s)')
    parser.add_argument('--split', choices=SPLITS, default='test', help='(default: %(default)s)')
    parser.add_argument('--cameras', type=int, default=2, help='of each sequence')
    parser.add_argument('--noise', type=float, nargs='*', default=NOISES, help='of the trunk')
    args = parser.parse_args()
    print('| lifter | noise | ' + ' | '.join(['all', *VIEWS]) + ' |')
    print('|---' * (3 + len(VIEWS)) + '|')
    try:
        for noise in args.noise:
            data = CapturedViews(args.data, args.split, args.cameras, noise)
            for name in args.lifters:
                label = Path(name).stem if name not in ('zero', 'shipped') else name
                print(row(label, noise, measure(lifter_of(name), data)), flush=True)
    except (ModelError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
