"""The recurrence of RPSTN on ready crops, one frame of N people at a time.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import Any, Protocol, runtime_checkable

import torch
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor, nn

from rpstn.errors import SettingError
from rpstn.results import nameless

from ..alignment import ALIGNMENT, alignment_points
from ..crops import Cropper
from ..models.blazepose_head import BlazePoseHead
from ..models.estimator import VideoPoseEstimator
from ..models.guided_blazepose import guides_of
from ..presence import PRESENCE, presence_of
from ..world import WORLD


@runtime_checkable
class Stepper(Protocol):
    """The recurrence on ready crops, whoever computes it: torch, or an exported graph.

    ``N`` may change from call to call. Crops are raw, (N, 3, H, W) BGR uint8 on the CPU; the
    normalization belongs to the stepper. What it returns, it also takes: torch's stepper keeps it
    on its device, all others give float32 on the CPU. A head with a readout carries its heatmaps on
    behind the features, whose channels are then C + K.

    Of models built on BlazePose ``regressed`` says more of the crops looked at last, by name: where
    bodies are (:mod:`rpstn.pose.alignment`), whether there are any (:mod:`rpstn.pose.presence`),
    and joints in metres (:mod:`rpstn.pose.world`); the names are there from the beginning.

    One that is an :class:`EncodingStepper`, too, is asked for the halves of a step in its place.
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


@dataclass(frozen=True)
class Encoded:
    """What a network makes of crops alone, before anything of earlier frames comes in."""

    maps: Mapping[str, Any]
    """F(I_t), as the stepper that made it takes it, by name."""
    regressed: Mapping[str, Any]
    """As :class:`Stepper` has it, of these crops."""


class EncodingStepper(Stepper, Protocol):
    """A stepper whose step comes in two, so that the next frame's crops can be encoded, in a thread
    of their own, while this frame is carried on (:mod:`.ahead`).
    """

    encodes: bool
    """Whether it does so; False, or missing: every frame takes ``step``."""
    threads: int
    """That a step takes."""

    def encode(self, crops: Tensor) -> Encoded:
        """The first half of :meth:`step`; not by two threads at once."""

    def carry_on(
        self, encoded: Encoded, heatmaps: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The second half of :meth:`step`."""


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
        self.threads = torch.get_num_threads()
        # Elsewhere the two would be computed one after the other.
        self.encodes = next(model.parameters()).device.type == 'cpu'
        self._guides = guides_of(model)
        names = (WORLD, ALIGNMENT, PRESENCE) if self._guides else ()
        self.regressed: Mapping[str, Tensor] = {name: torch.empty(0) for name in names}

    @torch.inference_mode()
    def start(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.start`: P and F."""
        with self._computing(), self._listening() as self.regressed:
            return self._answer(
                self.model.head.start(*self.model.backbone.start(self._normalized(crops)))
            )

    def step(self, crops: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.step`: F alone."""
        return self._carry_on(self._encode(crops), heatmaps, features)

    def encode(self, crops: Tensor) -> Encoded:
        """As :meth:`EncodingStepper.encode`."""
        with _half_of(self.threads):
            return self._encode(crops)

    def carry_on(
        self, encoded: Encoded, heatmaps: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`EncodingStepper.carry_on`."""
        with _half_of(self.threads):
            return self._carry_on(encoded, heatmaps, features)

    @torch.inference_mode()
    def _encode(self, crops: Tensor) -> Encoded:
        with self._computing(), self._listening() as regressed:
            features = self.model.backbone.encoder(self._normalized(crops))
        return Encoded(dict(features=features), regressed)

    @torch.inference_mode()
    def _carry_on(
        self, encoded: Encoded, heatmaps: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        self.regressed = encoded.regressed
        with self._computing():
            return self._answer(self.model.head.step(heatmaps, features, encoded.maps['features']))

    def _computing(self) -> AbstractContextManager:
        """What all is computed in."""
        return nullcontext()

    @staticmethod
    def _answer(state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return state[0].float(), state[1]

    @contextmanager
    def _listening(self) -> Iterator[dict[str, Tensor]]:
        """Keep what BlazePose regresses meanwhile, in this thread, as others may use the model."""
        heard: dict[str, Tensor] = {}
        thread = get_ident()

        def keep(head: BlazePoseHead, _: nn.Module, inputs: tuple, landmarks: Tensor) -> None:
            if get_ident() == thread:
                heard[WORLD] = head.world(*inputs).flatten(1)
                heard[ALIGNMENT] = alignment_points(landmarks)
                heard[PRESENCE] = presence_of(head.presence(*inputs))

        hooks = [
            guide.head.landmarks.register_forward_hook(partial(keep, guide.head))
            for guide in self._guides
        ]
        try:
            yield heard
        finally:
            for hook in hooks:
                hook.remove()

    def _normalized(self, crops: Tensor) -> Tensor:
        # MMEngine's part of the preprocessor: device, channel order, mean and std.
        return ImgDataPreprocessor.forward(self.model.data_preprocessor, dict(inputs=list(crops)))[
            'inputs'
        ]


def cropping_and_decoding(
    config: Config | None,
    cropper: Cropper | None,
    decoder: BaseKeypointCodec | None,
    stepper: Stepper,
) -> tuple[Cropper, BaseKeypointCodec]:
    """The two, those that are None as a config has them.

    Raises:
        SettingError: there is no config, or the crops are not of the stepper's size.
    """
    if cropper is None or decoder is None:
        if config is None:
            raise SettingError('StreamingRPSTN needs a config, or both cropper and decoder')
        cropper = cropper or Cropper.from_config(config)
        decoder = decoder or KEYPOINT_CODECS.build(config.model.head.decoder)
    if cropper.input_size != tuple(stepper.input_size):
        raise SettingError(
            f'the config crops to {cropper.input_size} pixels, the stepper '
            f'takes {tuple(stepper.input_size)}'
        )
    return cropper, decoder


@contextmanager
def _half_of(threads: int) -> Iterator[None]:
    """PyTorch on half of so many threads: more than there are cores wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def meta_of(config: Config | None, num_joints: int) -> Mapping[str, Any]:
    """The meta of the config's test data, if it has as many joints as the stepper answers."""
    if config and 'test_dataloader' in config:
        meta = dataset_meta_from_config(config, 'test')
        if meta is not None and len(meta['keypoint_id2name']) == num_joints:
            return meta
    return nameless(num_joints)
