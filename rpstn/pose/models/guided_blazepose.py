"""BlazePose's features with its own landmarks drawn beside them.

Bazarevsky et al., BlazePose, CVPR Workshops 2020, https://arxiv.org/abs/2006.10204. Its heatmaps
see a joint's surroundings, its regression the whole body: of joints that are hidden only the
latter has an idea. Drawn as Gaussians, its landmarks tell a network behind the features, too.

Shapes: N images, K landmarks, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from .blazepose import BlazePose
from .blazepose_head import INPUT_SIZE, LANDMARKS, NUM_JOINTS, BlazePoseHead
from .token_relation import gaussians


def guides_of(model: nn.Module) -> list[GuidedBlazePose]:
    """Those that a model holds, as it is when it is run."""
    return [module for module in model.modules() if isinstance(module, GuidedBlazePose)]


@MODELS.register_module()
class GuidedBlazePose(BaseModule):
    """BlazePose, frozen: its finest map and a Gaussian for each of its landmarks, as one map.

    Its weights are named as those of a :class:`BlazePose` estimator, so that the release's load by
    ``init_cfg=dict(type='Pretrained', checkpoint=...)``.

    Args:
        sigma: of the Gaussians, in cells. Defaults to 2.
        init_cfg: MMEngine weight initialization.
    """

    def __init__(self, sigma: float = 2.0, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.sigma = sigma
        self.backbone = BlazePose(out_indices=(0, 3))
        self.head = BlazePoseHead()
        self.train(self.training)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(N, 3, 256, 256) -> one map (N, 48 + K, 64, 64), in a tuple, as MMPose's backbones do."""
        finest, coarsest = self.backbone(images)
        code = self.head.regress(coarsest)
        landmarks = self.head.landmarks(code).view(-1, LANDMARKS, 5)[:, :NUM_JOINTS, :2]
        # Pixels from the crop's corner, as the regression has them, to shares of the map between
        # the middles of its first and last cells.
        height, width = finest.shape[-2:]
        places = (landmarks * (width / INPUT_SIZE) - 0.5) / (width - 1)
        drawn = gaussians(places, (height, width), self.sigma)
        return (torch.cat([finest, drawn], dim=1),)

    def train(self, mode: bool = True) -> GuidedBlazePose:
        """As Module's, but that all stays in evaluation mode, without gradients."""
        super().train(False)
        self.requires_grad_(False)
        return self
