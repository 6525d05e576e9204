"""Videos and image folders give the frames asked for, or say which file and frame they lack."""

import pickle

import cv2
import numpy as np
import pytest

from rpstn.pose.datasets import ImageReader, UnreadableFrameError, VideoReader


def test_video_gives_the_frames_asked_for_in_that_order(jhmdb_tree):
    jhmdb_tree.add('run/a', frames=10, video=10)
    path = jhmdb_tree.root / 'ReCompress_Videos/run/a.avi'
    reader = pickle.loads(pickle.dumps(VideoReader(str(path))))
    levels = [int(np.median(frame)) for frame in reader.read([7, 2, 2, 9, 0])]
    assert np.abs(np.subtract(levels, [70, 20, 20, 90, 0])).max() <= 3
    assert reader.count() == 10 and reader.size() == (64, 48)
    first, second = reader.read([3, 3])
    first[:] = 0
    assert second.any(), 'a repeated frame must be an array of its own'


def test_video_that_ends_early_is_damaged_or_missing_is_named(jhmdb_tree, tmp_path):
    jhmdb_tree.add('run/a', frames=10, video=10)
    path = jhmdb_tree.root / 'ReCompress_Videos/run/a.avi'
    with pytest.raises(UnreadableFrameError, match=r'run/a\.avi: frame 12 cannot be decoded'):
        VideoReader(str(path)).read([8, 12])
    garbage = tmp_path / 'garbage.avi'
    garbage.write_bytes(b'no video at all' * 100)
    with pytest.raises(UnreadableFrameError, match=r'garbage\.avi: not a video'):
        VideoReader(str(garbage)).read([0])
    with pytest.raises(UnreadableFrameError, match=r'none\.avi: the video file does not exist'):
        VideoReader(str(tmp_path / 'none.avi')).read([0])


def test_images_missing_empty_or_damaged_are_named(tmp_path):
    paths = [tmp_path / f'{t}.png' for t in range(4)]
    cv2.imwrite(str(paths[0]), np.full((4, 6, 3), 9, np.uint8))
    paths[1].write_bytes(b'')
    paths[2].write_bytes(paths[0].read_bytes()[:20])
    reader = ImageReader(tuple(map(str, paths)))
    assert reader.read([0])[0].shape == (4, 6, 3) and reader.size() == (6, 4)
    for index, message in ((1, 'not an image'), (2, 'not an image'), (3, 'No such file')):
        with pytest.raises(UnreadableFrameError, match=rf'{index}\.png: frame {index}.*{message}'):
            reader.read([0, index])
    with pytest.raises(UnreadableFrameError, match='frame 4 was asked for, 0 to 3 exist'):
        reader.read([4])
