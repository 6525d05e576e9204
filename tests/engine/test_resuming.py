"""Checkpoints that training and testing start from: of this model, and in this work folder."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS, init_default_scope

from rpstn.checkpoints import ModelError
from rpstn.engine.last_checkpoint import last_checkpoint
from rpstn.engine.loading import read_model
from rpstn.engine.resuming import BestBesideHook, check_start
from rpstn.engine.run import RunOptions, train
from rpstn.engine.run import test as run_test
from rpstn.errors import SettingError

from tiny_rpstn import tiny_config

ROOT = Path(__file__).parents[2]
FORM = dict(
    default_scope='mmaction',
    model=dict(
        type='TemporalDistanceRecognizer',
        representation=dict(type='JointCoordinates', skeleton='coco17', axes=(0, 1)),
        backbone=dict(type='TemporalResNet1D', in_channels=34),
        cls_head=dict(type='TemporalHead', num_classes=3, in_channels=256),
    ),
)


def saved(path, config: Config, **more) -> str:
    init_default_scope(config.get('default_scope', 'mmpose'))
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict(), meta={}, **more), path)
    return str(path)


def narrow(joints: int = 5, **more) -> Config:
    return Config(dict(tiny_config(channels=8, joints=joints)._cfg_dict, **more))


@pytest.fixture
def said(caplog):
    """A function that gives the warnings of MMEngine's current logger."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: [
        record.getMessage() for record in caplog.records if record.levelname == 'WARNING'
    ]
    logger.removeHandler(caplog.handler)


# Weights that fit, partly or not at all.


def test_a_test_refuses_other_weights_before_anything_is_built(tmp_path):
    """As `rpstn infer` does; MMEngine would print figures of an untrained network."""
    checkpoint = saved(tmp_path / 'other.pth', narrow(joints=6))
    config = tmp_path / 'config.py'
    narrow().dump(config)  # no data, no loops
    with pytest.raises(
        ModelError, match='other.pth does not fit .*config.py: .*another shape'
    ) as e:
        run_test(config, checkpoint, RunOptions(work_dir=str(tmp_path / 'work')))
    assert '\n' not in str(e.value) and not (tmp_path / 'work').exists()


@pytest.mark.parametrize('config', [narrow(), Config(FORM)], ids=['pose', 'form'])
def test_weights_that_fit_are_taken_silently_and_extra_ones_are_named(config, tmp_path, said):
    path = saved(tmp_path / 'a.pth', config)
    read_model(config, path, partly=True)
    assert not said()
    content = torch.load(path)
    first = next(iter(content['state_dict']))
    content['state_dict']['neck.weight'] = content['state_dict'].pop(first)
    torch.save(content, path)
    message = f'a.pth does not fit .*1 .* missing, the first {first}; 1 .* unknown, .*neck.weight'
    with pytest.raises(ModelError, match=message):
        read_model(config, path)


def test_fine_tuning_takes_what_fits_and_says_what_does_not(tmp_path, said):
    pretrained = Config(FORM)
    pretrained.model.cls_head.num_classes = 7
    path = saved(tmp_path / 'seven.pth', pretrained)
    config = Config(dict(FORM, load_from=path))
    check_start(config)
    (line,) = said()
    total = len([k for k in torch.load(path)['state_dict'] if 'num_batches' not in k])
    assert f'{total - 2} of the {total} weights' in line
    assert '2 weights have another shape, the first cls_head.classify.weight' in line
    with pytest.raises(ModelError, match='seven.pth does not fit'):
        check_start(Config(dict(config._cfg_dict, resume=True)))


@pytest.mark.parametrize('resume', [False, True])
def test_weights_of_which_nothing_fits_are_refused(tmp_path, resume):
    path = saved(tmp_path / 'pose.pth', narrow())
    with pytest.raises(ModelError, match=r'pose.pth does not fit the config: \d+ weights are miss'):
        check_start(Config(dict(FORM, load_from=path, resume=resume)))


def test_going_on_needs_more_than_weights(tmp_path):
    path = saved(tmp_path / 'best.pth', Config(FORM))
    check_start(Config(dict(FORM, load_from=path)))
    with pytest.raises(ModelError, match='best.pth: .*message_hub, meta, optimizer, got meta;'):
        check_start(Config(dict(FORM, load_from=path, resume=True)))


# The last checkpoint, and the best.


