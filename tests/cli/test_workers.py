"""Workers are quiet about a command that has gone, and about nothing else."""

import multiprocessing
import sys
import threading

import pytest

from rpstn.cli.workers import quiet_workers

FORK = multiprocessing.get_context('fork')


def _tell_in_hook(error: Exception) -> None:
    """As multiprocessing.resource_sharer does in its thread."""
    try:
        raise error
    except Exception:
        sys.excepthook(*sys.exc_info())


def _raise_in_thread(error: Exception) -> None:
    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


@pytest.mark.parametrize('fail', [_tell_in_hook, _raise_in_thread])
@pytest.mark.parametrize(
    ('error', 'quiet'),
    [
        (ConnectionResetError(104, 'Connection reset by peer'), True),
        (BrokenPipeError(32, 'Broken pipe'), True),
        (EOFError(), True),
        (ZeroDivisionError('a fault'), False),
    ],
)
def test_a_worker_says_nothing_of_a_lost_connection(capfd, monkeypatch, fail, error, quiet):
    monkeypatch.setattr(sys, 'excepthook', sys.__excepthook__)
    monkeypatch.setattr(threading, 'excepthook', threading.__excepthook__)
    with quiet_workers():
        worker = FORK.Process(target=fail, args=(error,))
        worker.start()
        worker.join()
    said = capfd.readouterr().err
    assert (not said) if quiet else ('ZeroDivisionError: a fault' in said)


def test_the_command_itself_tells_of_one(capfd, monkeypatch):
    monkeypatch.setattr(sys, 'excepthook', sys.__excepthook__)
    with quiet_workers():
        _tell_in_hook(ConnectionResetError(104, 'Connection reset by peer'))
    assert 'Connection reset by peer' in capfd.readouterr().err
    assert sys.excepthook is sys.__excepthook__


def test_every_command_starts_its_workers_so(monkeypatch):
    from rpstn.cli import main as cli

    seen = []
    monkeypatch.setattr('rpstn.cli.doctor.run', lambda _: seen.append(sys.excepthook) or 0)
    before = sys.excepthook
    assert cli.main(['doctor']) == 0
    assert seen[0] is not before and sys.excepthook is before
