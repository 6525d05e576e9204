"""SMPL parameters as a source of joints in space."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from rpstn.errors import SettingError

from .axes import check_body, with_axes
from .smpl import SMPLJoints
from .smpl_parameters import read_smpl_parameters
from .sources import SOURCES, centred
from .structures import Joints3D


@SOURCES.register_module('smpl')
class SMPLSource:
    """Joints of a body that SMPL parameters describe, by a model file that you have a licence for.

    Args:
        model: the SMPL model, see :func:`rpstn.lift.load_smpl_model`.
        fps: frames per second of the parameters.
        skeleton: that is answered in, of :mod:`rpstn.skeletons`; SMPL's head has no ears or eyes.
        axes: of the parameters, see :func:`rpstn.lift.axes.axes_matrix`: ``'x,z,-y'`` of AMASS,
            whose z is up; by default ``'x,-y,-z'``, of networks that look at images (HMR and its
            followers), in which a body upside down is refused.
        scale: ``'nominal'`` where a network has told the shape, ``'metric'`` where it was measured.
        upright: whether the second of the axes is the room's vertical, and not the image's.

    Raises:
        ImportError: smplx is not installed. SettingError: an option that cannot be.
    """

    takes = Path

    def __init__(
        self,
        model: str | os.PathLike,
        fps: float,
        skeleton: str = 'smpl24',
        axes: str | None = None,
        scale: str = 'nominal',
        upright: bool = False,
    ) -> None:
        if not fps > 0:
            raise SettingError(f'fps must be above 0, got {fps}')
        self.smpl = SMPLJoints(model, skeleton)
        self.fps, self.axes, self.scale, self.upright = fps, axes, scale, upright

    def __call__(self, given: Path) -> Joints3D:
        places = self.smpl(**read_smpl_parameters(given)).astype(np.float64)
        frames = np.arange(len(places))
        joints = Joints3D(
            centred(places, self.smpl.skeleton.joints),
            np.isfinite(places).all(-1).astype(float),
            frames / self.fps,
            frames,
            self.smpl.skeleton,
            'smpl',
            self.scale,
            self.upright,
        )
        turned = with_axes(joints, self.axes or 'x,-y,-z', 'm')
        return check_body(turned, str(given), stated=self.axes is not None)
