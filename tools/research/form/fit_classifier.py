"""Train, calibrate and pack a classifier of exercise form, to be shipped with the package.

    python tools/research/form/fit_classifier.py configs/movement_squat_feet.py --name squat \
        --right 'olympic squat' 'powerlifting squat'

Whole groups of sequences (days by default) are left out in turn; on these, never seen by the
network that answers, the temperature of its probabilities and the probability are chosen below
which it is unsure: the least one at which `--wanted` of the answers are right. Both are tested
likewise, on each fold with what the other folds chose. Then the network is trained on everything,
and packed as rpstn/engine/weights/form_NAME.{pt,json}, which
rpstn.form.classifier.FormClassifier.from_pretrained(NAME) takes. Where the config joins data sets,
the first is the real one; the others, which are simulated, are trained on in every fold and never
tested on. What has been trained is kept in the work folder: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from scipy.optimize import minimize_scalar
from sklearn.metrics import balanced_accuracy_score
from torch.utils.data import DataLoader

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.checkpoints import SHIPPED, SHIPPED_FORMAT
from rpstn.engine.runner import fit_machine
from rpstn.files import replacing, sha256
from rpstn.form.classifier import FormClassifier, calibrate
from rpstn.form.evaluation.calibration import calibration_error


def load(path: str | Path, options: dict) -> Config:
    """A config that trains to the end and never looks at its test set."""
    config = Config.fromfile(path)
    config.merge_from_dict(copy.deepcopy(options))
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.default_hooks.update(checkpoint=None, logger=None)
    config.custom_hooks, config.visualizer, config.log_level = [], None, 'WARNING'
    fit_machine(config)
    return config


def set_split(config: Config, split: dict | None) -> None:
    """The same split for training and test, each its part, or none; of joined sets the first's."""
    for part in ('train', 'test'):
        dataset = config[f'{part}_dataloader'].dataset
        first = dataset.datasets[0] if dataset.type == 'ConcatDataset' else dataset
        first.split = None if split is None else dict(split, part=part)


def train(config: Config, work_dir: Path, state: Path) -> Runner:
    """The runner with a trained model; one that was kept in ``state`` is not trained again."""
    config = copy.deepcopy(config)
    config.work_dir, config.experiment_name = str(work_dir), state.stem
    runner = Runner.from_cfg(config)
    if state.exists():
        runner.model.load_state_dict(torch.load(state, weights_only=True))
    else:
        runner.train()
        with replacing(state) as partial:
            torch.save(runner.model.state_dict(), partial)
    runner.model.eval()
    return runner


@torch.inference_mode()
def predict(runner: Runner, loader: DataLoader | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, C) and labels (N,) of the test sequences, or those of another loader."""
    loader = loader or runner.test_dataloader
    samples = [s for batch in loader for s in runner.model.test_step(batch)]
    labels = [int(sample.gt_label) for sample in samples]
    return np.stack([sample.pred_score.numpy() for sample in samples]), np.array(labels)


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which the labels are most likely."""

    def loss(log_temperature: float) -> float:
        likely = calibrate(scores, np.exp(log_temperature))[np.arange(len(labels)), labels]
        return -float(np.log(np.maximum(likely, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 3), method='bounded').x))


def fit_threshold(probabilities: np.ndarray, labels: np.ndarray, wanted: float) -> float:
    """The least probability from which on the share ``wanted`` of the answers is right."""
    surest = probabilities.max(1)
    order = np.argsort(-surest)
    right = (probabilities.argmax(1) == labels)[order]
    share = right.cumsum() / np.arange(1, len(right) + 1)
    enough = np.flatnonzero(share >= wanted)
    return float(surest[order[enough[-1]]]) if len(enough) else 1.0


def cross_fitted(
    folds: list[tuple[np.ndarray, np.ndarray]], wanted: float, right: list[int]
) -> dict[str, float]:
    """Figures on each fold with the temperature and threshold of the others, over all."""
    probabilities, answered = [], []
    for number, (scores, _) in enumerate(folds):
        others = [fold for k, fold in enumerate(folds) if k != number]
        known, labels = (np.concatenate(parts) for parts in zip(*others))
        temperature = fit_temperature(known, labels)
        threshold = fit_threshold(calibrate(known, temperature), labels, wanted)
        probabilities.append(calibrate(scores, temperature))
        answered.append(probabilities[-1].max(1) >= threshold)
    found, sure = np.concatenate(probabilities), np.concatenate(answered)
    labels = np.concatenate([labels for _, labels in folds])
    hit = found.argmax(1) == labels
    figures = dict(
        accuracy=hit.mean(),
        answered=sure.mean(),
        accuracy_of_answered=hit[sure].mean(),
        calibration_error=calibration_error(found.max(1), hit),
        calibration_error_before=calibration_error(
            np.concatenate([scores for scores, _ in folds]).max(1), hit
        ),
    )
    if right:
        figures['right_or_wrong_balanced_accuracy'] = balanced_accuracy_score(
            np.isin(labels, right), found[:, right].sum(1) > 0.5
        )
    return {name: round(float(value), 4) for name, value in figures.items()}


