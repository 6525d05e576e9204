"""Storage elsewhere: a web server that fails now and then, and a real S3 server."""

from pathlib import Path

import pytest

from rpstn.cluster import storage
from rpstn.cluster.inputs import find_videos
from rpstn.cluster.storage import Folder, StorageError, fetch


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(storage, 'FIRST_WAIT', 0.01)


def test_what_fails_now_and_then_is_asked_again(web, tmp_path):
    address, folder = web
    (folder / 'a b.mp4').write_bytes(bytes(3_000_000))
    for number in range(6):  # a third of all requests fails
        path = fetch(f'{address}/a%20b.mp4?n={number}', tmp_path / str(number))
        assert path.name == 'a b.mp4' and path.stat().st_size == 3_000_000


def test_what_is_not_there_or_too_large_is_told_at_once(web, tmp_path, monkeypatch):
    address, folder = web
    with pytest.raises(StorageError, match=r'/none\.mp4: no such file or folder$'):
        fetch(f'{address}/none.mp4', tmp_path)
    (folder / 'large.mp4').write_bytes(bytes(2_000_000))
    monkeypatch.setenv('RPSTN_MAX_FETCHED_BYTES', '1000000')
    with pytest.raises(StorageError, match='above the limit of 1,000,000 .RPSTN_MAX_FETCHED_BYTES'):
        fetch(f'{address}/large.mp4', tmp_path)


def test_a_server_that_is_gone_is_a_line_without_secrets(tmp_path, monkeypatch):
    with pytest.raises(StorageError, match=r'^http://127\.0\.0\.1:9/a\.mp4\?key=\*\*\*: .*5 times'):
        fetch('http://me:secret@127.0.0.1:9/a.mp4?key=secret', tmp_path)
    with pytest.raises(StorageError, match='cannot be on a web server'):
        Folder('https://club.org/out')


def test_a_folder_here(tmp_path):
    folder = Folder(str(tmp_path / 'out'))
    (tmp_path / 'file').write_bytes(b'1')
    folder.put(tmp_path / 'file', 'a/b.csv')
    folder.write('a/c.csv', b'2')
    (tmp_path / 'out' / '.0123456789abcdef.partial.csv').write_bytes(b'of a kill')
    assert folder.files() == {'a/b.csv', 'a/c.csv'}
    folder.remove('a/b.csv')
    folder.remove('a/b.csv')
    assert folder.files() == {'a/c.csv'} and folder.read('a/c.csv') == b'2'
    assert list((tmp_path / 'out').iterdir()) == [tmp_path / 'out/a']


def test_s3(s3, tmp_path):
    folder = Folder(f'{s3}/tests/')
    (tmp_path / 'file').write_bytes(bytes(6_000_000))
    for name in ('v/a/one.mp4', 'v/b/one.mp4', 'v/b/10?[x].mp4', 'v/b/2.mp4', 'v/notes.txt'):
        folder.put(tmp_path / 'file', name)
    folder.write('list.txt', f'{s3}/tests/v/a/one.mp4\n'.encode())
    videos, errors = find_videos([f'{s3}/tests/v'], {})
    assert errors == []
    assert [video.name for video in videos] == ['a/one', 'b/2', 'b/10?[x]', 'b/one']
    assert videos[0].key == f'{s3}/tests/v/a/one.mp4'
    assert videos[0].bytes == 6_000_000 and videos[0].version
    videos, errors = find_videos([f'{s3}/tests/v/*/o*.mp4'], {})
    assert [video.name for video in videos] == ['a/one', 'b/one']
    videos, errors = find_videos([f'@{s3}/tests/list.txt', f'{s3}/none/'], {})
    assert [video.name for video in videos] == ['one']
    assert errors == [f'{s3}/none/: there is no video']

    path = fetch(videos[0].source, tmp_path / 'copy')
    assert path.name == 'one.mp4' and path.stat().st_size == 6_000_000
    with pytest.raises(StorageError, match=f'^{s3}/tests/v/none.mp4: no such file'):
        fetch(f'{s3}/tests/v/none.mp4', tmp_path / 'copy')
    folder.remove('v/notes.txt')
    folder.remove('v/notes.txt')
    assert 'v/notes.txt' not in folder.files() and folder.read('list.txt').startswith(b's3://')
    with pytest.raises(StorageError, match='^s3://no-such-bucket/x: '):
        Folder('s3://no-such-bucket').write('x', b'')


def test_google_needs_its_package():
    try:
        import gcsfs  # noqa: F401
    except ImportError:
        with pytest.raises(StorageError, match='^gs://club/a: needs gcsfs'):
            Folder('gs://club/a')


def test_lists_are_limited(tmp_path, monkeypatch):
    path = Path(tmp_path / 'list.txt')
    path.write_text('a.mp4\n' * 100)
    monkeypatch.setenv('RPSTN_MAX_FILE_BYTES', '100')
    videos, errors = find_videos([f'@{path}'], {})
    assert videos == [] and 'above the limit of 100' in errors[0]
