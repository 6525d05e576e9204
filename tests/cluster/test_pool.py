"""Workers by Ray that are killed, that die of a task, that cannot start, that share a GPU."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from rpstn.cluster.pool import ClusterError, Pool, connected, shares
from rpstn.cluster.trainings import map_tasks

pytestmark = pytest.mark.usefixtures('nothing_left')


def toy(folder: Path):
    """Workers without a model; by value, as Ray's processes do not know this module."""

    class Toy:
        def load(self) -> str:
            return 'no such model' if folder.name == 'none' else ''

        def close(self) -> None:
            (folder / f'closed-{os.getpid()}').touch()

        def do(self, task: str) -> tuple[str, int]:
            with open(folder / task, 'a') as file:
                file.write(f'{os.getpid()}\n')
            if task == 'poison':
                os.abort()
            if task == 'killed' and len((folder / task).read_text().split()) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return task, os.getpid()

    return Toy


@pytest.mark.slow
def test_every_task_is_done_once_or_given_up_with_its_reason(tmp_path):
    tasks = ['a', 'poison', 'b', 'killed', *(f'task{n}' for n in range(20))]
    ticks = []
    with connected(None, cores=2, gpus=2) as ray_here:
        assert shares(ray_here, 3, 1, on_gpu=True) == (3, 0.5)
        assert shares(ray_here, None, 1, on_gpu=True) == (2, 1.0)
        assert shares(ray_here, None, 1, on_gpu=False) == (2, 0.0)
        pool = Pool(ray_here, toy(tmp_path), workers=2, gpu=1.0)
        done = {one.task: one for one in pool.run(tasks, lambda: ticks.append(1))}
        with pytest.raises(ClusterError, match='^no such model$'):
            list(Pool(ray_here, toy(tmp_path / 'none'), workers=1).run(['a']))
        assert dict(map_tasks(partial(int, base=2), ['1', '10'], 'auto')) == {'1': 1, '10': 2}
        with pytest.raises(ValueError, match='invalid literal'):
            dict(map_tasks(int, ['1', 'x', '2'], 'auto'))
    assert sorted(done) == sorted(tasks) and ticks
    for task in set(tasks) - {'poison', 'killed'}:
        assert done[task].answer[0] == task and done[task].tries == 1
        assert len((tmp_path / task).read_text().split()) == 1, 'done once'
    assert done['poison'].answer is None and done['poison'].tries == 3
    assert 'Worker unexpectedly exits' in done['poison'].reason
    assert '\n' not in done['poison'].reason and len(done['poison'].reason) < 200
    assert done['killed'].tries == 2 and done['killed'].answer[0] == 'killed'
    assert list(tmp_path.glob('closed-*'))


@pytest.mark.parametrize('address', ['127.0.0.1:9', 'ray://127.0.0.1:9', 'host:x'])
def test_a_cluster_that_is_not_there_is_a_line(address):
    with pytest.raises(ClusterError, match=f'^{address}: no Ray cluster answers'):
        with connected(address, 1):
            pass
