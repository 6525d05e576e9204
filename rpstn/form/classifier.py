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

from .models import DistanceMatrices

# Metres in the units that data sets have.
UNITS = {'m': 1.0, 'cm': 0.01, 'mm': 0.001}
# Without these nothing is said; without others, such as the feet, less is known.
NEEDED, SIDES = ('shoulder', 'hip', 'knee', 'ankle'), ('left', 'right')


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
    unseen: tuple[str, ...] = ()
    """Those that the view does not show, and that are not named therefore."""

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
        named = self.probability >= self.unsure_below and self.best not in self.unseen
        return self.best if named else 'unsure'

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
        about: how right it was on sequences it had not seen, for readers: ``accuracy``,
            ``answered`` (the share not unsure), ``accuracy_of_answered``, and others.

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
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.about = dict(about or {})
        dataset = config.test_dataloader.dataset
        meta: dict[str, Any] = dict(dataset.get('metainfo') or {})
        for key in ('skeleton', 'unit', 'axes', 'classes'):
            if key not in meta:
                raise SettingError(
                    f'test_dataloader.dataset.metainfo: must have {key}, got {sorted(meta)}'
                )
        if meta['unit'] not in UNITS:
            raise SettingError(
                f'metainfo.unit must be one of {sorted(UNITS)}, got {meta["unit"]!r}'
            )
        self.skeleton = get_skeleton(meta['skeleton'])
        self.classes = tuple(meta['classes'])
        self._scale = np.asarray(meta['axes'], np.float32) / UNITS[meta['unit']]
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
        config = Config(saved['recognizer'])
        return cls(config, weights, **saved['calibration'], about=saved['about'])

    def __call__(self, joints: np.ndarray, skeleton: str | Skeleton) -> FormPrediction:
        """The form of one repetition.

        Args:
            joints: (T, V, 3) metres, x to the camera's right, y up, z towards the camera, NaN where
                a joint is missing; from standing to standing.
            skeleton: of the joints; must tell shoulders, hips, knees and ankles.

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

    def leaned_on(self, joints: np.ndarray, skeleton: str | Skeleton) -> np.ndarray:
        """Which distances between joints speak for the most probable class, and when.

        The gradient of the class's score by each distance, times how far that has changed since
        the first frame: to first order, how much lower the score were had it not changed.

        Args:
            joints, skeleton: as for a call.

        Returns:
            (T', P) at moments evenly spread over the repetition; pairs in the order of
            :func:`rpstn.form.geometry.pairwise_distances` of :attr:`skeleton`.

        Raises:
            SettingError: the recognizer looks at something else than distances.
        """
        if [type(part) for part in self.model.representations] != [DistanceMatrices]:
            raise SettingError('only a recognizer that looks at distances leans on them')
        packed = pseudo_collate([self._item(joints, skeleton)])
        inputs = self.model.data_preprocessor(packed, False)['inputs'].flatten(0, 2)
        with torch.no_grad():
            distances = self.model.represent(inputs)  # (1, P, T'), scaled
        distances.requires_grad_()
        scores = self.model.cls_head(self.model.backbone(distances)[:, None])[0]
        (gradient,) = torch.autograd.grad(scores.max(), distances)
        changed = distances.detach() - distances.detach()[..., :1]
        return (gradient * changed)[0].T.numpy()

    def _item(self, joints: np.ndarray, skeleton: str | Skeleton) -> dict[str, Any]:
        """What the pipeline makes of the joints."""
        mapped = map_joints(np.asarray(joints, np.float32), skeleton, self.skeleton)
        needed = [self.skeleton.index(f'{side}_{part}') for side in SIDES for part in NEEDED]
        known = ~np.isnan(mapped[:, needed]).any(-1)
        unseen = [self.skeleton.joints[k] for k, seen in zip(needed, known.T) if not seen.any()]
        if known.any(1).sum() < 2 or unseen:
            raise SettingError(
                f'{len(mapped)} frames of {get_skeleton(skeleton).name}: must be at least 2, with '
                f'shoulders, hips, knees and ankles, got none of {", ".join(unseen) or "them"}'
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
