"""From a video and a box to joints: positions, windows, following, files, bad input."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from rpstn.checkpoints import ModelError
from rpstn.data.paths import find_data
from rpstn.drawing import draw_pose
from rpstn.engine.loading import load_model
from rpstn.files import staging
from rpstn.inference.clips import predict_video
from rpstn.pose.boxes import BoxError, FollowedBox, parse_box
from rpstn.pose.datasets.clip_dataset import ClipDataset
from rpstn.pose.datasets.metainfo import PENN13
from rpstn.pose.datasets.sequence import PoseSequence
from rpstn.video.frames import Frame, open_frames
from rpstn.video.readers import VideoReader

ROOT = Path(__file__).parents[2]

# Small enough for a test, otherwise as the configs are.
SMALL = {
    'rpstn_demo': dict(
        model=dict(
            backbone=dict(channels=16, encoder=dict(stem_channels=8, base_channels=8)),
            head=dict(channels=16),
        )
    ),
    'baseline_r18_jhmdb': dict(
        model=dict(
            backbone=dict(stem_channels=8, base_channels=8),
            head=dict(in_channels=64, deconv_out_channels=(16, 16, 16)),
        )
    ),
}
DOT_COLORS = np.eye(3)  # one joint is blue, one green, one red


def small_config(name: str) -> Config:
    config = Config.fromfile(ROOT / f'configs/{name}.py')
    config.merge_from_dict(SMALL[name])
    return config


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """Config and random weights of an RPSTN and of a single-frame baseline."""
    folder = tmp_path_factory.mktemp('checkpoints')
    init_default_scope('mmpose')  # as runners do, for models built without one
    torch.manual_seed(0)
    for name in SMALL:
        config = small_config(name)
        config.dump(folder / f'{name}.py')
        torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), folder / f'{name}.pth')
    return {name: folder / f'{name}.pth' for name in SMALL}


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> Path:
    """Twelve frames of noise, 160x120, 12.5 per second."""
    path = tmp_path_factory.mktemp('video') / 'noise.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 12.5, (160, 120))
    rng = np.random.default_rng(0)
    for _ in range(12):
        coarse = rng.integers(0, 255, (12, 16, 3), np.uint8)
        writer.write(cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC))
    writer.release()
    return path


@MODELS.register_module()
class DotFinder(nn.Module):
    """Heatmaps (B, 3, H, W) that are the colours of the image, dots being the joints."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (images * self.gain,)


@pytest.fixture
def dot_model(tmp_path) -> nn.Module:
    """An estimator of three dots, in MMPose's head and codec, at a crop of 128x128."""
    codec = dict(
        type='MSRAHeatmap', input_size=(128, 128), heatmap_size=(128, 128), sigma=2, unbiased=True
    )
    points = {
        k: dict(name=name, id=k, color=[0, 0, 0], type='upper', swap='')
        for k, name in enumerate(('a', 'b', 'c'))
    }
    config = Config(
        dict(
            model=dict(
                type='TopdownPoseEstimator',
                backbone=dict(type='DotFinder'),
                data_preprocessor=dict(
                    type='ClipDataPreprocessor', fold_frames=True, mean=[0.0] * 3, std=[255.0] * 3
                ),
                head=dict(
                    type='HeatmapHead',
                    in_channels=3,
                    out_channels=3,
                    deconv_out_channels=None,
                    final_layer=None,
                    decoder=codec,
                ),
            ),
            test_dataloader=dict(
                dataset=dict(
                    type='ClipDataset',
                    clip_len=3,
                    metainfo=dict(
                        dataset_name='dots',
                        keypoint_info=points,
                        skeleton_info={},
                        paper_info={},
                        joint_weights=[1.0] * 3,
                        sigmas=[0.1] * 3,
                    ),
                    pipeline=[
                        dict(type='LoadClip'),
                        dict(type='ClipBBox', mode='frame', padding=1.25),
                        dict(
                            type='ForEachFrame',
                            transforms=[dict(type='TopdownAffine', input_size=(128, 128))],
                        ),
                        dict(type='PackClipInputs'),
                    ],
                )
            ),
        )
    )
    torch.save({'backbone.gain': torch.ones(1)}, tmp_path / 'dots.pth')
    return load_model(config, tmp_path / 'dots.pth')


