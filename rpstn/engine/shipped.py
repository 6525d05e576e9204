"""Models that come with the package: a file of weights and one that describes it.

    from rpstn.engine.shipped import from_pretrained
    model = from_pretrained('lite')

``rpstn/engine/weights/<name>.json`` holds the config, the size and the sha256 of ``<name>.pt``, a
checkpoint that ``torch.load(weights_only=True)`` takes, convolutions in bfloat16. Both are data:
the config names nothing but what the registries hold (:mod:`rpstn.engine.trust`).
``tools/research/pack_lite.py`` writes both. Nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmpose.models.pose_estimators import TopdownPoseEstimator

from rpstn.checkpoints import SHIPPED as FOLDER
from rpstn.checkpoints import SHIPPED_FORMAT as FORMAT
from rpstn.checkpoints import ModelError, shipped_weights

from .loading import load_model
from .trust import check_description

__all__ = ['FOLDER', 'FORMAT', 'from_pretrained', 'shipped_files', 'shipped_names']


def shipped_names(folder: Path = FOLDER) -> list[str]:
    """Names of the models that are there; a detector's weights have no config."""
    return sorted(path.stem for path in folder.glob('*.json') if '"config"' in path.read_text())


def shipped_files(name: str = 'lite', folder: Path = FOLDER) -> tuple[Config, Path]:
    """Config and checkpoint of a model that comes with the package, both checked.

    They are what ``PoseInferencer`` and ``load_model`` take.

    Raises:
        ModelError: there is no such model, or its files are not those that were packed.
    """
    description = folder / f'{name}.json'
    if not description.is_file():
        there = ', '.join(shipped_names(folder)) or 'none'
        raise ModelError(
            f'{description}: no model called {name!r} comes with this copy of rpstn '
            f'(there: {there}); docs/training_lite.md trains one, '
            'tools/research/pack_lite.py puts it there'
        )
    saved, weights = shipped_weights(description)
    if 'config' not in saved:
        raise ModelError(f'{description}: describes no model, but weights alone')
    config = check_description(saved['config'], str(description))
    return Config(config, filename=str(description)), weights


def from_pretrained(
    name: str = 'lite', device: str = 'cpu', folder: Path = FOLDER
) -> TopdownPoseEstimator:
    """A trained model that comes with the package, ready to predict; see :func:`load_model`.

    Raises:
        ModelError: see :func:`shipped_files`.
    """
    return load_model(*shipped_files(name, Path(folder)), device)
