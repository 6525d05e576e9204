"""Joint relation extractor (JRE): what each joint's heatmap says about the others.

Dang, Yin, Zhang, "Relation-Based Associative Joint Location for Human Pose Estimation in
Videos", IEEE TIP 31, 2022, figure 3. https://arxiv.org/abs/2107.03591

Shapes: B maps, K joints, (h, w) heatmap cells.
"""

from __future__ import annotations

from typing import cast

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError
from rpstn.skeletons import Skeleton, get_skeleton

LAYOUTS = ('paper', 'released')


def joint_relation(heatmaps: Tensor, dim: int = -1) -> Tensor:
    """W_r = softmax(M M^T): how much each joint (row) draws on every joint (column).

    Args:
        heatmaps: M, (B, K, h, w).
        dim: along which the softmax goes, -1 in the paper, 1 in the released code.

    Returns:
        (B, K, K); every row sums to 1, with ``dim=1`` every column.
    """
    # In float32, also in mixed precision: sums over thousands of cells overflow float16.
    with torch.autocast(heatmaps.device.type, enabled=False):
        flat = heatmaps.flatten(2).to(torch.promote_types(heatmaps.dtype, torch.float32))
        return torch.softmax(flat @ flat.transpose(1, 2), dim=dim)


def skeleton_relation(skeleton: str | Skeleton) -> Tensor:
    """A fixed graph in place of W_r: each joint draws evenly on itself and its limbs' other ends.

    The mirror image of every limb counts as a limb, so that left and right are alike where the
    skeleton's tree has to choose a side (the head of ``penn13`` hangs on one shoulder).

    Args:
        skeleton: name of one in :mod:`rpstn.skeletons`, or one of your own.

    Returns:
        (K, K), A + I with every row divided by its sum.

    Raises:
        SettingError: no skeleton has that name.
    """
    skeleton = get_skeleton(skeleton)
    graph = torch.eye(skeleton.num_joints)
    for limb in skeleton.limb_indices:
        for a, b in (limb, [skeleton.flip_indices[joint] for joint in limb]):
            graph[a, b] = graph[b, a] = 1
    return graph / graph.sum(dim=1, keepdim=True)


@MODELS.register_module()
class JRE(BaseModule):
    """Residual relation between joints: Z = M + Conv_o(W_r Conv_g(M)).

    Conv_o ends in a batch norm whose weight starts at 0, so the module starts as the identity
    and can be put behind any trained heatmap head without changing what it predicts.

    Args:
        num_joints: K, the number of heatmap channels.
        layout: ``'paper'``, the formula above, or ``'released'``, what the authors' code
            computes, for weights trained by it: the columns of W_r sum to 1 in place of its rows,
            and W_r Conv_g(M), (B, K, h*w), is transposed and its memory then read as
            (B, K, h, w), which interleaves joints and pixels. Defaults to ``'paper'``.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: another layout.
    """

    def __init__(
        self, num_joints: int, layout: str = 'paper', init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if layout not in LAYOUTS:
            raise SettingError(
                f'{type(self).__name__}: layout must be one of {LAYOUTS}, got {layout!r}'
            )
        self.num_joints = num_joints
        self.layout = layout
        self.folded = False
        self.g = nn.Conv2d(num_joints, num_joints, 1)
        self.out = nn.Sequential(nn.Conv2d(num_joints, num_joints, 1), nn.BatchNorm2d(num_joints))
        self._start_as_identity()

    def _start_as_identity(self) -> None:
        nn.init.zeros_(self.out[1].get_parameter('weight'))

    def init_weights(self) -> None:
        """As BaseModule's; the identity survives an ``init_cfg`` of a surrounding head."""
        super().init_weights()
        if not self.init_cfg:
            self._start_as_identity()

    def fold_for_inference(self) -> None:
        """From now on compute Conv_o(W_r Conv_g(M)) as (O W_r G) M, which passes over maps once.

        Exact, as both convolutions are 1x1, once the batch norm is a part of Conv_o; as released,
        where joints and pixels are interleaved between the two, all stays as it is.
        """
        self.folded = self.layout == 'paper' and not isinstance(self.out[1], nn.BatchNorm2d)

    def relation(self, heatmaps: Tensor) -> Tensor:
        """The relation matrix W_r (B, K, K) of heatmaps (B, K, h, w)."""
        return joint_relation(heatmaps, dim=1 if self.layout == 'released' else -1)

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Z (B, K, h, w) from heatmaps M of the same shape.

        Raises:
            SettingError: the number of channels is not ``num_joints``.
        """
        if heatmaps.shape[1] != self.num_joints:
            raise SettingError(
                f'{type(self).__name__}(num_joints={self.num_joints}) takes heatmaps '
                f'of {self.num_joints} channels, got {tuple(heatmaps.shape)}'
            )
        if self.folded:
            # Packed for inference their weights are plain tensors.
            weight, bias = cast(Tensor, self.out[0].weight), cast(Tensor, self.out[0].bias)
            mixing = weight.flatten(1) @ self.relation(heatmaps).to(weight.dtype)  # (B, K, K)
            shift = mixing @ cast(Tensor, self.g.bias) + bias
            g = self.g.weight.flatten(1)
            related = mixing @ g @ heatmaps.flatten(2) + shift[..., None]
            return heatmaps + related.view(heatmaps.shape)
        g = self.g(heatmaps).flatten(2)
        related = self.relation(heatmaps).to(g.dtype) @ g
        if self.layout == 'released':
            related = related.transpose(1, 2).contiguous()
        return heatmaps + self.out(related.view(heatmaps.shape))


@MODELS.register_module()
class PriorRelation(JRE):
    """JRE with a fixed graph, the skeleton's, in place of the learned W_r (an ablation).

    Its parameters are those of :class:`JRE`; only where W_r comes from differs.

    Args:
        num_joints: K.
        skeleton: whose joints are the heatmaps' channels, in the same order; a
            name in :mod:`rpstn.skeletons`, e.g. ``'penn13'``, or one of your own.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: no skeleton has that name, or it has not ``num_joints`` joints.
    """

    graph: Tensor

    def __init__(
        self, num_joints: int, skeleton: str | Skeleton, init_cfg: dict | None = None
    ) -> None:
        super().__init__(num_joints, init_cfg=init_cfg)
        skeleton = get_skeleton(skeleton)
        if skeleton.num_joints != num_joints:
            raise SettingError(
                f'PriorRelation(num_joints={num_joints}) needs a skeleton of '
                f'{num_joints} joints, {skeleton.name} has {skeleton.num_joints}'
            )
        # Follows from the config, so a checkpoint holds what a JRE's does.
        self.register_buffer('graph', skeleton_relation(skeleton), persistent=False)

    def relation(self, heatmaps: Tensor) -> Tensor:
        """The graph (B, K, K), the same for all B heatmaps (B, K, h, w)."""
        return self.graph.expand(len(heatmaps), -1, -1)
