"""P and F as one network: what RPSTN-Lite saves half of its first frame, and of its size, by.

Shapes: B clips, T frames, N images, K joints, C channels, (H, W) input pixels, (h, w) heatmap
cells.
"""

from __future__ import annotations

from mmengine.model import BaseModule, normal_init
from mmpose.registry import MODELS
from torch import Tensor, nn

from .backbone import FrameNetwork, encode_frames
from .pretrained import load_single_frame


@MODELS.register_module()
class SharedBackbone(BaseModule):
    """:class:`RPSTNBackbone` with one network for both frame encoder and pose initializer.

    F's features are those that P's last layer, 1x1, takes its heatmaps from, so that a first frame
    costs what every other does. A single-frame estimator of the same backbone holds all of its
    weights.

    Args:
        encoder: any MMPose backbone; :class:`UpsampledBackbone`, or a plain one, behind
            which come Simple Baselines' deconvolutions.
        num_joints: K.
        channels: C. Defaults to 64.
        heatmap_stride: input pixels per heatmap cell. Defaults to 4.
        input_size: (W, H) pixels. Defaults to (256, 256).
        pretrained: checkpoint of a single-frame model to start from; with
            ``dict(checkpoint=..., joints='jhmdb15')`` its last layer, too, joints of the same name
            (:func:`load_single_frame`).
        init_cfg: MMEngine weight initialization.

    Raises:
        ValueError: ``init_weights``: ``pretrained`` does not fit.
    """

    def __init__(
        self,
        encoder: dict,
        num_joints: int,
        channels: int = 64,
        heatmap_stride: int = 4,
        input_size: tuple[int, int] = (256, 256),
        pretrained: str | dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.pretrained = pretrained
        self.num_joints = num_joints
        self.channels = channels
        self.heatmap_stride = heatmap_stride
        self.input_size = (input_size[0], input_size[1])
        if pretrained is not None:  # all weights come from there, so ImageNet's need not be read
            encoder = _without_weights(encoder)
        self.encoder = FrameNetwork(
            encoder, channels=channels, heatmap_stride=heatmap_stride, input_size=input_size
        )
        self.heatmaps = nn.Conv2d(channels, num_joints, 1)
        normal_init(self.heatmaps, std=0.001)  # as MMPose's heatmap heads start

    def init_weights(self) -> None:
        """As MMEngine's; then the weights of ``pretrained``."""
        super().init_weights()
        if self.pretrained is not None:
            given = (
                dict(checkpoint=self.pretrained)
                if isinstance(self.pretrained, str)
                else self.pretrained
            )
            load_single_frame(dict(PF=_as_single_frame(self)), **given)

    def initializer(self, images: Tensor) -> Tensor:
        """P: (N, 3, H, W) -> (N, K, h, w)."""
        return self.heatmaps(self.encoder(images))

    def start(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C, h, w) and heatmaps (N, K, h, w) of first frames (N, 3, H, W)."""
        features = self.encoder(images)
        return features, self.heatmaps(features)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Encode clips (B, T, 3, H, W), every frame once.

        Returns:
            Features (B, T, C, h, w) and the first frames' heatmaps
            (B, K, h, w).

        Raises:
            ValueError: the input is not a batch of clips.
        """
        features = encode_frames(self, clips)
        return features, self.heatmaps(features[:, 0])


def _as_single_frame(shared: SharedBackbone) -> nn.Module:
    """The same modules under the names that a single-frame model has them by."""
    single, head = nn.Module(), nn.Module()
    single.backbone, single.head = shared.encoder.backbone, head
    for name in ('deconv_layers', 'conv_layers'):
        head.add_module(name, getattr(shared.encoder.head, name))
    head.final_layer = shared.heatmaps
    return single


def _without_weights(config: dict) -> dict:
    """A backbone's config, and those nested in it, without ``init_cfg``."""
    return {
        key: None
        if key == 'init_cfg'
        else _without_weights(value)
        if isinstance(value, dict)
        else value
        for key, value in config.items()
    }
