"""The recurrence of RPSTN on ready crops, one frame of N people at a time.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Any, Protocol, runtime_checkable

import torch
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from mmpose.apis.inference import dataset_meta_from_config
from torch import Tensor, nn

from rpstn.results import nameless

from ..alignment import ALIGNMENT, alignment_points
from ..models.estimator import VideoPoseEstimator
from ..models.guided_blazepose import guides_of
from ..presence import PRESENCE, presence_of


@runtime_checkable
class Stepper(Protocol):
    """The recurrence on ready crops, whoever computes it: torch, or an exported graph.

    ``N`` may change from call to call. Crops are raw, (N, 3, H, W) BGR uint8 on the CPU; the
    normalization belongs to the stepper. What it returns, it also takes: torch's stepper keeps it
    on its device, all others give float32 on the CPU. A head with a readout carries its heatmaps on
    behind the features, whose channels are then C + K.

    Of models built on BlazePose ``regressed`` says more of the crops looked at last, by name: where
    bodies are (:mod:`rpstn.pose.alignment`), whether there are any (:mod:`rpstn.pose.presence`),
    and, of exported graphs, joints in metres (:mod:`rpstn.pose.world`).
    """

    input_size: tuple[int, int]
    """(W, H) pixels."""
    heatmap_size: tuple[int, int]
    """(w, h) cells."""
    num_joints: int
    """K."""

    def start(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmaps M'_1 (N, K, h, w) and features f_1 (N, C, h, w) of people's first frames."""

    def step(self, crops: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """M'_{t+1} (N, K, h, w) and f_{t+1} (N, C, h, w) of the next frames, M'_t and f_t."""


class TorchStepper:
    """The recurrence of a model as it is.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: VideoPoseEstimator) -> None:
        self.model = model
        backbone = model.backbone
        (width, height), stride = backbone.input_size, backbone.heatmap_stride
        self.input_size = (width, height)
        self.heatmap_size = (width // stride, height // stride)
        self.num_joints = backbone.num_joints
        self.regressed: dict[str, Tensor] = {}
        self._guides = guides_of(model)

    @torch.inference_mode()
    def start(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.start`: P and F."""
        with self._listening():
            return self.model.head.start(*self.model.backbone.start(self._normalized(crops)))

    @torch.inference_mode()
    def step(self, crops: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.step`: F alone."""
        with self._listening():
            encoded = self.model.backbone.encoder(self._normalized(crops))
        return self.model.head.step(heatmaps, features, encoded)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Keep what BlazePose regresses meanwhile, in this thread, as others may use the model."""
        self.regressed = {}
        thread = get_ident()

        def keep(presence: nn.Module, _: nn.Module, inputs: tuple, landmarks: Tensor) -> None:
            if get_ident() == thread:
                self.regressed[ALIGNMENT] = alignment_points(landmarks)
                self.regressed[PRESENCE] = presence_of(presence(*inputs))

        hooks = [
            guide.head.landmarks.register_forward_hook(partial(keep, guide.head.presence))
            for guide in self._guides
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _normalized(self, crops: Tensor) -> Tensor:
        # MMEngine's part of the preprocessor: device, channel order, mean and std.
        return ImgDataPreprocessor.forward(self.model.data_preprocessor, dict(inputs=list(crops)))[
            'inputs'
        ]


def meta_of(config: Config | None, num_joints: int) -> Mapping[str, Any]:
    """The meta of the config's test data, if it has as many joints as the stepper answers."""
    if config and 'test_dataloader' in config:
        meta = dataset_meta_from_config(config, 'test')
        if meta is not None and len(meta['keypoint_id2name']) == num_joints:
            return meta
    return nameless(num_joints)
