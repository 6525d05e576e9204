"""The manifest: one row a video, whatever is killed when; read by other tools in a line."""

import ast
import re
from pathlib import Path

import duckdb
import pytest

from rpstn.cluster import manifest as module
from rpstn.cluster.manifest import Manifest
from rpstn.cluster.storage import Folder
from rpstn.errors import SettingError

SETTINGS = dict(box='follow', save=['csv'])


def opened(tmp_path, model='m' * 64, settings=SETTINGS, key='k') -> Manifest:
    folder = Folder(str(tmp_path))
    return Manifest(folder, model, settings, key, folder.files())


def row(video: str, state: str = 'done', **more) -> dict:
    given = dict(video=video, name=video, state=state, frames=3, model='m' * 64, settings='k')
    return {**given, **more}


def repetitions(*numbers: int) -> list[dict]:
    return [dict(repetition=number, bottom_s=1.5, form='good') for number in numbers]


def angles(*numbers: int) -> list[dict]:
    return [dict(repetition=n, angle='knee', moment='bottom', value=90.0 + n) for n in numbers]


def read(tmp_path, sql: str) -> list[tuple]:
    return duckdb.sql(sql.replace('OUT', str(tmp_path))).fetchall()


def test_rows_and_tables_are_read_by_other_tools(tmp_path):
    one = opened(tmp_path)
    one.expect([row('a'), row('b'), row('c')])
    assert read(
        tmp_path, "select count(*) from 'OUT/manifest.parquet' where state = 'waiting'"
    ) == [(3,)]
    one.put(row('a'), repetitions(1, 2), angles(1, 2))
    one.put(row('b', 'failed', error='b: no video'), [], [])
    one.fold()
    found = read(tmp_path, "select video, state, error from 'OUT/manifest.parquet' order by video")
    assert found == [('a', 'done', None), ('b', 'failed', 'b: no video'), ('c', 'waiting', None)]
    found = read(tmp_path, "select video, repetition, form from 'OUT/repetitions.parquet'")
    assert found == [('a', 1, 'good'), ('a', 2, 'good')]
    found = read(tmp_path, "select max(value) from 'OUT/angles.parquet' where angle = 'knee'")
    assert found == [(92.0,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'angles.parquet',
        'manifest.parquet',
        'repetitions.parquet',
    ]


def test_the_lines_of_the_documentation_read_them(tmp_path, monkeypatch):
    one = opened(tmp_path / 'out')
    one.put(row('a'), repetitions(1), angles(1))
    one.fold()
    page = Path(__file__).parents[2] / 'docs/archives.md'
    (code,) = re.findall(r'```python\n(.*?)```', page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    lines = [ast.unparse(one) for one in ast.parse(code).body if isinstance(one, ast.Expr)]
    answers = [eval(line, dict(duckdb=duckdb)) for line in lines]
    assert answers == [[('done', 1, 3)], [], [('knee', 91.0)]]


@pytest.mark.parametrize('broken', ['repetitions.parquet', 'angles.parquet', 'manifest.parquet'])
def test_a_kill_while_files_are_replaced_leaves_nothing_half_and_nothing_twice(
    tmp_path, monkeypatch, broken
):
    one = opened(tmp_path)
    one.expect([row('a'), row('b')])
    one.put(row('a'), repetitions(1), angles(1))
    one.fold()
    one.put(row('a'), repetitions(1, 2), angles(1, 2))  # once more, by --overwrite
    one.put(row('b'), repetitions(1), angles(1))
    write = Folder.write

    def killed(self, name, data):
        if name == broken:
            raise KeyboardInterrupt
        write(self, name, data)

    monkeypatch.setattr(Folder, 'write', killed)
    with pytest.raises(KeyboardInterrupt):
        one.fold()
    monkeypatch.setattr(Folder, 'write', write)

    again = opened(tmp_path)
    assert {video: one['state'] for video, one in again.rows.items()} == dict(a='done', b='done')
    again.fold()
    found = read(
        tmp_path, "select video, count(*) from 'OUT/repetitions.parquet' group by 1 order by 1"
    )
    assert found == [('a', 2), ('b', 1)]
    assert read(tmp_path, "select count(*) from 'OUT/angles.parquet'") == [(3,)]
    assert read(tmp_path, "select count(*) from 'OUT/manifest.parquet'") == [(2,)]
    assert not (tmp_path / 'manifest.parts').exists()


def test_what_is_no_manifest_is_a_line(tmp_path):
    (tmp_path / 'manifest.parquet').write_bytes(b'nothing')
    with pytest.raises(SettingError, match=f'^{tmp_path}/manifest.parquet: cannot be read: '):
        opened(tmp_path)
    duckdb.sql(f"copy (select 1 as video) to '{tmp_path}/manifest.parquet'")
    with pytest.raises(SettingError, match='is of something else, it has no bytes$'):
        opened(tmp_path)


def test_a_row_is_in_the_storage_after_a_second(tmp_path, monkeypatch):
    one = opened(tmp_path)
    one.expect([row('a'), row('b')])
    one.put(row('a'), [], [])
    assert opened(tmp_path).rows['a']['state'] == 'waiting'
    monkeypatch.setattr(module, '_EVERY', 0.0)
    one.put(row('b', bytes=5))
    again = opened(tmp_path)
    assert (again.rows['a']['state'], again.rows['b']['bytes']) == ('done', 5)


def test_parts_are_folded_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_EVERY', 0.0)
    monkeypatch.setattr(module, '_MOST_PARTS', 5)
    one = opened(tmp_path)
    for number in range(12):
        one.put(row(str(number)), repetitions(1), angles(1))
    assert len(list((tmp_path / 'manifest.parts').iterdir())) == 2
    again = opened(tmp_path)
    again.fold()
    assert len(again.rows) == 12
    assert read(tmp_path, "select count(distinct video) from 'OUT/angles.parquet'") == [(12,)]


def test_other_settings_and_another_model_are_told_in_a_line(tmp_path):
    one = opened(tmp_path)
    one.put(row('a'))
    one.put(row('b', 'waiting'))
    one.fold()
    opened(tmp_path).refuse_others(False)
    other = opened(tmp_path, settings={**SETTINGS, 'box': 'frame'}, key='other')
    with pytest.raises(SettingError) as told:
        other.refuse_others(False)
    assert str(told.value) == (
        f'{tmp_path}: 1 video was done there by another box ("follow" instead of "frame"); add '
        '--overwrite to do those of this command again, or choose another --out'
    )
    other.refuse_others(True)
    with pytest.raises(SettingError, match=r'another model \(sha256 mmmmmmmmmmmm instead of nnnn'):
        opened(tmp_path, model='n' * 64).refuse_others(False)
