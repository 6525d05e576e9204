"""A joint relation that can say where: learned displacements between pairs of joints.

As in spatial models over heatmaps since Tompson et al., "Joint Training of a Convolutional Network
and a Graphical Model for Human Pose Estimation", NeurIPS 2014, a kernel for every pair of joints
says where the one is, seen from the other. https://arxiv.org/abs/1406.2984

Shapes: B maps, K joints, S senders, (h, w) heatmap cells, (h', w') pooled ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

from .relating import blend, check_joints

# Of kernels at first, above 0, as below it no gradient comes through the ReLU; and of the middle of
# those of a joint and itself, so that E is at least as high as M (see blend).
_LEVEL, _OWN = 0.01, 2.0


@MODELS.register_module()
class PairwiseRelation(BaseModule):
    """Z = M + a g (E - M): every joint's map blended with where the others put it.

    With m_j, the map of joint j pooled to cells of ``stride`` x ``stride``, each pair has a kernel:

        P_kj = ReLU(kernel_kj * m_j + b_kj)        where j puts k
        W_r  = softmax_j(A_kj + B_kj max(M_j))     who informs whom
        E_k  = sum_j W_kj P_kj

    and g in (0, 1), of every pooled cell, is the sigmoid of a 1x1 convolution of m, E and the
    maps' heights. E and g are interpolated to M's cells. The scales a of the joints start at 0, so
    that the module starts as the identity, as :class:`JRE` does, and can stand wherever that can; E
    starts as twice the joint's own pooled map, on a low even ground that the others make.
    To be trained on crops as they will be, occluded and awry ones among them: what can place joints
    can invent them.

    Away from the border it is equivariant to shifts by ``stride`` cells. A kernel of 15 pooled
    cells of 4 reaches 28 cells, 44 % of a map of 64.

    Args:
        num_joints: K.
        kernel_size: of every pair, odd, in pooled cells. Defaults to 15.
        stride: heatmap cells per pooled one; the heatmaps' sides are multiples of it. Defaults to
            4: maps of 64x64 cells are pooled to 16x16.
        steered: whether W_r depends on the image; B is 0 otherwise. Defaults to True.
        temporal: with the last frame's joints, which :class:`RPSTNHead` hands over, as K further
            senders that have kernels of their own; a first frame has none. Defaults to False.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: an even kernel_size, or a stride below 1.
    """

    def __init__(
        self,
        num_joints: int,
        kernel_size: int = 15,
        stride: int = 4,
        steered: bool = True,
        temporal: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if kernel_size < 1 or not kernel_size % 2:
            raise SettingError(f'PairwiseRelation: kernel_size must be odd, got {kernel_size}')
        if stride < 1:
            raise SettingError(f'PairwiseRelation: stride must be 1 or more, got {stride}')
        self.num_joints = num_joints
        self.stride = stride
        self.temporal = temporal
        senders = num_joints * (2 if temporal else 1)
        # Sender by sender, its K kernels in order.
        kernels = torch.full((senders, num_joints, kernel_size, kernel_size), _LEVEL)
        for sender in range(senders):  # the last frame's, too, each of which gets half of W_r
            kernels[sender, sender % num_joints, kernel_size // 2, kernel_size // 2] = (
                _OWN * num_joints
            )
        self.kernels = nn.Parameter(kernels)
        self.bias = nn.Parameter(torch.zeros(senders, num_joints))
        self.prior = nn.Parameter(torch.zeros(num_joints, senders))
        self.trust = nn.Parameter(torch.zeros(num_joints, senders)) if steered else None
        self.gate = nn.Conv2d(3 * num_joints, num_joints, 1)
        self.scale = nn.Parameter(torch.zeros(num_joints))

    @property
    def takes(self) -> tuple[str, ...]:
        """What :func:`relate` hands over beside the heatmaps."""
        return ('last',) if self.temporal else ()

    def _put(self, heatmaps: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor]:
        """W_kj P_kj (B, S, K, h', w'), and g's logits (B, K, h', w')."""
        check_joints(self, heatmaps)
        if any(side % self.stride for side in heatmaps.shape[-2:]):
            raise SettingError(
                f'PairwiseRelation(stride={self.stride}) takes heatmaps whose sides are multiples '
                f'of {self.stride}, got {tuple(heatmaps.shape)}'
            )
        joints = senders = self.num_joints
        sent = heatmaps
        if self.temporal and last is not None:
            sent, senders = torch.cat([heatmaps, last], dim=1), 2 * joints
        pooled = F.avg_pool2d(sent, self.stride)
        put = F.conv2d(
            pooled,
            self.kernels[:senders].flatten(0, 1)[:, None],
            self.bias[:senders].flatten(),
            padding=self.kernels.shape[-1] // 2,
            groups=senders,
        ).relu()
        heights = sent.amax((2, 3))
        shares = self.prior[:, :senders]
        if self.trust is not None:
            shares = shares + self.trust[:, :senders] * heights[:, None]
        weights = torch.softmax(shares, dim=-1).mT[..., None, None]
        put = weights * put.unflatten(1, (senders, joints))
        heights = heights[:, :joints, None, None].expand(-1, -1, *pooled.shape[-2:])
        return put, self.gate(torch.cat([pooled[:, :joints], put.sum(1), heights], dim=1))

    def relation(self, heatmaps: Tensor, last: Tensor | None = None) -> Tensor:
        """Who informs whom, (B, K, K): the senders' shares of E where that is greatest.

        With the last frame's heatmaps, of the same shape, (B, K, 2 K): its joints' columns come
        behind.
        """
        put, _ = self._put(heatmaps, last)
        put = put.flatten(3)
        place = put.sum(1, keepdim=True).argmax(-1, keepdim=True)
        shares = put.gather(-1, place.expand(-1, put.shape[1], -1, -1))[..., 0].mT
        # All of nothing is everybody's.
        return (shares + 1e-9) / (shares + 1e-9).sum(-1, keepdim=True)

    def places(self, heatmaps: Tensor, last: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Where to: each joint's answered place, E's peak, and how much of its map that is there.

        Returns:
            (B, K, 2), x and y from 0, the middle of the map's first cell, to 1, that of its last
            one, and (B, K), a g of the formula.
        """
        put, logits = self._put(heatmaps, last)
        rows, columns = logits.shape[-2:]
        place = put.sum(1).flatten(2).argmax(-1)
        cells = torch.stack([place % columns, place // columns], dim=-1) + 0.5
        # The middles of the map's own cells, of which pooled ones have stride x stride.
        sides = torch.tensor([columns, rows], device=cells.device) * self.stride
        gates = logits.flatten(2).gather(-1, place[..., None])[..., 0].sigmoid()
        return (self.stride * cells - 0.5) / (sides - 1), self.scale * gates

    def forward(self, heatmaps: Tensor, last: Tensor | None = None) -> Tensor:
        """Z (B, K, h, w) from heatmaps M of the same shape.

        Args:
            last: the last frame's heatmaps, of the same shape, with ``temporal``; None, there is no
                last frame.

        Raises:
            SettingError: the number of channels is not ``num_joints``, or a side no multiple of
                ``stride``.
        """
        put, logits = self._put(heatmaps, last)
        size = heatmaps.shape[-2:]
        evidence, logits = (
            F.interpolate(maps, size=size, mode='bilinear', align_corners=False)
            for maps in (put.sum(1), logits)
        )
        scale = self.scale[:, None, None]
        return blend(heatmaps, evidence, scale, logits.sigmoid(), self.training)