def packed_config(config: Config, metainfo: dict) -> dict:
    """What the classifier needs of a config, as plain values."""
    dataset = config.test_dataloader.dataset
    kept = dict(
        metainfo={key: metainfo[key] for key in ('skeleton', 'unit', 'axes', 'classes')},
        prepare=dataset.get('prepare', []),
        pipeline=dataset.pipeline,
    )
    return json.loads(json.dumps(dict(model=config.model, test_dataloader=dict(dataset=kept))))


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='of a recognizer over skeletons')
    parser.add_argument('--name', required=True, help='what the classifier is called')
    parser.add_argument('--right', nargs='*', default=[], help='the classes of right form')
    parser.add_argument('--group', default='day', help='left out together (default: %(default)s)')
    parser.add_argument('--by', help='also print balanced accuracy by this group, e.g. movement')
    parser.add_argument('--folds', type=int, default=4, help='(default: %(default)s)')
    parser.add_argument(
        '--wanted', type=float, default=0.8, help='of the answers are right (default: %(default)s)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the config to replace, as key=value',
    )
    parser.add_argument('--out', type=Path, default=SHIPPED, help='(default: rpstn/engine/weights)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/fit_classifier'))
    return parser.parse_args()


def main() -> None:
    """Train, calibrate, pack, and print the figures."""
    args = parse_args()
    config = load(args.config, args.cfg_options)
    known = hashlib.sha256(json.dumps(config.to_dict(), default=str).encode()).hexdigest()[:12]
    work_dir = args.work_dir / f'{args.name}-{known}'
    work_dir.mkdir(parents=True, exist_ok=True)
    folds, groups = [], []
    for fold in range(args.folds):
        set_split(
            config, dict(type='leave_group_out', group=args.group, num_folds=args.folds, fold=fold)
        )
        runner = train(config, work_dir, work_dir / f'fold_{fold}.pth')
        folds.append(predict(runner))
        if args.by:
            data = runner.test_dataloader.dataset
            groups += [data.get_data_info(index)[args.by] for index in range(len(data))]
        print(f'fold {fold}: {(folds[-1][0].argmax(1) == folds[-1][1]).mean():.3f}')
    set_split(config, None)
    runner = train(config, work_dir, work_dir / 'all.pth')
    metainfo = runner.test_dataloader.dataset.metainfo
    scores, labels = (np.concatenate(parts) for parts in zip(*folds))
    simulated = len(runner.train_dataloader.dataset) - len(labels)
    temperature = fit_temperature(scores, labels)
    right = [metainfo['classes'].index(name) for name in args.right]
    calibration = dict(
        temperature=round(temperature, 4),
        unsure_below=round(fit_threshold(calibrate(scores, temperature), labels, args.wanted), 4),
        right_classes=args.right,
    )
    figures = cross_fitted(folds, args.wanted, right)
    for group in sorted(set(groups)):
        chosen = np.array(groups) == group
        balanced = balanced_accuracy_score(labels[chosen], scores[chosen].argmax(1))
        print(f'{args.by} {group}: balanced accuracy {balanced:.3f}')
    args.out.mkdir(parents=True, exist_ok=True)
    weights = {
        key: value.half() if value.is_floating_point() else value
        for key, value in runner.model.state_dict().items()
        if not key.startswith('data_preprocessor.')
    }
    target = args.out / f'form_{args.name}.pt'
    with replacing(target) as partial:
        torch.save(dict(state_dict=weights), partial)
        saved = dict(
            format=SHIPPED_FORMAT,
            name=f'form_{args.name}',
            sha256=sha256(partial),
            bytes=partial.stat().st_size,
            about=dict(sequences=len(labels), simulated=simulated, left_out=args.group, **figures),
            calibration=calibration,
            recognizer=packed_config(config, metainfo),
        )
    with replacing(target.with_suffix('.json')) as partial:
        partial.write_text(json.dumps(saved, indent=1) + '\n', encoding='utf-8')
    FormClassifier.from_pretrained(args.name, args.out)
    print(json.dumps(dict(figures=figures, **calibration), indent=1))
    print(f'{target}: {saved["bytes"] / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
