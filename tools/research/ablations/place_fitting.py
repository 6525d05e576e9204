"""Teach the tokens of a relation where joints are, before its heatmaps are trained.

The squared error of heatmaps hardly tells a Gaussian in the wrong place which way to go. Tokens
know a joint by four numbers alone, so what a model's maps say of all clips is kept once, and a
step of hundreds of frames takes what one of a few maps does.

Shapes: V clips, T frames, S frames of a batch, K joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor, nn

from rpstn.files import replacing
from rpstn.pose.models.token_relation import TokenRelation

from feature_cache import TrainingClips, as_floats
from head_training import heatmaps_of

_RATE = 1e-3


@torch.no_grad()
def peaks_of(
    model: nn.Module,
    relation: TokenRelation,
    clips: Sequence[TrainingClips],
    path: Path | None = None,
) -> Tensor:
    """Peaks (V, T, K, 4) of a model's maps, of a relation that is still the identity.

    Args:
        path: file that they are kept in; one that is there is read.
    """
    if path is not None and path.is_file():
        return torch.from_numpy(np.load(path))
    found = [
        relation.peaks(heatmaps_of(model, as_floats(part.features[i : i + 4])).flatten(0, 1))[0]
        for part in clips
        for i in range(0, len(part.features), 4)
    ]
    peaks = torch.cat(found).unflatten(0, (-1, clips[0].features.shape[1]))
    if path is not None:
        with replacing(path) as partial:
            np.save(partial, peaks.numpy())
    return peaks


def fit_places(
    relation: TokenRelation,
    peaks: Tensor,
    clips: Sequence[TrainingClips],
    codec: BaseKeypointCodec,
    steps: int,
    batch: int = 128,
    seed: int = 0,
) -> None:
    """Fit a relation's places to labels, and its gates to whether they are nearer than the peaks.

    From then on its scale is 1: the gate alone decides.

    Args:
        relation: changed in place.
        peaks: of :func:`peaks_of`.
        clips: that they are of.
        codec: of the maps.
        batch: S.
    """
    joints, known = (
        torch.from_numpy(np.concatenate([getattr(part, name) for part in clips]))
        for name in ('joints', 'weights')
    )
    side = codec.heatmap_size[0]
    truth = joints / float(codec.scale_factor[0]) / (side - 1)
    weights = [*relation.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(seed)
    nn.init.zeros_(relation.answer.weight)
    nn.init.zeros_(relation.answer.bias)
    for step in range(steps):
        for group in optimizer.param_groups:
            group['lr'] = (
                _RATE * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            )
        clip = torch.randint(len(peaks), (batch,), generator=generator)
        time = torch.randint(1, peaks.shape[1], (batch,), generator=generator)
        now, before, there = moved(
            peaks[clip, time], peaks[clip, time - 1], truth[clip, time], generator
        )
        places, logits = relation.answers(now, before if relation.takes else None)
        counts = known[clip, time]
        off = (places - there) * (side - 1)
        loss = F.smooth_l1_loss(off, torch.zeros_like(off), beta=2.0, reduction='none').sum(-1)
        gains = ((now[..., :2] - there) * (side - 1)).norm(dim=-1) - off.detach().norm(dim=-1)
        choice = F.binary_cross_entropy_with_logits(logits, (gains > 0).float(), reduction='none')
        loss = loss + choice * gains.abs().clamp(max=4.0)
        loss = (loss * counts).sum() / counts.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    nn.init.ones_(relation.scale)


def moved(
    now: Tensor, before: Tensor, there: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Peaks (S, K, 4) and places (S, K, 2) turned, scaled and shifted, each sample in its own way.

    So tokens learn how joints lie to each other, not where a good crop has them.
    """

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(now), *shape, generator=generator)

    angle, scale, shift = draw(-0.2, 0.2), draw(0.85, 1.15), draw(-0.05, 0.05, 1, 2)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    turn = torch.stack([cos, sin, -sin, cos], dim=-1).view(-1, 2, 2)

    def move(points: Tensor) -> Tensor:
        return (points - 0.5) @ turn + 0.5 + shift

    now, before = (
        torch.cat([move(p[..., :2]), p[..., 2:3] * scale[:, None, None], p[..., 3:]], dim=-1)
        for p in (now, before)
    )
    return now, before, move(there)
