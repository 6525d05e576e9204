"""Bodies over given joints, and Penn Action's layout written from its labels."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from rpstn.pose.datasets import PennActionDataset, find_data
from rpstn.simulation import SyntheticReader, annotated_scene, render_sequence
from rpstn.simulation.athletes.lifting import complete
from rpstn.simulation.clips.annotated import JOINT_NAMES, agreement
from rpstn.simulation.clips.penn_export import (
    MARKER,
    RealFramesError,
    export,
    prepare,
    select,
    write_sequence,
)

NAMES = JOINT_NAMES['penn13']


@pytest.fixture(scope='module')
def labels(tmp_path_factory):
    """A folder with four real label files."""
    try:
        source = find_data('penn_action') / 'labels'
    except FileNotFoundError:
        pytest.skip('the labels of Penn Action are not there')
    root = tmp_path_factory.mktemp('penn')
    (root / 'labels').mkdir()
    for name in ('0200', '0700', '1100', '2300'):
        shutil.copy(source / f'{name}.mat', root / 'labels')
    return root


def annotation(joints='penn13', seed=4):
    reader = SyntheticReader((seed,), 12, (160, 160), occluder_prob=0)
    return reader.joints(JOINT_NAMES[joints])


@pytest.mark.parametrize('joints', ['penn13', 'jhmdb15'])
def test_any_sequence_is_drawn_the_same_each_time(joints):
    keypoints, labelled, occluded = annotation(joints)
    first, again, other = (
        list(render_sequence(keypoints, labelled, occluded, (160, 160), seed, joints))
        for seed in (1, 1, 2)
    )
    assert len(first) == 12 and first[0].shape == (160, 160, 3) and first[0].dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (np.array(first) != other).mean() > 0.5


def test_visible_joints_are_seen_and_hidden_ones_covered():
    right = total = 0
    for seed in range(6):
        keypoints, labelled, occluded = annotation(seed=seed)
        scene = annotated_scene(keypoints, labelled, occluded, (160, 160), seed)
        shown = agreement(scene, keypoints)
        assert (shown & occluded).sum() >= 0.97 * occluded.sum()
        right += (shown == occluded)[labelled].sum()
        total += labelled.sum()
    assert right > 0.96 * total


def test_hidden_joints_in_the_open_get_something_before_them():
    keypoints, labelled, occluded = annotation(seed=1)
    elbow = NAMES.index('left_elbow')
    occluded = np.zeros_like(occluded)
    free = annotated_scene(keypoints, labelled, occluded, (160, 160), 0)
    occluded[4:9, elbow] = labelled[4:9, elbow]
    covered = annotated_scene(keypoints, labelled, occluded, (160, 160), 0)
    assert not free.occluders
    assert agreement(covered, keypoints)[4:9, elbow].all()


def test_unknown_joints_are_filled_in_between():
    keypoints, *_ = annotation(seed=2)
    known = np.ones(keypoints.shape[:2], bool)
    known[5:8, 3] = False
    known[:, 12] = False
    filled = complete(np.where(known[..., None], keypoints, -999), known)
    np.testing.assert_array_equal(filled[known], keypoints[known])
    assert np.linalg.norm(filled[5:8, 3] - keypoints[5:8, 3], axis=-1).max() < 15
    assert np.abs(filled).max() < 400
    limbs = np.zeros_like(known)  # a close-up of a forearm
    limbs[:, NAMES.index('left_elbow')] = limbs[:, NAMES.index('left_wrist')] = True
    assert np.abs(complete(keypoints, limbs)).max() < 400
    with pytest.raises(ValueError, match='no joint is labelled'):
        complete(keypoints, np.zeros_like(known))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(joints='coco'), 'coco'),
        (dict(joints='jhmdb15'), r'\(N, 15, 2\).*\(12, 13, 2\)'),
        (dict(labelled=np.ones((3, 13), bool)), r'labelled.*\(12, 13\).*\(3, 13\)'),
    ],
)
def test_wrong_annotations_are_refused(change, message):
    keypoints, labelled, occluded = annotation()
    arguments = dict(keypoints=keypoints, labelled=labelled, occluded=occluded, size=(160, 160))
    with pytest.raises(ValueError, match=message):
        annotated_scene(**{**arguments, **change})


def test_penn_layout_is_read_back(labels, tmp_path):
    sequences = select(labels, ['1100', '0200'])
    done = list(export(labels, tmp_path, sequences))
    assert [(name, fresh) for name, _, fresh in done] == [('1100', True), ('0200', True)]
    assert 'NOT the photographs' in (tmp_path / 'frames' / MARKER).read_text()
    dataset = PennActionDataset(data_root=str(tmp_path), subset='all', start='fixed')
    assert len(dataset.sequences) == 2
    for sequence in sequences:
        read = dataset.sequences[dataset.sequences.index(sequence.name)]
        np.testing.assert_array_equal(read.keypoints, sequence.keypoints)
        image = dataset.read_frame(sequence.name, len(sequence) - 1)
        assert image.shape == (*sequence.image_size[::-1], 3)
        # The person is there: the first frame shows other pixels at the joints than beside them.
        assert image.std() > 5
    # Broken off and started again: only what is missing is rendered.
    (tmp_path / 'frames' / '0200' / '000007.jpg').unlink()
    kept = (tmp_path / 'frames' / '1100' / '000001.jpg').stat().st_mtime_ns
    again = {name: fresh for name, _, fresh in export(labels, tmp_path, sequences)}
    assert again == {'1100': False, '0200': True}
    assert (tmp_path / 'frames' / '1100' / '000001.jpg').stat().st_mtime_ns == kept
    assert (tmp_path / 'frames' / '0200' / '000007.jpg').exists()
    assert not list((tmp_path / 'frames').glob('.*'))


def test_workers_write_the_same(labels, tmp_path):
    sequences = select(labels, ['0200'])
    list(export(labels, tmp_path / 'a', sequences, workers=1))
    list(export(labels, tmp_path / 'b', sequences, workers=2))
    a, b = (cv2.imread(str(tmp_path / d / 'frames/0200/000003.jpg')) for d in 'ab')
    np.testing.assert_array_equal(a, b)


def test_real_frames_are_never_touched(labels, tmp_path):
    folder = tmp_path / 'frames' / '0200'
    folder.mkdir(parents=True)
    (folder / '000001.jpg').write_bytes(b'a photograph')
    with pytest.raises(RealFramesError, match='frames without RENDERED.txt'):
        list(export(labels, tmp_path, select(labels, ['0200']), overwrite=True))
    assert (folder / '000001.jpg').read_bytes() == b'a photograph'
    assert not (tmp_path / 'labels').exists()


def test_only_marked_sequences_are_replaced(labels, tmp_path):
    """Photographs put among rendered frames stay, also under the names of partial folders."""
    sequences = select(labels, ['0200'])
    frames = prepare(tmp_path)
    for name in ('0200', '.0200.partial'):
        photograph = frames / name / '000001.jpg'
        photograph.parent.mkdir()
        photograph.write_bytes(b'a photograph')
        for attempt in (
            lambda: list(export(labels, tmp_path, sequences, overwrite=True)),
            lambda: write_sequence(sequences[0], frames),
        ):
            with pytest.raises(RealFramesError, match=f'{name}: holds frames without RENDERED'):
                attempt()
        assert photograph.read_bytes() == b'a photograph'
        shutil.rmtree(photograph.parent)
        shutil.rmtree(frames / '.0200.partial', ignore_errors=True)
    list(export(labels, tmp_path, sequences))
    (frames / '0200/000001.jpg').write_bytes(b'damaged')
    list(export(labels, tmp_path, sequences, overwrite=True))
    assert (frames / '0200' / MARKER).exists()
    assert cv2.imread(str(frames / '0200/000001.jpg')) is not None


def test_an_interrupted_copy_of_labels_leaves_no_half_file(labels, tmp_path, monkeypatch):
    def interrupted(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:100])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'copyfile', interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(export(labels, tmp_path, select(labels, ['0200'])))
    assert not list((tmp_path / 'labels').glob('*.mat'))
    list(export(labels, tmp_path, select(labels, ['0200'])))
    assert [p.name for p in (tmp_path / 'labels').iterdir() if p.suffix == '.mat'] == ['0200.mat']


def test_selecting_sequences(labels):
    assert [s.name for s in select(labels, ['2'])] == ['0200', '2300'], 'spread, not the first'
    assert [s.name for s in select(labels, ['3'])] in (
        ['0200', '0700', '2300'],
        ['0200', '1100', '2300'],
    )
    assert len(select(labels)) == len(select(labels, ['99'])) == 4
    with pytest.raises(ValueError, match='must be at least 1, got 0'):
        select(labels, ['0'])
    with pytest.raises(ValueError, match='9999'):
        select(labels, ['9999', '0200'])
