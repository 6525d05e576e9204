"""A joint relation behind any heatmap head of MMPose.

Dang, Yin, Zhang, IEEE TIP 31, 2022, figure 3, for the joints of a single image.

Shapes: B images, K joints, (h, w) heatmap cells.
"""

from __future__ import annotations

from typing import Any

from mmpose.codecs.base import BaseKeypointCodec
from mmpose.models.heads import AssociativeEmbeddingHead, BaseHead, CPMHead, HeatmapHead, MSPNHead
from mmpose.models.heads.heatmap_heads.internet_head import Heatmap3DHead
from mmpose.registry import MODELS
from mmpose.utils.typing import Features, OptSampleList, Predictions
from torch import Tensor, nn

from rpstn.errors import SettingError

from .head import RPSTNHead
from .relating import relate

_SUPPORTED = (HeatmapHead, CPMHead, MSPNHead)
# Subclasses of HeatmapHead whose output is something else, and one that has its relation inside.
_REFUSED = (AssociativeEmbeddingHead, Heatmap3DHead, RPSTNHead)


@MODELS.register_module()
class RelationHead(BaseHead):
    """An MMPose heatmap head with a joint relation R behind it: Z = R(head(features)).

    Loss, flip test and decoding are the wrapped head's own, on Z in place of its heatmaps. Of a
    head of several stages (CPM, hourglass, MSPN, RSN) the last one's heatmaps, from which it
    predicts, pass through R; the earlier stages keep their intermediate supervision.

    Weights of the unwrapped head, ``head.final_layer.weight`` and so on, load as they are, and
    become those of ``head.head``; only the relation's own are missing then. :class:`JRE` starts
    as the identity, so that the model then predicts what the unwrapped one did.

    Args:
        head: the wrapped head: ``HeatmapHead`` or a subclass with its output, such as
            ``ViPNASHead``, ``CPMHead`` or ``MSPNHead``.
        relation: R, K heatmaps -> K heatmaps, e.g. ``dict(type='JRE')``; ``num_joints`` is
            the wrapped head's. One that looks at features gets the backbone's last feature map; of
            a head of several stages, the last stage's.
        init_cfg: MMEngine weight initialization, on top of the two parts' own.

    Raises:
        SettingError: a head of another kind, one whose channels are not one heatmap per joint, or a
            relation for another number of joints.
    """

    def __init__(self, head: dict, relation: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.head = MODELS.build(head)
        _check(self.head)
        self.num_joints = self.out_channels = joints = self.head.out_channels
        if relation.get('num_joints', joints) != joints:
            raise SettingError(
                f'relation.num_joints={relation["num_joints"]}, but '
                f'{type(self.head).__name__}.out_channels={joints}: leave num_joints '
                'out, it is taken from the head'
            )
        self.relation = MODELS.build({**relation, 'num_joints': joints})
        # Loss and prediction of MMPose's heads start with self.forward(features). With this one
        # in its place, on this instance, they run as they are, overridden methods included.
        self.head.forward = self._related
        self._register_load_state_dict_pre_hook(self._name_unwrapped_weights)

    @property
    def decoder(self) -> BaseKeypointCodec | None:
        """The wrapped head's codec, or None."""
        return self.head.decoder

    def _related(self, feats: Features) -> Tensor | list[Tensor]:
        heatmaps = type(self.head).forward(self.head, feats)
        features = feats
        while not isinstance(features, Tensor):
            features = features[-1]
        if isinstance(heatmaps, Tensor):
            return relate(self.relation, heatmaps, features=features)
        return [*heatmaps[:-1], relate(self.relation, heatmaps[-1], features=features)]

    def forward(self, feats: Features) -> Tensor | list[Tensor]:
        """Z (B, K, h, w) of a backbone's feature maps; of several stages, the list of theirs."""
        return self.head.forward(feats)

    def predict(
        self, feats: Features, batch_data_samples: OptSampleList, test_cfg: dict | None = None
    ) -> Predictions:
        """Joints, and heatmaps if asked for, as the wrapped head predicts them."""
        return self.head.predict(feats, batch_data_samples, test_cfg=test_cfg or {})

    def loss(
        self, feats: Features, batch_data_samples: OptSampleList, train_cfg: dict | None = None
    ) -> dict:
        """Losses, as the wrapped head computes them."""
        return self.head.loss(feats, batch_data_samples, train_cfg=train_cfg or {})

    def decode(self, batch_outputs: Tensor) -> list:
        """Joints in input pixels of heatmaps (B, K, h, w)."""
        return self.head.decode(batch_outputs)

    def _name_unwrapped_weights(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Put the weights of an unwrapped head, found under this one's prefix, under ``head.``."""
        ours = [key for key in state_dict if key.startswith(prefix)]
        if any(key.startswith(f'{prefix}head.') for key in ours):
            return
        for key in ours:
            if not key.startswith(f'{prefix}relation.'):
                state_dict[f'{prefix}head.{key[len(prefix) :]}'] = state_dict.pop(key)


def _check(head: nn.Module) -> None:
    """Refuse a head whose output is not heatmaps (B, K, h, w), one per joint, or a list of them."""
    name = type(head).__name__
    if not isinstance(head, _SUPPORTED) or isinstance(head, _REFUSED):
        raise SettingError(
            f'RelationHead takes a head that gives one heatmap per joint: '
            f'{", ".join(kind.__name__ for kind in _SUPPORTED)} and subclasses such as ViPNASHead, '
            f'but not {", ".join(kind.__name__ for kind in _REFUSED)}; got {name}'
        )
    if getattr(head.decoder, 'heatmap_type', 'gaussian') != 'gaussian':
        raise SettingError(
            f'RelationHead relates one heatmap per joint; the codec {type(head.decoder).__name__}('
            f'heatmap_type={head.decoder.heatmap_type!r}) of {name} gives '
            f"{head.out_channels} maps: use heatmap_type='gaussian'"
        )
