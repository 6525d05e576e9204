"""The door from joints to a form class: a trained recognizer, its pipeline, and how sure it is.

    classifier = FormClassifier.from_pretrained('squat')
    prediction = classifier(joints, 'blazepose33')     # one repetition, (T, V, 3) metres
    prediction.label, prediction.probability, prediction.right

Shapes: T frames, V joints, C classes.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.models import BaseRecognizer
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from rpstn.checkpoints import (
    SHIPPED,
    ModelError,
    load_all_weights,
    read_checkpoint,
    shipped_weights,
)
from rpstn.errors import SettingError
from rpstn.skeletons import Skeleton, get_skeleton, map_joints

# Metres in the units that data sets have.
UNITS = {'m': 1.0, 'cm': 0.01, 'mm': 0.001}


@dataclass(frozen=True)
class FormPrediction:
    """What form one repetition has, or a whole clip.

    >>> seen = FormPrediction({'good': 0.3, 'no depth': 0.7}, 0.6, ('good',))
    >>> seen.label, seen.probability, round(seen.right, 2)
    ('no depth', 0.7, 0.3)
    >>> FormPrediction({'good': 0.5, 'no depth': 0.5}, 0.6, ('good',)).label
    'unsure'
    """

    probabilities: Mapping[str, float]
    """Of each class, calibrated; they sum to 1."""
    unsure_below: float = 0.0
    """The least probability with which a class is named."""
    right_classes: tuple[str, ...] = ()
    """Those of right form; none where the classes say nothing of right and wrong."""

    @property
    def best(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def probability(self) -> float:
        """Of the most probable class."""
        return self.probabilities[self.best]

    @property
    def label(self) -> str:
        """The most probable class, or ``'unsure'``."""
        return self.best if self.probability >= self.unsure_below else 'unsure'

    @property
    def right(self) -> float | None:
        """The probability that the form is right; None where the classes do not tell."""
        if not self.right_classes:
            return None
        return sum(self.probabilities[name] for name in self.right_classes)


class FormClassifier:
    """A recognizer of MMAction2 over skeletons, asked for one repetition after the other.

    Args:
        config: of the recognizer; its ``test_dataloader.dataset`` says which joints it knows
            (``metainfo``: ``skeleton``, ``unit``, ``axes``, ``classes``), how they are prepared and
            through which pipeline they go.
        checkpoint: its weights, loaded safely.
        temperature: by which the logarithms of its probabilities are divided (Guo et al., ICML
            2017), so that they are as often right as they say.
        unsure_below: the least calibrated probability with which a class is named.
        right_classes: those of right form.

    Raises:
        ModelError: the checkpoint does not fit. SettingError: the config lacks what is needed.
    """

    def __init__(
        self,
        config: Config,
        checkpoint: str | Path,
        temperature: float = 1.0,
        unsure_below: float = 0.0,
        right_classes: Sequence[str] = (),
    ) -> None:
        dataset = config.test_dataloader.dataset
        about: dict[str, Any] = dict(dataset.get('metainfo') or {})
        for key in ('skeleton', 'unit', 'axes', 'classes'):
            if key not in about:
                raise SettingError(
                    f'test_dataloader.dataset.metainfo: must have {key}, got {sorted(about)}'
                )
        if about['unit'] not in UNITS:
            raise SettingError(
                f'metainfo.unit must be one of {sorted(UNITS)}, got {about["unit"]!r}'
            )
        self.skeleton = get_skeleton(about['skeleton'])
        self.classes = tuple(about['classes'])
        self._scale = np.asarray(about['axes'], np.float32) / UNITS[about['unit']]
        self.temperature, self.unsure_below = temperature, unsure_below
        self.right_classes = tuple(right_classes)
        self.transforms = [
            TRANSFORMS.build({'_scope_': 'mmaction', **step})
            for step in [*dataset.get('prepare', ()), *dataset.pipeline]
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            self.model: BaseRecognizer = MODELS.build({'_scope_': 'mmaction', **config.model})
        try:
            load_all_weights(self.model, read_checkpoint(checkpoint))
        except RuntimeError as error:
            raise ModelError(f'{checkpoint}: does not fit its config: {error}') from None
        self.model.float().eval()
        if self.model.cls_head.num_classes != len(self.classes):
            raise SettingError(
                f'metainfo.classes must be {self.model.cls_head.num_classes} names, got '
                f'{self.classes}'
            )

    @classmethod
    def from_pretrained(cls, name: str = 'squat', folder: Path = SHIPPED) -> FormClassifier:
        """One that comes with the package: ``squat``, or ``squat_distances``, the paper's.

        Raises:
            ModelError: there is none of this name, or its files are not those that were packed.
        """
        description = folder / f'form_{name}.json'
        if not description.is_file():
            known = sorted(path.stem.removeprefix('form_') for path in folder.glob('form_*.json'))
            raise ModelError(
                f'{description}: no classifier called {name!r} comes with this copy of rpstn '
                f'(there: {", ".join(known) or "none"}); docs/form.md trains one'
            )
        saved, weights = shipped_weights(description)
        return cls(Config(saved['recognizer']), weights, **saved['calibration'])

    def __call__(self, joints: np.ndarray, skeleton: str | Skeleton) -> FormPrediction:
        """The form of one repetition.

        Args:
            joints: (T, V, 3) metres, x to the camera's right, y up, z towards the camera, NaN where
                a joint is missing; from standing to standing.
            skeleton: of the joints; must tell all that the recognizer looks at.

        Raises:
            SettingError: too few frames, or joints that are not there.
        """
        return self._prediction(self.scores(joints, skeleton))

    def whole(self, predictions: Sequence[FormPrediction]) -> FormPrediction:
        """What the repetitions of a clip say together: the mean of their probabilities."""
        rows = [[one.probabilities[name] for name in self.classes] for one in predictions]
        return self._prediction_of(np.mean(rows, axis=0))

    @torch.inference_mode()
    def scores(self, joints: np.ndarray, skeleton: str | Skeleton) -> np.ndarray:
        """(C,) probabilities as the recognizer gives them, not calibrated."""
        packed = pseudo_collate([self._item(joints, skeleton)])
        return self.model.test_step(packed)[0].pred_score.numpy()

    def _item(self, joints: np.ndarray, skeleton: str | Skeleton) -> dict[str, Any]:
        """What the pipeline makes of the joints."""
        mapped = map_joints(np.asarray(joints, np.float32), skeleton, self.skeleton)
        known = ~np.isnan(mapped).any(-1)
        unseen = [name for name, seen in zip(self.skeleton.joints, known.T) if not seen.any()]
        if known.any(1).sum() < 2 or unseen:
            raise SettingError(
                f'{len(mapped)} frames of {get_skeleton(skeleton).name}: the recognizer takes at '
                f'least 2 with all of {self.skeleton.name}, got none of '
                f'{", ".join(unseen) or "them"}'
            )
        item: dict[str, Any] = dict(
            frame_dir='',
            label=0,
            keypoint=mapped[None] * self._scale,
            total_frames=len(mapped),
            start_index=0,
            modality='Pose',
        )
        for transform in self.transforms:
            item = transform(item)
        return item

    def _prediction(self, scores: np.ndarray) -> FormPrediction:
        return self._prediction_of(calibrate(scores, self.temperature))

    def _prediction_of(self, probabilities: np.ndarray) -> FormPrediction:
        return FormPrediction(
            dict(zip(self.classes, map(float, probabilities))),
            self.unsure_below,
            self.right_classes,
        )


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (..., C) with their logarithms divided by a temperature; they sum to 1."""
    logits = np.log(np.maximum(probabilities, 1e-12)) / temperature
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
