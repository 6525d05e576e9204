"""Trained models out of a config and a checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.registry import MODELS
from torch import nn

from rpstn.checkpoints import ModelError, misfit, read_checkpoint, weights_of
from rpstn.errors import first_line
from rpstn.pose.hooks.relation_swap import restore_swap

from .configs import read_config
from .cpu import for_inference


def load_model(
    config: str | Path | Config, checkpoint: str | Path, device: str = 'cpu'
) -> nn.Module:
    """A trained MMPose estimator, ready to predict.

    Args:
        config: with a data set of clips, such as those of RPSTN and its baselines.
        checkpoint: of MMEngine, or a plain state dict. Loaded safely: nothing in it is executed.
        device: as torch names it.

    Returns:
        In evaluation mode; on a CPU rearranged to run fast, for inference only.
        ``cfg`` is the config, ``dataset_meta`` names joints, limbs and their colours as MMPose
        does.

    Raises:
        ModelError: a file is missing, cannot be read, or one does not fit the other.
    """
    if not isinstance(config, Config):
        config = read_config(config)
    model, saved = read_model(config, checkpoint)
    meta = (saved.get('meta') or {}).get('dataset_meta') or dataset_meta_from_config(config, 'test')
    joints = getattr(model.head, 'out_channels', None)
    if not meta or joints not in (None, len(meta['keypoint_id2name'])):
        raise ModelError(
            f'{config_name(config)}: the model has {joints} joints, its data set '
            f'{len(meta["keypoint_id2name"]) if meta else "does not name any"}'
        )
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA fails an assertion
        raise ModelError(f'device {device!r} cannot be used: {first_line(error)}') from None
    # Before the rest is attached, as it copies the model.
    model = for_inference(model) if torch.device(device).type == 'cpu' else model.eval()
    model.cfg = config
    model.dataset_meta = meta
    return model


def read_model(config: Config, checkpoint: str | Path) -> tuple[nn.Module, dict]:
    """A model as its config builds it, with the weights of a checkpoint, and that checkpoint.

    Raises:
        ModelError: as :func:`load_model`.
    """
    init_default_scope(config.get('default_scope', 'mmpose'))
    _existing(checkpoint, 'checkpoint')
    model = MODELS.build(config.model)  # weights are not initialized: none are downloaded
    saved = read_checkpoint(checkpoint)
    try:
        restore_swap(model, config, saved)
    except ValueError as error:
        raise ModelError(f'{checkpoint} does not fit {config_name(config)}: {error}') from None
    _load_weights(model, saved, checkpoint, config)
    return model, saved


def joint_names(meta: dict) -> list[str]:
    """The K names, in order, out of MMPose's data set meta."""
    return [meta['keypoint_id2name'][k] for k in range(len(meta['keypoint_id2name']))]


def config_name(config: Config) -> str:
    """How messages call a config."""
    return config.filename or 'the config'


def _load_weights(model: nn.Module, saved: dict, path: str | Path, config: Config) -> None:
    try:
        load_state_dict(model, weights_of(saved), strict=True, logger='silent')
    except RuntimeError as error:
        raise ModelError(f'{path} does not fit {config_name(config)}: {misfit(error)}') from None


def _existing(path: str | Path, what: str) -> str:
    if not Path(path).is_file():
        raise ModelError(f'{path}: no such {what} file')
    return str(path)
