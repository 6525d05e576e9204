"""Joint relation extractor (JRE): what each joint's heatmap says about the others.

Dang, Yin, Zhang, "Relation-Based Associative Joint Location for Human Pose Estimation in
Videos", IEEE TIP 31, 2022, figure 3. https://arxiv.org/abs/2107.03591

Shapes: B maps, K joints, H heads, C channels of features, (h, w) heatmap cells.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError
from rpstn.skeletons import Skeleton, get_skeleton

from .relating import check_joints

LAYOUTS = ('paper', 'released')
SIMILARITIES = ('product', 'cosine')
_WIDTH = 32  # of what features tell of a joint, per head


def joint_similarity(heatmaps: Tensor, similarity: str = 'product') -> Tensor:
    """How alike the joints' maps are, (B, K, K): M M^T, or the cosines of its angles.

    Args:
        heatmaps: M, (B, K, h, w).
        similarity: one of :data:`SIMILARITIES`.
    """
    # In float32, also in mixed precision: sums over thousands of cells overflow float16.
    with torch.autocast(heatmaps.device.type, enabled=False):
        flat = heatmaps.flatten(2).to(torch.promote_types(heatmaps.dtype, torch.float32))
        if similarity == 'cosine':
            flat = F.normalize(flat, dim=-1, eps=1e-6)
        return flat @ flat.transpose(1, 2)


def joint_relation(heatmaps: Tensor, dim: int = -1) -> Tensor:
    """W_r = softmax(M M^T): how much each joint (row) draws on every joint (column).

    Args:
        heatmaps: M, (B, K, h, w).
        dim: along which the softmax goes, -1 in the paper, 1 in the released code.

    Returns:
        (B, K, K); every row sums to 1, with ``dim=1`` every column.
    """
    return torch.softmax(joint_similarity(heatmaps), dim=dim)


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

    The paper's W_r = softmax(M M^T) is all but the identity for maps of trained height: a peak of
    height 1 and deviation 2 cells has pi 2^2 = 12.6 on the diagonal. Beyond the paper, each by
    itself or together, with S = M M^T or its cosines:

        W_r^h = softmax((A^h S + Q^h(V) K^h(V)^T / sqrt(32)) / tau^h)
        Z = M + Conv_o([W_r^1 Conv_g^1(M), ..., W_r^H Conv_g^H(M)])

    with the temperatures tau; with the mixings A of several heads, (K, K), which start as the
    identity; and with what the features F are like where the joint's map has it, V = M F / (sum of
    M), from which Q and K make 32 channels, Q starting at 0.

    Args:
        num_joints: K, the number of heatmap channels.
        layout: ``'paper'``, the formula above, or ``'released'``, what the authors' code
            computes, for weights trained by it: the columns of W_r sum to 1 in place of its rows,
            and W_r Conv_g(M), (B, K, h*w), is transposed and its memory then read as
            (B, K, h, w), which interleaves joints and pixels. Defaults to ``'paper'``.
        similarity: S, ``'product'`` or ``'cosine'``, which leaves out how high the maps are, and
            of which softmax makes an all but even W_r without a temperature. Defaults to
            ``'product'``.
        temperature: what the learned tau of every head starts at, above 0; None is 1 and not
            learned. Defaults to None.
        heads: H. Defaults to 1.
        features: C of the frame features that W_r looks at beside the heatmaps; None for none.
            :class:`RPSTNHead` and :class:`RelationHead` hand them over. Defaults to None.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: another layout or similarity; a temperature or heads not above 0; heads in the
            released layout.
    """

    log_temperature: nn.Parameter | None
    mixing: nn.Parameter | None
    query: nn.Linear | None
    key: nn.Linear | None

    def __init__(
        self,
        num_joints: int,
        layout: str = 'paper',
        similarity: str = 'product',
        temperature: float | None = None,
        heads: int = 1,
        features: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        name = type(self).__name__
        for option, value, allowed in (
            ('layout', layout, LAYOUTS),
            ('similarity', similarity, SIMILARITIES),
        ):
            if value not in allowed:
                raise SettingError(f'{name}: {option} must be one of {allowed}, got {value!r}')
        if temperature is not None and not temperature > 0:
            raise SettingError(f'{name}: temperature must be above 0, got {temperature}')
        if heads < 1 or (heads > 1 and layout == 'released'):
            raise SettingError(
                f'{name}: heads must be 1, or more in the layout of the paper, got {heads}'
            )
        self.num_joints = num_joints
        self.layout = layout
        self.similarity = similarity
        self.heads = heads
        self.features = features
        self.folded = False
        self.g = nn.Conv2d(num_joints, heads * num_joints, 1)
        self.out = nn.Sequential(
            nn.Conv2d(heads * num_joints, num_joints, 1), nn.BatchNorm2d(num_joints)
        )
        self.log_temperature = self.mixing = self.query = self.key = None
        if temperature is not None:
            # Its logarithm, so that tau stays above 0.
            self.log_temperature = nn.Parameter(torch.full((heads, 1, 1), math.log(temperature)))
        if heads > 1:
            self.mixing = nn.Parameter(torch.eye(num_joints).repeat(heads, 1, 1))
        if features is not None:
            self.query = nn.Linear(features, heads * _WIDTH)
            self.key = nn.Linear(features, heads * _WIDTH)
        self._start_as_identity()

    @property
    def takes(self) -> tuple[str, ...]:
        """What :func:`relate` hands over beside the heatmaps."""
        return () if self.features is None else ('features',)

    def _start_as_identity(self) -> None:
        nn.init.zeros_(self.out[1].get_parameter('weight'))
        if self.query is not None:
            nn.init.zeros_(self.query.weight)
            nn.init.zeros_(self.query.bias)

    def init_weights(self) -> None:
        """As BaseModule's; the identity survives an ``init_cfg`` of a surrounding head."""
        super().init_weights()
        if not self.init_cfg:
            self._start_as_identity()

    def fold_for_inference(self) -> None:
        """From now on compute Conv_o(W_r Conv_g(M)) as (O W_r G) M, which passes over maps once.

        Exact, as both convolutions are 1x1, once the batch norm is a part of Conv_o; as released,
        where joints and pixels are interleaved between the two, all stays as it is, and so it
        does with several heads.
        """
        self.folded = (
            self.layout == 'paper'
            and self.heads == 1
            and not isinstance(self.out[1], nn.BatchNorm2d)
        )

    def relation(self, heatmaps: Tensor, features: Tensor | None = None) -> Tensor:
        """The relation matrix W_r (B, K, K) of heatmaps (B, K, h, w); of several heads, the mean.

        Args:
            features: (B, C, h', w'), cells over the same image; with the option of this name.

        Raises:
            SettingError: there are no features, or others.
        """
        return self._relations(heatmaps, features).mean(1)

    def _relations(self, heatmaps: Tensor, features: Tensor | None) -> Tensor:
        """Of every head, (B, H, K, K)."""
        similar = joint_similarity(heatmaps, self.similarity)[:, None]
        with torch.autocast(heatmaps.device.type, enabled=False):
            if self.mixing is not None:
                similar = self.mixing @ similar
            if self.query is not None and self.key is not None:
                looks = self._looks(heatmaps, features).to(self.key.weight.dtype)
                query, key = (
                    layer(looks).unflatten(-1, (self.heads, _WIDTH)).transpose(1, 2)
                    for layer in (self.query, self.key)
                )
                similar = similar + query @ key.transpose(-1, -2) / math.sqrt(_WIDTH)
            if self.log_temperature is not None:
                similar = similar * torch.exp(-self.log_temperature)
            return torch.softmax(similar, dim=2 if self.layout == 'released' else -1)

    def _looks(self, heatmaps: Tensor, features: Tensor | None) -> Tensor:
        """The mean of the features under every joint's map, (B, K, C)."""
        if features is None or features.shape[1] != self.features:
            got = None if features is None else tuple(features.shape)
            raise SettingError(
                f'{type(self).__name__}(features={self.features}) takes features of '
                f'{self.features} channels beside the heatmaps, got {got}: a head hands them over'
            )
        dtype = torch.promote_types(heatmaps.dtype, torch.float32)
        maps, features = heatmaps.to(dtype), features.to(dtype)
        if maps.shape[-2:] != features.shape[-2:]:
            rows, columns = features.shape[-2:]
            maps = F.adaptive_avg_pool2d(maps, (int(rows), int(columns)))
        mass = maps.clamp(min=0).flatten(2)
        mass = mass / mass.sum(-1, keepdim=True).clamp(min=1e-6)
        return mass @ features.flatten(2).transpose(1, 2)

    def forward(self, heatmaps: Tensor, features: Tensor | None = None) -> Tensor:
        """Z (B, K, h, w) from heatmaps M of the same shape; features as :meth:`relation` has them.

        Raises:
            SettingError: the number of channels is not ``num_joints``; see :meth:`relation`.
        """
        check_joints(self, heatmaps)
        relations = self._relations(heatmaps, features)
        if self.folded:
            # Packed for inference their weights are plain tensors.
            weight, bias = cast(Tensor, self.out[0].weight), cast(Tensor, self.out[0].bias)
            mixing = weight.flatten(1) @ relations[:, 0].to(weight.dtype)  # (B, K, K)
            shift = mixing @ cast(Tensor, self.g.bias) + bias
            g = self.g.weight.flatten(1)
            related = mixing @ g @ heatmaps.flatten(2) + shift[..., None]
            return heatmaps + related.view(heatmaps.shape)
        g = self.g(heatmaps).flatten(2).unflatten(1, (self.heads, self.num_joints))
        related = (relations.to(g.dtype) @ g).flatten(1, 2)
        if self.layout == 'released':
            related = related.transpose(1, 2).contiguous()
        # The batch is left open, as an export needs it.
        size = map(int, heatmaps.shape[2:])
        return heatmaps + self.out(related.view(-1, self.heads * self.num_joints, *size))


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

    def _relations(self, heatmaps: Tensor, features: Tensor | None) -> Tensor:
        """The graph (B, 1, K, K), the same for all B heatmaps (B, K, h, w)."""
        return self.graph.expand(len(heatmaps), 1, -1, -1)
