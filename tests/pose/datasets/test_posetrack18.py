"""PoseTrack18: tracks of several people, which frames clips show, average precision."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import mmpose
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.datasets import PoseTrack18Dataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS

from rpstn.engine import run
from rpstn.engine.run import RunOptions
from rpstn.pose import FrameEvaluator
from rpstn.pose.datasets import POSETRACK18, BadSequenceError, ImageReader, PoseTrack18ClipDataset

ROOT = Path(__file__).parents[3]
PIPELINE = [
    dict(type='LoadClip'),
    dict(type='ClipBBox'),
    dict(type='ForEachFrame', transforms=[dict(type='TopdownAffine', input_size=(64, 64))]),
    dict(type='PackClipInputs'),
]


class Tree:
    """``images/`` and annotations of PoseTrack18; frames are flat greys that tell their number."""

    def __init__(self, root: Path) -> None:
        self.root, self.images, self.annotations = root, [], []
        (root / 'annotations').mkdir(parents=True)

    def add(
        self,
        video: str,
        frames: int,
        tracks: dict[int, list[int]],
        part: str = 'val',
        labelled: list[int] | None = None,
    ) -> None:
        """``tracks``: the labelled frames of each person; ``labelled``: images that are listed."""
        folder = self.root / 'images' / part / video
        folder.mkdir(parents=True)
        number = int(video[:6])
        for t in range(frames):
            cv2.imwrite(str(folder / f'{t:06d}.jpg'), np.full((64, 96, 3), 10 * t, np.uint8))
            if labelled is None or t in labelled:
                self.images.append(
                    dict(
                        id=10**10 + number * 10**4 + t,
                        file_name=f'images/{part}/{video}/{t:06d}.jpg',
                        nframes=frames,
                        vid_id=video[:6],
                        width=96,
                        height=64,
                    )
                )
        for track, shown in tracks.items():
            for t in shown:
                self.annotations.append(self.person(number, track, t))

    def person(self, number: int, track: int, t: int) -> dict:
        rng = np.random.default_rng([number, track])
        points = rng.uniform(0, 24, (17, 2)) + [4 + 40 * (track % 2) + t, 2 + 30 * (track // 2)]
        joints = np.concatenate([points.round(2), np.ones((17, 1))], 1)
        joints[3:5] = 0  # the ears are never marked
        low, high = points.min(0) - 1, points.max(0) + 1
        return dict(
            id=(10**10 + number * 10**4 + t) * 100 + track,
            track_id=track,
            category_id=1,
            image_id=10**10 + number * 10**4 + t,
            iscrowd=0,
            keypoints=joints.ravel().tolist(),
            bbox=[*low.tolist(), *(high - low).tolist()],
        )

    def write(self, name: str = 'val') -> str:
        (self.root / f'annotations/posetrack18_{name}.json').write_text(
            json.dumps(
                dict(
                    images=self.images,
                    annotations=self.annotations,
                    categories=[dict(id=1, name='person')],
                )
            )
        )
        return str(self.root)


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path / 'posetrack18')


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def load(root: str, **options) -> PoseTrack18ClipDataset:
    return PoseTrack18ClipDataset(
        root, **{'subset': 'test', 'clip_len': 3, 'start': 'fixed', 'test_mode': True, **options}
    )


def shown(item: dict) -> list[tuple[int, bool]]:
    """Frame of the video and whether it counts, of each frame of a clip."""
    paths = [Path(frame['img_path']).stem for frame in item['frames']]
    return [(int(p), not f['padded']) for p, f in zip(paths, item['frames'])]


def test_metainfo_is_that_of_mmpose():
    file = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/posetrack18.py'
    if not file.exists():
        pytest.skip('this MMPose came without its configs')
    ours, theirs = (parse_pose_metainfo(m) for m in (POSETRACK18, dict(from_file=str(file))))
    for key in (
        'dataset_name',
        'keypoint_id2name',
        'flip_indices',
        'skeleton_links',
        'upper_body_ids',
    ):
        assert ours[key] == theirs[key], key
    np.testing.assert_array_equal(ours['sigmas'], theirs['sigmas'])


def test_people_of_one_video_are_sequences_of_their_own(tree):
    tree.add('000342_mpii_test', 6, {0: [0, 1, 2, 3, 4, 5], 1: [1, 2, 4]})
    data = load(tree.write())
    first, second = data.sequences[0], data.sequences[1]
    assert [s.name for s in (first, second)] == [
        '000342_mpii_test/0@000000',
        '000342_mpii_test/1@000001',
    ]
    assert isinstance(second.reader, ImageReader)
    assert [Path(p).stem for p in second.reader.paths] == ['000001', '000002', '000003', '000004']
    raw = np.array(tree.annotations[7]['keypoints']).reshape(17, 3)  # track 1, frame 2
    np.testing.assert_allclose(second.keypoints[1], raw[:, :2], rtol=1e-6)
    np.testing.assert_array_equal(second.labelled[1], raw[:, 2] > 0)
    assert not second.labelled[2].any() and not second.occluded.any()  # frame 3 has no label
    x, y, w, h = tree.annotations[7]['bbox']
    np.testing.assert_allclose(second.boxes[1], [x, max(y, 0), x + w, y + h], rtol=1e-5)
    np.testing.assert_allclose(second.boxes[2], (second.boxes[1] + second.boxes[3]) / 2)
    assert data.read_frame(second.name, 1).mean() == pytest.approx(20, abs=2)


def test_clips_end_at_the_labelled_frame_or_hold_it_in_the_middle(tree):
    tree.add('000001_x', 8, {0: [0, 4, 5]})
    root = tree.write()
    back = load(root, frames_before=2)
    assert [shown(back.get_data_info(i)) for i in range(len(back))] == [
        [(0, False), (0, False), (0, True)],  # the video's first frame stands for those before
        [(2, False), (3, False), (4, True)],
        [(3, False), (4, False), (5, True)],
    ]
    middle = load(root, frames_before=1, frames_after=1, frame_stride=3)
    assert [shown(middle.get_data_info(i)) for i in range(len(middle))] == [
        [(0, False), (0, True), (3, False)],
        [(1, False), (4, True), (7, False)],
        [(2, False), (5, True), (7, False)],
    ]
    # In training the neighbours' labels count, too, and only repeated frames are padded.
    train = load(root, frames_before=2, test_mode=False)
    assert shown(train.get_data_info(0)) == [(0, False), (0, False), (0, True)]
    frames = train.get_data_info(2)['frames']
    assert [f['padded'] for f in frames] == [False] * 3
    assert [f['keypoints_visible'].any() for f in frames] == [False, True, True]
    assert all(f['bbox'][0, 2] > f['bbox'][0, 0] for f in frames)


def test_sliding_clips_show_each_label_once_and_are_cut_at_wide_gaps(tree):
    tree.add('000001_x', 20, {0: [0, 4, 8, 9, 10, 18], 1: [3]})
    data = load(tree.write())
    clips = [shown(data.get_data_info(i)) for i in range(len(data))]
    assert clips == [
        [(0, True), (1, False), (2, False)],
        [(3, False), (4, True), (5, False)],
        [(6, False), (7, False), (8, True)],
        [(9, True), (10, True), (10, False)],
        [(18, True), (18, False), (18, False)],
        [(3, True), (3, False), (3, False)],
    ]
    assert len(load(tree.write(), max_gap=8).sequences) == 2


def test_random_clips_hold_a_label_and_take_in_neighbours_of_short_runs(tree):
    tree.add('000001_x', 9, {0: [1], 1: [8], 2: [0, 2, 4, 6]})
    data = load(tree.write(), start='random', test_mode=False, clip_len=5)
    assert [shown(data.get_data_info(i))[0][0] for i in (0, 1)] == [0, 4]
    starts = set()
    for _ in range(40):
        item = data.get_data_info(2)
        starts.add(shown(item)[0][0])
        assert any(f['keypoints_visible'].any() for f in item['frames'])
    assert starts == {0, 1, 2}
    tree.add('000002_short', 3, {0: [0, 1, 2]})
    data = load(tree.write(), start='random', test_mode=False, clip_len=5)
    assert len(data) == 3 and 'needs 5 frames' in data.bad_sequences[0]


def predict(data: PoseTrack18ClipDataset, error: Callable) -> list:
    """The labels, plus an error, as predictions of every frame of every clip."""
    samples = []
    for i in range(len(data)):
        for frame in data[i]['data_samples'].frames:
            truth = frame.gt_instances
            frame.pred_instances = InstanceData(
                keypoints=truth.keypoints + error(frame),
                bboxes=truth.bboxes,
                keypoint_scores=np.full((1, 17), 0.9),
                bbox_scores=truth.bbox_scores,
            )
            samples.append(frame)
    return samples


def evaluate(data, samples: list, **options) -> dict[str, float]:
    evaluator = FrameEvaluator(
        [
            dict(type='CocoMetric', use_area=False, **options),
            dict(type='VideoPCK', normalizers=['bbox']),
        ]
    )
    evaluator.dataset_meta = data.metainfo
    evaluator.process(samples)
    return evaluator.evaluate(len(data))


@pytest.mark.parametrize(
    'options', [{}, dict(frames_before=2), dict(frames_before=1, frames_after=1)]
)
def test_average_precision(tree, options):
    tree.add('000342_mpii_test', 8, {0: [0, 4, 5, 6], 1: [1, 2, 3, 4], 2: [4]})
    tree.add('001000_mpii_test', 4, {0: [0, 1], 3: [0]})
    data = load(tree.write(), pipeline=PIPELINE, **options)
    perfect = evaluate(data, predict(data, lambda frame: 0))
    assert perfect['coco/AP'] == pytest.approx(1) and perfect['coco/AR'] == pytest.approx(1)
    assert perfect['bbox_PCK@0.2/mean'] == 1
    bad = evaluate(data, predict(data, lambda frame: 60))
    assert bad['coco/AP'] < 0.01 and bad['bbox_PCK@0.2/mean'] == 0
    # All four people of the image 000004, of which one is wrong, count in PCK.
    wrong = evaluate(data, predict(data, lambda frame: 60 if frame.id % 100 == 2 else 0))
    assert wrong['bbox_PCK@0.2/joint/nose'] == pytest.approx(11 / 12)


def test_average_precision_is_that_of_mmposes_own_data_set_and_file(tree, tmp_path):
    tree.add('000342_mpii_test', 8, {0: [0, 4, 5, 6], 1: [1, 2, 3, 4], 2: [4]})
    root = tree.write()

    def error(frame):
        return np.random.default_rng(frame.id).normal(0, 1 + frame.id % 100 * 2, (1, 17, 2))

    data = load(root, pipeline=PIPELINE, frames_before=2)
    ours = evaluate(data, predict(data, error))
    theirs = PoseTrack18Dataset(
        data_root=root,
        ann_file='annotations/posetrack18_val.json',
        data_prefix=dict(img=''),
        test_mode=True,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(64, 64)),
            dict(type='PackPoseInputs'),
        ],
    )
    samples = []
    for i in range(len(theirs)):
        sample = theirs[i]['data_samples']
        sample.pred_instances = InstanceData(
            keypoints=sample.gt_instances.keypoints + error(sample),
            keypoint_scores=np.full((1, 17), 0.9),
        )
        samples.append(sample)
    file = f'{root}/annotations/posetrack18_val.json'
    expected = evaluate(theirs, samples, ann_file=file)
    assert 0 < ours['coco/AP'] < 1
    for key in ('coco/AP', 'coco/AP .5', 'coco/AP .75', 'coco/AR', 'bbox_PCK@0.2/mean'):
        assert ours[key] == pytest.approx(expected[key]), key


@pytest.mark.parametrize('kind', ['rpstn', 'baseline'])
def test_the_test_tool_prints_ap(tree, tmp_path, kind, capsys):
    tree.add('000342_mpii_test', 5, {0: [0, 2], 1: [1, 4]})
    config = tmp_path / 'tiny.py'
    model = (
        'dict(backbone=dict(channels=16, input_size=(64, 64), encoder=small), '
        'head=dict(channels=16, decoder=codec))'
        if kind == 'rpstn'
        else 'dict(backbone=small, head=dict(in_channels=64, deconv_out_channels=(16, 16, 16), '
        'deconv_kernel_sizes=(4, 4, 4), decoder=codec))'
    )
    config.write_text(f"""
