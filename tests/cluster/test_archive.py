"""Archives from the command line, by real workers: what is done, named, told, and done again."""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from video_files import encode

ROOT = Path(__file__).parents[2]


def video(path: Path, frames: int = 4, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    return encode(path, [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(frames)])


def rows(out: Path) -> dict[str, tuple]:
    """Name of each video in the manifest -> state, frames, tries."""
    found = duckdb.sql(
        f"select name, state, frames, tries from '{out}/manifest.parquet'"
    ).fetchall()
    assert len({name for name, *_ in found}) == len(found), 'a row for each video'
    return {name: tuple(rest) for name, *rest in found}


def test_an_archive_is_done_once_told_and_gone_on_with(
    model, web, command, tmp_path, nothing_left, capfd
):
    address, served = web
    video(served / 'far.mp4', 5)
    (served / 'list.m3u8').write_text('#EXTM3U\n/etc/passwd\n')
    for name in ('a/one', 'b/one'):
        video(tmp_path / 'videos' / f'{name}.mp4', 4)
    out = tmp_path / 'out'
    (out / 'b').mkdir(parents=True)
    (out / 'b/one.csv').write_text("somebody else's")
    inputs = [f'{tmp_path}/videos/*/*.mp4', f'{address}/far.mp4?key=secret', f'{address}/list.m3u8']
    words = ['infer', *model, *inputs, '--out', out, '--save', 'csv', '--device', 'cpu']

    status, complaint = command(*words, '--workers', 1, '--json')
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert status == 1
    shown = f'{address}/far.mp4?key=***'
    lines = sorted(complaint.splitlines()[-2:])  # before these, how far it has come
    assert lines[0].endswith(f'{out}/b/one.csv: is there already; add --overwrite to replace it')
    assert lines[1].startswith(f'{address}/list.m3u8: not a video that can be opened'), complaint
    assert rows(out) == {'a/one': ('done', 4, 1), 'far': ('done', 5, 1), 'list': ('failed', 0, 1)}
    assert {one.get('video') for one in said[:-1]} >= {shown}
    summary = said[-1]['summary']
    assert (summary['done'], summary['failed'], summary['frames']) == (2, 2, 9)
    assert (out / 'b/one.csv').read_text() == "somebody else's"
    assert len((out / 'far.csv').read_text().splitlines()) == 1 + 5 * 13
    assert 'secret' not in (out / 'manifest.parquet').read_bytes().decode('latin-1')

    # Again: nothing is missing, and no worker is started.
    before = {path: path.stat().st_mtime_ns for path in out.rglob('*.csv')}
    status, complaint = command(
        'infer', *model, inputs[0], '--out', out, '--save', 'csv', '--workers', 1
    )
    assert status == 1 and complaint.endswith('add --overwrite to replace it')
    assert {path: path.stat().st_mtime_ns for path in out.rglob('*.csv')} == before
    # Other settings are told.
    status, complaint = command(*words, '--workers', 1, '--box', 'frame')
    assert (status, complaint) == (
        1,
        f'{out}: 2 videos were done there by another box ("follow" instead of "frame"); add '
        '--overwrite to do those of this command again, or choose another --out',
    )


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['--show', '--out', 'x', '--workers', 2], '--show and --retries are not of archives'),
        (['--json', '--out', 'x'], '--json is of archives: add --workers or --cluster'),
        (
            ['--out', 's3://club/out'],
            's3://club/out: storage is written by archives: add --workers 1',
        ),
        (['--workers', 2], '--out is needed'),
        (['--workers', 2, '--out', 'x', '--end', '0'], '--end must come after --start'),
        (['--cluster', '127.0.0.1:9', '--out', 'x'], '127.0.0.1:9: no Ray cluster answers'),
    ],
)
def test_options_that_do_not_fit_are_a_line(command, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.mp4').write_bytes(b'x')
    status, complaint = command('infer', 'a.mp4', *words)
    assert status == 1 and complaint.startswith(said), complaint


def test_without_ray_one_line_names_the_extra(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    status, complaint = command('assess', 'a.mp4', '--workers', '2', '--out', tmp_path / 'out')
    assert status == 1
    assert complaint.startswith(
        "--workers and --cluster need Ray: pip install 'rpstn[cluster]' (import of ray halted"
    )
    assert not (tmp_path / 'out').exists()
