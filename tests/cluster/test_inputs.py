"""What an archive is made of, here and elsewhere, and what results are named."""

import os
from pathlib import Path

import pytest

from rpstn.cluster.inputs import find_videos


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'x')
    return folder


def names(videos) -> list[str]:
    return [video.name for video in videos]


def test_results_are_named_below_a_folder_or_the_fixed_part_of_a_glob(tmp_path):
    make(tmp_path, 'v/2.mp4', 'v/10.mp4', 'w/a/one.mp4', 'w/b/one.mp4', 'w/b/notes.txt')
    videos, errors = find_videos([f'{tmp_path}/v', f'{tmp_path}/w/*/*.mp4'], {})
    assert names(videos[:2]) == ['2', '10']
    assert (sorted(names(videos[2:])), errors) == (['a/one', 'b/one'], [])
    (video,) = [video for video in videos if video.name == 'a/one']
    assert video.key == video.source == f'{tmp_path}/w/a/one.mp4'
    assert video.bytes == 1 and video.version


def test_files_named_one_by_one_are_named_below_their_common_folder(tmp_path):
    make(tmp_path, 'a/one.mp4', 'b/one.mp4')
    both = [f'{tmp_path}/a/one.mp4', f'{tmp_path}/b/one.mp4']
    assert names(find_videos(both, {})[0]) == ['a/one', 'b/one']
    assert names(find_videos(both[:1], {})[0]) == ['one']
    assert names(find_videos(both[:1] * 2, {})[0]) == ['one'], 'each once'
    (tmp_path / 'list.txt').write_text('\n'.join([both[0], '', f'  {both[1]}  ', 'nowhere.mp4']))
    videos, errors = find_videos([f'@{tmp_path}/list.txt'], {})
    assert names(videos) == ['a/one', 'b/one']
    assert errors == ['nowhere.mp4: no such file or folder']


def test_no_results_meet_and_a_name_once_given_stays(tmp_path):
    make(tmp_path, 'a/one.mp4', 'a/one.avi', 'b/one.mp4')
    videos, errors = find_videos([f'{tmp_path}/a', f'{tmp_path}/b'], {})
    assert (names(videos), errors) == (['one', 'one.mp4', 'b/one'], [])
    known = {f'{tmp_path}/a/one.mp4': 'one'}
    videos, _ = find_videos([f'{tmp_path}/a', f'{tmp_path}/b'], known)
    assert names(videos) == ['a/one', 'one', 'b/one']


def test_images_of_one_video_and_odd_names(tmp_path, monkeypatch):
    make(tmp_path, 'frames/1.png', 'frames/2.png', '@home.mp4', 'a[1].mp4')
    monkeypatch.chdir(tmp_path)
    videos, errors = find_videos(['frames', '@home.mp4', 'a[1].mp4'], {})
    assert (names(videos), errors) == (['frames', '@home', 'a[1]'], [])
    odd = tmp_path / os.fsdecode(b'squat-\xff.mp4')
    odd.write_bytes(b'x')
    ((video,), _) = find_videos([str(odd)], {})
    assert video.source == str(odd) and video.key.endswith('squat-\\xff.mp4')


def test_addresses_keep_their_secrets_to_themselves():
    one, other = (f'https://me:secret@club.org/a/squat%201.mp4?token={n}' for n in (1, 2))
    ((video,), _) = find_videos([one], {})
    assert video.source == one and video.name == 'squat 1'
    assert video.key == 'https://club.org/a/squat%201.mp4?token=***'
    assert find_videos([one, other], {})[1] == [
        f'{video.key}: another address differs in secrets alone'
    ]


def test_results_stay_in_their_folder():
    videos, errors = find_videos(['s3://b/../../x.mp4', 's3://b/y.mp4'], {})
    assert names(videos) == ['y']
    assert errors == ['s3://b/../../x.mp4: its results have no name of their own']
    for name in ('../y', '/y', 'a/../../y'):  # in a manifest from elsewhere
        videos, errors = find_videos(['s3://b/y.mp4'], {'s3://b/y.mp4': name})
        assert (videos, errors) == ([], ['s3://b/y.mp4: its results have no name of their own'])


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (
            'rtsp://me:secret@camera/live',
            'rtsp://camera/live: a live stream is no part of an archive',
        ),
        ('0', '0: a camera is no part of an archive'),
        (
            'ftp://club/a.mp4',
            'ftp://club/a.mp4: storage is of s3://, gs://, http://, https://, file://',
        ),
        ('zip://a.mp4::s3://b', 'zip://a.mp4::s3://b: storage is of s3://'),
        ('@nowhere.txt', '@nowhere.txt: cannot be read as a list: '),
        ('*.nothing', '*.nothing: fits no file'),
    ],
)
def test_what_is_no_video(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    videos, errors = find_videos([text], {})
    assert videos == [] and len(errors) == 1 and errors[0].startswith(said), errors
