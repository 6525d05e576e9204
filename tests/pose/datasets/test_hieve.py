"""HiEve's assumed layout: labels, frames from videos and folders, and a strict reader."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn.pose.datasets import HIEVE14, BadSequenceError, HiEveClipDataset, ImageReader, VideoPart

JOINTS = (
    'nose chest right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist '
    'right_hip right_knee right_ankle left_hip left_knee left_ankle'
).split()


class Tree:
    """``labels/pose``, ``videos`` or ``images``; frames are flat greys that tell their number."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / 'labels/pose').mkdir(parents=True)

    def add(
        self,
        video: str,
        frames: int = 6,
        tracks: dict[int, list[int]] | None = None,
        images: bool = False,
        first: int = 0,
    ) -> dict:
        greys = [np.full((64, 96, 3), 20 * t, np.uint8) for t in range(frames)]
        if images:
            (self.root / 'images' / video).mkdir(parents=True)
            for t, grey in enumerate(greys):
                cv2.imwrite(str(self.root / f'images/{video}/{t + first:06d}.jpg'), grey)
        else:
            (self.root / 'videos').mkdir(exist_ok=True)
            writer = cv2.VideoWriter(
                str(self.root / f'videos/{video}.mp4'),
                cv2.VideoWriter_fourcc(*'mp4v'),
                25,
                (96, 64),
            )
            for grey in greys:
                writer.write(grey)
            writer.release()
        content = dict(
            annolist=[
                dict(
                    image=[dict(name=f'{t + first:06d}.jpg')],
                    annorect=[
                        self.person(track, t)
                        for track, shown in (tracks or {1: range(frames)}).items()
                        if t in shown
                    ],
                )
                for t in range(frames)
            ]
        )
        return self.write(video, content)

    def write(self, video: str, content: dict) -> dict:
        (self.root / f'labels/pose/{video}.json').write_text(json.dumps(content))
        return content

    @staticmethod
    def person(track: int, t: int) -> dict:
        points = np.random.default_rng(track).uniform(5, 50, (14, 2)).round(2) + [t, 0]
        return dict(
            track_id=[track],
            x1=[0],
            y1=[0],
            x2=[5],
            y2=[5],
            annopoints=[
                dict(
                    point=[
                        dict(id=[k], x=[x], y=[y], is_visible=[1])
                        for k, (x, y) in enumerate(points)
                    ]
                )
            ],
        )


@pytest.fixture
def tree(tmp_path) -> Tree:
    init_default_scope('mmpose')
    return Tree(tmp_path / 'HIE20')


def load(tree: Tree, **options) -> HiEveClipDataset:
    return HiEveClipDataset(
        str(tree.root),
        **{'subset': 'trainval', 'clip_len': 3, 'start': 'fixed', 'test_mode': True, **options},
    )


def test_joints_in_the_published_order():
    meta = parse_pose_metainfo(HIEVE14)
    assert [meta['keypoint_id2name'][k] for k in range(14)] == JOINTS
    assert meta['flip_indices'] == [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10]
    links = {frozenset(link) for link in meta['skeleton_links']}
    reached = {0}  # one tree over all joints
    for _ in range(14):
        reached |= {k for link in links if link & reached for k in link}
    assert len(links) == 13 and reached == set(range(14))


@pytest.mark.parametrize('images, first', [(False, 0), (True, 0), (True, 1), (False, 1)])
def test_tracks_and_their_frames(tree, images, first):
    content = tree.add('7', tracks={3: [2, 3, 4], 8: [0, 5]}, images=images, first=first)
    point = content['annolist'][2]['annorect'][0]['annopoints'][0]['point']
    point[4]['is_visible'] = [0]
    point[6]['x'] = [200.0]
    del point[9], point[0]['is_visible']
    point[0].update(id=0, x=12.5, y=[9])
    tree.write('7', content)
    data = load(tree, first_frame=first)
    assert [data.sequences[i].name for i in range(3)] == ['7/3@000002', '7/8@000000', '7/8@000005']
    sequence = data.sequences[0]
    assert isinstance(sequence.reader, ImageReader if images else VideoPart)
    assert len(sequence) == 3 and sequence.image_size == (96, 64)
    expected = np.ones(14, bool)
    expected[[6, 9]] = False
    np.testing.assert_array_equal(sequence.labelled[0], expected)
    assert np.flatnonzero(sequence.occluded[0]).tolist() == [4]
    assert sequence.keypoints[0, 0].tolist() == [12.5, 9]
    used = sequence.keypoints[0][expected]
    np.testing.assert_allclose(sequence.boxes[0], np.r_[used.min(0), used.max(0)], rtol=1e-6)
    for index in (0, 2):  # frames 2 and 4 of the video
        assert data.read_frame(sequence.name, index).mean() == pytest.approx(
            20 * (index + 2), abs=4
        )
    item = data.get_data_info(0)
    number = 2 + (first if images else 0)
    assert re.search(
        rf'{number:06d}.jpg$' if images else rf'7.mp4#{number}$', item['frames'][0]['img_path']
    )
    assert item['frames'][1]['raw_ann_info']['image_id'] == item['frames'][1]['img_id'] == 3


