"""Train the lifter's network on simulated bodies, whose joints in space are known, to compare.

python tools/research/lifter/supervised_lifter.py --steps 2500 --out work_dirs/supervised_lifter.pth

Squats, jumping jacks, walking and push-ups of rpstn.simulation through random cameras; the same
network as configs/lift/lifter.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.files import replacing
from rpstn.lift.evaluation.random_views import random_view
from rpstn.lift.models.anatomy import clip_lengths
from rpstn.lift.models.unsupervised_lifter import UnsupervisedLifter
from rpstn.lift.models.views import normalize
from rpstn.simulation.athletes.motion import jumping_jack, push_up, squat, walking
from rpstn.simulation.athletes.skeleton import Proportions
from rpstn.skeletons import SKELETONS

from mmpose.registry import MODELS  # isort: skip

MOTIONS = (squat, jumping_jack, walking, push_up)
_SKELETON = SKELETONS['lifter15']
_FRAMES, _BATCH, _RATE, _NOISE = 12, 16, 2e-3, 0.03


def simulated(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Normalized joints in the image (count, T, 15, 2), and their depths in the same unit."""
    rng = np.random.default_rng(seed)
    images, depths = [], []
    times = np.arange(_FRAMES) / 10
    for n in range(count):
        posed = MOTIONS[n % len(MOTIONS)](rng, Proportions.random(rng), times)
        joints = np.stack(
            [
                (posed['left_shoulder'] + posed['right_shoulder']) / 2
                if name == 'neck'
                else posed[name]
                for name in _SKELETON.joints
            ],
            axis=1,
        )
        view = random_view(joints, rng)
        image = torch.from_numpy(view.image())[None]
        scale = (image - image[:, :, :1]).norm() / normalize(image).norm()
        images.append(normalize(image)[0])
        depth = view.joints[..., 2] - view.joints[:, :1, 2]
        depths.append(torch.from_numpy(depth / view.joints[:, :1, 2]) / scale)
    return torch.stack(images).float(), torch.stack(depths).float()


def train(steps: int, clips: int = 2000, seed: int = 0) -> UnsupervisedLifter:
    """The network, trained to the depths of simulated bodies."""
    torch.manual_seed(seed)
    model = MODELS.build(
        dict(
            type='UnsupervisedLifter',
            backbone=dict(type='JointFeatures'),
            head=dict(type='DepthHead'),
        )
    )
    images, depths = simulated(clips, seed)
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
