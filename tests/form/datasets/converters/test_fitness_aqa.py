"""Fitness-AQA's layout, written small: intervals, splits, windows, and who is left out."""

import csv
import json

import numpy as np
import pytest

from rpstn.form.datasets.converters import Windows, convert_fitness_aqa
from rpstn.form.datasets.converters.fitness_aqa_labels import FrameLabels, Intervals, read_labels
from rpstn.form.datasets.converters.skeleton_files import LABEL_SEPARATOR
from rpstn.form.datasets.form_dataset import SkeletonFormDataset
from rpstn.form.datasets.sequence import BadSkeletonError
from rpstn.skeletons import get_skeleton

JOINTS = get_skeleton('coco17').joints
META = dict(skeleton='coco17', unit='px', classes=('knees_forward', 'knees_inward'))
FORWARD = {'1_1': [[0.5, 1.0]], '1_2': [], '2_1': [[0.0, 0.2], [2.0, 3.0]], '3_1': [], '4_1': []}
INWARD = {'1_1': [[0.9, 2.5]], '1_2': [], '2_1': [], '3_1': [[1, 2]], '5_1': [[0, 1]]}
SPLITS = dict(train=['1_1', '1_2', '6_1'], val=['2_1'], test=['3_1', '4_1'])
FPS, FRAMES = 10, 30


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def points_of(video):
    return np.random.default_rng(list(video.encode())).uniform(1, 99, (FRAMES, 17, 2))


def write_skeleton(folder, video):
    """As tools/infer.py does; the first two frames show nobody."""
    frames = [
        dict(frame=t, time=t / FPS, keypoints=[[*point, 0.9] for point in frame])
        for t, frame in enumerate(points_of(video).tolist())
        if t >= 2
    ]
    write_json(
        folder / f'{video}.json',
        dict(video=f'{video}.mp4', fps=FPS, size=[100, 100], joints=JOINTS, frames=frames),
    )


@pytest.fixture
def squat(tmp_path):
    """The released layout and skeletons of all videos but 3_1."""
    labelled = tmp_path / 'Squat/Labeled_Dataset'
    write_json(labelled / 'Labels/error_knees_forward.json', FORWARD)
    write_json(labelled / 'Labels/error_knees_inward.json', INWARD)
    for split, keys in SPLITS.items():
        write_json(labelled / f'Splits/{split}_keys.json', keys)
    for video in ('1_1', '1_2', '2_1', '4_1', '5_1', '6_1'):
        write_skeleton(tmp_path / 'poses', video)
    return tmp_path / 'Squat'


def convert(squat, **options):
    out = squat.parent / 'out'
    conversion = convert_fitness_aqa(squat, squat.parent / 'poses', out, **options)
    with open(out / 'labels.csv', newline='') as file:
        return conversion, {row['name']: row for row in csv.DictReader(file)}


def test_whole_videos_get_the_errors_that_occur_in_them(squat):
    conversion, rows = convert(squat)
    assert {name: row['label'] for name, row in rows.items()} == {
        '1_1': f'knees_forward{LABEL_SEPARATOR}knees_inward',
        '1_2': '',
        '2_1': 'knees_forward',
    }
    assert rows['2_1'] == dict(
        name='2_1',
        label='knees_forward',
        split='val',
        video='2_1',
        fps='10',
        width='100',
        height='100',
        frames='30',
    )
    # 3_1 lacks its skeleton, 4_1 and 6_1 lack labels, 5_1 is in no split.
    assert {name: kind for name, (kind, _) in conversion.skipped.items()} == {
        '3_1': 'without a skeleton',
        '4_1': 'without labels',
        '5_1': 'in no split',
        '6_1': 'without labels',
    }
    assert conversion.skipped['4_1'][1] == 'no label of knees_inward'
    assert conversion.classes == {'knees_forward': 2, 'knees_inward': 1}
    assert (
        '3 sequences, 90 frames of coco17 (6.7% of joints missing); knees_forward 2, '
        'knees_inward 1; skipped 4'
    ) in conversion.summary()


def test_the_data_set_reads_several_errors_or_none(squat):
    convert(squat, annotations=True)
    for file in ('keypoints2d.npz', 'annotations.pkl'):
        found = {}
        for part in ('train', 'val'):
            data = SkeletonFormDataset(
                str(squat.parent / 'out'),
                file,
                metainfo=META,
                multi_class=True,
                bad_data='raise',
                split=dict(type='given', part=part),
            )
            found.update((item['frame_dir'], item) for item in data)
        assert {name: item['label'].tolist() for name, item in found.items()} == {
            '1_1': [1, 1],
            '1_2': [0, 0],
            '2_1': [1, 0],
        }
        expected = points_of('2_1')
        expected[:2] = np.nan  # frames keep their place in the video, as seconds of labels do
        np.testing.assert_allclose(found['2_1']['keypoint'][0], expected, rtol=1e-6)


