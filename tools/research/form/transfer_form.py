"""Does a classifier of form hold elsewhere: simulated squats against real ones, sources of joints.

    python tools/research/form/transfer_form.py

Two classifiers, the paper's distance matrices (all limbs of one length) and ours, each

- trained on simulated squats of the Waseda classes and asked about real ones: of the forms that
  both sets name (see MAPPING), of people it never saw; chance is the share of the most frequent;
- as it ships, trained on all days, asked about the recordings it was trained on by other joints:
  MediaPipe's as they are, and lifted from their own image (source `lifter`): how often both
  answers agree. The recordings have no video, so their joints are projected, seen from a camera
  in front.

Prints the table that stands in docs/form.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from mmengine.config import Config

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.form.classifier import FormClassifier
from rpstn.form.datasets import SkeletonFormDataset
from rpstn.tables import format_table

from fit_classifier import load, predict, train

CONFIGS = Path(__file__).parents[3] / 'configs'
# Waseda's class -> the real set's classes that show the same
# Both right forms are a good one's like here, where right is to be told from wrong; what is trained
# on has to be called one of them, see configs/movement_squat_feet.py.
MAPPING = {
    'good': ('olympic squat', 'powerlifting squat'),
    'inward knee': ('knees caving',),
    'shallowness': ('no depth',),
}
ROWS = {
    'distance matrices': ('tdm_squat', {'model.representation.limbs': 'full'}, 'squat_distances'),
    'ours': ('movement_squat_feet', {}, 'squat'),
}


def simulated(config: Config) -> Config:
    """The config, trained on simulated squats in place of real ones."""
    for loader in (config.train_dataloader, config.test_dataloader):
        given = loader.dataset.datasets[0] if 'datasets' in loader.dataset else loader.dataset
        prepare = [dict(step) for step in given.prepare]
        metres = {'CleanSkeleton': {'max_reach': 2.0}, 'CenterSkeleton': {'unit': 1.0}}
        for step in prepare:
            step.update(metres.get(step['type'], {}))
        loader.dataset = dict(
            type='SyntheticSquatDataset',
            skeleton='mediapipe19',
            repetitions=(1, 1),
            sensor=dict(view='front', noise=0.01, bias=0.02, scale=0.03),
            part='train' if loader is config.train_dataloader else 'test',
            num_sequences=1400 if loader is config.train_dataloader else 280,
            prepare=prepare,
            pipeline=given.pipeline,
        )
    if 'group' in config.train_cfg:  # people, in place of days
        config.train_cfg.group = 'subject'
        config.train_dataloader.dataset.pipeline[-1].meta_keys = ('subject',)
    return config


def to_real(stem: str, options: dict, work_dir: Path) -> tuple[float, float, float]:
    """Accuracy on simulated squats, on real ones of the classes of MAPPING, and by chance."""
    config = simulated(load(CONFIGS / f'{stem}.py', options))
    runner = train(config, work_dir, work_dir / f'{stem}.pth')
    scores, labels = predict(runner)
    names = runner.test_dataloader.dataset.metainfo['classes']
    real = load(CONFIGS / f'{stem}.py', options)
    real.test_dataloader.dataset.split = None
    loader = runner.build_dataloader(real.test_dataloader)
    found, truth = predict(runner, loader)
    classes = loader.dataset.metainfo['classes']
    groups = [[classes.index(name) for name in real_names] for real_names in MAPPING.values()]
    known = np.isin(truth, sum(groups, []))
    columns = [names.index(name) for name in MAPPING]
    answer = found[known][:, columns].argmax(1)
    wanted = np.array([next(k for k, g in enumerate(groups) if t in g) for t in truth[known]])
    chance = np.bincount(wanted).max() / len(wanted)
    return (scores.argmax(1) == labels).mean(), (answer == wanted).mean(), chance


def agreement(name: str, every: int) -> tuple[float, float, float]:
    """Accuracy by MediaPipe's joints and by lifted ones, and how often both answer the same."""
    from rpstn.lift import Track, build_source  # comes later in the order of the rooms

    classifier, lift = FormClassifier.from_pretrained(name), build_source('lifter')
    data = SkeletonFormDataset(prepare=[dict(type='CleanSkeleton', max_reach=200.0)])
    rows = []
    for index in range(0, len(data), every):
        item = data.get_data_info(index)
        joints = item['keypoint'][0]
        if np.isnan(joints).any((0, 2))[3:].any():
            continue
        image = 500 * joints[..., :2] / joints[..., 2:] + [320, 240]
        track = Track(
            keypoints=image,
            scores=np.ones(image.shape[:2]),
            times=np.arange(len(image)) / 30,
            frames=np.arange(len(image)),
            skeleton=classifier.skeleton,
            image_size=(640, 480),
        )
        lifted = lift(track)
        own = classifier(joints * np.float32([0.01, -0.01, -0.01]), classifier.skeleton).best
        other = classifier(lifted.joints, lifted.skeleton).best
        label = classifier.classes[item['label']]
        rows.append((own == label, other == label, own == other))
    return tuple(np.mean(rows, 0))


def main() -> None:
    """Train what is missing, print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/transfer_form'))
    parser.add_argument('--every', type=int, default=5, help='recording (default: %(default)s)')
    parser.add_argument('--lifted', action='store_true', help='also by lifted joints')
    args = parser.parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    table = []
    for row, (stem, options, _) in ROWS.items():
        table.append([row, *(f'{100 * v:.1f}' for v in to_real(stem, options, args.work_dir))])
    print(format_table(['trained on simulated squats', 'simulated', 'real', 'chance'], table))
    if args.lifted:
        table = [
            [row, *(f'{100 * v:.1f}' for v in agreement(name, args.every))]
            for row, (_, _, name) in ROWS.items()
        ]
        header = ['as shipped, on what it was trained on', "MediaPipe's", 'lifted', 'agree']
        print('\n' + format_table(header, table))


if __name__ == '__main__':
    main()
