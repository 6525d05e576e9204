"""Streams: equal to clips, in batches as alone; people followed, lost and found again."""

import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS, TRANSFORMS
from torch import nn

from rpstn.engine.cpu import for_inference
from rpstn.errors import SettingError
from rpstn.inference.clips import predict_video
from rpstn.pose import VideoPoseEstimator
from rpstn.pose.boxes import BoxError
from rpstn.pose.crops import Cropper
from rpstn.pose.datasets import PENN13
from rpstn.pose.datasets.clip_dataset import frame_info
from rpstn.pose.finders import FoundPerson, MotionFinder
from rpstn.pose.streaming.streaming import Stepper, StreamingRPSTN, TorchStepper
from rpstn.video.frames import Frame

# MMPose's unbiased decoding of a heatmap of zeros.
pytestmark = pytest.mark.filterwarnings('ignore:invalid value encountered:RuntimeWarning')

INPUT, CLIP = (128, 128), 4
NEVER_LOST = dict(min_score=-math.inf)
# The paper's network, and both of the release, which norm F's features before carrying them on.
VARIANTS = {
    'paper': (dict(type='TopdownAffine'), dict(), dict()),
    'released, Penn': (dict(type='TopdownStretch'), dict(norms='shared'), dict(norms='shared')),
    'released, JHMDB': (
        dict(type='TopdownStretch'),
        dict(norms='shared'),
        dict(norms='shared', norm_filtered=True),
    ),
}


@pytest.fixture(params=VARIANTS)
def model(request) -> VideoPoseEstimator:
    """A small RPSTN whose weights and batch norms' statistics are all random."""
    transform, head, propagator = VARIANTS[request.param]
    init_default_scope('mmpose')
    coding = dict(type='MSRAHeatmap', input_size=INPUT, heatmap_size=(32, 32), sigma=1.5)
    layout = 'released' if head else 'paper'
    config = Config(
        dict(
            model=dict(
                type='VideoPoseEstimator',
                data_preprocessor=dict(
                    type='ClipDataPreprocessor',
                    mean=[120.0, 110, 100],
                    std=[60.0, 50, 40],
                    bgr_to_rgb=True,
                ),
                backbone=dict(
                    type='RPSTNBackbone',
                    num_joints=13,
                    channels=8,
                    input_size=INPUT,
                    encoder=dict(type='ResNet', depth=18, stem_channels=4, base_channels=4),
                ),
                head=dict(
                    type='RPSTNHead',
                    num_joints=13,
                    channels=8,
                    decoder=coding,
                    norm_weight=1.0,
                    relation=dict(type='JRE', layout=layout),
                    propagator=dict(type='JRPSP', **propagator),
                    **head,
                ),
            ),
            test_dataloader=dict(
                dataset=dict(
                    type='ClipDataset',
                    clip_len=CLIP,
                    pipeline=[
                        dict(type='LoadClip'),
                        dict(type='ClipBBox', mode='frame', padding=1.1),
                        dict(type='ForEachFrame', transforms=[dict(input_size=INPUT, **transform)]),
                        dict(type='PackClipInputs'),
                    ],
                )
            ),
        )
    )
    torch.manual_seed(0)
    built = MODELS.build(config.model)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    built = for_inference(built)
    built.cfg, built.dataset_meta = config, parse_pose_metainfo(PENN13)
    return built


def video(length: int, size=(160, 120), seed: int = 0) -> list[np.ndarray]:
    """Smooth noise that drifts."""
    noise = np.random.default_rng(seed).normal(size=(length + 40, 90, 120, 3)).cumsum(0)
    noise = (noise - noise.min()) / np.ptp(noise) * 255
    return [cv2.resize(frame, size).astype(np.uint8) for frame in noise[40:]]


def wandering(length: int, start=(20, 10, 110, 100)) -> np.ndarray:
    """Boxes (length, 4) that move and change size in every frame."""
    t = np.arange(length)[:, None]
    return np.float32(start) + t * (2.3, 1.1, 3.7, 0.4)


