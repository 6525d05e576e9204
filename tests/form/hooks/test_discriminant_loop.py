"""A recognizer fitted in one pass, by MMEngine's runner."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from rpstn.engine.runner import fit_machine
from rpstn.errors import SettingError

CONFIG = Path(__file__).parents[3] / 'configs/movement_squat.py'


def config(work_dir, group='subject'):
    """The stock config on simulated squats; their people are the sessions."""
    cfg = Config.fromfile(CONFIG)
    for part, count in (('train', 35), ('test', 14)):
        loader = cfg[f'{part}_dataloader']
        loader.dataset = dict(
            type='SyntheticSquatDataset',
            skeleton='mediapipe19',
            repetitions=(1, 1),
            part=part,
            num_sequences=count,
            prepare=[dict(type='ProjectSkeleton'), dict(type='CenterSkeleton')],
            pipeline=loader.dataset.pipeline,
        )
    cfg.train_dataloader.dataset.pipeline[-1].meta_keys = ('subject',)
    cfg.train_cfg.group = group
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = cfg.visualizer = None
    cfg.custom_hooks, cfg.work_dir, cfg.log_level = [], str(work_dir), 'WARNING'
    cfg.default_hooks.update(logger=None)
    fit_machine(cfg)
    return cfg


def test_one_pass_fits_what_a_checkpoint_then_holds(tmp_path):
    runner = Runner.from_cfg(config(tmp_path))
    runner.train()
    assert runner.epoch == 1
    found = runner.test()
    assert found['form/accuracy'] > 0.4  # of seven classes
    # Behind the normalization the features of the training set have mean 0 and variance 1.
    model = runner.model.eval()
    with torch.no_grad():
        joints = [
            model.data_preprocessor(batch)['inputs'].flatten(0, 2)
            for batch in runner.train_dataloader
        ]
        normal = torch.cat([model.represent(batch)[..., 0] for batch in joints]).numpy()
        plain = [torch.cat([r(j) for r in model.representations], 1)[..., 0] for j in joints]
    variance = torch.cat(plain).numpy().var(0)
    np.testing.assert_allclose(normal.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(normal.var(0), variance / (variance + 1e-5), rtol=1e-3)
    again = Runner.from_cfg(config(tmp_path / 'again'))
    again.load_checkpoint(str(tmp_path / 'epoch_1.pth'))
    assert again.test()['form/accuracy'] == found['form/accuracy']


def test_what_it_cannot_fit_is_told(tmp_path):
    with pytest.raises(SettingError, match=r"PackActionInputs\(meta_keys=\('day',\)\)"):
        Runner.from_cfg(config(tmp_path, group='day')).train()
    cfg = config(tmp_path)
    cfg.train_cfg.shrinkage = (0.4,)
    with pytest.raises(SettingError, match='shrinkage must be 2, one of each representation'):
        Runner.from_cfg(cfg).train()
