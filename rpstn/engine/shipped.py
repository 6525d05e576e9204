"""Models that come with the package: a file of weights and one that describes it.

    from rpstn.engine.shipped import from_pretrained
    model = from_pretrained('lite')

``rpstn/engine/weights/<name>.json`` holds the config, the size and the sha256 of ``<name>.pt``, a
checkpoint that ``torch.load(weights_only=True)`` takes, convolutions in bfloat16.
``tools/research/pack_lite.py`` writes both. Nothing is downloaded.
"""

from __future__ import annotations

import json
from pathlib import Path

from mmengine.config import Config
from mmpose.models.pose_estimators import TopdownPoseEstimator

from rpstn.checkpoints import ModelError
from rpstn.files import sha256

from .loading import load_model

FOLDER = Path(__file__).parent / 'weights'
FORMAT = 1


def shipped_names(folder: Path = FOLDER) -> list[str]:
    """Names of the models that are there."""
    return sorted(path.stem for path in folder.glob('*.json'))


def shipped_files(name: str = 'lite', folder: Path = FOLDER) -> tuple[Config, Path]:
    """Config and checkpoint of a model that comes with the package, both checked.

    They are what ``PoseInferencer`` and ``load_model`` take.

    Raises:
        ModelError: there is no such model, or its files are not those that were packed.
    """
    description, weights = folder / f'{name}.json', folder / f'{name}.pt'
    if not description.is_file():
        there = ', '.join(shipped_names(folder)) or 'none'
        raise ModelError(
            f'{description}: no model called {name!r} comes with this copy of rpstn '
            f'(there: {there}); docs/training_lite.md trains one, '
            'tools/research/pack_lite.py puts it there'
        )
    try:
        saved = json.loads(description.read_text(encoding='utf-8'))
        form, config, digest, size = (saved[key] for key in ('format', 'config', 'sha256', 'bytes'))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f'{description}: damaged ({type(error).__name__}: {error})') from None
    if form != FORMAT:
        raise ModelError(f'{description}: format must be {FORMAT}, got {form!r}')
    if not weights.is_file():
        raise ModelError(
            f'{weights}: the weights of {name!r} are missing beside {description.name}'
        )
    got = weights.stat().st_size
    if got != size:  # e.g. cut short, or a stand-in for a large file
        raise ModelError(f'{weights}: must have {size} bytes, got {got}')
    found = sha256(weights)
    if found != digest:
        raise ModelError(f'{weights}: damaged or changed; its sha256 must be {digest}, got {found}')
    return Config(config), weights


def from_pretrained(
    name: str = 'lite', device: str = 'cpu', folder: Path = FOLDER
) -> TopdownPoseEstimator:
    """A trained model that comes with the package, ready to predict; see :func:`load_model`.

    Raises:
        ModelError: see :func:`shipped_files`.
    """
    return load_model(*shipped_files(name, Path(folder)), device)