def in_clip_mode(model, images: list[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Joints and scores of one clip by the config's pipeline and the model's own test step."""

    class Reader:
        path = 'noise'

        def read(self, indices):
            return [images[i].copy() for i in indices]

    flags = np.zeros(13, bool)
    frames = [
        dict(
            frame_info(i, f'noise#{i}', 'noise', i, False, box, np.zeros((13, 2)), flags, flags),
            flip_indices=list(range(13)),
        )
        for i, box in enumerate(boxes)
    ]
    pipeline = Compose(
        [TRANSFORMS.build(step) for step in model.cfg.test_dataloader.dataset.pipeline]
    )
    item = pipeline(
        dict(video='noise', reader=Reader(), image_size=images[0].shape[1::-1], frames=frames)
    )
    with torch.no_grad():
        found = [sample.pred_instances for sample in model.test_step(pseudo_collate([item]))]
    return (
        np.stack([pose.keypoints[0] for pose in found]),
        np.stack([pose.keypoint_scores[0] for pose in found]),
    )


class Recorder(TorchStepper):
    """Notes how many people each call is about."""

    def __init__(self, model) -> None:
        super().__init__(model)
        self.calls: list[tuple[str, int]] = []

    def start(self, crops):
        self.calls.append(('start', len(crops)))
        return super().start(crops)

    def step(self, crops, heatmaps, features):
        self.calls.append(('step', len(crops)))
        return super().step(crops, heatmaps, features)


def test_steps_give_the_heatmaps_of_the_clip(model):
    clips = torch.from_numpy(np.random.default_rng(1).integers(0, 255, (2, 6, 3, *INPUT), np.uint8))
    stepper = TorchStepper(model)
    assert isinstance(stepper, Stepper)
    assert (stepper.input_size, stepper.heatmap_size, stepper.num_joints) == (INPUT, (32, 32), 13)
    mean = torch.tensor([120.0, 110, 100])[:, None, None]
    std = torch.tensor([60.0, 50, 40])[:, None, None]
    with torch.no_grad():
        expected = model((clips.float().flip(2) - mean) / std, None, mode='tensor')
    heatmaps, features = stepper.start(clips[:, 0])
    found = [heatmaps]
    for t in range(1, 6):
        heatmaps, features = stepper.step(clips[:, t], heatmaps, features)
        found.append(heatmaps)
    assert expected.std() > 0.05 and features.shape == (2, 8, 32, 32)
    torch.testing.assert_close(torch.stack(found, 1), expected, atol=1e-4, rtol=0)


def test_a_stream_is_equal_to_the_clip(model):
    """The same frames and boxes, which move: the same joints and scores, by the whole of both."""
    images, boxes = video(7), wandering(7)
    joints, scores = in_clip_mode(model, images, boxes)
    assert np.ptp(joints, axis=0).max() > 5 and scores.std() > 0.01
    stream = StreamingRPSTN(model, **NEVER_LOST)
    for t, (image, box) in enumerate(zip(images, boxes)):
        found = stream.step(image, [box])
        np.testing.assert_allclose(found.keypoints[0], joints[t], atol=1e-4)
        np.testing.assert_allclose(found.scores[0], scores[t], atol=1e-4)
        assert found.index == t and (found.people[0].state == 'started') == (t == 0)


def test_started_anew_every_clip_a_stream_is_equal_to_a_video_in_clips(model):
    images, box = video(10), (30, 20, 120, 100)
    frames = [Frame(t, t / 10, image) for t, image in enumerate(images)]
    stream = StreamingRPSTN(model, reset_every=CLIP, **NEVER_LOST)
    for pose in predict_video(model, frames, box):
        joints, scores = stream.step(images[pose.index], [box])
        np.testing.assert_allclose(joints, pose.keypoints, atol=1e-4)
        np.testing.assert_allclose(scores, pose.scores, atol=1e-4)


def test_several_people_in_several_streams_are_one_batch_and_equal_to_one_by_one(model):
    """Streams of other sizes that start later, and a person who comes later and leaves."""
    videos = dict(left=video(6), right=video(6, (200, 140), seed=1))
    boxes = {
        ('left', 0): wandering(6),
        ('left', 1): wandering(6, (60, 5, 140, 115)),
        ('right', 0): wandering(6, (90, 20, 190, 130)),
    }
    starts, ends = {('left', 0): 0, ('left', 1): 2, ('right', 0): 1}, {('left', 1): 5}
    alone = {}
    for key, track in boxes.items():
        stream = StreamingRPSTN(model, **NEVER_LOST)
        for t in range(starts[key], ends.get(key, 6)):
            alone[key, t] = stream.step(videos[key[0]][t], [track[t]])
    recorder = Recorder(model)
    together = StreamingRPSTN(recorder, model.cfg, **NEVER_LOST)
    for t in range(6):
        names = [name for name in videos if t >= starts[name, 0]]
        given = {
            name: {
                person: boxes[name, person][t] if t < ends.get((name, person), 6) else None
                for name_, person in boxes
                if name_ == name and t >= starts[name, person]
            }
            for name in names
        }
        answers = together.step_streams({name: videos[name][t] for name in names}, given)
        seen = {(name, pose.id): pose for name in names for pose in answers[name].people}
        assert sorted((*key, t) for key in seen) == sorted((*key, s) for key, s in alone if s == t)
        for key, pose in seen.items():
            (expected,) = alone[key, t].people
            np.testing.assert_allclose(pose.keypoints, expected.keypoints, atol=1e-4)
            np.testing.assert_allclose(pose.scores, expected.scores, atol=1e-4)
            assert pose.state == expected.state
    assert recorder.calls == [
        ('start', 1),
        ('start', 1),
        ('step', 1),
        ('start', 1),
        ('step', 2),
        ('step', 3),
        ('step', 3),
        ('step', 2),
    ]


def test_the_initializer_runs_as_often_as_asked(model):
    for every, expected in ((None, [0]), (1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6])):
        stream = StreamingRPSTN(model, reset_every=every, **NEVER_LOST)
        found = [stream.step(image, [(20, 10, 110, 100)]) for image in video(7)]
        assert [poses.index for poses in found if (poses.people[0].state == 'started')] == expected


SIZE = (320, 240)
SHAPE = np.array([[0.0, 0], [36, 10], [18, 48]])


@pytest.fixture
def dot_stream(dot_model):
    """``dot_stream(**options)``: a stream that sees dots, and its recorder."""

    def build(**options) -> tuple[StreamingRPSTN, Recorder]:
        model = dot_model(dict(type='TopdownAffine'))
        recorder = Recorder(model)
        return StreamingRPSTN(recorder, model.cfg, **options), recorder

    return build


def test_the_box_follows_and_the_crop_moves_no_more_often_than_it_must(dot_stream, dots):
    stream, recorder = dot_stream()
    boxes = []
    for t in range(30):
        planted = SHAPE + (40 + 5 * t, 50 + t)
        (pose,) = stream.step(dots(planted, 5, SIZE)).people
        np.testing.assert_allclose(pose.keypoints, planted, atol=0.5)
        assert pose.id == 0 and not pose.lost and (pose.scores > 0.8).all()
        assert (pose.box[:2] < planted.max(0)).all() and (pose.box[2:] > planted.min(0)).all()
        boxes.append(pose.box)
    moved = (np.diff(boxes, axis=0) != 0).any(axis=1).sum()
    assert 5 < moved < 25
    # Found in the whole frame, then looked at closely; carried on ever since.
    assert recorder.calls == [('start', 1)] * 2 + [('step', 1)] * 29
    assert (boxes[0][2:] - boxes[0][:2] < 80).all()
    always, _ = dot_stream(keep_iou=1.0)
    boxes = [always.step(dots(SHAPE + (40 + 4 * t, 50), 5, SIZE)).people[0].box for t in range(9)]
    assert (np.diff(boxes, axis=0) != 0).any(axis=1).all()


def test_a_person_given_by_a_box_is_followed_from_there(dot_stream, dots):
    stream, recorder = dot_stream()
    left, right = SHAPE + (30, 60), SHAPE + (230, 100)
    poses = stream.step(dots(right, 5, SIZE), [(220, 90, 280, 160)])
    np.testing.assert_array_equal(poses.people[0].box, (220, 90, 280, 160))
    for t in range(12):
        poses = stream.step(dots(right - 3 * t, 5, SIZE) + dots(left, 5, SIZE) // 8)
        np.testing.assert_allclose(poses.keypoints[0], right - 3 * t, atol=0.5)
    assert recorder.calls == [('start', 1)] + [('step', 1)] * 12


def test_who_is_lost_is_told_looked_for_and_found_again(dot_stream, dots):
    stream, recorder = dot_stream()
    here, there = SHAPE + (40, 60), SHAPE + (220, 150)
    gone = np.full((3, 2), -999.0)
    states = []
    for planted in [here] * 3 + [gone] * 4 + [there] * 3:
        (pose,) = stream.step(dots(planted, 5, SIZE)).people
        states.append(pose.state)
        assert pose.id == 0
        if planted is not gone:
            np.testing.assert_allclose(pose.keypoints, planted, atol=1.0)
    found, carried, lost = 'started', 'tracked', 'lost'
    assert states == [found, carried, carried, *[lost] * 4, carried, found, carried]
    np.testing.assert_allclose(pose.keypoints, there, atol=0.5)
    assert recorder.calls == [
        ('start', 1),
        ('start', 1),  # whole frame, close
        ('step', 1),
        ('step', 1),
        ('step', 1),  # in the last of these nothing is left
        ('start', 1),
        ('step', 1),  # once more at that place
        ('start', 1),
        ('step', 1),  # whole frame; there
        ('start', 1),
        ('step', 1),
    ]  # close


def test_a_person_who_was_hidden_for_a_frame_is_found_where_he_was(dot_stream, dots):
    stream, recorder = dot_stream()
    image, black = dots(SHAPE + (40, 60), 5, SIZE), np.zeros((240, 320, 3), np.uint8)
    poses = [stream.step(frame).people[0] for frame in (image, image, black, image, image)]
    assert [pose.lost for pose in poses] == [False, False, True, False, False]
    np.testing.assert_array_equal(poses[3].box, poses[2].box)
    assert recorder.calls[-3:] == [('step', 1), ('start', 1), ('step', 1)]


def test_who_is_lost_for_long_is_given_up_and_one_found_later_is_another(dot_stream, dots):
    image, black = dots(SHAPE + (40, 60), 5, SIZE), np.zeros((240, 320, 3), np.uint8)
    for max_lost, expected in ((9, 0), (3, 1)):
        stream, _ = dot_stream(finder=Seen([[30, 50, 90, 120]]), max_lost=max_lost)
        stream.step(image)
        stream.finder.boxes = []
        counts = [len(stream.step(black).people) for _ in range(6)]
        assert counts == [1, 1, 1, 0, 0, 0]  # lost, tried again, then nowhere to look
        stream.finder.boxes = [[30, 50, 90, 120]]
        (pose,) = stream.step(image).people
        assert pose.id == expected and (pose.state == 'started') and not pose.lost


class Seen:
    """A finder that is told what to find, and counts how often it is asked."""

    def __init__(self, boxes) -> None:
        self.boxes, self.asked, self.observed = boxes, 0, 0

    def observe(self, image, stream) -> None:
        self.observed += 1

    def find(self, image, stream) -> list[FoundPerson]:
        self.asked += 1
        return [FoundPerson(np.array(box, np.float32)) for box in self.boxes]

    def forget(self, stream) -> None:
        pass


def two(dots, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum(dots(a, 5, SIZE), dots(b, 5, SIZE))


def test_two_people_are_found_followed_and_told_apart(dot_stream, dots):
    a, b = SHAPE + (20, 60), SHAPE + (220, 130)
    around_a, around_b = [10, 50, 66, 118], [210, 120, 266, 188]
    finder = Seen([around_b])
    stream, recorder = dot_stream(finder=finder, max_people=2)
    assert [p.id for p in stream.step(two(dots, a, b)).people] == [0]
    finder.boxes = [around_a, around_b, [-50, -50, -20, -20], [float('nan')] * 4]
    for t in range(10):
        move = np.array([3.0 * t, 0])
        joints, scores = stream.step(two(dots, a + move, b - move))
        np.testing.assert_allclose(joints, [b - move, a + move], atol=0.5)
        assert joints.shape == (2, 3, 2) and scores.shape == (2, 3)
    assert finder.asked == 2 and finder.observed == 11  # not once all are there
    assert recorder.calls[1:4] == [('start', 1), ('step', 1), ('step', 2)]
    # One is hidden and comes back elsewhere; the other is where the finder also looks.
    finder.boxes = [[10, 10, 66, 78], [190, 120, 246, 188]]
    for _ in range(3):
        poses = stream.step(dots(b - move, 5, SIZE)).people
    back = SHAPE + (20, 20)
    poses = stream.step(two(dots, back, b - move)).people
    assert [p.id for p in poses] == [0, 1]
    np.testing.assert_allclose([p.keypoints for p in poses], [b - move, back], atol=0.5)


def test_a_finder_that_answers_bare_boxes_is_refused(dot_stream):
    class Boxes(Seen):
        def find(self, image, stream):
            return np.array(self.boxes, np.float32)

    stream, _ = dot_stream(finder=Boxes([[10, 10, 66, 78]]))
    with pytest.raises(SettingError, match='Boxes.find must answer FoundPersons.*got ndarray'):
        stream.step(np.zeros((240, 320, 3), np.uint8))


def test_searches_are_as_far_apart_as_asked(dot_stream):
    finder = Seen([])
    stream, _ = dot_stream(finder=finder, find_every=4)
    for _ in range(9):
        assert stream.step(np.zeros((240, 320, 3), np.uint8)).keypoints.shape == (0, 3, 2)
    assert finder.asked == 3 and finder.observed == 9


def test_two_tracks_that_come_upon_one_person_become_one(dot_stream, dots):
    image = dots(SHAPE + (100, 60), 5, SIZE)
    both = {0: (90, 50, 150, 120), 4: (95, 55, 150, 125)}
    stream, _ = dot_stream()
    assert [p.id for p in stream.step(image, both).people] == [0, 4]  # as given
    assert [p.id for p in stream.step(image).people] == [0]
    assert [p.id for p in stream.step(image, {4: both[4]}).people] == [4]
    assert [p.id for p in stream.step(image, {4: None}).people] == [5]


def test_a_box_that_leaves_the_image_comes_to_lie_at_its_border(dot_stream, dots):
    stream, _ = dot_stream()
    for t in range(20):
        planted = SHAPE + (200 + 8 * t, 60)
        for pose in stream.step(dots(planted, 5, SIZE)).people:
            assert np.isfinite(pose.box).all() and (pose.box[2:] > pose.box[:2]).all()
            assert (pose.box[:2] < SIZE).all() and (pose.box[2:] > 0).all()
    assert pose.lost


def test_what_is_kept_does_not_grow(dot_stream, dots):
    stream, _ = dot_stream()
    sizes = set()
    for t in range(30):
        stream.step(dots(SHAPE + (40 + 2 * t, 60), 5, SIZE))
        person = stream._streams[0].people[0]
        sizes.add(tuple(maps.untyped_storage().nbytes() for maps in person.state))
    assert len(sizes) == 1


def test_a_first_frame_of_low_peaks_is_carried_on(dot_stream, dots):
    """As of models whose batch norm shrinks what P answers."""
    stream, recorder = dot_stream()
    start = recorder.start
    recorder.start = lambda crops: tuple(maps / 100 for maps in start(crops))
    image, box = dots(SHAPE + (40, 60), 5, SIZE), (30, 50, 90, 120)
    poses = [stream.step(image, [box]).people[0]] + [stream.step(image).people[0] for _ in range(3)]
    assert [pose.state for pose in poses] == ['lost', 'tracked', 'tracked', 'tracked']
    np.testing.assert_allclose(poses[1].box, box)


def test_who_moves_is_found_by_motion(dot_stream, dots):
    stream, _ = dot_stream(finder=MotionFinder(reach=0.3))
    black = np.zeros((240, 320, 3), np.uint8)
    assert [len(stream.step(black).people) for _ in range(3)] == [0, 0, 0]
    for t in range(4):
        (pose,) = stream.step(dots(SHAPE + (200 + 2 * t, 60), 5, SIZE)).people
        np.testing.assert_allclose(pose.keypoints, SHAPE + (200 + 2 * t, 60), atol=0.5)
    assert pose.box[0] > 150


def test_a_closed_stream_starts_anew(dot_stream, dots):
    stream, _ = dot_stream()
    image = dots(SHAPE + (40, 60), 5, SIZE)
    for name in ('a', 'a', 'b'):
        poses = stream.step(image, stream=name)
    assert poses.index == 0
    stream.close('a')
    poses = stream.step(image, stream='a')
    assert poses.index == 0 and poses.people[0].state == 'started'
    assert stream.step(image, stream='b').index == 1


@pytest.mark.parametrize(
    'box, said',
    [
        ((10, 10, 10, 50), 'x1 < x2'),
        ((1, 2, 3), 'x1 < x2'),
        ((0, 0, float('nan'), 5), 'x1 < x2'),
        ((400, 10, 500, 60), 'outside the image of 320x240'),
    ],
)
def test_a_bad_box_is_refused_before_anything_changes(dot_stream, dots, box, said):
    stream, _ = dot_stream()
    image = dots(SHAPE + (40, 60), 5, SIZE)
    stream.step(image)
    with pytest.raises(BoxError, match=said):
        stream.step(image, [box])
    with pytest.raises(ValueError, match="without a frame: \\['b'\\]"):
        stream.step_streams({0: image}, {'b': [(0, 0, 9, 9)]})
    assert stream.step(image).index == 1


@pytest.mark.parametrize(
    'frame', [np.zeros((24, 32), np.uint8), np.zeros((24, 32, 4), np.uint8), np.zeros((24, 32, 3))]
)
def test_what_is_no_bgr_image_is_refused(dot_stream, frame):
    with pytest.raises(ValueError, match='BGR uint8, got'):
        dot_stream()[0].step(frame)


def test_options_that_cannot_be_are_refused(dot_stream, dot_model):
    for options, said in (
        (dict(reset_every=0), 'reset_every must be at least 1, got 0'),
        (dict(find_every=0), 'find_every must be at least 1'),
        (dict(max_people=2), 'needs a finder that tells people apart'),
        (dict(cropper=Cropper((64, 64))), r'crops to \(64, 64\) pixels, the stepper takes'),
    ):
        with pytest.raises(ValueError, match=said):
            dot_stream(**options)
    bare = dot_model(dict(type='TopdownAffine'))
    del bare.cfg
    with pytest.raises(ValueError, match='needs a config'):
        StreamingRPSTN(bare)
    assert StreamingRPSTN(bare, cropper=Cropper((128, 128))).decoder is bare.head.decoder
