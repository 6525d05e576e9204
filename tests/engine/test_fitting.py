"""Model, data and metrics that do not fit each other: a line before the first batch."""

from pathlib import Path

import pytest

from rpstn.engine.run import RunOptions, train
from rpstn.errors import SettingError
from rpstn.simulation.squats.squat_dataset import SyntheticSquatDataset

ROOT = Path(__file__).parents[2]
SMALL = {
    'train_dataloader.dataset.num_sequences': 14,
    'val_dataloader.dataset.num_sequences': 7,
    'val_dataloader.batch_size': 7,
    'train_dataloader.batch_size': 7,
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
}
CLASSES = tuple(SyntheticSquatDataset.METAINFO['classes'])
VAL = 'val_dataloader.dataset.'


def trained(work_dir: Path, settings: dict) -> None:
    train(
        ROOT / 'configs/tdm_synthetic.py',
        RunOptions(work_dir=str(work_dir), cfg_options={**SMALL, **settings}),
    )


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        *(
            (
                {'model.cls_head.num_classes': count},
                rf'model.cls_head.num_classes must be 7, .*train_dataloader .*, got {count}',
            )
            for count in (2, 9)
        ),
        (
            {'default_hooks.checkpoint.save_best': 'accuracy'},
            "save_best .* among .* form/accuracy, .* got 'accuracy'",
        ),
        ({'default_hooks.checkpoint.save_best': 'x'}, 'the training cannot be built: .*rule'),
        (
            {'custom_hooks': [dict(type='EarlyStoppingHook', monitor='acc/top1')]},
            "monitor of EarlyStoppingHook must be among .* got 'acc/top1'",
        ),
        ({'val_evaluator.multi_class': True}, 'multi_class must be that of the head, False'),
        ({'model.cls_head.average_clips': None}, 'average_clips of the head must be prob'),
        ({'model.cls_head.average_clips': 'score'}, 'average_clips of the head must be prob'),
        (
            {'model.cls_head.multi_class': True},
            'cls_head.multi_class must be that of train_dataloader, False, got True',
        ),
        (
            {f'{VAL}metainfo': dict(classes=CLASSES[::-1])},
            'val_dataloader: the classes must be those of train_dataloader, .*got',
        ),
        (
            {
                'val_evaluator.type': 'AccMetric',
                'custom_hooks': [dict(type='ConfusionMatrixHook', val=True)],
            },
            'ConfusionMatrixHook needs a FormMetric',
        ),
    ],
)
def test_it_is_refused_before_training(settings, message, tmp_path):
    with pytest.raises(SettingError, match=message) as error:
        trained(tmp_path, settings)
    assert '\n' not in str(error.value) and not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize(
    'settings',
    [
        {
            'default_hooks.checkpoint.save_best': [f'form/recall/{CLASSES[0]}', 'form/macro_f1'],
            'default_hooks.checkpoint.rule': 'greater',
        },
        {'val_evaluator.num_bins': None, 'model.cls_head.average_clips': 'score'},
        # Of metrics of other packages the names of the figures are not known.
        {'val_evaluator.type': 'AccMetric', 'default_hooks.checkpoint.save_best': 'acc/top1'},
    ],
)
def test_what_fits_is_trained(settings, tmp_path):
    trained(tmp_path, settings)
    assert (tmp_path / 'epoch_1.pth').exists()
