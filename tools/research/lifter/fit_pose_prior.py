"""Fit the density of 2D poses that the lifter is trained with.

python tools/research/lifter/fit_pose_prior.py --out work_dirs/pose_prior/prior.pth

from Penn Action, single images of MPII and, with --videos, what `rpstn infer --save npz` saw in
videos, or with --teacher labels of videos by BlazePose; about five minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.errors import RPSTNError
from rpstn.files import replacing
from rpstn.lift.datasets.pose_tracks import read_mpii, read_tracks
from rpstn.lift.models import PoseFlow
from rpstn.lift.models.views import flipped

_BATCH, _RATE, _FAR = 512, 2e-3, 12.0


def fit(poses: Tensor, steps: int, seed: int = 0) -> PoseFlow:
    """A density of normalized poses (N, 15, 2), trained on them turned, scaled and noisy."""
    torch.manual_seed(seed)
    poses = torch.cat([poses, flipped(poses)])
    flow = PoseFlow()
    flow.fit_components(poses + 0.02 * torch.randn_like(poses))
    optimizer = torch.optim.AdamW(flow.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps)
    for step in range(steps):
        loss = flow.nll(_varied(poses[torch.randint(len(poses), (_BATCH,))])).clamp(max=_FAR).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f'{step}: {loss.item():.3f}', flush=True)
    return flow


def _varied(poses: Tensor) -> Tensor:
    angle = torch.randn(len(poses)) * 0.05
    cosine, sine = angle.cos(), angle.sin()
    turned = poses @ torch.stack([cosine, sine, -sine, cosine], -1).view(-1, 2, 2)
    scaled = turned * (1 + 0.04 * torch.randn(len(poses), 1, 1))
    noisy = scaled + 0.03 * torch.randn_like(scaled)
    return noisy - noisy[:, :1]


def main() -> int:
    """Fits, writes a checkpoint, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--penn-action', default='penn_action', help='(default: %(default)s)')
    parser.add_argument(
        '--mpii', default='mpii_poses/mpii_poses.npy', help='(default: %(default)s)'
    )
    parser.add_argument('--teacher', help="folder of a teacher's labels")
    parser.add_argument('--videos', help='folder of joints by rpstn infer')
    parser.add_argument('--steps', type=int, default=2500, help='(default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/pose_prior/prior.pth'))
    args = parser.parse_args()
    try:
        tracks = read_tracks(args.penn_action, args.teacher, args.videos)
        flow = fit(torch.cat([*tracks, read_mpii(args.mpii)]), args.steps)
    except (RPSTNError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(args.out) as partial:
        torch.save(dict(state_dict=flow.state_dict()), partial)
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
