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
from typing import Any

import torch
from mmengine.config import Config
from mmpose.models.pose_estimators import TopdownPoseEstimator

from rpstn.checkpoints import ModelError
from rpstn.files import replacing, sha256

from .cpu import round_folded_weights
from .loading import load_model, read_model

FOLDER = Path(__file__).parent / 'weights'
FORMAT = 1
LARGEST_MB = 15.0


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


def pack(
    config: str | Path | Config,
    checkpoint: str | Path,
    name: str = 'lite',
    folder: Path = FOLDER,
    about: dict | None = None,
    largest_mb: float = LARGEST_MB,
) -> tuple[Path, Path]:
    """Write a model's two files, once both load and fit.

    Weights of convolutions are rounded such that they are exact in bfloat16 once batch norms are
    folded (:func:`rpstn.engine.cpu.round_folded_weights`): computed in float32 and in bfloat16 it
    is one model.

    Args:
        config: of the checkpoint.
        checkpoint: of MMEngine; of averaged weights, if it was trained so.
        name: what the model is called.
        folder: where to.
        about: facts for the description, e.g. of its training; plain values.
        largest_mb: in millions of bytes.

    Returns:
        The description's and the weights' path.

    Raises:
        ModelError: the checkpoint does not fit the config, or is too large.
    """
    config = config if isinstance(config, Config) else Config.fromfile(config)
    model = round_folded_weights(read_model(config, checkpoint)[0].eval())
    weights = {
        key: _short(value)
        for key, value in model.state_dict().items()
        if not key.startswith('data_preprocessor.')
    }
    folder.mkdir(parents=True, exist_ok=True)
    description, target = folder / f'{name}.json', folder / f'{name}.pt'
    with replacing(target) as partial:
        torch.save(dict(state_dict=weights), partial)
        size = partial.stat().st_size
        if size > largest_mb * 1e6:
            raise ModelError(
                f'{checkpoint}: {size / 1e6:.1f} MB packed, at most {largest_mb} MB may be shipped'
            )
        text = (
            json.dumps(
                dict(
                    format=FORMAT,
                    name=name,
                    sha256=sha256(partial),
                    bytes=size,
                    precision='bfloat16',
                    parameters=sum(
                        value.numel()
                        for key, value in weights.items()
                        if not key.endswith(('running_mean', 'running_var', 'num_batches_tracked'))
                    ),
                    about=about or {},
                    config=_inference_config(config),
                ),
                indent=1,
            )
            + '\n'
        )
    with replacing(description) as partial:
        partial.write_text(text, encoding='utf-8')
    return description, target


def _short(value: torch.Tensor) -> torch.Tensor:
    short = value.bfloat16() if value.is_floating_point() else value
    # Copies of their own: a view would be saved with all of the storage it looks into.
    return (short if torch.equal(short.to(value.dtype), value) else value).clone()


def _inference_config(config: Config) -> dict:
    """What prediction needs of a config, as plain values: no weights to start from, no training."""
    given = config.to_dict()
    dataset = given['test_dataloader']['dataset']
    kept = {
        key: dataset[key] for key in ('type', 'pipeline', 'clip_len', 'metainfo') if key in dataset
    }
    model = {key: value for key, value in given['model'].items() if key != 'train_cfg'}
    return json.loads(
        json.dumps(
            dict(
                default_scope='mmpose', model=_untrained(model), test_dataloader=dict(dataset=kept)
            )
        )
    )


def _untrained(node: Any) -> Any:
    """Without the weights that training starts from."""
    if isinstance(node, dict):
        return {
            key: None if key in ('init_cfg', 'pretrained') else _untrained(value)
            for key, value in node.items()
        }
    return [_untrained(value) for value in node] if isinstance(node, (list, tuple)) else node
