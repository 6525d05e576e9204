"""A density of 2D poses, by a normalizing flow over their principal components.

Wandt et al., "ElePose", CVPR 2022, section 3.1; affine couplings of Dinh et al., "Real NVP", ICLR
2017.

Shapes: N poses, V joints, C principal components.
"""

from __future__ import annotations

import math

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn


class _Coupling(nn.Module):
    """One half is scaled and shifted by what a network makes of the other."""

    kept: Tensor

    def __init__(self, size: int, width: int, second: bool) -> None:
        super().__init__()
        kept = torch.arange(size) % 2 == int(second)
        self.register_buffer('kept', kept, persistent=False)
        last = nn.Linear(width, 2 * size)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.network(x * self.kept).chunk(2, dim=-1)
        scale = torch.tanh(scale) * ~self.kept
        return x * scale.exp() + shift * ~self.kept, scale.sum(-1)


@MODELS.register_module()
class PoseFlow(BaseModule):
    """How likely a normalized 2D pose is: :meth:`fit_components` first, then train :meth:`nll`.

    Args:
        num_joints: V.
        components: C; 15 joints, of which two are means and one is the origin, have 26.
        width: of the couplings' networks.
        couplings: how many.
        init_cfg: MMEngine weight initialization.
    """

    mean: Tensor
    basis: Tensor

    def __init__(
        self,
        num_joints: int = 15,
        components: int = 26,
        width: int = 192,
        couplings: int = 8,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.components = components
        self.register_buffer('mean', torch.zeros(2 * num_joints))
        self.register_buffer('basis', torch.eye(2 * num_joints)[:, :components].clone())
        self.couplings = nn.ModuleList(
            _Coupling(components, width, bool(n % 2)) for n in range(couplings)
        )

    def fit_components(self, poses: Tensor) -> None:
        """Take mean and whitened principal components from poses (N, V, 2)."""
        flat = poses.flatten(1)
        self.mean.copy_(flat.mean(0))
        _, deviation, axes = torch.linalg.svd(flat - self.mean, full_matrices=False)
        deviation = deviation / math.sqrt(len(flat) - 1)
        self.basis.copy_((axes / deviation[:, None]).T[:, : self.components])

    def nll(self, poses: Tensor) -> Tensor:
        """-log density in whitened components, per component, of poses (N, V, 2): (N,)."""
        x = (poses.flatten(1) - self.mean) @ self.basis
        logarithm = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, grown = coupling(x)
            logarithm = logarithm + grown
        energy = 0.5 * x.square().sum(-1) + 0.5 * self.components * math.log(2 * math.pi)
        return (energy - logarithm) / self.components
