"""Boxes derived from joints and masks, counts, and annotations that look wrong."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rpstn.pose.datasets import PoseSequence
from rpstn.pose.datasets.boxes import fill_boxes, inside_image, joints_boxes, mask_box
from rpstn.pose.datasets.inspection import summarize, suspicious_frames
from rpstn.video.readers import ImageReader

LINKS = [(0, 1), (1, 2), (2, 3)]
REPOSITORY = Path(__file__).resolve().parents[3]


def make_sequence(**changes):
    keypoints = np.tile(np.float32([[20, 20], [30, 30], [40, 40], [50, 60]]), (6, 1, 1))
    keypoints += np.arange(6, dtype=np.float32)[:, None, None]
    fields = dict(
        name='a',
        reader=ImageReader(()),
        keypoints=keypoints,
        labelled=np.ones((6, 4), bool),
        occluded=np.zeros((6, 4), bool),
        boxes=np.tile(np.float32([15, 15, 60, 70]), (6, 1)),
        image_size=(100, 90),
    )
    return PoseSequence(**{**fields, **changes})


def planted(reason):
    sequence = make_sequence()
    keypoints, boxes, labelled = (
        a.copy() for a in (sequence.keypoints, sequence.boxes, sequence.labelled)
    )
    if reason in ('long bone', 'jump'):
        keypoints[3, 0] = [95, 85]
    elif reason == 'same place':
        keypoints[3, 1] = keypoints[3, 3]
    elif reason == 'large box':
        keypoints[3] = [[30, 30], [32, 33], [34, 34], [36, 38]]
    elif reason == 'joints off box':
        boxes[3] = [60, 2, 98, 12]
    return make_sequence(keypoints=keypoints, boxes=boxes, labelled=labelled)


@pytest.mark.parametrize(
    'reason', ['long bone', 'jump', 'same place', 'large box', 'joints off box']
)
def test_planted_mistakes_are_found_where_they_are(reason):
    clean = suspicious_frames(make_sequence(), LINKS)
    assert not any(frames.any() for frames in clean.values())
    found = suspicious_frames(planted(reason), LINKS)[reason]
    # A jump is seen on the way there and back.
    assert np.flatnonzero(found).tolist() == ([3, 4] if reason == 'jump' else [3])


def test_unlabelled_joints_are_never_suspicious():
    labelled = np.ones((6, 4), bool)
    labelled[3, 0] = False
    wild = planted('jump')
    found = suspicious_frames(make_sequence(keypoints=wild.keypoints, labelled=labelled), LINKS)
    assert not any(frames.any() for frames in found.values())
    nothing = make_sequence(labelled=np.zeros((6, 4), bool))
    assert not any(f.any() for f in suspicious_frames(nothing, LINKS).values())


def test_counts():
    keypoints = make_sequence().keypoints.copy()
    labelled, occluded = np.ones((6, 4), bool), np.zeros((6, 4), bool)
    keypoints[0, 0], labelled[0, 0] = [-9, 20], False
    keypoints[1, 0], labelled[1, 0] = [0, 0], False
    occluded[2] = True
    sequence = make_sequence(keypoints=keypoints, labelled=labelled, occluded=occluded)
    summary = summarize([sequence, planted('joints off box')], LINKS)
    assert (
        summary.frames,
        summary.labelled,
        summary.visible,
        summary.occluded,
        summary.outside,
        summary.missing,
    ) == (12, 46, 42, 4, 1, 1)
    assert summary.suspicious == 1 and summary.worst(5) == [('a', {'joints off box': 1})]


def test_boxes():
    points = np.float32([[[-20, 5], [10, 60]], [[3, 4], [8, 9]], [[1, 1], [2, 2]]])
    used = np.array([[True, True], [True, False], [False, False]])
    boxes = joints_boxes(points, used, (40, 30))
    np.testing.assert_array_equal(boxes, [[0, 5, 10, 29], [3, 4, 3, 4], [np.nan] * 4])
    filled, count = fill_boxes(np.full((3, 4), np.nan), boxes)
    np.testing.assert_array_equal(filled, np.tile(boxes[0], (3, 1)))
    assert count == 3
    hopeless, _ = fill_boxes(np.zeros((2, 4)), np.full((2, 4), np.nan))
    assert hopeless.shape == (2, 4)
    mask = np.zeros((9, 9), int)
    mask[2:5, 3] = 7
    np.testing.assert_array_equal(mask_box(mask), [3, 2, 3, 4])
    assert np.isnan(mask_box(mask * 0)).all()
    # A pixel reaches half a pixel around its centre; NaN is nowhere.
    assert inside_image(
        np.array([[-0.5, 0], [-0.6, 0], [39.4, 29.4], [39.5, 0], [np.nan, 0]]), (40, 30)
    ).tolist() == [True, False, True, False, False]


CONFIG = """
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(
    type='PennActionDataset', data_root={root!r}, clip_len=3, pipeline=[
        dict(type='LoadClip'), dict(type='ClipBBox'), dict(type='ForEachFrame', transforms=[
            dict(type='RandomFlip'), dict(type='RandomBBoxTransform'),
            dict(type='TopdownAffine', input_size=(96, 64))]),
        dict(type='PackClipInputs')])))
"""


def test_check_dataset_writes_a_sheet_and_a_table(penn_tree, tmp_path):
    penn_tree.add('0001')
    penn_tree.add('0002', x=np.full((6, 13), 30.0))
    penn_tree.add('0003')
    penn_tree.frame('0003', 2).unlink()
    config, out = tmp_path / 'config.py', tmp_path / 'made/sheet.png'
    config.write_text(CONFIG.format(root=str(penn_tree.root)))
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get('PYTHONPATH')]))
    run = subprocess.run(
        [
            sys.executable,
            REPOSITORY / 'tools/data/check_dataset.py',
            config,
            '--out',
            out,
            '--clips',
            '2',
        ],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': paths},
    )
    assert run.returncode == 0, run.stderr
    counts = dict(
        line.rsplit(None, 1)
        for line in run.stdout.splitlines()
        if line.startswith(('clips', 'frames', 'sequences left out'))
    )
    assert counts == {'clips': '2', 'sequences left out': '1', 'frames': '12'}
    assert '0003/000002.jpg: the frame does not exist' in run.stdout
    sheet = cv2.imread(str(out))
    assert sheet.shape[1] == 3 * 192 and sheet.std() > 10
