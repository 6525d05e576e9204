"""Windows, random starts, padding, the pipeline's input, and what happens to bad data."""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

import rpstn.pose.transforms  # noqa: F401
from rpstn.pose import ClipDataSample
from rpstn.pose.datasets import (
    PENN13,
    BadSequenceError,
    ClipDataset,
    PackedSequences,
    PoseSequence,
    UnreadableFrameError,
)


@dataclass(frozen=True)
class LevelReader:
    """Frame t is flat grey of level t; some frames cannot be read."""

    path: str
    broken: tuple = ()

    def read(self, indices):
        for index in indices:
            if index in self.broken:
                raise UnreadableFrameError(f'{self.path}: frame {index} cannot be decoded')
        return [np.full((48, 64, 3), index, np.uint8) for index in indices]


def sequence(name, length, broken=(), **changes):
    rng = np.random.default_rng(length)
    fields = dict(
        name=name,
        reader=LevelReader(f'{name}.avi', broken),
        keypoints=rng.uniform(5, 40, (length, 13, 2)).astype(np.float32),
        labelled=rng.random((length, 13)) < 0.9,
        occluded=np.zeros((length, 13), bool),
        boxes=np.tile(np.float32([4, 4, 50, 44]), (length, 1)),
        image_size=(64, 48),
    )
    return PoseSequence(**{**fields, **changes})


class Listed(ClipDataset):
    METAINFO = PENN13

    def __init__(self, sequences, **kwargs):
        self.given = sequences
        super().__init__(**kwargs)

    def load_sequences(self):
        yield from self.given


PIPELINE = [dict(type='LoadClip'), dict(type='PackClipInputs')]


@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('clip_len', [1, 4, 5])
def test_fixed_windows_show_every_frame_once(clip_len, stride):
    lengths = [1, 3, 5, 8, 17]
    data = Listed(
        [sequence(f's{n}', n) for n in lengths],
        clip_len=clip_len,
        frame_stride=stride,
        start='fixed',
    )
    shown, ids = Counter(), set()
    for index in range(len(data)):
        frames = data.get_data_info(index)['frames']
        assert len(frames) == clip_len
        padded = [frame['padded'] for frame in frames]
        assert padded == sorted(padded), 'padding comes last'
        real = [frame for frame in frames if not frame['padded']]
        steps = np.diff([frame['frame_index'] for frame in real])
        assert (steps == stride).all()
        for frame in frames[len(real) :]:
            assert frame['frame_index'] == real[-1]['frame_index']
            assert not frame['keypoints_visible'].any()
        shown.update((frame['video'], frame['frame_index']) for frame in real)
        ids.update(frame['img_id'] for frame in real)
    assert shown == Counter({(f's{n}', t): 1 for n in lengths for t in range(n)})
    assert len(ids) == sum(lengths), 'img_id must be unique'


def test_random_start_covers_the_whole_range_and_follows_the_seed():
    data = Listed([sequence('a', 12)], clip_len=4, frame_stride=2)

    def starts(seed):
        np.random.seed(seed)
        return [data.get_data_info(0)['frames'][0]['frame_index'] for _ in range(200)]

    assert set(starts(0)) == set(range(12 - 6))
    assert starts(3) == starts(3) != starts(4)
    frames = data.get_data_info(0)['frames']
    assert np.diff([frame['frame_index'] for frame in frames]).tolist() == [2, 2, 2]


def test_items_hold_what_mmpose_transforms_need():
    given = sequence('a', 6)
    frame = Listed([given], clip_len=3, start='fixed').get_data_info(1)['frames'][0]
    assert frame['frame_index'] == 3 and frame['img_path'] == 'a.avi#3'
    np.testing.assert_array_equal(frame['keypoints'], given.keypoints[3:4])
    np.testing.assert_array_equal(frame['keypoints_visible'][0] > 0, given.labelled[3])
    assert frame['bbox'].shape == (1, 4) and frame['bbox'].dtype == np.float32
    assert frame['flip_indices'] == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11]
    frame['keypoints'][:] = -1
    frame['bbox'][:] = -1
    assert (given.boxes[3] > 0).all(), 'transforms work in place; the data must not change'
    again = Listed([given], clip_len=3, start='fixed')
    again.get_data_info(1)['frames'][0]['keypoints'][:] = -1
    assert (again.get_data_info(1)['frames'][0]['keypoints'] > 0).all()


def test_packing_keeps_every_sequence_as_it_was():
    given = [sequence(f's{n}', n, action=f'a{n}') for n in (3, 1, 7)]
    packed = PackedSequences(given)
    for i, expected in enumerate(given):
        found = packed[i]
        assert (found.name, found.action, found.reader, found.image_size) == (
            expected.name,
            expected.action,
            expected.reader,
            expected.image_size,
        )
        for field in ('keypoints', 'labelled', 'occluded', 'boxes'):
            np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    with pytest.raises(BadSequenceError, match='s3: two sequences have this name'):
        PackedSequences([given[0], given[0]])


def nan_joint():
    keypoints = sequence('x', 8).keypoints.copy()
    keypoints[2, 5] = np.nan
    return sequence('bad', 8, keypoints=keypoints, labelled=np.ones((8, 13), bool))


def flat_box():
    boxes = sequence('x', 8).boxes.copy()
    boxes[4] = [9, 9, 9, 20]
    return sequence('bad', 8, boxes=boxes)


