"""Checkpoints as files: read safely, and what they lack said in a line."""

from __future__ import annotations

import json
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any
from urllib.error import URLError

from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from rpstn.errors import RPSTNError, first_line
from rpstn.files import sha256

SHIPPED = Path(__file__).parent / 'engine' / 'weights'
"""Weights that come with the package: ``<name>.pt``, described by ``<name>.json``."""
SHIPPED_FORMAT = 1


class ModelError(RPSTNError, RuntimeError):
    """A config and a checkpoint that give no model; the message names the file."""


def read_checkpoint(path: str | Path) -> dict:
    """What a checkpoint, a file or a URL, holds; nothing in it is executed.

    Raises:
        ModelError: damaged, or it holds objects that are not known to be safe, or there is none.
    """
    try:
        saved = CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')
    except URLError as error:
        raise ModelError(f'{path}: cannot be downloaded, {first_line(error)}') from None
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


def shipped_weights(description: Path) -> tuple[dict[str, Any], Path]:
    """What is said of weights that come with the package, and their file, found to be that one.

    Args:
        description: ``<name>.json``: ``format``, and ``bytes`` and ``sha256`` of ``<name>.pt``.

    Raises:
        ModelError: a file is missing or damaged, or another one.
    """
    weights = description.with_suffix('.pt')
    try:
        saved = json.loads(description.read_text(encoding='utf-8'))
        form, digest, size = (saved[key] for key in ('format', 'sha256', 'bytes'))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f'{description}: damaged ({type(error).__name__}: {error})') from None
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