def test_people_and_images_have_numbers_of_their_own(tree):
    tree.add('1', tracks={3: [0, 1], 4: [0, 1]}, frames=3)
    tree.add('2', tracks={3: [0, 1]}, frames=3)
    data = load(tree, frames_before=2)
    frames = [data.get_data_info(i)['frames'][-1] for i in range(len(data))]
    assert len({f['id'] for f in frames}) == len(frames) == 6
    assert len({f['img_id'] for f in frames}) == 4


def test_boxes_of_joints_are_no_news(tree, warnings_logged):
    content = tree.add('1')
    load(tree)
    assert not any('box' in w for w in warnings_logged())
    points = content['annolist'][0]['annorect'][0]['annopoints'][0]
    points['point'] = points['point'][:1]  # a single joint has no box with an area
    tree.write('1', content)
    data = load(tree)
    assert any('1 annotations have no box with an area' in w for w in warnings_logged())
    np.testing.assert_array_equal(*data.sequences[0].boxes[:2])


def test_whole_videos_are_held_out(tree):
    for video in range(1, 6):
        tree.add(str(video), frames=3)
    names = {
        subset: {load(tree, subset=subset).sequences[i].name[0] for i in range(n)}
        for subset, n in (('train', 4), ('val', 1), ('trainval', 5))
    }
    assert names['train'] | names['val'] == names['trainval'] == set('12345')
    assert not names['train'] & names['val']


def change(content: dict, path: list, value) -> None:
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


PERSON = ['annolist', 1, 'annorect', 0]
POINT = [*PERSON, 'annopoints', 0, 'point', 2]


@pytest.mark.parametrize(
    'path, value, message',
    [
        (['annolist'], 3, r'1.json: annolist must be a list of objects, got 3'),
        (
            ['annolist', 1, 'annorect'],
            'x',
            "annolist 1: annorect must be a list of objects, got 'x'",
        ),
        (['annolist', 1, 'image'], [dict(name='a.jpg')], "image name must be like .* got 'a.jpg'"),
        (['annolist', 1, 'image'], None, 'annolist 1: image must be a list of objects, got None'),
        (
            [*PERSON, 'track_id'],
            ['a'],
            r"annorect 0: track_id must be a number or \[number\], got 'a'",
        ),
        ([*PERSON, 'track_id'], None, 'track_id must be a number'),
        ([*PERSON, 'annopoints'], [{}], 'annorect 0: point must be a list of objects, got None'),
        ([*POINT, 'id'], [14], 'annorect 0: point id must be 0 to 13, got 14'),
        ([*POINT, 'x'], [1, 2], r'joint 2: x must be a number or \[number\], got \[1, 2\]'),
        ([*POINT, 'y'], float('nan'), 'joint 2: y must be a number'),
        ([*POINT, 'is_visible'], 'yes', "joint 2: is_visible must be a number .*'yes'"),
    ],
)
def test_what_is_not_as_assumed_is_named(tree, path, value, message, warnings_logged):
    content = tree.add('1')
    tree.add('2')
    change(content, path, value)
    tree.write('1', content)
    data = load(tree)
    assert len(data.sequences) == 1
    assert 'labels/pose/1.json' in data.bad_sequences[0]
    assert re.search(message, data.bad_sequences[0])
    assert any(re.search(message, w) for w in warnings_logged())
    with pytest.raises(BadSequenceError, match=message):
        load(tree, bad_data='raise')


def test_frames_files_and_folders_that_do_not_fit(tree, warnings_logged):
    content = tree.add('1', images=True)
    content['annolist'][0]['annorect'][0]['annopoints'] = []
    tree.write('1', content)
    load(tree)
    assert any('left out 1 people without any joint' in w for w in warnings_logged())
    with pytest.raises(BadSequenceError, match=r"from first_frame=1 on, got '000000.jpg'"):
        load(tree, first_frame=1)
    content['annolist'][0]['annorect'] = [Tree.person(1, 0)] * 2
    tree.write('1', content)
    with pytest.raises(BadSequenceError, match='track_id must occur once in a frame, got 1 twice'):
        load(tree)
    content['annolist'][0] = dict(image=[dict(name='000009.jpg')], annorect=[])
    tree.write('1', content)
    with pytest.raises(BadSequenceError, match='must be one of 6 frames of .*images/1.* got 9'):
        load(tree)
    (tree.root / 'images/1/000002.jpg').unlink()
    with pytest.raises(BadSequenceError, match='without a gap, got none of number 2'):
        load(tree)
    (tree.root / 'labels/pose/1.json').write_text('[1')
    with pytest.raises(BadSequenceError, match='1.json: cannot be read as JSON'):
        load(tree)
    (tree.root / 'labels/pose/1.json').unlink()
    tree.add('2')
    (tree.root / 'videos/2.mp4').unlink()
    with pytest.raises(BadSequenceError, match='2.mp4: the video file does not exist'):
        load(tree)
    with pytest.raises(FileNotFoundError, match=r'no labels \(<n>.json\) in .*labels/track2'):
        load(tree, labels_dir='labels/track2')
    with pytest.raises(ValueError, match="subset must be one of .*'trainval'.* got 'test'"):
        load(tree, subset='test')