BAD = {
    'keypoints must be finite where labelled, got .*nan.* joint 5 of frame 2': nan_joint,
    r'boxes must be finite with x1 < x2.* \[9.0, 9.0, 9.0, 20.0\] in frame 4': flat_box,
    r'labelled must be \(8, 13\), got shape \(8, 12\)': lambda: sequence(
        'bad', 8, labelled=np.ones((8, 12), bool)
    ),
    'a clip needs 5 frames .*, got 4': lambda: sequence('bad', 4),
    'at least one frame, got 0 frames': lambda: sequence('bad', 0),
}


@pytest.mark.parametrize(('message', 'make'), BAD.items())
def test_bad_sequences_are_refused_or_skipped_in_one_line(message, make, caplog):
    with pytest.raises(BadSequenceError, match=rf'^bad \(bad.avi\): .*{message}'):
        Listed([sequence('good', 8), make()], bad_data='raise')
    data = Listed([sequence('good', 8), make()], bad_data='skip')
    assert len(data) == 1 and len(data.bad_sequences) == 1
    assert 'bad.avi' in data.bad_sequences[0] and '\n' not in data.bad_sequences[0]
    with pytest.raises(BadSequenceError, match='no usable sequence.*bad.avi'):
        Listed([make()], bad_data='skip')


def test_unreadable_frames_are_replaced_in_training_and_named_once(caplog):
    given = [sequence('good', 8), sequence('broken', 8, broken=range(8))]
    data = Listed(given, pipeline=PIPELINE, bad_data='skip')
    logger = MMLogger.get_instance('test_unreadable')
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert data[1]['data_samples'].frames[0].metainfo['video'] == 'good'
    lines = [r.getMessage() for r in caplog.records if 'broken.avi' in r.getMessage()]
    assert len(lines) == 1 and 'another clip is drawn' in lines[0]


class CountingReader(LevelReader):
    """Notes how many frames are asked for at once."""

    asked: ClassVar[list[int]] = []

    def read(self, indices):
        self.asked.append(len(indices))
        return super().read(indices)


def test_many_frames_are_read_in_chunks_of_bounded_size():
    data = Listed([sequence('a', 150, reader=CountingReader('a.avi'))], start='fixed')
    wanted = [*range(0, 150, 2), *range(1, 150, 2)]
    assert [int(image[0, 0, 0]) for image in data.read_frames('a', wanted)] == wanted
    assert CountingReader.asked == [64, 64, 22]


def test_images_of_another_size_are_bad_data():
    wrong = sequence('wrong', 8, image_size=(32, 24))
    message = r'^wrong\.avi: frame 0 \(wrong\.avi#0\) has 64x48 pixels, .* states 32x24'
    for settings in (dict(bad_data='raise'), dict(test_mode=True)):
        data = Listed([wrong], pipeline=PIPELINE, start='fixed', **settings)
        with pytest.raises(UnreadableFrameError, match=message):
            data[0]
    data = Listed([sequence('good', 8), wrong], pipeline=PIPELINE)
    assert {data[1]['data_samples'].frames[0].metainfo['video'] for _ in range(5)} == {'good'}
    unknown = Listed(
        [sequence('unknown', 8, image_size=None)],
        pipeline=PIPELINE,
        start='fixed',
        bad_data='raise',
    )
    assert unknown[0]['inputs'].shape == (5, 3, 48, 64)
    assert unknown.sequences[0].image_size is None


@pytest.mark.parametrize('settings', [dict(bad_data='raise'), dict(test_mode=True)])
def test_worker_error_names_the_file(settings, read_all):
    data = Listed(
        [sequence('broken', 8, broken=(3,))], pipeline=PIPELINE, start='fixed', **settings
    )
    loader = DataLoader(data, batch_size=1, num_workers=2, collate_fn=pseudo_collate)
    with pytest.raises(UnreadableFrameError, match=r'broken\.avi: frame 3 cannot be decoded'):
        read_all(loader)


def test_any_error_in_a_worker_names_the_clip(read_all):
    def fail(results):
        raise KeyError('bbox_center')

    data = Listed([sequence('a', 8)], pipeline=[fail], start='fixed')
    with pytest.raises(RuntimeError, match=r"a \(a\.avi\), frame 0: KeyError: 'bbox_center'"):
        read_all(DataLoader(data, num_workers=1, collate_fn=pseudo_collate))


def test_nothing_readable_ends_instead_of_looping():
    data = Listed([sequence('broken', 8, broken=range(8))], pipeline=PIPELINE, max_refetch=5)
    with pytest.raises(Exception, match='Cannot find valid image'):
        data[0]


def test_data_loader_gives_lists_of_clips():
    data = Listed([sequence(f's{n}', n) for n in (6, 7, 8, 9)], clip_len=3, pipeline=PIPELINE)
    loader = DataLoader(
        data,
        batch_size=2,
        num_workers=2,
        collate_fn=pseudo_collate,
        worker_init_fn=lambda i: worker_init_fn(i, 2, 0, 1),
    )
    batches = list(loader)
    assert len(batches) == 2
    for batch in batches:
        assert [tuple(clip.shape) for clip in batch['inputs']] == [(3, 3, 48, 64)] * 2
        assert all(isinstance(s, ClipDataSample) and len(s) == 3 for s in batch['data_samples'])
        for clip, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            shown = [frame.metainfo['frame_index'] for frame in sample.frames]
            assert [int(image[0, 0, 0]) for image in clip] == shown


def test_wrong_settings_say_what_is_allowed():
    for settings, message in (
        (dict(start='middle'), "start must be one of .*'random'"),
        (dict(bad_data='ignore'), 'bad_data must be one of'),
        (dict(clip_len=0), 'clip_len must be an integer of at least 1'),
    ):
        with pytest.raises(ValueError, match=message):
            Listed([sequence('a', 8)], **settings)
