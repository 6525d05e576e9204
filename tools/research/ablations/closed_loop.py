"""Rows of the ablations end to end, on whole frames: crops are where the model followed the person.

Shapes: N frames, K joints of JHMDB.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rpstn.files import replacing
from rpstn.simulation import SpanOccluders

from ablation_rows import Row, load_run
from head_training import start_model
from lite_evaluation import jhmdb_clips, videos
from lite_predictors import LABELS, inferencer_predictor, streaming_inferencer


def whole_path(row: Row, seed: int, folder: Path, part: str) -> Path:
    """Where a measurement is kept."""
    return folder / 'whole' / f'{row.group}-{row.key}-{seed}-{part}.npz'


def assemble(row: Row, seed: int, folder: Path) -> Path:
    """A trained row's whole model as a checkpoint, with its config beside it, ``.py``.

    Both can be given to `rpstn infer` or `tools/research/evaluate_lite.py`.
    """
    path = folder / 'checkpoints' / f'{row.group}-{row.key}-{seed}.pth'
    config = row.read()
    model = start_model(config, row.start)
    own = torch.load(row.path(folder, seed).with_suffix('.pth'), weights_only=True)
    model.load_state_dict({**model.state_dict(), **own})
    with replacing(path) as partial:
        torch.save(dict(state_dict=model.state_dict()), partial)
    with replacing(path.with_suffix('.py')) as partial:
        config.dump(partial)
    return path


def measure_whole(row: Row, seed: int, folder: Path, part: str) -> None:
    """Follow the person of every video of a part from whole frames, unless that is kept.

    Args:
        part: ``'test-clean'``, say, as in :mod:`feature_cache`.
    """
    if load_whole_run(row, seed, folder, part) is not None:
        return
    run = load_run(row, seed, folder)
    if run is None:
        return
    checkpoint = assemble(row, seed, folder)
    predict = inferencer_predictor(streaming_inferencer(checkpoint.with_suffix('.py'), checkpoint))
    subset, condition = part.split('-')
    occluder = SpanOccluders(LABELS.name, seed=0) if condition == 'occluded' else None
    joints = [
        np.stack(list(predict(results))) for results in videos(jhmdb_clips(subset), 1, occluder)
    ]
    with replacing(whole_path(row, seed, folder, part)) as partial:
        np.savez_compressed(partial, joints=np.concatenate(joints), fingerprint=run['fingerprint'])


def load_whole_run(row: Row, seed: int, folder: Path, part: str) -> np.ndarray | None:
    """Joints (N, K, 2), NaN where nobody was found; None where that was not measured."""
    path = whole_path(row, seed, folder, part)
    if not path.is_file():
        return None
    with np.load(path) as kept:
        return kept['joints'] if str(kept['fingerprint']) == row.fingerprint() else None
