"""Trainings lose no checkpoint on a full disk, and do not share a folder."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.fileio import dump
from mmengine.hooks import CheckpointHook

from rpstn.engine.run import RunOptions, train
from rpstn.engine.work_folder import working_in
from rpstn.errors import RPSTNError
from rpstn.files import WriteError, write_text
from rpstn.locks import LockedError

from full_disk import room

ROOT = Path(__file__).parents[2]
FORM = (
    ROOT / 'configs/tdm_synthetic.py',
    {
        'train_dataloader.dataset.num_sequences': 14,
        'train_dataloader.batch_size': 7,
        'val_dataloader.dataset.num_sequences': 7,
        'train_cfg.max_epochs': 2,
        'train_cfg.val_interval': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': 1,
        'default_hooks.checkpoint.save_best': 'form/nll',
        'default_hooks.checkpoint.rule': 'less',
    },
)


def steps(folder: Path) -> list[str]:
    """The numbered checkpoints, all of which can be read."""
    found = sorted(folder.glob('epoch_*.pth'))
    for path in found:
        torch.load(path, weights_only=False)
    return [path.stem for path in found]


def test_a_full_disk_while_a_training_saves_costs_no_checkpoint(tmp_path):
    config, settings = FORM
    options = RunOptions(
        work_dir=str(tmp_path), cfg_options={**settings, 'train_cfg.max_epochs': 1}
    )
    train(config, options)
    assert steps(tmp_path) == ['epoch_1'] and len(list(tmp_path.glob('best_*.pth'))) == 1
    before = (tmp_path / 'last_checkpoint').read_text()
    assert before.endswith('epoch_1.pth')
    size = (tmp_path / 'epoch_1.pth').stat().st_size
    options = RunOptions(work_dir=str(tmp_path), cfg_options=settings)
    with room(size - 1000), pytest.raises(RPSTNError) as refused:
        train(config, options, resume='auto')
    assert str(refused.value) == (
        f'{tmp_path}/epoch_2.pth: cannot be written (File too large); --resume goes on from the '
        'last checkpoint'
    )
    assert steps(tmp_path) == ['epoch_1'] and (tmp_path / 'last_checkpoint').read_text() == before
    train(config, options, resume='auto')
    assert steps(tmp_path) == ['epoch_2'] and len(list(tmp_path.glob('best_*.pth'))) == 1
    assert not list(tmp_path.glob('.*'))


class Saving:
    """What the hook asks of a runner; it notes what is there each time that something is saved."""

    class message_hub:
        runtime_info: dict = {}
        update_info = runtime_info.__setitem__
        get_info = runtime_info.__getitem__

    def __init__(self, folder: Path) -> None:
        self.work_dir, self.folder = str(folder), folder
        self.epoch = self.iter = 0
        self.seen: list[set[str]] = []

    def save_checkpoint(self, out_dir, filename, *_, **__) -> None:
        self.seen.append({path.name for path in self.folder.glob('*.pth')})
        write_text(Path(out_dir) / filename, 'weights')

    @property
    def logger(self):
        return self

    def info(self, *_) -> None:
        pass


@pytest.mark.parametrize('keep', [1, 2])
def test_old_checkpoints_go_when_new_ones_stand(tmp_path, keep):
    hook = CheckpointHook(max_keep_ckpts=keep, save_best='acc', rule='greater')
    runner = Saving(tmp_path)
    runner.message_hub.runtime_info.clear()
    hook.before_train(runner)
    for epoch, score in enumerate([0.5, 0.6, 0.4, 0.7, 0.7, 0.9], 1):
        hook._save_checkpoint(runner)
        runner.epoch = epoch
        hook._save_best_checkpoint(runner, dict(acc=score))
        there = {path.name for path in tmp_path.glob('*.pth')}
        kept = {f'epoch_{number}.pth' for number in range(max(1, epoch - keep + 1), epoch + 1)}
        assert there - kept == {f'best_acc_epoch_{[1, 2, 2, 4, 4, 6][epoch - 1]}.pth'}
        assert there >= kept
        assert (tmp_path / 'last_checkpoint').read_text() == f'{tmp_path}/epoch_{epoch}.pth'
    # From the second on there is a checkpoint, and a best one, whenever the next is written.
    assert all(any(name.startswith('epoch') for name in seen) for seen in runner.seen[1:])
    assert all(any(name.startswith('best') for name in seen) for seen in runner.seen[2:])


def test_what_mmengine_dumps_is_whole(tmp_path):
    for name, content in (('a.json', [1] * 2000), ('a.pkl', b'1' * 5000)):
        dump([], tmp_path / name)
        before = (tmp_path / name).read_bytes()
        for size in (0, 10, 4096):
            with room(size), pytest.raises(WriteError, match=f'{name}: cannot be written'):
                dump(content, tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


# The folder.


def test_two_trainings_do_not_share_a_folder(tmp_path):
    config, settings = FORM
    with working_in(tmp_path), pytest.raises(LockedError, match='use another --work-dir'):
        train(config, RunOptions(work_dir=str(tmp_path), cfg_options=settings))
    assert not os.listdir(tmp_path)


def test_one_process_of_a_launcher_is_enough(tmp_path, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    with working_in(tmp_path):
        with working_in(tmp_path, 'pytorch'):
            pass
        monkeypatch.setenv('RANK', '0')
        with pytest.raises(LockedError), working_in(tmp_path, 'pytorch'):
            pass


def test_a_folder_that_nothing_came_into_is_gone(tmp_path):
    (tmp_path / '.0123456789abcdef.partial.pth').touch()  # as a kill leaves it
    with pytest.raises(ZeroDivisionError), working_in(tmp_path / 'a/b'):
        raise ZeroDivisionError
    with working_in(tmp_path):
        pass
    assert not os.listdir(tmp_path)


def test_a_full_disk_is_named_and_other_errors_are_left(tmp_path):
    with pytest.raises(WriteError, match=f'^{tmp_path}: cannot be written .*--resume goes on'):
        with room(10), working_in(tmp_path), open(tmp_path / 'scalars', 'wb', buffering=0) as file:
            file.write(b'0123456789')
            file.write(b'0')
    with pytest.raises(FileNotFoundError), working_in(tmp_path):
        open(tmp_path / 'nothing')
