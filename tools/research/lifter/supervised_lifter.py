"""Train the lifter's network on simulated bodies, whose joints in space are known, to compare.

python tools/research/lifter/supervised_lifter.py --steps 2500 --out work_dirs/supervised_lifter.pth

Those of simulate_bodies.py; the same network as configs/lift/lifter.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.files import replacing
from rpstn.lift.models.anatomy import clip_lengths
from rpstn.lift.models.unsupervised_lifter import UnsupervisedLifter

from simulate_bodies import simulated

from mmpose.registry import MODELS  # isort: skip

_BATCH, _RATE, _NOISE = 16, 2e-3, 0.03


def train(steps: int, clips: int = 6000, seed: int = 0) -> UnsupervisedLifter:
    """The network, trained to the depths of simulated bodies."""
    torch.manual_seed(seed)
    model = MODELS.build(
        dict(
            type='UnsupervisedLifter',
            backbone=dict(type='JointFeatures'),
            head=dict(type='DepthHead'),
        )
    )
    images, depths = map(torch.from_numpy, simulated(clips, seed))
    optimizer = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps)
    for step in range(steps):
        chosen = torch.randint(len(images), (_BATCH,))
        image = images[chosen]
        noisy = image + torch.randn_like(image) * _NOISE * torch.rand(_BATCH, 1, 1, 1)
        found, _ = model._depth(noisy, clip_lengths(image))
        loss = (found - depths[chosen]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f'{step}: {loss.item():.4f}', flush=True)
    return model.eval()


def main() -> int:
    """Trains, writes a checkpoint, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--steps', type=int, default=2500, help='(default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/supervised_lifter.pth'))
    args = parser.parse_args()
    model = train(args.steps, seed=args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(args.out) as partial:
        torch.save(dict(state_dict=model.state_dict()), partial)
    return 0


if __name__ == '__main__':
    sys.exit(main())
