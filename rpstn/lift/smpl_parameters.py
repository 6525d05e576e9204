"""SMPL parameters from the files that data sets and other estimators write.

Shapes: T frames, S shape coefficients.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.logging import print_log
from scipy.spatial.transform import Rotation

from rpstn.errors import SettingError

from .smpl_model import NUM_JOINTS, read_fields

_ALIASES = {
    'betas': ('betas', 'beta', 'shape'),
    'body_pose': ('body_pose', 'pose_body'),
    'global_orient': ('global_orient', 'root_orient'),
    'transl': ('transl', 'trans'),
    'pose': ('pose', 'poses', 'full_pose'),
}
# Where the fields of one person may be together, below other fields.
_NESTED = ('smpl', 'smpl_params')
# Joints with the pelvis: SMPL; without its hands 22 and 23, as SMPL+H and SMPL-X have others; AMASS
# (SMPL+H), whose fingers SMPL does not have.
_BODY_JOINTS, _AMASS_JOINTS = NUM_JOINTS - 2, 52


def read_smpl_parameters(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read SMPL parameters, what :class:`~rpstn.lift.smpl.SMPLJoints` is called with.

    Fields may have other names: ``trans``; ``root_orient``, ``pose_body``; ``shape``, ``beta``;
    and ``pose``, ``poses`` or ``full_pose`` for global_orient and body_pose in one; all of it
    perhaps within ``smpl`` or ``smpl_params``. Rotations are axis-angle or matrices. The 52 joints
    of AMASS (SMPL+H), and 21 of body_pose, leave out what SMPL calls the hands (22, 23): these are
    set to 0, and the fingers are not used. Without betas the mean shape, and without transl the
    origin, is taken, and a warning logged.

    Args:
        path: an .npz, or a pickle (.pkl) of plain arrays; nothing in it is executed.

    Returns:
        ``betas`` (S,) or (T, S), ``body_pose`` (T, 69), ``global_orient`` (T, 3), ``transl``
        (T, 3), float32.

    Raises:
        SettingError: naming the file and the field: unsafe or broken, missing, given twice, or of
            another shape.
        FileNotFoundError: there is no such file.
    """
    fields = read_fields(path)
    for name in _NESTED:
        if isinstance(fields.get(name), dict):
            fields = fields[name]
    found = _find(path, fields)
    orient, body = _pose(path, found)
    frames = len(orient)
    if len(body) != frames:
        raise SettingError(f'{path}: body_pose has {len(body)} frames, global_orient {frames}')
    for name in ('betas', 'transl'):
        if name not in found:
            print_log(
                f'{path}: no {name} ({", ".join(_ALIASES[name])}), 0 is taken',
                logger='current',
                level=logging.WARNING,
            )
    _, betas = found.get('betas', ('', np.zeros(10, np.float32)))
    if betas.ndim == 2 and len(betas) == 1:
        betas = betas[0]
    if not betas.size or (betas.ndim != 1 and betas.shape[:-1] != (frames,)):
        raise SettingError(
            f"{path}: field '{found['betas'][0]}' must be (S,), (1, S) or "
            f'({frames}, S), it is {betas.shape}'
        )
    _, transl = found.get('transl', ('', np.zeros((frames, 3), np.float32)))
    if transl.shape not in ((frames, 3), (3,) if frames == 1 else None):
        raise SettingError(
            f"{path}: field '{found['transl'][0]}' must be ({frames}, 3), it is {transl.shape}"
        )
    return dict(betas=betas, body_pose=body, global_orient=orient, transl=transl.reshape(frames, 3))


def _find(path: str | os.PathLike, fields: Mapping[str, Any]) -> dict[str, tuple[str, np.ndarray]]:
    """Field -> the name it has in the file, and its value in float32."""
    found = {}
    for field, aliases in _ALIASES.items():
        names = [alias for alias in aliases if alias in fields]
        if len(names) > 1:
            raise SettingError(f'{path}: the fields {names} all give {field}; leave one')
        for name in names:
            try:
                found[field] = name, np.asarray(fields[name], dtype=np.float32)
            except (TypeError, ValueError) as error:
                raise SettingError(
                    f"{path}: field '{name}' does not hold numbers ({error})"
                ) from error
    parts = [found[name][0] for name in ('global_orient', 'body_pose') if name in found]
    if ('pose' in found) == bool(parts) or (parts and len(parts) < 2):
        raise SettingError(
            f'{path}: the pose is needed once, as one of {_ALIASES["pose"]}, or as one of '
            f'{_ALIASES["global_orient"]} with one of {_ALIASES["body_pose"]}; the file has '
            f'{sorted(map(str, fields))}'
        )
    return found


def _pose(
    path: str | os.PathLike, found: Mapping[str, tuple[str, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """global_orient (T, 3) and body_pose (T, 69)."""
    if 'pose' in found:
        pose = _axis_angles(path, *found['pose'], (NUM_JOINTS, _AMASS_JOINTS))
        orient, body = pose[:, :1], pose[:, 1:]
    else:
        orient = _axis_angles(path, *found['global_orient'], (1,))
        body = _axis_angles(path, *found['body_pose'], (NUM_JOINTS - 1, _BODY_JOINTS - 1))
    if body.shape[1] != NUM_JOINTS - 1:  # the hands turn with the wrists
        body = np.concatenate([body[:, : _BODY_JOINTS - 1], np.zeros_like(body[:, :2])], axis=1)
    return orient[:, 0], body.reshape(len(body), -1)


def _axis_angles(
    path: str | os.PathLike, field: str, value: np.ndarray, counts: tuple[int, ...]
) -> np.ndarray:
    """Rotations of one of the numbers of joints, (T, joints, 3), from any layout of them."""
    for n in counts:
        layouts = [(3 * n,), (n, 3), (n, 3, 3), *([(3, 3)] if n == 1 else [])]
        # One frame. Of one joint only (3,): (3, 3) would be three frames as well.
        if value.shape in layouts and (n > 1 or value.ndim == 1):
            value = value[None]
        if value.shape[1:] in layouts:
            if value.ndim > 2 and value.shape[-2:] == (3, 3):
                return _from_matrices(path, field, value.reshape(len(value), n, 3, 3))
            return value.reshape(len(value), n, 3)
    wanted = ', '.join(f'(T, {n * 3}), (T, {n}, 3), (T, {n}, 3, 3)' for n in counts)
    raise SettingError(f"{path}: field '{field}' must be {wanted}, it is {value.shape}")


def _from_matrices(path: str | os.PathLike, field: str, matrices: np.ndarray) -> np.ndarray:
    """Axis-angle (..., 3) of rotation matrices (..., 3, 3); NaN where they are NaN."""
    angles = np.full(matrices.shape[:-1], np.nan, np.float32)
    known = np.isfinite(matrices).all((-2, -1))
    given = matrices[known].astype(np.float64)
    error = np.abs(given @ given.swapaxes(-1, -2) - np.eye(3)).max(initial=0)
    if error > 1e-2 or (np.linalg.det(given) < 0).any():
        raise SettingError(
            f"{path}: field '{field}' holds matrices that are no rotations (off by "
            f'{error:.2g}, or mirrored)'
        )
    if len(given):
        angles[known] = Rotation.from_matrix(given).as_rotvec()
    return angles