_base_ = ['{ROOT}/configs/{kind}_posetrack18.py']
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
small = dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None)
model = {model}
test_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=2, dataset=dict(
    data_root='{tree.write()}', pipeline={PIPELINE}))
""")
    torch.save(
        dict(state_dict=MODELS.build(Config.fromfile(config).model).state_dict()),
        tmp_path / 'model.pth',
    )
    run.test(
        config,
        tmp_path / 'model.pth',
        RunOptions(work_dir=str(tmp_path / 'work'), show_dir=str(tmp_path / 'drawn')),
        out=tmp_path / 'figures.json',
    )
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert 0 <= figures['coco/AP'] <= 1 and 0 <= figures['bbox_PCK@0.2/mean'] <= 1
    assert re.search(r'Average Precision  \(AP\)', capsys.readouterr().out)
    assert sorted(path.name for path in tmp_path.glob('drawn/000342_mpii_test/*.mp4')) == [
        '0@000000.mp4',
        '1@000001.mp4',
    ]


def test_files_of_single_videos_and_held_out_videos(tree):
    for number in range(1, 11):
        tree.add(f'{number:06d}_x', 3, {0: [0, 1, 2]}, part='train')
    folder = tree.root / 'annotations/train'
    folder.mkdir()
    for number in range(1, 11):
        images = [
            {k: v for k, v in image.items() if k not in ('width', 'height')}
            for image in tree.images
            if int(image['vid_id']) == number
        ]
        ids = [image['id'] for image in images]
        people = [a for a in tree.annotations if a['image_id'] in ids]
        (folder / f'{number:06d}_x.json').write_text(
            json.dumps(dict(images=images, annotations=people))
        )
    names = {}
    for subset in ('train', 'val', 'trainval'):
        data = load(str(tree.root), subset=subset)
        names[subset] = {data.sequences[i].name for i in range(len(data.sequences))}
    assert data.sequences[0].image_size == (96, 64)
    assert len(names['val']) == 1 and not names['val'] & names['train']
    assert names['val'] | names['train'] == names['trainval'] and len(names['trainval']) == 10
    # The merged file is taken where there is one.
    tree.annotations = [a for a in tree.annotations if a['image_id'] // 10**4 % 10**6 < 4]
    tree.write('train')
    assert len(load(str(tree.root), subset='trainval').sequences) == 3
    assert len(load(str(tree.root), subset='trainval', ann_file='annotations/train')) == 10


@pytest.mark.parametrize(
    'field, value, message',
    [
        (
            'keypoints',
            [1.0] * 48,
            r'posetrack18_val.json: annotation \d+: keypoints must hold 51 finite '
            'numbers, got 48 entries',
        ),
        ('keypoints', None, 'keypoints must hold 51 finite numbers, got None'),
        ('bbox', [1, 2, 3], 'bbox must hold 4 finite numbers, got 3 entries'),
        ('track_id', None, 'track_id must be a whole number, got None'),
        ('track_id', 1, r'track_id must occur once in image \d+, got 1 twice'),
        ('id', 'a', "annotation a: id must be a whole number, got 'a'"),
    ],
)
def test_a_bad_annotation_is_left_out_and_named(tree, field, value, message, warnings_logged):
    tree.add('000001_x', 3, {0: [0, 1], 1: [0, 1]})
    tree.annotations[2][field] = value  # the second person's first
    tree.annotations.reverse()
    if field == 'track_id' and value == 1:
        tree.annotations.append(dict(tree.annotations[1]))
    root = tree.write()
    data = load(root)
    assert len(data.sequences) == 2 and len(data.bad_sequences) == 1
    assert re.search(message, data.bad_sequences[0])
    assert any('skipped 1 of 3' in w and re.search(message, w) for w in warnings_logged())
    with pytest.raises(BadSequenceError, match=message):
        load(root, bad_data='raise')


def test_people_without_joints_or_boxes_are_told(tree, warnings_logged):
    tree.add('000001_x', 3, {0: [0, 1, 2], 1: [0]})
    tree.annotations[3]['keypoints'] = [0] * 51
    del tree.annotations[1]['bbox']
    tree.annotations[2]['bbox'] = [5, 5, 0, 10]
    data = load(tree.write())
    assert len(data.sequences) == 1
    points = data.sequences[0].keypoints[1][data.sequences[0].labelled[1]]
    np.testing.assert_allclose(
        data.sequences[0].boxes[1], np.r_[points.min(0), points.max(0)], rtol=1e-5
    )
    warned = '\n'.join(warnings_logged())
    assert 'left out 1 annotations without any marked joint' in warned
    assert '2 annotations have no box with an area' in warned


def test_bad_files_videos_and_options(tree, tmp_path):
    tree.add('000001_x', 3, {0: [0, 1]})
    tree.add('000002_x', 3, {0: [0, 1]})
    root = tree.write()
    (tree.root / 'images/val/000002_x/000001.jpg').unlink()
    data = load(root)
    assert len(data.sequences) == 1
    assert re.search(
        r'000002_x/0@000000: .*000002_x/000001.jpg does not exist', data.bad_sequences[0]
    )
    assert len(load(root, check_frames=False).sequences) == 2
    for field, value, message in [
        ('nframes', 1, 'nframes must exceed the frame numbers, 0 to 2, got 1'),
        ('nframes', None, 'nframes must be a whole number, got None'),
        ('width', '96', "width must be a whole number, got '96'"),
        ('file_name', 'a.jpg', "file_name must be like .* got 'a.jpg'"),
        ('file_name', '/etc/000000.jpg', "file_name must lie in the data set, got '/etc/"),
        ('file_name', 'a/../../000000.jpg', 'file_name must lie in the data set'),
        ('file_name', f'a/{"9" * 5000}.jpg', 'file_name must be like'),
        ('nframes', 10**12, r'nframes must be lower, 1,000,000,000,000 frames, above the limit of'),
        ('nframes', 10**400, 'nframes must be a whole number, got inf'),
        ('width', 10**9, r'image_size must be smaller, got 1000000000x\d+ pixels, above the limit'),
    ]:
        kept = tree.images[0][field]
        tree.images[0][field] = value
        with pytest.raises(BadSequenceError, match=message):
            load(tree.write(), bad_data='raise')
        tree.images[0][field] = kept
    for field, value, message in [
        ('bbox', [0, 0, 1e30, 9], r'bbox must lie within 10,000,000 of the origin, got 1e\+30'),
        ('bbox', [0, 0, float('nan'), 9], 'bbox must hold 4 finite numbers'),
        ('keypoints', [10**400] * 51, r'keypoints must hold 51 finite numbers|origin'),
        ('keypoints', [-1e9] * 51, r'keypoints must lie within 10,000,000 of the origin'),
        ('image_id', [1], r'image_id must be a whole number, got \[1\]'),
    ]:
        kept = tree.annotations[0][field]
        tree.annotations[0][field] = value
        with pytest.raises(BadSequenceError, match=message):
            load(tree.write(), bad_data='raise')
        tree.annotations[0][field] = kept
    tree.annotations[0]['image_id'] = 7
    with pytest.raises(BadSequenceError, match='image_id must be the id of an image, got 7'):
        load(tree.write())
    (tree.root / 'annotations/posetrack18_val.json').write_text('{')
    with pytest.raises(BadSequenceError, match=r'posetrack18_val.json: cannot be read as JSON'):
        load(root)
    with pytest.raises(FileNotFoundError, match=r'posetrack18_train.json and .*annotations/train'):
        load(root, subset='train')
    for options, message in [
        (dict(frames_before=3), r'clip_len must be .* 4, got 3'),
        (dict(frames_before=2, start='random'), "start must be 'fixed', got 'random'"),
        (dict(frames_after=-1), 'frames_after must be an integer of at least 0, got -1'),
        (dict(max_gap=0), 'max_gap must be an integer of at least 1, got 0'),
        (dict(subset='dev'), "subset must be one of .* got 'dev'"),
    ]:
        with pytest.raises(ValueError, match=message):
            load(root, **options)
