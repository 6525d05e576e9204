"""Checkpoints as files: read safely, and what they lack said in a line."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn, strided, uint8

from rpstn.data_files import read_json
from rpstn.errors import RPSTNError, first_line
from rpstn.files import sha256

SHIPPED = Path(__file__).parent / 'engine' / 'weights'
"""Weights that come with the package: ``<name>.pt``, described by ``<name>.json``."""
SHIPPED_FORMAT = 1


class ModelError(RPSTNError, RuntimeError):
    """A config and a checkpoint that give no model; the message names the file."""


def read_checkpoint(path: str | Path) -> dict:
    """What a checkpoint, a file or a URL, holds; nothing in it is executed.

    Returns:
        A dict with text as keys. ``meta``, and what that has as ``dataset_meta``, are dicts if they
        are there; weights, under ``state_dict`` or all of it, are plain tensors.

    Raises:
        ModelError: damaged, of another structure, or it holds objects that are not known to be
            safe; or there is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', UserWarning)  # torch's, of old kinds of pickles
            saved = CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')
    except URLError as error:
        raise ModelError(f'{path}: cannot be downloaded, {first_line(error)}') from None
    except FileNotFoundError:
        raise ModelError(f'{path}: no such checkpoint file') from None
    except Exception as error:  # a damaged file can raise nearly anything
        # torch's own words are long, and advise to load it unsafely.
        held = re.search(r'GLOBAL ([\w.]+)', str(error))
        raise ModelError(
            f'{path}: not loaded, as it holds objects of {held[1]}, which are not known to be safe'
            if held
            else f'{path}: damaged, or not a checkpoint that can be loaded safely'
        ) from None
    _check_structure(saved, path)
    return saved


def _check_structure(saved: Any, path: str | Path) -> None:
    """See that those who read a checkpoint find what they expect.

    Raises:
        ModelError: they would not.
    """
    if not isinstance(saved, dict):
        raise ModelError(f'{path}: a checkpoint must be a dict, got {type(saved).__name__}')
    meta = saved.get('meta')
    if meta is not None and not isinstance(meta, dict):
        raise ModelError(f'{path}: meta must be a dict, got {type(meta).__name__}')
    described = (meta or {}).get('dataset_meta')
    if described is not None and not isinstance(described, dict):
        raise ModelError(f'{path}: meta.dataset_meta must be a dict, got {_kind(described)}')
    names = (described or {}).get('keypoint_id2name')
    if names is not None and not (
        isinstance(names, dict)
        and names.keys() == {*range(len(names))}
        and all(isinstance(name, str) for name in names.values())
    ):
        raise ModelError(
            f'{path}: meta.dataset_meta.keypoint_id2name must be the names of joints 0, 1, ..., '
            f'got {_kind(names)}'
        )
    place = 'state_dict' if 'state_dict' in saved else 'a checkpoint without state_dict'
    weights = saved.get('state_dict', saved)
    if not isinstance(weights, dict):
        raise ModelError(f'{path}: {place} must be a dict, got {_kind(weights)}')
    for key, value in weights.items():
        if not isinstance(key, str):
            raise ModelError(f'{path}: {place} must have text as keys, got {str(key)[:40]}')
        if key == 'meta' or key.endswith('_extra_state'):  # of a module, in a form of its own
            continue
        plain = (
            isinstance(value, Tensor)
            and value.layout == strided
            and not (value.is_complex() or value.is_quantized or value.is_meta)
        )
        if not plain:
            raise ModelError(
                f'{path}: {place} must hold plain tensors, got {key[:80]!r}, {_kind(value)}'
            )


def _kind(value: Any) -> str:
    return 'an odd tensor' if isinstance(value, Tensor) else f'a {type(value).__name__}'


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """Of names, types, shapes and values, in whatever file and order they are.

    Args:
        weights: a state dict.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name]
        if not isinstance(value, Tensor):
            continue
        value = value.detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.reshape(-1).view(uint8).numpy().data)
    return digest.hexdigest()


def shipped_weights(description: Path) -> tuple[dict[str, Any], Path]:
    """What is said of weights that come with the package, and their file, found to be that one.

    Args:
        description: ``<name>.json``: ``format``, and ``bytes`` and ``sha256`` of ``<name>.pt``.

    Raises:
        ModelError: a file is missing or damaged, or another one.
    """
    weights = description.with_suffix('.pt')
    try:
        saved = read_json(description)
        form, digest, size = (saved[key] for key in ('format', 'sha256', 'bytes'))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f'{description}: damaged ({type(error).__name__}: {error})') from None
    if not isinstance(saved, dict):  # e.g. text
        raise ModelError(f'{description}: must be a dict, got {type(saved).__name__}')
    if form != SHIPPED_FORMAT:
        raise ModelError(f'{description}: format must be {SHIPPED_FORMAT}, got {form!r}')
    if not weights.is_file():
        raise ModelError(f'{weights}: the weights are missing beside {description.name}')
    got = weights.stat().st_size
    if got != size:  # e.g. cut short, or a stand-in for a large file
        raise ModelError(f'{weights}: must have {size} bytes, got {got}')
    found = sha256(weights)
    if found != digest:
        raise ModelError(f'{weights}: damaged or changed; its sha256 must be {digest}, got {found}')
    return saved, weights


def weights_of(saved: dict) -> OrderedDict[str, Tensor]:
    """The state dict of what :func:`read_checkpoint` gave, named as in the model itself."""
    weights = saved.get('state_dict', saved)
    versions = getattr(weights, '_metadata', OrderedDict())
    # 'module.': saved from within a parallel wrapper.
    weights = OrderedDict((re.sub(r'^module\.', '', key), v) for key, v in weights.items())
    weights._metadata = versions  # type: ignore[attr-defined]  # as torch's own dicts have it
    return weights


def load_all_weights(model: nn.Module, saved: dict) -> None:
    """Load another package's model, which must lack nothing; a checkpoint may hold more.

    Raises:
        RuntimeError: weights are missing or of another shape; how many is said in a line.
    """
    try:
        missing = model.load_state_dict(weights_of(saved), strict=False).missing_keys
    except RuntimeError as error:
        raise RuntimeError(misfit(error)) from None
    missing = [key for key in missing if not key.endswith('.num_batches_tracked')]
    if missing:
        raise RuntimeError(f'{len(missing)} weights are missing, the first {missing[0]}')


def misfit(error: RuntimeError) -> str:
    """MMEngine's list of all keys, which fills screens, in short."""
    parts = [
        f'{len(keys)} weights {what}, the first {keys[0]}'
        for what, keys in misfit_keys(error).items()
        if keys
    ]
    return '; '.join(parts) or first_line(error)


def misfit_keys(error: RuntimeError) -> dict[str, list[str]]:
    """The keys in MMEngine's list, by what they do."""
    listed = {
        what: [key for line in re.findall(pattern, str(error)) for key in line.split(', ')]
        for what, pattern in (
            ('are missing', r'missing keys in source state_dict: (.*)'),
            ('are unknown', r'unexpected key in source state_dict: (.*)'),
        )
    }
    return {**listed, 'have another shape': re.findall(r'size mismatch for ([^:]+)', str(error))}