def test_a_training_goes_on_in_a_folder_that_was_renamed(tmp_path):
    def run(name: str, epochs: int, **resume) -> Path:
        settings = {
            'train_dataloader.dataset.num_sequences': 14,
            'train_dataloader.batch_size': 7,
            'val_dataloader.dataset.num_sequences': 7,
            'train_cfg.max_epochs': epochs,
            'train_cfg.val_interval': 1,
            'default_hooks.checkpoint.save_best': 'form/nll',
            'default_hooks.checkpoint.rule': 'less',
        }
        options = RunOptions(work_dir=str(tmp_path / name), cfg_options=settings)
        train(ROOT / 'configs/tdm_synthetic.py', options, **resume)
        return tmp_path / name

    run('before', 1).rename(tmp_path / 'now')
    now = run('now', 2, resume='auto')
    assert torch.load(now / 'epoch_2.pth', weights_only=False)['meta']['epoch'] == 2
    assert len(list(now.glob('best_*.pth'))) == 1 and not (tmp_path / 'before').exists()


def whole(path: Path) -> str:
    """A checkpoint that a training can go on from, as far as can be told without its config."""
    torch.save(dict(state_dict={}, meta={}, message_hub={}), path)
    return str(path)


def test_the_last_checkpoint_is_found_where_the_folder_lies_now(tmp_path):
    before, now = tmp_path / 'before', tmp_path / 'now'
    before.mkdir()
    assert last_checkpoint(before) is None
    whole(before / 'epoch_1.pth')
    (before / 'last_checkpoint').write_text(f'{before}/epoch_1.pth')
    before.rename(now)
    assert last_checkpoint(now) == f'{now}/epoch_1.pth'
    before.mkdir()
    whole(before / 'epoch_1.pth')  # a copy goes on from its own
    assert last_checkpoint(now) == f'{now}/epoch_1.pth'
    (now / 'epoch_1.pth').unlink()  # as with CheckpointHook(out_dir=...)
    assert last_checkpoint(now) == f'{before}/epoch_1.pth'
    config = Config(dict(FORM, resume=True, work_dir=str(tmp_path / 'new')))
    check_start(config)
    assert config.load_from is None  # MMEngine begins anew, and says so


@pytest.mark.parametrize('note', ['epoch_10.pth', 'epoch_11.pth', '', None])
def test_where_the_last_checkpoint_is_not_whole_it_is_the_one_before(tmp_path, said, note):
    """Named but cut or not there; nothing noted, as by other programs on a full disk; no note."""
    for number in (2, 9):
        best = whole(tmp_path / f'epoch_{number}.pth')
    for name in ('best_acc_epoch_12.pth', 'pretrained_50.pth', '.0123456789abcdef.partial.pth'):
        whole(tmp_path / name)
    (tmp_path / 'epoch_10.pth').write_bytes((tmp_path / 'epoch_9.pth').read_bytes()[:-50])
    if note is not None:
        (tmp_path / 'last_checkpoint').write_text(note and f'{tmp_path}/{note}')
    assert last_checkpoint(tmp_path) == best
    (line,) = said()
    assert line.endswith(f'goes on from {best}')
    assert (note or 'last_checkpoint') in line


def test_where_no_checkpoint_is_whole_it_is_a_line(tmp_path):
    (tmp_path / 'epoch_2.pth').touch()
    with pytest.raises(SettingError, match=r'last_checkpoint: must name a whole .*got nothing; na'):
        last_checkpoint(tmp_path)
    (tmp_path / 'last_checkpoint').write_text('/nowhere/epoch_3.pth')
    with pytest.raises(SettingError, match='must name a whole .*got /nowhere/epoch_3.pth'):
        last_checkpoint(tmp_path)


class Resumed:
    """What the hook asks of a runner that has resumed."""

    def __init__(self, work_dir, out_dir=None) -> None:
        self.work_dir = str(work_dir)
        self.hooks = [CheckpointHook(save_best='acc', out_dir=out_dir)]
        self.message_hub = MessageHub(str(work_dir))
        self.message_hub.update_info('best_ckpt', '/before/best_acc_epoch_1.pth')

    @property
    def best(self) -> str | None:
        BestBesideHook().before_train(self)
        return self.message_hub.runtime_info.get('best_ckpt')


def test_a_better_checkpoint_never_removes_the_one_of_another_folder(tmp_path):
    assert Resumed(tmp_path).best is None
    assert Resumed(tmp_path, out_dir='/before').best == '/before/best_acc_epoch_1.pth'
    (tmp_path / 'best_acc_epoch_1.pth').touch()
    assert Resumed(tmp_path).best == f'{tmp_path}/best_acc_epoch_1.pth'


def test_data_that_is_not_there_is_a_line(command, tmp_path, monkeypatch):
    monkeypatch.setenv('RPSTN_DATA', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    status, said = command(
        'train',
        ROOT / 'configs/tdm_waseda.py',
        '--work-dir',
        tmp_path / 'work',
        '--cfg-options',
        'train_dataloader.dataset.data_root=nowhere',
    )
    assert status == 1 and 'Traceback' not in said
    assert said.splitlines()[-1].startswith("'nowhere' was not found; looked at: ")
