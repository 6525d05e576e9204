"""Files are whole: on a full disk, after a kill, by whatever they are written."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from rpstn.drawing import write_image
from rpstn.files import (
    ExistsError,
    WriteError,
    refuse_existing,
    remove_partials,
    replacing,
    staging,
    write_bytes,
    write_text,
)
from rpstn.growing_files import GrowingFile, NewFile
from rpstn.locks import FolderLock, LockedError
from rpstn.video.frames import VideoWriter, open_frames

from full_disk import room

BLOCK = 4096


def refused(path: Path):
    return pytest.raises(WriteError, match=rf'^{path}: cannot be written \(File too large\)$')


def test_the_old_file_stays_until_there_is_room_for_the_new_one(tmp_path):
    """At every byte of the last block."""
    path = tmp_path / 'a.json'
    old, new = b'old' * 10, os.urandom(2 * BLOCK)
    write_bytes(path, old)
    for size in range(BLOCK, 2 * BLOCK):
        with refused(path), room(size):
            write_bytes(path, new)
        assert path.read_bytes() == old and os.listdir(tmp_path) == ['a.json']
    with room(2 * BLOCK):
        write_bytes(path, new)
    assert path.read_bytes() == new


@pytest.mark.parametrize('end', [b'', b'\n]}\n'])
def test_a_growing_file_is_whole_after_every_piece(tmp_path, end):
    """At every byte of a block that a piece and the end may begin or end in."""
    path = tmp_path / 'a.json'
    file = GrowingFile(path, b'{[', end)
    pieces = [b'first', os.urandom(BLOCK - 10), os.urandom(100), b'last']
    told = b''
    for piece in pieces:
        whole = b'{[' + told + end
        for size in {*range(len(whole) - len(end), len(whole) + len(piece), 7), len(whole)}:
            with refused(path), room(size):
                file.append(piece)
            assert path.read_bytes() == whole
        file.append(piece)
        told += piece
        assert path.read_bytes() == b'{[' + told + end
    file.close()
    again = GrowingFile(path, keep=len(told) + 2)
    again.append(b'more')
    assert path.read_bytes() == b'{[' + told + b'more'


@pytest.mark.parametrize('live', [False, True])
def test_a_video_that_does_not_fit_is_refused(tmp_path, live):
    """FFmpeg does not always say so; here at every 64th byte of the last block."""
    # Of smaller frames x264 does not make the same number of bytes every time.
    images = np.random.default_rng(0).integers(0, 255, (4, 96, 128, 3), np.uint8)

    def write(path: Path) -> int:
        with VideoWriter(path, 10.0, (128, 96), live) as writer:
            for image in images:
                writer.write(image)
        return path.stat().st_size

    path = tmp_path / 'a.mp4'
    whole = write(path)
    assert whole > BLOCK
    for size in [0, 10, 100, *range(whole - BLOCK, whole, 64), whole - 1]:
        with refused(path), room(size):
            write(path)
    with room(whole):
        write(path)
    assert len(list(open_frames(path))) == 4
    with pytest.raises(WriteError, match=rf'^{path}: '), room(whole // 2), replacing(path) as part:
        write(part)
    assert len(list(open_frames(path))) == 4 and os.listdir(tmp_path) == ['a.mp4']


def test_an_image_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / 'a.png'
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    write_image(path, image)
    whole = path.read_bytes()
    for size in range(len(whole)):
        with refused(path), room(size):
            write_image(path, 255 - image)
    assert path.read_bytes() == whole
    with pytest.raises(WriteError, match='a.gaga: cannot be written'):
        write_image(tmp_path / 'a.gaga', image)


def test_several_files_come_together_or_not_at_all(tmp_path):
    (tmp_path / 'b').write_text('old')
    with pytest.raises(WriteError), room(10), staging(tmp_path) as folder:
        (folder / 'a').write_bytes(b'12345')
        (folder / 'b').write_bytes(b'123456789012345')
    assert os.listdir(tmp_path) == ['b'] and (tmp_path / 'b').read_text() == 'old'
    with staging(tmp_path), pytest.raises(LockedError, match='choose another folder'):
        with staging(tmp_path):
            pass
    assert os.listdir(tmp_path) == ['b']


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / 'a.pth'
    contents = [bytes([k]) * 300_000 for k in range(2)]
    write_bytes(path, contents[0])
    rng = np.random.default_rng(0)
    for _ in range(10):
        child = os.fork()
        if not child:
            for k in range(10**9):
                write_bytes(path, contents[k % 2])
        time.sleep(rng.uniform(0.005, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert path.read_bytes() in contents
    (tmp_path / '.b.partial').touch()  # somebody else's
    remove_partials(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['.b.partial', 'a.pth']


def test_nothing_is_written_through_a_link(tmp_path):
    other = tmp_path / 'other'
    other.write_text('theirs')
    for write in (NewFile, GrowingFile, lambda path: write_text(path, 'ours')):
        link = tmp_path / 'link'
        link.symlink_to(other)
        write(link)
        assert other.read_text() == 'theirs' and not link.is_symlink()
        link.unlink()
    link.symlink_to(other)
    with pytest.raises(WriteError, match='link: cannot be written'):
        GrowingFile(link, keep=3)
    with pytest.raises(ExistsError, match='link: is there already; add --overwrite'):
        refuse_existing([tmp_path / 'nothing', link])


def test_long_names_and_modes(tmp_path):
    for name in ('a' * 255, 'b.' + 'c' * 250, 'd' * 250 + '.json'):
        write_text(tmp_path / name, 'x')
    (tmp_path / 'plain').touch()
    assert (tmp_path / name).stat().st_mode == (tmp_path / 'plain').stat().st_mode


# Locks.


def test_a_folder_is_for_one_at_a_time(tmp_path):
    with FolderLock(tmp_path, 'use another'):
        message = rf'^{tmp_path}: another process .*{os.getpid()}\); wait for it, or use another$'
        with pytest.raises(LockedError, match=message):
            FolderLock(tmp_path, 'use another')
    lock = FolderLock(tmp_path, '')
    lock.release()
    lock.release()
    assert not os.listdir(tmp_path)


def test_a_lock_goes_with_its_process_whatever_children_it_leaves(tmp_path):
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        FolderLock(tmp_path, '')
        if not os.fork():  # who tells once it runs: until then it has what its parent has
            os.write(writes, f'{os.getpid()}'.encode())
        time.sleep(60)
        os._exit(0)
    grandchild = int(os.read(reads, 20))
    try:
        with pytest.raises(LockedError):
            FolderLock(tmp_path, '')
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        FolderLock(tmp_path, '').release()
    finally:
        os.kill(grandchild, signal.SIGKILL)
