"""Trained models out of a config and a checkpoint."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from mmpose.apis.inference import dataset_meta_from_config
from torch import nn

from rpstn.checkpoints import (
    ModelError,
    misfit,
    misfit_keys,
    read_checkpoint,
    weights_of,
    weights_sha256,
)
from rpstn.errors import first_line
from rpstn.pose.calibration import score_meta
from rpstn.pose.hooks.relation_swap import restore_swap

from .configs import building, config_name, read_config
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
        does, and says what scores are (:func:`rpstn.pose.calibration.score_meta`);
        ``weights_sha256`` tells its weights from others.

    Raises:
        ModelError: a file is missing, cannot be read, or one does not fit the other.
    """
    if not isinstance(config, Config):
        config = read_config(config)
    model, saved = read_model(config, checkpoint)
    meta = (saved.get('meta') or {}).get('dataset_meta') or dataset_meta_from_config(config, 'test')
    joints = getattr(model.head, 'out_channels', None)
    if meta and 'keypoint_id2name' not in meta:
        raise ModelError(f'{checkpoint}: meta.dataset_meta names no joints (keypoint_id2name)')
    if not meta or joints not in (None, len(meta['keypoint_id2name'])):
        raise ModelError(
            f'{config_name(config)}: the model has {joints} joints, its data set '
            f'{len(meta["keypoint_id2name"]) if meta else "does not name any"}'
        )
    meta = {**meta, **score_meta(getattr(model.head, 'decoder', None))}
    identity = weights_sha256(model.state_dict())
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA fails an assertion
        raise ModelError(f'device {device!r} cannot be used: {first_line(error)}') from None
    # Before the rest is attached, as it copies the model.
    model = for_inference(model) if torch.device(device).type == 'cpu' else model.eval()
    model.cfg = config
    model.dataset_meta = meta  # type: ignore[assignment]  # as the next
    model.weights_sha256 = identity  # type: ignore[assignment]  # a name of ours, of no parameter
    return model


def read_model(
    config: Config, checkpoint: str | Path, partly: bool = False
) -> tuple[nn.Module, dict]:
    """A model as its config builds it, with the weights of a checkpoint, and that checkpoint.

    Args:
        config: of MMPose or MMAction2.
        checkpoint: file or URL.
        partly: whether some of the weights may be missing, unknown or of another shape, which a
            warning then says; a checkpoint of which nothing fits is refused all the same.

    Raises:
        ModelError: as :func:`load_model`. SettingError: the model cannot be built.
    """
    if '://' not in str(checkpoint) and not Path(checkpoint).is_file():
        raise ModelError(f'{checkpoint}: no such checkpoint file')
    saved = read_checkpoint(checkpoint)
    init_default_scope(config.get('default_scope', 'mmpose'))
    with building(config, 'the model'):
        model = MODELS.build(config.model)  # weights are not initialized: none are downloaded
    refusal = f'{checkpoint} does not fit {config_name(config)}'
    try:
        restore_swap(model, config, saved)
    except ValueError as error:
        raise ModelError(f'{refusal}: {error}') from None
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f'{checkpoint}: meta.relation_swap is damaged ({error!r})') from None
    try:
        load_state_dict(model, weights_of(saved), strict=True, logger='silent')
    except RuntimeError as error:
        left = misfit_keys(error)
        own = [key for key in model.state_dict() if not key.endswith('.num_batches_tracked')]
        taken = len(own) - len({*left['are missing'], *left['have another shape']} & {*own})
        if not (partly and taken):
            raise ModelError(f'{refusal}: {misfit(error)}') from None
        print_log(
            f'{checkpoint}: {taken} of the {len(own)} weights of {config_name(config)} are taken '
            f'from it; {misfit(error)}',
            'current',
            logging.WARNING,
        )
    return model, saved


def joint_names(meta: dict) -> list[str]:
    """The K names, in order, out of MMPose's data set meta."""
    return [meta['keypoint_id2name'][k] for k in range(len(meta['keypoint_id2name']))]
