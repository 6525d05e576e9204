"""Rows of the ablations: their configs, and each trained once per seed and kept.

Shapes: N frames, K joints.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import operator
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from rpstn.engine.cpu import for_inference
from rpstn.errors import SettingError
from rpstn.files import replacing

import feature_cache
from head_training import answer, own_weights, start_model, train_head
from place_fitting import fit_places, peaks_of

CURVE = dict(part='val-occluded', most=8)
"""What a learning curve is of: the first frames of each video."""


@MODELS.register_module()
class ConvRelation(BaseModule):
    """Z = M + Conv(M), 1x1, from 0: JRE without W_r."""

    def __init__(self, num_joints: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.num_joints = num_joints
        self.conv = nn.Conv2d(num_joints, num_joints, 1)
        self._start_as_identity()

    def _start_as_identity(self) -> None:
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)

    def init_weights(self) -> None:
        """As BaseModule's; the identity survives an ``init_cfg`` of a surrounding head."""
        super().init_weights()
        self._start_as_identity()

    def forward(self, heatmaps: Tensor) -> Tensor:
        """(B, K, h, w) -> the same."""
        return heatmaps + self.conv(heatmaps)


@dataclass(frozen=True)
class Row:
    """A row of a table: a config with changes, what it starts from, and its budget."""

    group: str
    key: str
    label: str
    config: str
    change: dict
    start: str | None
    steps: int
    batch: int
    frames: int
    seeds: int = 1
    fit: int = 0
    """Steps in which a TokenRelation's places are fitted first."""
    hold: bool = True
    """Leave what was fitted as it is from then on."""
    alone: bool = False
    """Train the relation, or the readout, alone; all else stays as it started."""

    @property
    def name(self) -> str:
        """Unique among all."""
        return f'{self.group}/{self.key}'

    def read(self) -> Config:
        """The config with the change, and with the heights of peaks as scores."""
        config = Config.fromfile(self.config)
        config.merge_from_dict(copy.deepcopy(self.change))  # it takes _delete_ out of them
        for path in self.change:  # but where there was nothing to delete
            node = functools.reduce(operator.getitem, path.split('.'), config)
            if isinstance(node, dict):
                node.pop('_delete_', None)
        decoder = config.model.head.decoder
        if decoder.pop('knots', None) is not None:
            decoder.type = 'MSRAHeatmap'
        return config

    def knots(self) -> np.ndarray | None:
        """Of the map from peaks to scores that the config has; None where it has none, or what
        it was fitted to is changed."""
        if self.change:
            return None
        knots = Config.fromfile(self.config).model.head.decoder.get('knots')
        return None if knots is None else np.array(knots)

    def fingerprint(self) -> str:
        """Changes with all settings that decide the result, names of files among them."""
        model = self.read().model.to_dict()
        if model['head'].get('readout') is None:
            model['head'].pop('readout', None)
        given = dict(asdict(self), model=model)
        for name in ('label', 'seeds'):
            del given[name]
        # What a row does not use does not count.
        given = {name: value for name, value in given.items() if name != 'hold' or self.fit}
        given = {name: value for name, value in given.items() if name != 'alone' or value}
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]

    def path(self, folder: Path, seed: int) -> Path:
        """Where a run is kept."""
        return folder / 'runs' / f'{self.group}-{self.key}-{seed}.npz'


def read_grid(path: Path, only: Sequence[str] = (), seeds: int = 3) -> list[Row]:
    """The rows of a grid, or of some groups, or some of the rows.

    Raises:
        SettingError: ``only`` names what there is not.
    """
    rows = []
    for group, given in Config.fromfile(path).groups.to_dict().items():
        shared = {name: value for name, value in given.items() if name not in ('title', 'rows')}
        for key, row in given['rows'].items():
            own = dict(shared, **row)
            rows.append(Row(group, key, **{**own, 'seeds': min(own.pop('seeds', 1), seeds)}))
    unknown = {*only} - {row.group for row in rows} - {row.name for row in rows}
    if unknown:
        raise SettingError(
            f'{path}: no group or row {sorted(unknown)}, only {[r.name for r in rows]}'
        )
    return [row for row in rows if not only or row.group in only or row.name in only]


def read_titles(path: Path) -> dict[str, str]:
    """Title of each group of a grid."""
    return {name: group['title'] for name, group in Config.fromfile(path).groups.items()}


def train_row(row: Row, seed: int, folder: Path, training: Sequence[str]) -> None:
    """Train a row, measure it, and keep all that a page needs, unless it is there.

    ``<group>-<row>-<seed>.npz``: ``fingerprint``, ``losses``, ``curve`` (looks, N, K, 3) of
    :data:`CURVE`'s part, and by the parts' names what the model answers of them, (N, K, 3); beside
    it ``.pth``, the weights behind the encoder.
    """
    path = row.path(folder, seed)
    if load_run(row, seed, folder) is not None:
        return
    features = folder / 'features'
    torch.manual_seed(seed)
    config = row.read()
    model = start_model(config, row.start)
    clips = feature_cache.load_training(features, list(training))
    if row.alone:
        model.requires_grad_(False)
        (model.head.readout or model.head.relation).requires_grad_(True)
    if row.fit:
        fitted = model.head.readout or model.head.relation
        name = f'{Path(row.config).stem}-{float(fitted.sharpness.detach()):g}.npy'
        peaks = peaks_of(model.eval(), fitted, clips, folder / 'peaks' / name)
        fit_places(fitted, peaks, clips, model.head.decoder, row.fit, seed=seed)
        fitted.requires_grad_(not row.hold)
    watched = feature_cache.load_whole(features, str(CURVE['part']))
    curve: list[np.ndarray] = []

    def watch(model: nn.Module) -> None:
        curve.append(answer(model, watched, int(CURVE['most'])))

    began = time.perf_counter()
    losses = train_head(model, config, clips, row.frames, row.batch, row.steps, seed, watch)
    seconds = time.perf_counter() - began
    with replacing(path.with_suffix('.pth')) as partial:
        torch.save(own_weights(model), partial)
    model = for_inference(model)
    answers = {
        part: answer(model, feature_cache.load_whole(features, part))
        for part in feature_cache.WHOLE_PARTS
    }
    with replacing(path) as partial:
        np.savez_compressed(
            partial,
            fingerprint=row.fingerprint(),
            losses=losses,
            curve=np.stack(curve),
            seconds=seconds,
            **answers,
        )


def load_run(row: Row, seed: int, folder: Path) -> dict[str, np.ndarray] | None:
    """What :func:`train_row` kept; None where there is no run, or one of other settings."""
    path = row.path(folder, seed)
    if not path.is_file():
        return None
    with np.load(path) as kept:
        run = dict(kept)
    return run if str(run['fingerprint']) == row.fingerprint() else None
