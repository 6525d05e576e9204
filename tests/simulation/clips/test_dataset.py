"""SyntheticClipDataset as the training loop uses it."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

from rpstn.simulation import SyntheticClipDataset


def read(results: dict) -> dict:
    """A pipeline of one step: the frames of a clip and their joints."""
    indices = [frame['frame_index'] for frame in results['frames']]
    return dict(
        images=np.stack(results['reader'].read(indices)),
        keypoints=np.concatenate([f['keypoints'] for f in results['frames']]),
        visible=np.concatenate([f['keypoints_visible'] for f in results['frames']]),
    )


SMALL = dict(num_sequences=6, num_frames=9, image_size=(64, 80), clip_len=4, start='fixed')


@pytest.mark.parametrize(('joints', 'num'), [('penn13', 13), ('jhmdb15', 15)])
def test_sequences_are_sound(joints, num):
    dataset = SyntheticClipDataset(**SMALL, joints=joints, occluder_prob=0.5)
    assert len(dataset) == 6 * 3
    assert len(dataset.metainfo['flip_indices']) == num
    for sequence in dataset.load_sequences():
        sequence.check()
        assert sequence.keypoints.shape == (9, num, 2)
        assert sequence.labelled.mean() > 0.8
        assert not (sequence.occluded & ~sequence.labelled).any()
        low, high = sequence.boxes[:, None, :2], sequence.boxes[:, None, 2:]
        inside = (sequence.keypoints >= low - 1) & (sequence.keypoints <= high + 1)
        assert inside.all(-1)[sequence.labelled].all()
        assert sequence.name.startswith(sequence.action)


def test_seeds_repeat_and_differ():
    a, b, c = (
        next(iter(SyntheticClipDataset(**SMALL, seed=s).load_sequences())) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(a.keypoints, b.keypoints)
    np.testing.assert_array_equal(a.reader.read([3])[0], b.reader.read([3])[0])
    assert np.abs(a.keypoints - c.keypoints).max() > 1


@pytest.mark.parametrize('workers', [0, 2])
def test_in_a_data_loader(workers):
    dataset = SyntheticClipDataset(**SMALL, pipeline=[read], cache_mb=1)
    loader = DataLoader(dataset, batch_size=3, num_workers=workers)
    batches = list(loader)
    assert batches[0]['images'].shape == (3, 4, 80, 64, 3)
    plain = SyntheticClipDataset(**SMALL, pipeline=[read])
    np.testing.assert_array_equal(batches[0]['images'][1], plain[1]['images'])
    np.testing.assert_array_equal(batches[2]['keypoints'][0], plain[6]['keypoints'])


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(motions=('squat', 'yoga')), 'squat.*yoga'),
        (dict(motions=()), 'at least one'),
        (dict(joints='coco'), 'jhmdb15.*penn13.*coco'),
        (dict(occluder_prob=1.5), r'\[0, 1\].*1.5'),
        (dict(num_sequences=0), 'num_sequences.*0'),
    ],
)
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SyntheticClipDataset(**{**SMALL, **wrong})
