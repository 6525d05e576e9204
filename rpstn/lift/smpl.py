"""Joints of any skeleton from SMPL parameters, by smplx.

Shapes: T frames, N mesh vertices, V joints of the skeleton asked for, S shape coefficients.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from rpstn.data_files import read_npy
from rpstn.errors import SettingError
from rpstn.skeletons import SKELETONS, Skeleton, get_skeleton, joint_mapping, map_joints

from .smpl_model import COCOPLUS_REGRESSOR, NUM_JOINTS, load_smpl_model

# What smplx calls vertices of the mesh of 6890 that SMPL and SMPL+H share, and the joint of SMPL
# that leads there. Tips of fingers are left out: no skeleton has them, MediaPipe's are knuckles.
_NUM_VERTICES = 6890
_VERTICES = {
    'nose': ('nose', 'head'),
    'left_eye': ('leye', 'head'),
    'right_eye': ('reye', 'head'),
    'left_ear': ('lear', 'head'),
    'right_ear': ('rear', 'head'),
    'left_heel': ('LHeel', 'left_ankle'),
    'right_heel': ('RHeel', 'right_ankle'),
    'left_foot_index': ('LBigToe', 'left_foot'),
    'right_foot_index': ('RBigToe', 'right_foot'),
}
_SMPL = SKELETONS['smpl24']
SMPL_WITH_VERTICES = Skeleton(
    'smpl24 with vertices',
    (*_SMPL.joints, *_VERTICES),
    (*_SMPL.limbs, *((parent, joint) for joint, (_, parent) in _VERTICES.items())),
)

Array = np.ndarray | Tensor


def _import_smplx() -> ModuleType:
    try:
        import smplx
        import smplx.vertex_ids
    except ImportError as error:
        raise ImportError(
            'SMPL parameters need smplx, which is not installed: pip install --no-deps smplx'
        ) from error
    return smplx


class SMPLJoints:
    """Joints of a skeleton from SMPL's shape and pose parameters, in batches.

    A joint is taken from the first of these that has it: ``vertices``; ``regressor``, which is
    HMR's for ``cocoplus19`` where the model file holds it (``cocoplus_regressor``); SMPL's own 24
    joints, and nose, eyes, ears, heels and big toes, the vertices that smplx names for the mesh of
    6890, as :func:`rpstn.skeletons.map_joints` maps them. What none has is NaN and listed in
    ``missing``: the mouth of MediaPipe, and the head top, unless a vertex or regressor gives it.

    Args:
        model_path: the SMPL model, see :func:`~rpstn.lift.smpl_model.load_smpl_model`.
        skeleton: the one wanted, of :mod:`rpstn.skeletons`.
        batch_size: frames computed at once.
        num_betas: how many shape coefficients of the model are used, if it has them. Of a model of
            less than 300, smplx takes 10 at most.
        regressor: (V, N) weights of the vertices for the joints of ``skeleton``, an array or an
            ``.npy`` file, such as papers release for their data sets.
        vertices: joint of ``skeleton`` -> the number of a vertex.
        device: where it is computed.

    Raises:
        ImportError: smplx is not installed.
        SettingError: the model file, the skeleton, the regressor or a vertex is not as it must be.
    """

    def __init__(
        self,
        model_path: str | os.PathLike,
        skeleton: str | Skeleton = 'smpl24',
        batch_size: int = 64,
        num_betas: int = 10,
        regressor: str | os.PathLike | np.ndarray | None = None,
        vertices: Mapping[str, int] | None = None,
        device: str | torch.device = 'cpu',
    ) -> None:
        smplx = _import_smplx()
        if batch_size < 1 or num_betas < 1:
            raise SettingError(
                f'batch_size and num_betas must be at least 1, got {batch_size} and {num_betas}'
            )
        self.skeleton, self.batch_size = get_skeleton(skeleton), batch_size
        self.device = torch.device(device)
        fields = load_smpl_model(model_path)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints that there are 10 coefficients
            self.model = (
                smplx.SMPL(
                    os.fspath(model_path),
                    data_struct=SimpleNamespace(**fields),
                    num_betas=num_betas,
                    create_betas=False,
                    create_global_orient=False,
                    create_body_pose=False,
                    create_transl=False,
                    use_hands=False,
                    use_feet_keypoints=False,
                    # The joints it adds are not used; other meshes than SMPL's may lack theirs.
                    vertex_ids=dict.fromkeys(('nose', 'reye', 'leye', 'rear', 'lear'), 0),
                )
                .to(self.device)
                .eval()
            )
        self.num_betas = self.model.shapedirs.shape[-1]
        count = len(fields['v_template'])
        if regressor is None and self.skeleton.name == 'cocoplus19':
            regressor = fields.get(COCOPLUS_REGRESSOR)
        self.regressor = (
            None
            if regressor is None
            else _load_regressor(regressor, (self.skeleton.num_joints, count)).to(self.device)
        )
        self.vertices = dict(vertices or {})
        for joint, vertex in self.vertices.items():
            self.skeleton.index(joint)
            if not 0 <= vertex < count:
                raise SettingError(f'vertices: {joint} is vertex {vertex}, of {count}')
        ids = smplx.vertex_ids.vertex_ids['smplh']
        self._named = (
            [ids[name] for name, _ in _VERTICES.values()] if count == _NUM_VERTICES else []
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """The joints of the skeleton that are NaN, having no source."""
        if self.regressor is not None:
            return ()
        members = joint_mapping(self._source, self.skeleton)
        return tuple(
            joint
            for joint, found in zip(self.skeleton.joints, members)
            if not found and joint not in self.vertices
        )

    @property
    def _source(self) -> Skeleton:
        return SMPL_WITH_VERTICES if self._named else _SMPL

    def __call__(
        self, betas: Array, body_pose: Array, global_orient: Array, transl: Array | None = None
    ) -> np.ndarray:
        """Joints of T frames.

        Args:
            betas: shape, (T, S'), or (S',) of all frames; S' up to ``num_betas``, the rest is 0.
            body_pose: rotations of joints 1 to 23 relative to their parents as axis times angle
                in radians, (T, 69) or (T, 23, 3).
            global_orient: rotation of the pelvis, (T, 3).
            transl: translation, (T, 3), metres; 0 by default.

        Returns:
            (T, V, 3) float32, metres. A frame whose parameters are NaN is NaN.

        Raises:
            SettingError: a field of another shape, named.
        """
        frames = np.shape(global_orient)[0] if np.ndim(global_orient) else 0
        orient = _tensor('global_orient', global_orient, ((frames, 3),))
        pose = _tensor(
            'body_pose', body_pose, ((frames, 3 * (NUM_JOINTS - 1)), (frames, NUM_JOINTS - 1, 3))
        )
        moved = (
            torch.zeros(frames, 3) if transl is None else _tensor('transl', transl, ((frames, 3),))
        )
        given = np.shape(betas)[-1] if np.ndim(betas) else 0
        if given > self.num_betas:
            raise SettingError(
                f'betas has {given} values, the model takes {self.num_betas}; cut '
                'them to as many, or build SMPLJoints with more num_betas'
            )
        shape = torch.zeros(frames, self.num_betas)
        shape[:, :given] = _tensor('betas', betas, ((frames, given), (1, given), (given,)))
        joints = np.empty((frames, self.skeleton.num_joints, 3), np.float32)
        with torch.inference_mode():
            for start in range(0, frames, self.batch_size):
                batch = slice(start, start + self.batch_size)
                joints[batch] = self._joints(
                    *(field[batch].to(self.device) for field in (shape, pose, orient, moved))
                ).cpu()
        return joints

    def _joints(self, betas: Tensor, pose: Tensor, orient: Tensor, transl: Tensor) -> Tensor:
        output = self.model(
            betas=betas, body_pose=pose.flatten(1), global_orient=orient, transl=transl
        )
        if self.regressor is not None:
            joints = self.regressor @ output.vertices
        else:
            own = output.joints[:, :NUM_JOINTS]
            joints = map_joints(
                torch.cat([own, output.vertices[:, self._named]], dim=1),
                self._source,
                self.skeleton,
            )
        for joint, vertex in self.vertices.items():
            joints[:, self.skeleton.index(joint)] = output.vertices[:, vertex]
        return joints


def _tensor(field: str, value: Array, shapes: tuple[tuple[int, ...], ...]) -> Tensor:
    """A float32 tensor of one of the shapes; ValueError that names the field."""
    try:
        tensor = torch.as_tensor(value).detach().to('cpu', torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError(f'{field} does not hold numbers ({error})') from error
    if tuple(tensor.shape) not in shapes:
        wanted = ' or '.join(map(str, shapes))
        raise SettingError(
            f'{field} must be of shape {wanted}, got {tuple(tensor.shape)}; T is that '
            'of global_orient'
        )
    return tensor


def _load_regressor(given: str | os.PathLike | np.ndarray, shape: tuple[int, int]) -> Tensor:
    if isinstance(given, np.ndarray):
        name, matrix = 'regressor', given
    else:
        name = os.fspath(given)
        try:
            matrix = read_npy(given)
        except ValueError as error:
            raise SettingError(f'{name}: cannot be read as an array ({error})') from None
    if matrix.shape != shape:
        raise SettingError(
            f'{name} must be of shape {shape} (joints, vertices), got {matrix.shape}'
        )
    return torch.from_numpy(matrix.astype(np.float32))