def test_one_error_alone(squat):
    conversion, rows = convert(squat, errors=['knees_forward'])
    assert {name: row['label'] for name, row in rows.items()} == {
        '1_1': 'knees_forward',
        '1_2': '',
        '2_1': 'knees_forward',
        '4_1': '',
    }
    assert '4_1' not in conversion.skipped
    with pytest.raises(
        ValueError, match='errors must be some of knees_forward, knees_inward, got elbows'
    ):
        convert(squat, errors=['elbows'])


def test_windows_have_the_errors_within_them(squat):
    conversion, rows = convert(squat, window=Windows(1.0), annotations=True)
    assert {name: row['label'] for name, row in rows.items() if row['video'] != '1_2'} == {
        # forward 0.5-1.0 lies in the first second; inward 0.9-2.5 covers the second, and half of
        # the third.
        '1_1@00000': 'knees_forward',
        '1_1@00010': 'knees_inward',
        '1_1@00020': 'knees_inward',
        # 0.0-0.2 is brief, and lies wholly in the first.
        '2_1@00000': 'knees_forward',
        '2_1@00010': '',
        '2_1@00020': 'knees_forward',
    }
    assert (rows['1_1@00010']['start'], rows['1_1@00010']['end']) == ('1', '2')
    assert {row['split'] for row in rows.values() if row['video'] == '2_1'} == {'val'}
    assert conversion.sequences == 9 and conversion.frames == 90
    _, rows = convert(squat, window=Windows(1.0, overlap=0.6))
    assert rows['1_1@00020']['label'] == ''
    with np.load(squat.parent / 'out/keypoints2d.npz') as archive:
        np.testing.assert_allclose(archive['1_1@00010'], points_of('1_1')[10:20], rtol=1e-6)


@pytest.mark.parametrize(
    'frames,seconds,stride,expected',
    [
        (30, 1.0, None, [(0, 10), (10, 20), (20, 30)]),
        (34, 1.0, None, [(0, 10), (10, 20), (20, 30), (24, 34)]),
        (30, 2.0, 0.5, [(0, 20), (5, 25), (10, 30)]),
        (30, 3.0, None, [(0, 30)]),
        (7, 3.0, 1.0, [(0, 7)]),
    ],
)
def test_windows_cover_every_frame(frames, seconds, stride, expected):
    assert list(Windows(seconds, stride).cut(frames, FPS)) == expected


def test_share_of_an_interval_against_counting_moments():
    rng = np.random.default_rng(0)
    moments = (np.arange(40_000) + 0.5) / 10_000  # 4 seconds
    for _ in range(50):
        spans = np.sort(rng.uniform(0, 3, (3, 2)).round(2), axis=1)
        spans[:, 1] += 0.1
        first = int(rng.integers(0, 25))
        last = first + int(rng.integers(1, 15))
        window = (first / FPS <= moments) & (moments < last / FPS)
        shares = [
            (window & inside).sum() / min(window.sum(), inside.sum())
            for a, b in spans
            for inside in [(a <= moments) & (moments < b)]
        ]
        found = Intervals(tuple(map(tuple, spans))).share(first, last, FPS)
        assert found == pytest.approx(max(shares), abs=2e-3)


def test_intervals_without_length_and_frames():
    assert Intervals(((1.0, 1.0),)).share(5, 15, FPS) == 1
    assert Intervals(((1.5, 1.5),)).share(5, 15, FPS) == 0
    assert Intervals(()).share(5, 15, FPS) == 0 and not Intervals(()).occurs()
    frames = FrameLabels({3: 1, 4: 0, 5: 1, 9: 0})
    assert frames.share(3, 6, FPS) == pytest.approx(2 / 3) and frames.occurs()
    assert np.isnan(frames.share(6, 9, FPS)) and not FrameLabels({3: 0}).occurs()


def test_overhead_press_has_errors_of_its_own(squat):
    labelled = squat.parent / 'OHP/Labeled_Dataset'
    for error, labels in (
        ('elbows', {'1_1': [[0, 1]], '2_1': []}),
        ('knees', {'1_1.mp4': [], '2_1': [[1, 2]]}),
    ):
        write_json(labelled / f'Labels/error_{error}.json', labels)
    write_json(labelled / 'Splits/train_keys.json', ['1_1', '2_1.mp4'])
    _, rows = convert(labelled.parent, errors=None)
    assert {name: row['label'] for name, row in rows.items()} == {'1_1': 'elbows', '2_1': 'knees'}


