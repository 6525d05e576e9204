"""The one door: light, quiet when stopped, one line on what a user can mend."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rpstn.cli import main as cli
from rpstn.errors import RPSTNError

ROOT = Path(__file__).parents[2]
HEAVY = ('torch', 'numpy', 'cv2', 'mmengine', 'mmpose', 'mmaction', 'matplotlib', 'rich')


@pytest.mark.parametrize('verb', ['', *cli.VERBS])
def test_help_needs_nothing_that_takes_time(run_python, verb):
    process = run_python(
        f"""
import sys
from rpstn.cli.main import main
before = list(sys.argv)
try:
    main([*{verb.split()!r}, '--help'])
except SystemExit as stop:
    assert stop.code == 0
loaded = [name for name in {HEAVY} if name in sys.modules]
assert not loaded, loaded
assert sys.argv == before
"""
    )
    assert process.returncode == 0, process.stderr
    assert 'usage: rpstn' in process.stdout


def test_every_verb_is_a_module_that_says_what_it_does():
    parser = cli.build_parser()
    (actions,) = (
        action
        for action in parser._actions
        if hasattr(action, 'choices') and isinstance(action.choices, dict)
    )
    assert tuple(actions.choices) == cli.VERBS
    for verb in actions.choices.values():
        assert verb.description and callable(verb.get_default('run'))


@pytest.mark.parametrize(
    ('error', 'status', 'said'),
    [
        (RPSTNError('a.py: joints must be 13, got 4'), 1, 'a.py: joints must be 13, got 4'),
        (FileNotFoundError(2, 'No such file', 'a.mp4'), 1, "[Errno 2] No such file: 'a.mp4'"),
        (RPSTNError(), 1, 'RPSTNError'),
        (KeyboardInterrupt(), 130, ''),
        (KeyboardInterrupt('stopped after 3 frames'), 130, 'stopped after 3 frames'),
    ],
)
def test_what_a_user_can_mend_is_a_line_and_a_status(monkeypatch, capsys, error, status, said):
    def fail(_) -> int:
        raise error

    monkeypatch.setattr('rpstn.cli.doctor.run', fail)
    assert cli.main(['doctor']) == status
    captured = capsys.readouterr()
    assert captured.err.strip() == said and not captured.out


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    def fail(_) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr('rpstn.cli.doctor.run', fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(['doctor'])


def test_ctrl_c_that_others_make_an_error_of_is_quiet(monkeypatch, capsys):
    def fail(_) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            raise SyntaxError('as MMEngine does while it formats a config') from None
        return 0

    monkeypatch.setattr('rpstn.cli.doctor.run', fail)
    assert cli.main(['doctor']) == 130
    assert not capsys.readouterr().err


@pytest.mark.parametrize('seconds', [0.5, 1.0, 2.0, 4.0, 8.0])
def test_ctrl_c_is_quiet_from_the_first_second_on(tmp_path, seconds):
    process = subprocess.Popen(
        [
            sys.executable,
            '-m',
            'rpstn',
            'train',
            ROOT / 'configs/rpstn_demo.py',
            '--work-dir',
            tmp_path,
        ],
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert 'Traceback' not in said and 'KeyboardInterrupt' not in said


def test_what_is_not_installed_is_a_line(run_python):
    process = run_python(
        "from rpstn.cli.main import main\nsys.exit(main(['infer', 'a.mp4', '--out', 'out']))",
        hidden=('mmpose',),
    )
    assert process.returncode == 1 and process.stderr.count('\n') == 1, process.stderr
    assert "No module named 'mmpose" in process.stderr and 'rpstn doctor' in process.stderr
