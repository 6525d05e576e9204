"""A training that was stopped and goes on ends where one that was never stopped does."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler

from rpstn.checkpoints import ModelError
from rpstn.engine.exact import KEY
from rpstn.engine.random_states import (
    kept_random_states,
    random_states,
    seed_items,
    set_random_states,
)
from rpstn.engine.resuming import check_start
from rpstn.engine.run import RunOptions, load_config, train

CONFIG = Path(__file__).parents[2] / 'configs/tdm_synthetic.py'
NONE = object()
RUN_OF_ITS_OWN = ('time', 'experiment_name', 'cfg', 'mmengine_version')
SETTINGS = {
    'model.backbone.channels': 8,
    'model.backbone.num_layers': 1,
    'model.cls_head.in_channels': 8,
    'model.cls_head.dropout': 0.3,
    'train_dataloader.dataset.num_sequences': 9,
    'train_dataloader.batch_size': 3,
    'val_dataloader.dataset.num_sequences': 7,
    'train_cfg.max_epochs': 4,
    'train_cfg.val_interval': 2,
    'default_hooks.checkpoint': dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=-1, save_best='form/nll', rule='less'
    ),
    # Gradients of odd batches are summed up to the next.
    'optim_wrapper.accumulative_counts': 2,
    # The seed is drawn, and so has to be in the checkpoint.
    'randomness.seed': None,
    'custom_hooks': [
        dict(type='EMAHook'),
        dict(type='EarlyStoppingHook', monitor='form/nll', rule='less', patience=9),
        dict(type='CheckpointHook', by_epoch=False, interval=1),
    ],
}


def run(folder: Path, settings: dict, config: Path = CONFIG, **resume) -> Path:
    given = {key: value for key, value in {**SETTINGS, **settings}.items() if value is not NONE}
    options = RunOptions(work_dir=str(folder), cfg_options=given)
    train(config, options, **resume)
    return folder


def saved(path: Path) -> dict:
    """All that has to be the same; not where files lie, nor how long it took."""
    content = torch.load(path, weights_only=True)
    for key in RUN_OF_ITS_OWN:
        del content['meta'][key]
    content['message_hub'] = {
        kind: {
            key: value
            for key, value in items.items()
            if not any(word in key for word in ('time', 'ckpt', 'cfg', 'experiment', 'version'))
        }
        for kind, items in content['message_hub'].items()
    }
    return content


def differences(a, b, place: str = '') -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [d for key in a for d in differences(a[key], b[key], f'{place}.{key}')]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for i in range(len(a)) for d in differences(a[i], b[i], f'{place}[{i}]')]
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a, b) else [f'{place}: {(a.double() - b.double()).abs().max()}']
    if hasattr(a, '__dict__'):
        return differences(vars(a), vars(b), place)
    same = np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == 'f')
    return [] if same else [f'{place}: {a!r:.60} and {b!r:.60}']


WORKERS = {
    name: {
        'train_dataloader.num_workers': workers,
        'train_dataloader.persistent_workers': persistent,
    }
    for name, workers, persistent in (
        ('none', 0, False),
        ('anew', 2, False),
        ('persistent', 2, True),
    )
}


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp('whole'), WORKERS['none'])


# After the second epoch there is a validation, and the checkpoint is written again if it is the
# best; batches 4 and 5 are in the middle of one, the ninth has summed a gradient that is not used.
@pytest.mark.parametrize(
    ('checkpoint', 'workers'),
    [
        ('epoch_2', 'none'),
        ('epoch_1', 'persistent'),
        pytest.param('iter_7', 'persistent', marks=pytest.mark.slow),
        pytest.param('iter_4', 'none', marks=pytest.mark.slow),
        pytest.param('iter_5', 'anew', marks=pytest.mark.slow),
        pytest.param('iter_9', 'none', marks=pytest.mark.slow),
        pytest.param('epoch_3', 'anew', marks=pytest.mark.slow),
    ],
)
def test_to_the_last_digit(whole, checkpoint, workers, tmp_path):
    """Whatever reads the data: what is drawn for an item depends on its place only."""
    part = run(tmp_path, WORKERS[workers], resume=str(whole / f'{checkpoint}.pth'))
    assert not differences(saved(whole / 'epoch_4.pth'), saved(part / 'epoch_4.pth'))


@pytest.mark.slow
def test_of_persistent_workers(tmp_path):
    """They draw random numbers for themselves only once, and yet."""
    whole = run(tmp_path / 'whole', WORKERS['persistent'])
    for checkpoint in ('epoch_1', 'iter_7'):
        part = run(
            tmp_path / checkpoint, WORKERS['persistent'], resume=str(whole / f'{checkpoint}.pth')
        )
        assert not differences(saved(whole / 'epoch_4.pth'), saved(part / 'epoch_4.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('workers', ['none', 'persistent'])
def test_by_iterations(workers, tmp_path):
    settings = {
        **WORKERS[workers],
        'default_hooks.checkpoint': dict(
            type='CheckpointHook', by_epoch=False, interval=1, max_keep_ckpts=-1, save_best=None
        ),
        'custom_hooks': [dict(type='EMAHook')],
        'param_scheduler': [dict(type='LinearLR', start_factor=0.1, end=6, by_epoch=False)],
        'default_hooks.logger.interval': 1,
        'log_processor.by_epoch': False,
    }
    for key in [key for key in SETTINGS if key.startswith('train_cfg')]:
        settings[key] = NONE  # not of this loop
    config = tmp_path / 'by_iter.py'
    loop = "dict(_delete_=True, type='IterBasedTrainLoop', max_iters=8, val_interval=3)"
    config.write_text(f"_base_ = '{CONFIG}'\ntrain_cfg = {loop}\n")
    whole = run(tmp_path / 'whole', settings, config)
    for checkpoint in ('iter_3', 'iter_4'):
        part = run(tmp_path / checkpoint, settings, config, resume=str(whole / f'{checkpoint}.pth'))
        assert not differences(saved(whole / 'iter_8.pth'), saved(part / 'iter_8.pth'))


def changed(whole: Path, checkpoint: str, change, path: Path) -> str:
    content = torch.load(whole / f'{checkpoint}.pth', weights_only=True)
    change(content)
    torch.save(content, path)
    return str(path)


def test_a_validation_that_a_kill_prevented_is_made_first(whole, tmp_path):
    def forget(content: dict) -> None:
        content[KEY]['validated'] = False
        content['message_hub']['runtime_info'].pop('best_score', None)

    path = changed(whole, 'epoch_4', forget, tmp_path / 'last.pth')
    run(tmp_path / 'work', WORKERS['none'], resume=path)
    assert [file.name for file in (tmp_path / 'work').glob('best_*')] == [
        'best_form_nll_epoch_4.pth'
    ]


def test_in_an_epoch_of_other_batches_it_is_not_gone_on(whole, tmp_path):
    with pytest.raises(ModelError, match='in the middle of an epoch of 3 batches, which now has 2'):
        run(
            tmp_path,
            {**WORKERS['none'], 'train_dataloader.dataset.num_sequences': 6},
            resume=str(whole / 'iter_4.pth'),
        )


@pytest.mark.parametrize(
    'change',
    [
        lambda saved: saved.update({KEY: []}),
        lambda saved: saved[KEY].pop('now'),
        lambda saved: saved[KEY].update(done=-1),
        lambda saved: saved[KEY].update(gradients={'a': 1}),
        lambda saved: saved[KEY].update(early_stopping=3),
        lambda saved: saved[KEY]['now'].update(torch=torch.zeros(3)),
        lambda saved: saved[KEY]['now'].update(numpy=[torch.zeros(3), 'a', None, 0]),
        lambda saved: saved[KEY]['now'].update(python=[torch.zeros(2), None]),
        lambda saved: saved['meta'].pop('epoch'),
        lambda saved: saved['meta'].update(iter='4'),
        lambda saved: saved.pop('optimizer'),
    ],
)
def test_what_cannot_be_gone_on_from_is_a_line(whole, change, tmp_path):
    config = load_config(CONFIG, RunOptions(cfg_options=SETTINGS))
    config.resume = True
    config.load_from = changed(whole, 'iter_4', change, tmp_path / 'odd.pth')
    with pytest.raises(ModelError, match='odd.pth') as error:
        check_start(config)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'states',
    [
        dict(optimizer=[1]),
        pytest.param(dict(message_hub=3), marks=pytest.mark.slow),
        pytest.param(dict(param_schedulers=[3]), marks=pytest.mark.slow),
        pytest.param(dict(optimizer=dict(state={}, param_groups=[])), marks=pytest.mark.slow),
    ],
)
def test_states_of_another_structure_are_a_line(whole, states, tmp_path):
    path = changed(whole, 'iter_4', lambda saved: saved.update(states), tmp_path / 'odd.pth')
    with pytest.raises(ModelError, match='odd.pth: the training cannot go on') as error:
        run(tmp_path / 'work', WORKERS['none'], resume=path)
    assert '\n' not in str(error.value)


def test_a_config_in_a_checkpoint_is_not_run(whole, tmp_path):
    """MMEngine runs meta.config, which a stranger may have written."""
    ran = tmp_path / 'ran'
    path = changed(
        whole,
        'epoch_4',
        lambda saved: saved['meta'].update(config=f'open({str(ran)!r}, "w")'),
        tmp_path / 'epoch_4.pth',
    )
    run(tmp_path / 'work', WORKERS['none'], resume=path)
    assert not ran.exists()


# Random numbers.


class Noise(torch.utils.data.Dataset):
    """Draws from all that can be drawn from."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> np.ndarray:
        return np.array([index, random.random(), np.random.rand(), torch.rand(1).item()])


def batches(workers: int, skip: int = 0, epoch: int = 3, **options) -> np.ndarray:
    torch.manual_seed(5)
    loader = DataLoader(
        (data := Noise()),
        2,
        sampler=RandomSampler(data),
        num_workers=workers,
        collate_fn=np.stack,
        **options,
    )
    seeded = seed_items(loader, seed=1, rank=0)
    assert seeded is not None and len(loader) == 3
    seeded.epoch, seeded.skip = epoch, skip
    return np.stack(list(loader))


def test_an_item_has_its_numbers_whoever_reads_it():
    alone = batches(0)
    assert len(np.unique(alone[..., 1:])) == 18
    np.testing.assert_array_equal(batches(2), alone)
    np.testing.assert_array_equal(batches(0, skip=2), alone[2:])
    assert not np.isin(batches(0, epoch=4)[..., 1:], alone[..., 1:]).any()


def test_reading_data_changes_nothing_for_the_model():
    def draw() -> list[float]:
        return [np.random.rand(), torch.rand(1).item()]

    states = random_states()
    first = draw()
    set_random_states(states)
    with kept_random_states():
        draw()
    assert draw() == first
