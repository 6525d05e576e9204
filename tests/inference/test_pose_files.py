"""Files of joints: several people, nobody, and whole after every frame."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from rpstn.inference.pose_files import CocoJson, CsvFile, MMPoseJson, NpzFile, PoseJson
from rpstn.inference.run_folder import RunError, RunFolder
from rpstn.results import FrameResult, PersonResult

NAMES = ['a', 'b']


def people(*numbers: int, seed: int = 0) -> tuple[PersonResult, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        PersonResult(
            n,
            rng.uniform(0, 50, 4).astype(np.float32),
            rng.normal(size=(2, 2)),
            rng.uniform(size=2),
            rotation=float(rng.uniform(-180, 180)),
        )
        for n in numbers
    )


RESULTS = [
    FrameResult(0, 0.0, people(0)),
    FrameResult(1, 0.1, ()),
    FrameResult(4, 0.4, people(0, 7, seed=1)),
]


def entries(path: Path, key: str | None) -> list[dict]:
    content = json.loads(path.read_text())
    return content[key] if key else content


def test_json_files_are_whole_after_every_frame(tmp_path):
    with (
        PoseJson(tmp_path / 'a.json', NAMES, dict(fps=10.0)) as plain,
        CocoJson(tmp_path / 'c.json') as coco,
        MMPoseJson(tmp_path / 'm.json', dict(sigmas=np.ones(2))) as mmpose,
    ):
        for name, key in (('a', 'frames'), ('c', None), ('m', 'instance_info')):
            assert entries(tmp_path / f'{name}.json', key) == []
        for result, counts in zip(RESULTS, ((1, 1, 1), (2, 1, 2), (4, 3, 3)), strict=True):
            for file in (plain, coco, mmpose):
                file.write(result)
            assert [
                len(entries(tmp_path / f'{name}.json', key))
                for name, key in (('a', 'frames'), ('c', None), ('m', 'instance_info'))
            ] == list(counts)
    frames = entries(tmp_path / 'a.json', 'frames')
    assert [(f['frame'], f.get('person')) for f in frames] == [(0, 0), (1, None), (4, 0), (4, 7)]
    assert frames[1] == dict(frame=1, time=0.1)
    assert frames[3]['rotation'] == round(RESULTS[2].people[1].rotation, 2) != 0
    assert [e['image_id'] for e in entries(tmp_path / 'c.json', None)] == [0, 4, 4]
    last = entries(tmp_path / 'm.json', 'instance_info')[-1]
    assert last['frame_id'] == 4 and [i['track_id'] for i in last['instances']] == [0, 7]
    np.testing.assert_allclose(
        last['instances'][1]['keypoints'], RESULTS[2].people[1].keypoints, atol=0.0051
    )


def test_table_and_arrays_have_a_row_per_person(tmp_path):
    with (
        CsvFile(tmp_path / 'a.csv', NAMES) as table,
        NpzFile(tmp_path / 'a.npz', NAMES, 10.0, (64, 48)) as arrays,
    ):
        for result in RESULTS:
            table.write(result)
            arrays.write(result)
    with open(tmp_path / 'a.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(r['frame'], r['person'], r['joint']) for r in rows] == [
        (f, p, j) for f, p in (('0', '0'), ('4', '0'), ('4', '7')) for j in NAMES
    ]
    with np.load(tmp_path / 'a.npz') as found:
        assert found['frame'].tolist() == [0, 4, 4] and found['person'].tolist() == [0, 0, 7]
        np.testing.assert_array_equal(
            found['keypoints'], np.float32([p.keypoints for r in RESULTS for p in r.people])
        )
        np.testing.assert_array_equal(found['box'], [p.box for r in RESULTS for p in r.people])
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.csv', 'a.npz']


def test_numbers_that_are_none_are_not_written(tmp_path):
    bad = FrameResult(0, 0.0, (PersonResult(0, np.zeros(4), np.full((2, 2), np.nan), np.ones(2)),))
    with PoseJson(tmp_path / 'a.json', NAMES, {}) as file, pytest.raises(ValueError):
        file.write(bad)
    assert entries(tmp_path / 'a.json', 'frames') == []


def test_a_journal_gives_back_what_was_written_to_the_last_bit(tmp_path):
    about = dict(input='a.mp4', size=(64, 48))
    with RunFolder(tmp_path, 'a', about) as folder:
        for result in RESULTS:
            folder.write(result)
    folder.close()
    with pytest.raises(RunError, match='add --resume'):
        RunFolder(tmp_path, 'a', about)
    with pytest.raises(RunError, match=r'another size \(\[64, 48\] instead of \[64, 49\]\)'):
        RunFolder(tmp_path, 'a', dict(about, size=(64, 49)), resume=True)
    again = RunFolder(tmp_path, 'a', about, resume=True)
    assert again.known == 3
    for ours, found in zip(RESULTS, again.results(), strict=True):
        assert (ours.index, ours.time) == (found.index, found.time)
        for a, b in zip(ours.people, found.people, strict=True):
            assert (a.id, a.state, a.box.dtype) == (b.id, b.state, b.box.dtype)
            assert a.rotation == b.rotation
            for name in ('box', 'keypoints', 'scores'):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    # The first frames come again, and are in it only once.
    with again:
        for result in [*RESULTS, FrameResult(5, 0.5, ())]:
            again.write(result)
    again.close()
    again = RunFolder(tmp_path, 'a', about, resume=True)
    assert again.known == 4
    again.complete([])
    assert not list(tmp_path.iterdir())