@pytest.mark.parametrize('form', ['flat', 'images', 'nested', 'lists'])
def test_barbell_rows_label_frames(squat, form):
    """Frames 0-9 of 1_1 are right, 10-19 wrong, 20-29 of 2_1 have no label."""

    def labels(values):
        return {
            'flat': {f'1_1_{t}': v for t, v in enumerate(values)},
            'images': {f'1_1/{t:06d}.jpg': v for t, v in enumerate(values)},
            'nested': {'1_1': {str(t): v for t, v in enumerate(values)}},
            'lists': {'1_1': values},
        }[form]

    root = squat.parent / 'BarbellRow'
    write_json(root / 'labels_lumbar_error.json', labels([0] * 10 + [1] * 10))
    write_json(root / 'labels_torso_angle_error.json', labels([0] * 20))
    assert read_labels(root).errors == ('lumbar', 'torso_angle')
    _, rows = convert(root)
    assert [(row['label'], row['split']) for row in rows.values()] == [('lumbar', '')]
    conversion, rows = convert(root, window=Windows(1.0))
    assert {name: row['label'] for name, row in rows.items()} == {
        '1_1@00000': '',
        '1_1@00010': 'lumbar',
    }
    assert conversion.skipped == {'1_1@00020': ('windows without a labelled frame',) * 2}


def test_single_images_are_no_sequences(tmp_path):
    root = tmp_path / 'Shallow_Squat_Error_Dataset'
    write_json(root / 'labels/train.json', {'1.jpg': 0})
    with pytest.raises(BadSkeletonError, match='holds images with one label each'):
        convert_fitness_aqa(root, tmp_path, tmp_path / 'out')
    with pytest.raises(FileNotFoundError, match='no labels; looked for Labels/error_'):
        convert_fitness_aqa(root / 'labels', tmp_path, tmp_path / 'out')


def test_bad_skeletons_stop_or_are_counted(squat):
    poses = squat.parent / 'poses'
    (poses / '1_2.json').write_text('[[1, 2]]')
    (poses / '2_1.json').rename(poses / '2_1.bak')
    with pytest.raises(BadSkeletonError, match=r'1_2\.json: frames\[0\]: joint 0'):
        convert(squat)
    assert not list((squat.parent / 'out').iterdir())
    conversion, rows = convert(squat, skip_bad=True)
    assert list(rows) == ['1_1'] and conversion.skipped['1_2'][0] == 'unreadable'
    assert conversion.skipped['2_1'][0] == 'without a skeleton'


def test_frames_per_second_decide_what_a_second_is(squat):
    poses = squat.parent / 'poses'
    for video in ('1_1', '1_2', '2_1'):
        (poses / f'{video}.json').unlink()
        np.savez(poses / f'{video}.npz', points_of(video))
    with pytest.raises(BadSkeletonError, match='fps must be told for windows'):
        convert(squat, window=Windows(1.0), skeleton='coco17')
    conversion, rows = convert(squat, skeleton='coco17', fps=FPS, window=Windows(1.0))
    assert rows['1_1@00000']['label'] == 'knees_forward' and len(rows) == 9
    conversion, rows = convert(squat, skeleton='coco17', fps=60)
    assert rows['1_1']['fps'] == '60'
    assert any(
        note.startswith('2 videos have errors more than half a second after')
        for note in conversion.notes
    )


@pytest.mark.parametrize(
    'file,content,message',
    [
        ('Labels/error_knees_inward.json', [], 'the file must be an object, got list'),
        ('Labels/error_knees_inward.json', {'1_1': 3}, r'1_1: intervals must be a list.*got 3'),
        (
            'Labels/error_knees_inward.json',
            {'1_1': [[2, 1]]},
            r'1_1: an interval must be.*\[2, 1\]',
        ),
        ('Labels/error_knees_inward.json', {'1_1': [1, 2]}, '1_1: an interval must be.*got 1'),
        ('Labels/error_knees_inward.json', {'1_1': [[0, float('nan')]]}, 'an interval must be'),
        (
            'Labels/labels_lumbar_error.json',
            {'nothing': 1},
            'name of a frame must be <video>_<frame>',
        ),
        ('Labels/labels_lumbar_error.json', {'1_1': {'3': 2}}, 'frame 3: the label must be 0 or 1'),
        ('Labels/labels_lumbar_error.json', {'1_1': {'3': 0, '03': 1}}, 'labelled once, got both'),
        ('Splits/val_keys.json', {'1_1': 0}, 'the file must be a list of ids, got dict'),
        ('Splits/val_keys.json', ['1_1'], 'a video must be in one split, got it in train and val'),
    ],
)
def test_malformed_labels_are_told_by_file_and_video(squat, file, content, message):
    write_json(squat / 'Labeled_Dataset' / file, content)
    with pytest.raises(BadSkeletonError, match=message) as error:
        convert(squat)
    assert file in str(error.value)


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(seconds=0), 'seconds must be above 0'),
        (dict(seconds=1, stride=-1), 'stride must be above 0'),
        (dict(seconds=1, overlap=0), 'overlap must be above 0 and at most 1'),
    ],
)
def test_windows_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        Windows(**options)
