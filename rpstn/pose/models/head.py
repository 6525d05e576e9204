"""The recurrent head of RPSTN: relation and propagation from frame to frame.

Dang, Yin, Zhang, IEEE TIP 31, 2022, figure 2. https://arxiv.org/abs/2107.03591

Shapes: B clips, T frames, K joints, C channels, (h, w) heatmap cells.
"""

from __future__ import annotations

import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

from .propagation import NORMS, Propagator
from .relating import relate


@MODELS.register_module()
class RPSTNHead(HeatmapHead):
    """M'_1 = BN(R(P(I_1))), M'_{t+1} = BN(R(JRPSP(M'_t, f_t, f_{t+1}))).

    Loss, flip test and decoding are those of MMPose's :class:`HeatmapHead`, over the B*T frames:
    mean squared error of every frame's heatmaps, weighted by joint, so that unlabelled joints and
    padded frames do not count.

    As released, the one BN also comes between propagation and relation:
    M'_{t+1} = BN(R(BN(JRPSP(M'_t, f_t, f_{t+1})))).

    Args:
        num_joints: K.
        relation: R, K heatmaps -> K heatmaps, e.g. ``dict(type='JRE')``; None
            leaves it out. One that looks at more gets f_{t+1} and M'_t, too (:func:`relate`).
        propagator: a :class:`Propagator`, e.g. ``dict(type='JRPSP')``.
        readout: a relation of what is answered, of R's kind: A(M'_t) is given out and M'_t is
            carried on, so that an answer that is wrong is not what the next frame begins with.
            Such as ``TokenRelation``, which can put a joint where no map has any mass. None, the
            default: M'_t is given out.
        channels: C of the frame features. Defaults to 256.
        norm_weight: what the weight of BN starts at. Defaults to 0.05, about the standard
            deviation of the paper's targets (0.055 for sigma 2 on 64x64): from 1, batch norm's
            own start, training first spends hundreds of iterations on shrinking the maps.
        norms: ``'paper'``, BN behind R; ``'shared'``, the same BN before R, too, as released
            (JRPSP has an option of this name for its own norm); or ``'none'``, with which heatmaps
            keep their heights, for parts that start as a single-frame model.
        loss: on (B*T, K, h, w) heatmaps. Defaults to the weighted mean square.
        decoder: any MMPose heatmap codec.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: the decoder's heatmap size leaves JRPSP no valid kernel, or other norms.
    """

    relation: nn.Module
    readout: nn.Module | None
    propagator: Propagator
    norm: nn.BatchNorm2d | nn.Identity
    decoder: BaseKeypointCodec | None

    def __init__(
        self,
        num_joints: int,
        relation: dict | None,
        propagator: dict,
        readout: dict | None = None,
        channels: int = 256,
        norm_weight: float = 0.05,
        norms: str = 'paper',
        loss: dict | None = None,
        decoder: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if norms not in (*NORMS, 'none'):
            raise SettingError(f'RPSTNHead: norms must be one of {(*NORMS, "none")}, got {norms!r}')
        loss = loss or dict(type='KeypointMSELoss', use_target_weight=True)
        # An empty init_cfg: HeatmapHead's default would overwrite what R and S start from.
        super().__init__(
            in_channels=channels,
            out_channels=num_joints,
            deconv_out_channels=None,
            final_layer=None,
            loss=loss,
            decoder=decoder,
            init_cfg=init_cfg or [],
        )
        self.num_joints = num_joints
        self.channels = channels
        self.norms = norms
        self.relation = (
            nn.Identity()
            if relation is None
            else MODELS.build(dict(num_joints=num_joints, **relation))
        )
        self.readout = (
            None if readout is None else MODELS.build(dict(num_joints=num_joints, **readout))
        )
        self.propagator = MODELS.build(dict(num_joints=num_joints, channels=channels, **propagator))
        self.norm = nn.Identity()
        if norms != 'none':
            self.norm = nn.BatchNorm2d(num_joints)
            nn.init.constant_(self.norm.weight, norm_weight)
        if self.decoder is not None:
            self.propagator.check_heatmap_size(tuple(self.decoder.heatmap_size))

    @property
    def state_channels(self) -> int:
        """Channels of the state beside the heatmaps that are given out: C, or C + K."""
        return self.channels + (self.num_joints if self.readout is not None else 0)

    def refine(
        self, heatmaps: Tensor, features: Tensor | None = None, last: Tensor | None = None
    ) -> Tensor:
        """BN(R(M)), (B, K, h, w) -> (B, K, h, w).

        Args:
            features: of the same frame, (B, C, h, w).
            last: M' of the frame before, (B, K, h, w); None, there is none.
        """
        return self.norm(relate(self.relation, heatmaps, features=features, last=last))

    def start(self, features: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
        """The recurrence's state after first frames; it is all that is carried on.

            state = head.start(*backbone.start(first_images))
            state = head.step(*state, backbone.encoder(next_images))

        Args:
            features: F(I_1), (B, C, h, w).
            initial: P(I_1), (B, K, h, w).

        Returns:
            Heatmaps M'_1 (B, K, h, w) and features f_1 (B, C, h, w); with a readout A(M'_1), and
            M'_1 behind the features, (B, C + K, h, w).
        """
        return self._state(self.refine(initial, features), features)

    def step(self, heatmaps: Tensor, features: Tensor, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """The state after the next frames.

        Args:
            heatmaps: M'_t, (B, K, h, w); not looked at with a readout.
            features: f_t, (B, C, h, w); of both what :meth:`start` or this gave.
            encoded: F(I_{t+1}), (B, C, h, w).

        Returns:
            Heatmaps M'_{t+1} (B, K, h, w) and features f_{t+1} (B, C, h, w), or as :meth:`start`.
        """
        if self.readout is not None:
            features, heatmaps = features.split([self.channels, self.num_joints], dim=1)
        following = self.propagator.embed(encoded)
        propagated = self.propagator(heatmaps, features, following)
        propagated = self.norm(propagated) if self.norms == 'shared' else propagated
        return self._state(self.refine(propagated, following, heatmaps), following, heatmaps)

    def _state(
        self, heatmaps: Tensor, features: Tensor, last: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What is given out of M', and what else is carried on."""
        if self.readout is None:
            return heatmaps, features
        answered = relate(self.readout, heatmaps, features=features, last=last)
        return answered, torch.cat([features, heatmaps], dim=1)

    def propagate(self, feats: tuple[Tensor, Tensor]) -> Tensor:
        """Heatmaps of every frame, as they are given out.

        Args:
            feats: features F(I_t) (B, T, C, h, w) and the first frames'
                heatmaps (B, K, h, w), as :class:`RPSTNBackbone` returns them.

        Returns:
            (B, T, K, h, w).
        """
        first, *others = feats[0].unbind(1)
        state = self.start(first, feats[1])
        heatmaps = [state[0]]
        for encoded in others:
            state = self.step(*state, encoded)
            heatmaps.append(state[0])
        return torch.stack(heatmaps, dim=1)

    def forward(self, feats: tuple[Tensor, Tensor]) -> Tensor:
        """As :meth:`propagate`, frames folded into the batch: (B*T, K, h, w)."""
        return self.propagate(feats).flatten(0, 1)
