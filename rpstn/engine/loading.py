"""Trained models out of a config and a checkpoint."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import CheckpointLoader, load_state_dict
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.registry import MODELS
from torch import nn

from rpstn.pose.hooks.relation_swap import restore_swap

from .cpu import for_inference


class ModelError(RuntimeError):
    """A config and a checkpoint that give no model; the message is one line naming the file."""


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
        config = Config.fromfile(_existing(config, 'config'))
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
        raise ModelError(f'device {device!r} cannot be used: {_first_line(error)}') from None
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


def _existing(path: str | Path, what: str) -> str:
    if not Path(path).is_file():
        raise ModelError(f'{path}: no such {what} file')
    return str(path)


def read_checkpoint(path: str | Path) -> dict:
    """What a checkpoint, a file or a URL, holds; nothing in it is executed.

    Raises:
        ModelError: damaged, or it holds objects that are not known to be safe, or there is none.
    """
    try:
        saved = CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')
    except URLError as error:
        raise ModelError(f'{path}: cannot be downloaded, {_first_line(error)}') from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        # torch's own words are long, and advise to load it unsafely.
        held = re.search(r'GLOBAL ([\w.]+)', str(error))
        raise ModelError(
            f'{path}: not loaded, as it holds objects of {held[1]}, which are not known to be safe'
            if held
            else f'{path}: damaged, or not a checkpoint that can be loaded safely'
        ) from None
    if not isinstance(saved, dict):
        raise ModelError(f'{path}: a checkpoint must be a dict, got {type(saved).__name__}')
    return saved


def _load_weights(model: nn.Module, saved: dict, path: str | Path, config: Config) -> None:
    try:
        load_state_dict(model, weights_of(saved), strict=True, logger='silent')
    except RuntimeError as error:
        raise ModelError(f'{path} does not fit {config_name(config)}: {_misfit(error)}') from None


def weights_of(saved: dict) -> OrderedDict:
    """The state dict of what :func:`read_checkpoint` gave, named as in the model itself."""
    weights = saved.get('state_dict', saved)
    versions = getattr(weights, '_metadata', OrderedDict())
    # 'module.': saved from within a parallel wrapper.
    weights = OrderedDict((re.sub(r'^module\.', '', key), v) for key, v in weights.items())
    weights._metadata = versions
    return weights


def load_all_weights(model: nn.Module, saved: dict) -> None:
    """Load another package's model, which must lack nothing; a checkpoint may hold more.

    Raises:
        RuntimeError: weights are missing or of another shape; how many is said in a line.
    """
    try:
        missing = model.load_state_dict(weights_of(saved), strict=False).missing_keys
    except RuntimeError as error:
        raise RuntimeError(_misfit(error)) from None
    missing = [key for key in missing if not key.endswith('.num_batches_tracked')]
    if missing:
        raise RuntimeError(f'{len(missing)} weights are missing, the first {missing[0]}')


def _misfit(error: RuntimeError) -> str:
    """MMEngine's list of all keys, which fills screens, in short."""
    text, parts = str(error), []
    for what, pattern in (
        ('missing', r'missing keys in source state_dict: (.*)'),
        ('unknown', r'unexpected key in source state_dict: (.*)'),
    ):
        keys = [key for line in re.findall(pattern, text) for key in line.split(', ')]
        if keys:
            parts.append(f'{len(keys)} weights are {what}, the first {keys[0]}')
    sizes = re.findall(r'size mismatch for ([^:]+)', text)
    if sizes:
        parts.append(f'{len(sizes)} weights have another shape, the first {sizes[0]}')
    return '; '.join(parts) or _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
