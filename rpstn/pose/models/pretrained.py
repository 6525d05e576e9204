"""Weights of a single-frame model for the networks P and F, taken whole or not at all.

MMEngine's ``init_cfg=dict(type='Pretrained')`` only warns where a checkpoint does not fit, and
trains from random weights.

K joints of our network, K' of the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from rpstn.checkpoints import read_checkpoint
from rpstn.errors import SettingError
from rpstn.skeletons import get_skeleton

_LAST = 'head.final_layer.'
# 1x1 behind a backbone of high resolution (HRNet), which a single-frame model has not.
_OWN = (_LAST, 'head.conv_layers.')


def load_single_frame(
    networks: Mapping[str, nn.Module], checkpoint: str, joints: str | Sequence[str] | None = None
) -> None:
    """Copy a single-frame model's backbone and deconvolutions into each network, and log the rest.

    The last layer, a 1x1 convolution to K' heatmaps, is not taken, as the joints are others - even
    where their number is the same. With ``joints``, P's rows of joints that the checkpoint has by
    the same name are.

    Args:
        networks: by the name they are logged under; :class:`FrameNetwork` each.
        checkpoint: file or address of a ``TopdownPoseEstimator``'s checkpoint: MMEngine's, a
            plain state dict, of MMPose 0.x (``keypoint_head``) or from a parallel wrapper.
        joints: our K names in order, or a skeleton that has them (:mod:`rpstn.skeletons`); the
            checkpoint's are in its ``meta.dataset_meta``, as MMEngine writes it.

    Raises:
        SettingError: a weight of the networks is not in the checkpoint or has another shape, the
            checkpoint has others that they have not, or joints that have no names.
    """
    saved = read_checkpoint(checkpoint)
    weights = saved.get('state_dict', saved)
    weights = {
        _our_name(key): value
        for key, value in weights.items()
        if isinstance(value, Tensor) and not key.startswith('data_preprocessor.')
    }
    names = [] if joints is None else _joint_names(saved, checkpoint)
    ours = (
        None
        if joints is None
        else list(get_skeleton(joints).joints if isinstance(joints, str) else joints)
    )
    fits = {
        name: _fitting(network, weights, name, checkpoint) for name, network in networks.items()
    }  # all, before any is changed
    for name, network in networks.items():
        state = network.state_dict()
        new = [key for key in state if key not in fits[name] and not _is_counter(key)]
        rows = (
            _copied_rows(state, weights, ours, names, checkpoint)
            if ours is not None and f'{_LAST}weight' in state
            else {}
        )
        network.load_state_dict(
            {**fits[name], **rows['state']} if rows else fits[name], strict=False
        )
        left = [key for key in weights if key not in fits[name]]
        text = (
            f'{name}: {len(fits[name])} weights from {checkpoint}; of its own: '
            f'{_shapes(new, state)}; not taken: {_shapes(left, weights)}'
        )
        if rows:
            text += (
                f'; rows of the last layer by name: {", ".join(rows["joints"]) or "none"}, '
                f'new: {", ".join(rows["others"]) or "none"}'
            )
        print_log(text, logger='current')


def load_last_layer(layer: nn.Module, checkpoint: str) -> None:
    """Give a 1x1 convolution to K heatmaps the weights of a single-frame model's last one.

    Args:
        layer: for the same joints in the same order.
        checkpoint: with ``head.final_layer``.

    Raises:
        SettingError: the checkpoint's last layer has other shapes, or it has none.
    """
    saved = read_checkpoint(checkpoint)
    weights = saved.get('state_dict', saved)
    last = {name: weights.get(f'{_LAST}{name}') for name in ('weight', 'bias')}
    wanted = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    got = {name: None if value is None else tuple(value.shape) for name, value in last.items()}
    if got != wanted:
        raise SettingError(
            f'{checkpoint}: {_LAST}weight and bias must have the shapes {wanted}, got {got}'
        )
    layer.load_state_dict(last)


def _our_name(key: str) -> str:
    key = key.removeprefix('module.')
    return f'head.{key.removeprefix("keypoint_head.")}' if key.startswith('keypoint_head.') else key


def _is_counter(key: str) -> bool:
    return key.endswith('.num_batches_tracked')  # which older checkpoints have not


def _fitting(
    network: nn.Module, weights: dict[str, Tensor], name: str, checkpoint: str
) -> dict[str, Tensor]:
    """The checkpoint's weights that the network takes: all, or ValueError."""
    state = network.state_dict()
    wanted = {key: value for key, value in state.items() if not key.startswith(_OWN)}
    missing = [key for key in wanted if key not in weights and not _is_counter(key)]
    other = [key for key in wanted if key in weights and weights[key].shape != wanted[key].shape]
    extra = [key for key in weights if key not in state and not key.startswith(_LAST)]
    problems = []
    if missing:
        problems.append(f'it lacks {len(missing)} weights, the first {missing[0]}')
    if other:
        problems.append(
            f'of another shape are {len(other)} weights, the first '
            f'{_shapes(other[:1], weights)} for {tuple(wanted[other[0]].shape)}'
        )
    if extra:
        problems.append(
            f'the network lacks {len(extra)} weights, the first {_shapes(extra[:1], weights)}'
        )
    if problems:
        backbone = _describe(network.get_submodule('backbone'))
        raise SettingError(
            f'{checkpoint} does not fit {name}, whose backbone is a {backbone}: '
            f'{"; ".join(problems)}. It must hold a single-frame model (backbone.*, head.*) of the '
            'same backbone, deconvolutions and channels'
        )
    return {key: weights[key] for key in wanted if key in weights}


def _describe(backbone: nn.Module) -> str:
    depth = getattr(backbone, 'depth', None)
    return type(backbone).__name__ + (f' of depth {depth}' if isinstance(depth, int) else '')


def _shapes(keys: Sequence[str], values: Mapping[str, Tensor]) -> str:
    return ', '.join(f'{key} {tuple(values[key].shape)}' for key in keys) or 'nothing'


def _joint_names(saved: dict, checkpoint: str) -> list[str]:
    meta = (saved.get('meta') or {}).get('dataset_meta') or {}
    names = meta.get('keypoint_id2name')
    if not names:
        raise SettingError(
            f'{checkpoint}: meta.dataset_meta must name the joints, which '
            f'joints=... asks for, got {sorted(meta)}'
        )
    return [names[k] for k in sorted(names)]


def _copied_rows(
    state: dict[str, Tensor],
    weights: dict[str, Tensor],
    ours: list[str],
    theirs: list[str],
    checkpoint: str,
) -> dict:
    """Our last layer with the rows of joints that both have."""
    rows = state[f'{_LAST}weight'].shape[0]
    if len(ours) != rows:
        raise SettingError(f'joints must be the {rows} of the network, got {len(ours)}: {ours}')
    both = [name for name in ours if name in theirs]
    to = torch.tensor([ours.index(name) for name in both], dtype=torch.long)
    at = torch.tensor([theirs.index(name) for name in both], dtype=torch.long)
    copied = {}
    for key in (f'{_LAST}weight', f'{_LAST}bias'):
        if key not in weights or weights[key].shape != (len(theirs), *state[key].shape[1:]):
            got = tuple(weights[key].shape) if key in weights else 'none'
            raise SettingError(
                f'{checkpoint}: {key} must have the shape '
                f'{(len(theirs), *state[key].shape[1:])}, got {got}'
            )
        copied[key] = state[key].clone()
        copied[key][to] = weights[key][at].to(copied[key].dtype)
    return dict(state=copied, joints=both, others=[name for name in ours if name not in theirs])
