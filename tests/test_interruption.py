"""Ctrl-C where a library that calls Python back would drop it."""

import signal
import threading

import av
import numpy as np
import pytest

from rpstn.interruption import uninterrupted
from rpstn.video.frames import VideoWriter


@pytest.fixture(autouse=True)
def ctrl_c():
    """A shell that starts these tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_comes_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_within_comes_up_as_it_is():
    with pytest.raises(ZeroDivisionError), uninterrupted():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_are_not_interrupted_anyway():
    errors = []

    def work():
        try:
            with uninterrupted():
                pass
        except ValueError as error:  # of signal.signal
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors


def test_a_video_has_all_bytes_though_it_comes_while_they_are_written(tmp_path):
    """FFmpeg writes by a method of ours, what is raised in which it does not tell."""
    path, image = tmp_path / 'a.mp4', np.zeros((48, 64, 3), np.uint8)
    writer = VideoWriter(path, 10, (64, 48))
    write = writer._target.file.write

    def interrupted(data: bytes) -> int:
        signal.raise_signal(signal.SIGINT)
        return write(data)

    writer._target.file.write = interrupted
    for _ in range(5):
        writer.write(image)
    with pytest.raises(KeyboardInterrupt):
        writer.__exit__()
    with av.open(str(path)) as file:
        assert len(list(file.decode(video=0))) == 5
