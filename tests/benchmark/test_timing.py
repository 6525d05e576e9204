"""Calls are timed in turns, in processes of their own; what fails is told, and the rest goes on."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rpstn.benchmark.report import Section
from rpstn.benchmark.timing import Call, Timing, measure, timed


def test_each_call_is_timed_in_its_own_process(capfd):
    found = measure(
        dict(
            short=partial(Call, partial(time.sleep, 0.02)),
            clip=partial(Call, partial(time.sleep, 0.06), 3, 'a clock'),
            large=partial(Call, partial(torch.ones, 300 * 2**18)),
            loud=partial(Call, partial(print, 'libraries print')),
            broken=partial(Path('no such file').read_text),
            late=partial(Call, partial(next, iter('abc'))),
            dying=partial(Call, partial(os._exit, 3)),
        ),
        rounds=2,
        units=4,
        threads=1,
    )
    assert np.shape(found['short'].ms) == np.shape(found['short'].cpu_ms) == (2, 4)
    assert np.shape(found['clip'].ms) == (2, 1)  # a call takes three of the four
    for name in ('short', 'clip'):
        assert 20 <= np.median(found[name].ms) < 200 and np.median(found[name].cpu_ms) < 10
    assert np.median(found['large'].cpu_ms) > 10
    assert found['clip'].device == 'a clock' and 'PyTorch' in found['short'].device
    # The memory of one is not that of another, nor of this process.
    assert 290 < found['large'].memory - found['large'].memory_before < 400
    assert found['short'].memory - found['short'].memory_before < 20
    assert found['broken'].error == "[Errno 2] No such file or directory: 'no such file'"
    assert found['late'].error == 'StopIteration' and not found['late'].ms
    assert 'terminated abruptly' in found['dying'].error
    assert found['loud'].error == '' and capfd.readouterr().out == ''


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='processes are read from /proc')
def test_no_process_outlives_one_that_is_killed(tmp_path):
    script = tmp_path / 'run.py'
    script.write_text(
        'import os, sys, time\n'
        'from functools import partial\n'
        'from rpstn.benchmark.timing import Call, measure\n'
        'def build():\n'
        f'    open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))\n'
        '    return Call(partial(time.sleep, 0.01))\n'
        'if __name__ == "__main__":\n'
        '    measure(dict(a=build), rounds=100000, units=1, threads=1)\n'
    )
    driver = subprocess.Popen([sys.executable, str(script)])
    try:
        wait_for(lambda: (tmp_path / 'pid').exists() and (tmp_path / 'pid').read_text())
        child = int((tmp_path / 'pid').read_text())
        assert running(child) and child != driver.pid
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    wait_for(lambda: not running(child))


def running(pid: int) -> bool:
    try:
        return ') Z ' not in Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False


def wait_for(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError('waited for a minute')


def test_times_are_those_that_pass_and_those_that_are_worked():
    passed, worked = timed(lambda: time.sleep(0.03), 3)
    assert len(passed) == len(worked) == 3
    assert min(passed) >= 30 > max(worked)


def test_the_section_compares_turn_by_turn():
    def timing(turns: list) -> Timing:
        return Timing('x', turns, [[2 * ms for ms in turn] for turn in turns], 50.0, 100.4)

    # Half of the first's time in each of three turns, in the second of which the machine was slow.
    text = Section(
        title='Title',
        header=['part', 'ms'],
        rows=[['all', 1.234]],
        text='Words.',
        timings={
            'slow': timing([[10.0] * 3, [1000.0] * 3, [10.0] * 3]),
            'fast': timing([[5.0] * 3, [500.0] * 3, [5.0] * 3]),
            'none': Timing(error='no such engine'),
        },
    ).markdown()
    rows = [
        [cell.strip() for cell in line.split('|')][1:-1]
        for line in text.splitlines()
        if line.startswith('|')
    ]
    assert rows[2] == ['slow', '10.0', '1000.0', '1.00', '20.0', '1.00', '100']
    assert rows[3] == ['fast', '5.0', '500.0', '0.50', '10.0', '0.50', '100']
    assert rows[-1] == ['all', '1.23']
    assert text.startswith('### Title\n') and '\n\n- none: not measured: no such engine\n\n' in text


def test_without_the_first_there_is_nothing_to_compare_with():
    timings = dict(a=Timing(error='gone'), b=Timing('x', [[1.0]], [[1.0]], 1.0, 1.0))
    text = Section('Title', ['part'], [['all']], timings=timings).markdown()
    assert '| b   |                  1.0 |             1.0 |            - |' in text
