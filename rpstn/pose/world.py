"""BlazePose's joints in metres of what a network has just seen.

Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204; the release's second
regression (GHUM's joints; Xu et al., CVPR 2020). :class:`.models.GuidedBlazePose`, on which
RPSTN-Lite is built, computes all but its last layer, 0.1 million multiplications, anyhow.

Shapes: N people, L = 39 landmarks, K = 33 of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rpstn.errors import SettingError

from .models.blazepose_head import LANDMARKS, NUM_JOINTS
from .models.guided_blazepose import guides_of
from .regressed import regressed, regressed_names

WORLD = 'world'
"""What a stepper's ``regressed`` calls them."""


class WorldJoints:
    """Joints in metres of the crops that a model has looked at since the last call.

    Args:
        model: that holds a :class:`GuidedBlazePose`, as it is when it is run: what was copied,
            packed or exported from it is not listened to.

    Raises:
        SettingError: it holds none.
    """

    def __init__(self, model: nn.Module | None) -> None:
        guides = guides_of(model) if model else []
        if not guides:
            raise SettingError(
                'world joints need a model built on GuidedBlazePose, such as RPSTN-Lite; got '
                f'{type(model).__name__} without'
            )
        self._head = guides[0].head
        self._codes: list[Tensor] = []
        self._hook = self._head.regression.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple, code: Tensor) -> None:
        self._codes.append(code)

    @torch.inference_mode()
    def take(self, rotations: Sequence[float]) -> np.ndarray:
        """Those of the N crops seen since the last call, in their order.

        Args:
            rotations: degrees by which each crop is turned clockwise in the image.

        Returns:
            (N, K, 3) float64, metres from the middle of the hips, in the image's axes: x right,
            y down, z away from the camera.
        """
        return _joints(self.in_crops().float().cpu().numpy(), rotations)

    def in_crops(self) -> Tensor:
        """(N, 3 L) metres in the axes of the crops seen since the last call."""
        codes, self._codes = torch.cat(self._codes), []
        return self._head.world(codes).flatten(1)

    def close(self) -> None:
        """Listen no more."""
        self._hook.remove()


def check_world(stepper: object) -> bool:
    """Whether a stepper knows joints in metres: True, or a SettingError that says what does."""
    if WORLD not in regressed_names(stepper):
        raise SettingError(
            'world joints need a model built on GuidedBlazePose, such as RPSTN-Lite, or graphs '
            f'exported of one anew; {type(stepper).__name__} knows none'
        )
    return True


def world_joints(stepper: object, rotations: Sequence[float]) -> np.ndarray:
    """Those of the crops that a stepper looked at last, as :meth:`WorldJoints.take` has them.

    Args:
        stepper: that knows them, :func:`check_world`.
        rotations: of the N crops, see there.
    """
    return _joints(regressed(stepper, WORLD), rotations)


def _joints(in_crops: np.ndarray, rotations: Sequence[float]) -> np.ndarray:
    world = in_crops.astype(np.float64).reshape(-1, LANDMARKS, 3)
    return turned_back(world[: len(rotations), :NUM_JOINTS], rotations)


def turned_back(world: np.ndarray, rotations: Sequence[float]) -> np.ndarray:
    """Points (N, K, 3) in the axes of crops turned clockwise by degrees, in the image's axes.

    As MediaPipe's ``WorldLandmarkProjectionCalculator`` has it: the crop lies in the image's plane,
    depth stays.
    """
    sin, cos = (f(np.deg2rad(rotations))[:, None] for f in (np.sin, np.cos))
    x, y, z = np.moveaxis(world, -1, 0)
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)
