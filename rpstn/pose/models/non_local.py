"""Non-local block on heatmaps: relation between pixels in place of joints.

Wang, Girshick, Gupta, He, "Non-local Neural Networks", CVPR 2018, figure 2, embedded Gaussian.
https://arxiv.org/abs/1711.07971

Shapes: B maps, K joints, C' = K/2 channels, rounded down, (h, w) heatmap cells.
"""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

from .relating import check_joints


def embedded_gaussian(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """softmax(theta^T phi) g, every cell a mean of all cells, without the matrix of all pairs.

    Args:
        theta, phi, g: (B, C', h, w).

    Returns:
        (B, C', h, w).
    """
    channels = g.shape[1]
    # Zeros up to a multiple of 8 channels change no product, and let the fast kernels of GPUs,
    # which need aligned rows, take any number of joints.
    padding = (0, -channels % 8)
    query, key, value = (F.pad(x.flatten(2).mT, padding).unsqueeze(1) for x in (theta, phi, g))
    mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    return mixed.squeeze(1)[..., :channels].mT.reshape(g.shape)


@MODELS.register_module()
class NonLocalRelation(BaseModule):
    """Residual relation between cells: Z = M + W_z(softmax(theta(M)^T phi(M)) g(M)).

    W_z starts at 0, so the module starts as the identity and can be put behind any trained
    heatmap head without changing what it predicts.

    It computes what ``mmcv.cnn.NonLocal2d(K, use_scale=False)`` does, which makes two matrices of
    (h*w)^2 numbers per map, and starts theta, phi and g from a standard deviation of 0.01, with
    which heatmaps of 0.05 give all but equal similarities and next to no gradient; here they
    start as PyTorch's convolutions do. Peak memory and time of forward and backward, 8 maps of
    64x64 cells, K = 13, float32, one thread::

        python tools/research/relation/benchmark_relation.py

        mmcv.cnn.NonLocal2d   1558 MB   1.83 s
        NonLocalRelation        26 MB   0.54 s

    Args:
        num_joints: K, the number of heatmap channels.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: less than two joints, half of which is nothing.
    """

    def __init__(self, num_joints: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if num_joints < 2:
            raise SettingError(f'NonLocalRelation takes num_joints of 2 or more, got {num_joints}')
        self.num_joints = num_joints
        self.theta = nn.Conv2d(num_joints, num_joints // 2, 1)
        self.phi = nn.Conv2d(num_joints, num_joints // 2, 1)
        self.g = nn.Conv2d(num_joints, num_joints // 2, 1)
        self.out = nn.Conv2d(num_joints // 2, num_joints, 1)
        self._start_as_identity()

    def _start_as_identity(self) -> None:
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def init_weights(self) -> None:
        """As BaseModule's; the identity survives an ``init_cfg`` of a surrounding head."""
        super().init_weights()
        if not self.init_cfg:
            self._start_as_identity()

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Z (B, K, h, w) from heatmaps M of the same shape.

        Raises:
            SettingError: the number of channels is not ``num_joints``.
        """
        check_joints(self, heatmaps)
        return heatmaps + self.out(
            embedded_gaussian(self.theta(heatmaps), self.phi(heatmaps), self.g(heatmaps))
        )
