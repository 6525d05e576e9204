"""The network that gives joints of an image their depth.

Shapes: B clips, T frames, V joints, D width, E features of a joint.
"""

from __future__ import annotations

import math

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.skeletons import SKELETONS

from .anatomy import BONES, bone_vectors, depths_from_bones, hidden_lengths

_LEGS = ('hip', 'knee', 'ankle')


class _Block(nn.Module):
    """A residual layer: each feature over time by itself, then all features of a frame."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.over_time = nn.Conv1d(
            width, width, kernel, padding=kernel // 2, padding_mode='replicate', groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        moved = x + self.over_time(x.transpose(1, 2)).transpose(1, 2)
        return x + self.network(self.norm(moved))


class _Trunk(nn.Module):
    """Features (B, T, len(joints), E) of some joints, from all that are seen."""

    def __init__(
        self, joints: list[int], num_joints: int, width: int, depth: int, kernel: int, features: int
    ) -> None:
        super().__init__()
        self.joints, self.features = joints, features
        self.embed = nn.Linear(2 * num_joints + 3 * len(BONES), width)
        self.blocks = nn.Sequential(*(_Block(width, kernel) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.answer = nn.Linear(width, len(joints) * features)

    def forward(self, image: Tensor, lengths: Tensor) -> Tensor:
        hidden = hidden_lengths(image, lengths)
        seen = torch.cat([image.flatten(2), bone_vectors(image).flatten(2), hidden], dim=-1)
        x = self.norm(self.blocks(self.embed(seen)))
        return self.answer(x).unflatten(-1, (-1, self.features))


@MODELS.register_module()
class JointFeatures(BaseModule):
    """Features of joints from normalized joints over time.

    Args:
        num_joints: V.
        width: D.
        depth: residual blocks.
        kernel: frames that a block sees; 1 for single frames.
        features: E.
        separate: legs and the rest have networks of their own, each of ``width`` / sqrt(2), so that
            the whole is about as large.
        init_cfg: MMEngine weight initialization.
    """

    def __init__(
        self,
        num_joints: int = 15,
        width: int = 128,
        depth: int = 3,
        kernel: int = 7,
        features: int = 16,
        separate: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        names = SKELETONS['lifter15'].joints
        legs = [n for n, name in enumerate(names) if name.endswith(_LEGS)]
        rest = [n for n in range(num_joints) if n not in legs]
        parts = [rest, legs] if separate else [list(range(num_joints))]
        width = 8 * round(width / math.sqrt(len(parts)) / 8)
        self.trunks = nn.ModuleList(
            _Trunk(part, num_joints, width, depth, kernel, features) for part in parts
        )
        self.order = torch.tensor(sum(parts, [])).argsort().tolist()

    def forward(self, image: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, V, E) of normalized joints (B, T, V, 2) and lengths of bones (B, 1, N)."""
        return torch.cat([trunk(image, lengths) for trunk in self.trunks], dim=2)[:, :, self.order]


@MODELS.register_module()
class JointAttention(BaseModule):
    """Attention between joints of a frame, their features in the place of a map's pixels.

    Takes and gives what :class:`rpstn.pose.models.JRE` does. The scale of what it adds starts at
    0, so that it starts as the identity, as JRE does.

    Args:
        num_joints: K.
        features: h w.
        init_cfg: MMEngine weight initialization.
    """

    def __init__(self, num_joints: int, features: int = 16, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.names = nn.Parameter(torch.randn(num_joints, features) * 0.5)
        self.norm = nn.LayerNorm(features)
        self.query_key_value = nn.Linear(features, 3 * features)
        self.project = nn.Linear(features, features)
        self.scale = nn.Parameter(torch.zeros(features))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, K, h, w) from maps of the same shape."""
        tokens = maps.flatten(2)
        named = self.norm(tokens + self.names)
        query, key, value = self.query_key_value(named).chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(key.shape[-1]), dim=-1)
        return maps + (self.scale * self.project(weights @ value)).view(maps.shape)


@MODELS.register_module()
class DepthHead(BaseModule):
    """Depths of joints, and the elevation of the camera, from the joints' features.

    Args:
        num_joints: V; the first is the pelvis, whose depth is 0.
        features: E.
        relation: config of a module between joints, (B, V, 1, E) to the same, such as
            ``dict(type='JRE')`` or ``dict(type='JointAttention')``; it is given ``num_joints``.
        elevations: least and largest elevation that is answered, degrees.
        init_cfg: MMEngine weight initialization.
    """

    def __init__(
        self,
        num_joints: int = 15,
        features: int = 16,
        relation: dict | None = None,
        elevations: tuple[float, float] = (-10.0, 25.0),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.relation = (
            MODELS.build(dict(relation, num_joints=num_joints)) if relation else nn.Identity()
        )
        self.answer = nn.Parameter(torch.randn(2, num_joints, features) * 0.3 / math.sqrt(features))
        self.shift = nn.Parameter(torch.zeros(2, num_joints))
        self.elevation = nn.Linear(num_joints * features, 1)
        nn.init.zeros_(self.elevation.weight)
        nn.init.zeros_(self.elevation.bias)
        self.elevations = elevations

    def forward(self, features: Tensor, image: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Depths and elevations.

        Args:
            features: (B, T, V, E).
            image: (B, T, V, 2), normalized.
            lengths: (B, 1, N) of bones.

        Returns:
            Depths (B, T, V) from the pelvis, in trunks, and elevations (B,) in radians.
        """
        related = self.relation(features.flatten(0, 1)[:, :, None])[:, :, 0].view(features.shape)
        answers = (related[..., None, :, :] * self.answer).sum(-1) + self.shift  # (B, T, 2, V)
        starts, ends = map(list, zip(*BONES))
        share, rest = answers[..., ends].unbind(dim=2)
        bones = hidden_lengths(image, lengths) * share.tanh() + 0.2 * rest
        middle, reach = sum(self.elevations) / 2, (self.elevations[1] - self.elevations[0]) / 2
        angle = self.elevation(features.flatten(2).mean(1))[:, 0].tanh() * reach + middle
        return depths_from_bones(bones), torch.deg2rad(angle)