def dots(centres: np.ndarray, radius: float, size: tuple[int, int]) -> np.ndarray:
    """An image of (width, height) with Gaussian dots at (3, 2)."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    peaks = [np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2)) for cx, cy in centres]
    return np.rint(255 * np.tensordot(np.stack(peaks, -1), DOT_COLORS, 1)).astype(np.uint8)


@pytest.mark.parametrize(
    'box',
    [
        'frame',
        (60, 40, 190, 200),
        (100.5, 60.25, 180, 150),
        (90, 20, 150, 230),
        (-60, -40, 200, 190),
    ],
    ids=str,
)
def test_planted_dots_come_back_in_image_pixels(dot_model, box):
    """Crop and way back agree for a whole, a given, an odd, a narrow and an overhanging box."""
    planted = np.array([[120.3, 80.6], [141.8, 92.4], [131.0, 125.25]])
    frames = [Frame(t, t / 10, dots(planted + t, 6, (320, 240))) for t in range(4)]
    poses = list(predict_video(dot_model, frames, box))
    assert [pose.index for pose in poses] == [0, 1, 2, 3]
    for t, pose in enumerate(poses):
        np.testing.assert_allclose(pose.people[0].keypoints, planted + t, atol=0.5)
        assert (pose.people[0].scores > 0.8).all()
    np.testing.assert_allclose(poses[0].people[0].box, (0, 0, 319, 239) if box == 'frame' else box)


# MMPose's unbiased decoding of a heatmap of zeros.
@pytest.mark.filterwarnings('ignore:invalid value encountered:RuntimeWarning')
def test_a_followed_box_goes_with_the_dots_and_searches_again_when_they_are_gone(dot_model):
    shape = np.array([[0, 0], [36, 10], [18, 48]])
    moving = [shape + (40 + 4 * t, 50 + t) for t in range(30)]
    gone = [np.full((3, 2), -999.0)] * 3
    back = [shape + (200, 30)] * 6
    truth = np.array([*moving, *gone, *back])
    frames = (Frame(t, t / 10, dots(points, 5, (320, 240))) for t, points in enumerate(truth))
    poses = list(predict_video(dot_model, frames, 'follow'))
    whole = [0, 0, 319, 239]
    assert poses[0].people[0].box.tolist() == whole
    for t in [*range(3, 30), *range(36, 39)]:
        sides = poses[t].people[0].box[2:] - poses[t].people[0].box[:2]
        assert (sides < 90).all(), (t, sides)
        np.testing.assert_allclose(poses[t].people[0].keypoints, truth[t], atol=0.5)
    assert poses[32].people[0].scores.max() < 0.1
    assert poses[33].people[0].box.tolist() == whole
    boxes = np.array([pose.people[0].box for pose in poses]).reshape(-1, 3, 4)
    assert (boxes == boxes[:, :1]).all(), 'the crop may only move between clips'


def test_following_starts_at_a_given_box(dot_model):
    frame = Frame(0, 0.0, dots(np.array([[50, 50], [70, 50], [60, 70]]), 4, (320, 240)))
    assert next(predict_video(dot_model, [frame], 'follow:30,30,90,90')).people[0].box.tolist() == [
        30,
        30,
        90,
        90,
    ]


def test_a_followed_box_neither_collapses_nor_runs_away():
    rng = np.random.default_rng(0)
    follower, size = FollowedBox(), (320, 240)
    for scale in [0.01] * 30 + [1000] * 30 + list(rng.uniform(0, 50, 100)):
        before = follower.current(size)
        middle = (before[:2] + before[2:]) / 2
        follower.update(middle + rng.normal(0, scale, (13, 2)), np.ones(13))
        after = follower.current(size)
        sides = after[2:] - after[:2]
        assert (sides >= 0.05 * 320 - 1e-3).all() and (sides <= size).all()
        assert ((after[:2] + after[2:]) / 2 >= 0).all()
        assert ((after[:2] + after[2:]) / 2 < size).all()


def test_a_followed_box_does_not_close_in_on_the_part_still_seen():
    follower, size = FollowedBox(np.array([100.0, 20, 200, 220])), (320, 240)
    upper = np.stack([np.linspace(120, 180, 13), np.linspace(30, 80, 13)], 1)
    scores = np.where(np.arange(13) < 6, 0.9, 0.1)
    follower.update(upper, scores)
    assert (follower.box[:2] <= (100, 20)).all() and (follower.box[2:] >= (200, 220)).all()
    assert np.allclose(follower.box[2:] - follower.box[:2], (110, 220)), 'the rest may be outside'
    before = follower.box
    follower.update(upper + [150, 0], scores)  # goes out to them, and keeps what it has
    assert (follower.box[:2] <= before[:2]).all() and (follower.box[2:] >= before[2:]).all()
    assert 110 * 0.15 < follower.box[2] - before[2] < 110 * 0.17
    for _ in range(50):
        follower.update(upper, scores)
    assert (follower.box[2:] - follower.box[:2] < (190, 340)).all(), 'not for ever'
    follower.box = np.array([100.0, 20, 200, 220])
    follower.update(upper, np.full(13, 0.9))
    assert follower.box[3] - follower.box[1] < 199
    follower.update(upper, np.where(np.arange(13) < 3, 0.9, 0.1))
    assert follower.current(size).tolist() == [0, 0, 319, 239]


class OneBox(ClipDataset):
    """The video of the test with one box for all frames, as a data set for the test loop."""

    METAINFO = PENN13

    def __init__(self, path: Path, box, **kwargs) -> None:
        self.path, self.box = path, box
        super().__init__(**kwargs)

    def load_sequences(self):
        count = 12
        yield PoseSequence(
            'noise',
            VideoReader(str(self.path)),
            np.zeros((count, 13, 2)),
            np.ones((count, 13), bool),
            np.zeros((count, 13), bool),
            np.tile(np.float32(self.box), (count, 1)),
            (160, 120),
        )


@pytest.mark.parametrize('stride', [1, 2])
def test_a_video_gives_what_the_test_loop_gives(checkpoints, video, stride):
    """Windows, padding, targets and crops are those of the data sets: 12 frames in clips of 5."""
    config = small_config('rpstn_demo')
    config.test_dataloader.dataset.update(clip_len=5, frame_stride=stride)
    pipeline = config.test_dataloader.dataset.pipeline
    model = load_model(config, checkpoints['rpstn_demo'])
    box = (30, 20, 120, 100)
    dataset = OneBox(
        video,
        box,
        clip_len=5,
        frame_stride=stride,
        start='fixed',
        pipeline=pipeline,
        test_mode=True,
    )
    expected = {}
    with torch.no_grad():
        for i in range(len(dataset)):
            for sample in model.test_step(pseudo_collate([dataset[i]])):
                expected[sample.metainfo['frame_index']] = sample.pred_instances
    poses = list(predict_video(model, open_frames(video), box))
    assert len(poses) == len(expected) == 12
    for pose in poses:
        np.testing.assert_array_equal(pose.keypoints, expected[pose.index].keypoints)
        np.testing.assert_array_equal(pose.scores, expected[pose.index].keypoint_scores)


@pytest.mark.parametrize('name', SMALL)
def test_files_are_complete_and_agree(command, checkpoints, video, tmp_path, name):
    checkpoint = checkpoints[name]
    status, _ = command(
        'infer',
        checkpoint.with_suffix('.py'),
        checkpoint,
        video,
        '--out',
        tmp_path,
        '--box',
        '60,40,100,80',
        '--device',
        'cpu',
        '--kpt-thr',
        '-9',
    )
    assert status == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ['noise.csv', 'noise.json', 'noise.mp4']
    drawn = open_frames(tmp_path / 'noise.mp4')
    assert drawn.size == (160, 120) and drawn.fps == 12.5 and len(list(drawn)) == 12
    data = json.loads((tmp_path / 'noise.json').read_text())
    joints = dict(rpstn_demo=13, baseline_r18_jhmdb=15)[name]
    assert len(data['joints']) == joints and data['fps'] == 12.5 and data['size'] == [160, 120]
    assert [frame['time'] for frame in data['frames']] == [round(t / 12.5, 6) for t in range(12)]
    assert all(frame['box'] == [60, 40, 100, 80] for frame in data['frames'])
    points = np.array([frame['keypoints'] for frame in data['frames']])
    assert points.shape == (12, joints, 3)
    # The crop, 50 pixels wide around the box, lies within the image, and so do its joints.
    found = points[points[..., 2] > 0]
    assert len(found) and (found[:, :2] >= (55, 35)).all() and (found[:, :2] <= (105, 85)).all()
    with open(tmp_path / 'noise.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [
        (
            int(r['frame']),
            float(r['time']),
            r['joint'],
            float(r['x']),
            float(r['y']),
            float(r['score']),
        )
        for r in rows
    ] == [
        (frame['frame'], frame['time'], joint, *values)
        for frame in data['frames']
        for joint, values in zip(data['joints'], frame['keypoints'], strict=True)
    ]


def test_a_folder_and_an_image(command, checkpoints, tmp_path):
    checkpoint = checkpoints['rpstn_demo']
    folder = tmp_path / 'shots'
    folder.mkdir()
    for number in (2, 10, 1):  # natural order, not that of the alphabet
        cv2.imwrite(str(folder / f'{number}.png'), np.full((64, 48, 3), number, np.uint8))
    assert [int(frame.image[0, 0, 0]) for frame in open_frames(folder)] == [1, 2, 10]
    common = [str(checkpoint.with_suffix('.py')), str(checkpoint)]
    out = tmp_path / 'out'
    assert command('infer', *common, folder, '--out', out, '--device', 'cpu', '--fps', '4')[0] == 0
    assert command('infer', *common, folder / '10.png', '--out', out, '--device', 'cpu')[0] == 0
    assert sorted(p.name for p in out.iterdir()) == [
        '10.csv',
        '10.json',
        '10.png',
        'shots.csv',
        'shots.json',
        'shots.mp4',
    ]
    times = [f['time'] for f in json.loads((out / 'shots.json').read_text())['frames']]
    assert times == [0, 0.25, 0.5]


def test_a_real_video(command, checkpoints, tmp_path):
    try:
        path = find_data('videos/squat_no_depth.mp4')
    except FileNotFoundError:
        pytest.skip('videos/squat_no_depth.mp4 is not there')
    checkpoint = checkpoints['rpstn_demo']
    status, _ = command(
        'infer',
        checkpoint.with_suffix('.py'),
        checkpoint,
        path,
        '--out',
        tmp_path,
        '--device',
        'cpu',
    )
    assert status == 0
    data = json.loads((tmp_path / 'squat_no_depth.json').read_text())
    assert len(data['frames']) == 60 and data['frames'][-1]['time'] == 59 / 12.5
    assert len(list(open_frames(tmp_path / 'squat_no_depth.mp4'))) == 60


def test_drawing_shows_what_is_sure_and_tells_left_from_right():
    meta = dict(
        skeleton_links=[(0, 1), (1, 2)],
        skeleton_link_colors=[(0, 255, 0), (255, 128, 0)],
        keypoint_colors=[(0, 255, 0)] * 2 + [(255, 128, 0)],
    )
    points = np.array([[20.0, 20], [60, 20], [60, 70]])
    blank = np.zeros((100, 100, 3), np.uint8)
    sure = draw_pose(blank.copy(), points, np.ones(3), meta)
    np.testing.assert_allclose(sure[20, 40], (0, 255, 0), atol=25)
    np.testing.assert_allclose(sure[45, 60], (0, 128, 255), atol=25)
    unsure = draw_pose(blank.copy(), points, np.array([0.4, 0.4, 0.1]), meta)
    assert 140 < unsure[20, 40, 1] < 200 and not unsure[45, 60].any()
    outside = draw_pose(blank.copy(), points + 500, np.ones(3), meta)
    assert not outside.any()


@pytest.fixture
def bad_input(tmp_path, checkpoints, video) -> dict[str, tuple]:
    """Config, checkpoint, video and box of runs that cannot work, and what has to be said."""
    checkpoint = checkpoints['rpstn_demo']
    config = checkpoint.with_suffix('.py')
    text, empty, other = tmp_path / 'text.mp4', tmp_path / 'empty', tmp_path / 'objects.pth'
    text.write_text('no video')
    empty.mkdir()
    torch.save(dict(state_dict=Path('x')), other)
    hollow = tmp_path / 'hollow.avi'
    cv2.VideoWriter(str(hollow), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 64)).release()
    broken = tmp_path / 'broken'
    broken.mkdir()
    for i in range(8):
        cv2.imwrite(str(broken / f'{i}.png'), np.zeros((64, 64, 3), np.uint8))
    (broken / '6.png').write_bytes(b'half an ima')
    return {
        'no video': (config, checkpoint, tmp_path / 'none.mp4', 'frame', 'no such file'),
        'not a video': (config, checkpoint, text, 'frame', 'not a video'),
        'no frames': (config, checkpoint, hollow, 'frame', 'hollow.avi'),
        'empty folder': (config, checkpoint, empty, 'frame', 'holds no images'),
        'broken half way': (config, checkpoint, broken, 'frame', '6.png'),
        'no config': (tmp_path / 'none.py', checkpoint, video, 'frame', 'no such config'),
        'no checkpoint': (config, tmp_path / 'none.pth', video, 'frame', 'no such checkpoint'),
        'other objects': (config, other, video, 'frame', 'pathlib'),
        'other model': (config, checkpoints['baseline_r18_jhmdb'], video, 'frame', 'missing'),
        'odd box': (config, checkpoint, video, '1,2,3', 'x1,y1,x2,y2'),
        'box outside': (config, checkpoint, video, '500,10,600,90', 'outside'),
    }


@pytest.mark.parametrize(
    'case',
    [
        'no video',
        'not a video',
        'no frames',
        'empty folder',
        'broken half way',
        'no config',
        'no checkpoint',
        'other objects',
        'other model',
        'odd box',
        'box outside',
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(command, bad_input, tmp_path, case):
    config, checkpoint, video, box, says = bad_input[case]
    out = tmp_path / 'out'
    status, message = command(
        'infer', config, checkpoint, video, '--out', out, '--box', box, '--device', 'cpu'
    )
    assert status == 1
    assert says in message and '\n' not in message and len(message) < 400
    assert not out.exists() or not list(out.iterdir())


def test_the_input_is_not_overwritten(command, checkpoints, tmp_path):
    image = tmp_path / 'me.png'
    cv2.imwrite(str(image), np.zeros((32, 32, 3), np.uint8))
    before = image.read_bytes()
    checkpoint = checkpoints['rpstn_demo']
    status, message = command(
        'infer', checkpoint.with_suffix('.py'), checkpoint, image, '--out', tmp_path
    )
    assert status == 1 and 'overwrite' in message
    assert image.read_bytes() == before


def test_staged_files_appear_when_all_went_well_and_only_then(tmp_path):
    (tmp_path / 'a.txt').write_text('before')
    with pytest.raises(KeyboardInterrupt), staging(tmp_path) as folder:
        (folder / 'a.txt').write_text('half')
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ['a.txt']
    assert (tmp_path / 'a.txt').read_text() == 'before'
    with staging(tmp_path) as folder:
        (folder / 'a.txt').write_text('whole')
    assert [p.name for p in tmp_path.iterdir()] == ['a.txt']
    assert (tmp_path / 'a.txt').read_text() == 'whole'


def test_only_a_few_frames_are_held(dot_model):
    """The generator asks for one clip of frames at a time."""
    asked = []

    def frames():
        for t in range(50):
            asked.append(t)
            yield Frame(t, t / 10, np.full((40, 40, 3), 50, np.uint8))

    for pose in predict_video(dot_model, frames()):
        assert len(asked) <= pose.index + 3


@pytest.mark.parametrize('text', ['', 'person', '1,2,3', '5,5,5,9', '1,2,nan,4', 'follow:', 'x:1'])
def test_odd_boxes_are_refused(text):
    with pytest.raises(BoxError):
        parse_box(text)


def test_diverged_weights_are_named(checkpoints, video, tmp_path):
    saved = torch.load(checkpoints['rpstn_demo'])
    saved['state_dict']['head.norm.weight'].fill_(float('nan'))
    torch.save(saved, tmp_path / 'nan.pth')
    model = load_model(small_config('rpstn_demo'), tmp_path / 'nan.pth')
    with pytest.raises(ModelError, match='diverged'):
        next(predict_video(model, open_frames(video)))
