"""PoseInferencer: modes, typed results, engines, memory; and MMPose's own inferencers."""

import json
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.apis.inferencers import MMPoseInferencer, Pose2DInferencer
from mmpose.registry import MODELS
from torch import nn

from rpstn.apis import FrameResult, PersonResult, PoseInferencer
from rpstn.checkpoints import ModelError
from rpstn.inference.about import about_run
from rpstn.inference.clips import predict_video
from rpstn.inference.kernel_smoother import KernelSmoother
from rpstn.inference.one_euro import OneEuroSmoother
from rpstn.inference.options import InferOptions
from rpstn.inference.outputs import DrawnFile
from rpstn.inference.pose_files import CsvFile, NpzFile, PoseJson
from rpstn.inference.run_folder import RunError, RunFolder
from rpstn.pose.boxes import BoxError
from rpstn.pose.finders import BlazePoseFinder, PersonFinder, WholeFrame, build_finder
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.skeletons import get_skeleton
from rpstn.video.frames import Frame, FrameSource, open_frames
from rpstn.video.part import Moment, Part

from video_files import damaged, encode, greys

ROOT = Path(__file__).parents[2]

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


@pytest.fixture(scope='module')
def models(tmp_path_factory) -> dict[str, list[str]]:
    """Config file and random weights of an RPSTN and of a single-frame baseline."""
    folder = tmp_path_factory.mktemp('models')
    init_default_scope('mmpose')
    torch.manual_seed(0)
    for name, options in SMALL.items():
        config = Config.fromfile(ROOT / f'configs/{name}.py')
        config.merge_from_dict(options)
        config.dump(folder / f'{name}.py')
        torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), folder / f'{name}.pth')
    return {name: [str(folder / f'{name}.py'), str(folder / f'{name}.pth')] for name in SMALL}


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> Path:
    """Eight frames of noise, 64x48."""
    path = tmp_path_factory.mktemp('video') / 'noise.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(8):
        writer.write(cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (64, 48)))
    writer.release()
    return path


def joints(results: list[FrameResult]) -> np.ndarray:
    return np.array([[person.keypoints for person in result.people] for result in results])


def test_a_file_gives_what_clips_give(models, video):
    inferencer = PoseInferencer(*models['rpstn_demo'], kpt_thr=-9)
    results = list(inferencer(video))
    expected = list(predict_video(inferencer.model, open_frames(video), 'follow', kpt_thr=-9))
    assert all(
        isinstance(r, FrameResult) and isinstance(r.people[0], PersonResult) for r in results
    )
    np.testing.assert_array_equal(joints(results), [pose.keypoints for pose in expected])
    assert [r.people[0].state for r in results] == (
        ['started'] + ['tracked'] * 4 + ['started'] + ['tracked'] * 2
    )
    for result, frame in zip(results, open_frames(video), strict=True):
        np.testing.assert_array_equal(result.image, frame.image)
        assert (result.index, result.time) == (frame.index, frame.time)
    assert len(inferencer.joints) == 13
    part = list(inferencer(str(video), Part(Moment(2), stride=3)))
    assert [r.index for r in part] == [2, 5]


@pytest.mark.parametrize('box', ['frame', 'follow', '10,5,50,40', 'follow:10,5,50,40'])
def test_streaming_gives_what_the_streaming_class_gives(models, video, box):
    inferencer = PoseInferencer(*models['rpstn_demo'], mode='stream', box=box, kpt_thr=-9)
    results = list(inferencer(video))
    streaming = StreamingRPSTN(inferencer.stepper, inferencer.model.cfg, min_score=-9)
    given = np.float32([10, 5, 50, 40]) if '10' in box else np.float32([0, 0, 63, 47])
    images = [frame.image for frame in open_frames(video)]
    pairs = zip(images, [*images[1:], None])
    for t, (result, (image, following)) in enumerate(zip(results, pairs, strict=True)):
        follow = box.startswith('follow')
        boxes = None if box == 'follow' or (follow and t) else [given]
        expected = streaming.step(image, boxes, following=following if follow else None)
        np.testing.assert_array_equal(joints([result])[0], expected.keypoints)
        np.testing.assert_array_equal(result.people[0].box, expected.people[0].box)
        assert result.people[0].state == ('tracked' if t else 'started')


def test_what_cannot_be_decoded_is_warned_of(models, tmp_path):
    path = encode(tmp_path / 'a.mp4', greys(8))
    damaged(path, [4], b'\x00\x00\x00\x10\x01')
    with pytest.warns(UserWarning, match=r'a\.mp4: frame 4 cannot be decoded'):
        results = list(PoseInferencer(*models['rpstn_demo'], kpt_thr=-9)(path))
    assert [result.index for result in results] == [0, 1, 2, 3, 5, 6, 7]


def test_answers_in_another_skeleton(models, video):
    own = list(PoseInferencer(*models['rpstn_demo'], kpt_thr=-9)(video))
    inferencer = PoseInferencer(
        *models['rpstn_demo'], kpt_thr=-9, joints='coco17', smooth=dict(min_cutoff=2)
    )
    assert inferencer.joints == list(get_skeleton('coco17').joints)
    assert len(inferencer.dataset_meta['keypoint_colors']) == 17
    penn = get_skeleton('penn13')
    for result, theirs in zip(inferencer(video), own, strict=True):
        for k, joint in enumerate(inferencer.joints):
            person, other = result.people[0], theirs.people[0]
            if joint in penn.joints:
                assert person.scores[k] == other.scores[penn.index(joint)]
                if result.index == 0:  # later ones are smoothed
                    assert (person.keypoints[k] == other.keypoints[penn.index(joint)]).all()
            else:
                assert person.scores[k] == 0 and (person.keypoints[k] == 0).all()
    with pytest.raises(ModelError, match='both, or neither'):
        PoseInferencer(checkpoint='mine.pth')
    with pytest.raises(ModelError, match="joints must be of jhmdb15, .* got 'coco18'"):
        PoseInferencer(*models['rpstn_demo'], joints='coco18')


@pytest.fixture(scope='module')
def calibrated(models, tmp_path_factory) -> list[str]:
    """The same RPSTN, whose scores are behind a map."""
    config = Config.fromfile(models['rpstn_demo'][0])
    config.model.head.decoder.update(type='CalibratedHeatmap', knots=KNOTS)
    path = tmp_path_factory.mktemp('calibrated') / 'calibrated.py'
    config.dump(path)
    return [str(path), models['rpstn_demo'][1]]


KNOTS = [[0, 0], [0.01, 0.3], [0.1, 0.8], [1, 0.9]]


@pytest.mark.parametrize('mode', ['clip', 'stream'])
def test_scores_are_behind_the_models_map_and_all_else_is_as_without(
    models, calibrated, video, mode
):
    plain, ours = (PoseInferencer(*m, mode=mode) for m in (models['rpstn_demo'], calibrated))
    threshold = float(np.interp(0.2, *np.transpose(KNOTS)))
    assert (plain.kpt_thr, ours.kpt_thr) == (0.2, threshold)
    for before, after in zip(plain(video), ours(video), strict=True):
        (peaks,), (scores,) = before.scores, after.scores
        expected = np.where(peaks > 0, np.interp(peaks, *np.transpose(KNOTS)), peaks)
        np.testing.assert_array_equal(scores, expected)
        np.testing.assert_array_equal(before.keypoints, after.keypoints)
        (one,), (other,) = before.people, after.people
        np.testing.assert_array_equal(one.box, other.box)
        assert one.state == other.state
        assert before.meta['kpt_thr'] == 0.2 and after.meta['kpt_thr'] == threshold
        assert other.meta['score_knots'] == KNOTS


def test_a_threshold_that_is_asked_for_is_taken(calibrated, video):
    asked = PoseInferencer(*calibrated, mode='stream', kpt_thr=0.5, joints='coco17')
    assert asked.kpt_thr == asked.streaming.min_score == 0.5
    (result, *_) = asked(video)
    assert result.meta['kpt_thr'] == asked.dataset_meta['kpt_thr'] == pytest.approx(0.811, abs=1e-3)


def test_a_run_with_other_scores_is_not_gone_on_with(models, calibrated, video, tmp_path):
    options, source = InferOptions([str(video)]), open_frames(video)
    plain, ours = (
        about_run(options, PoseInferencer(*m, mode='stream'), str(video), source)
        for m in (models['rpstn_demo'], calibrated)
    )
    with closing(RunFolder(tmp_path, 'noise', plain)) as folder, folder:
        folder.write(FrameResult(0, 0.0, ()))
    with closing(RunFolder(tmp_path, 'noise', plain, resume=True)) as folder:
        assert folder.known == 1
    with pytest.raises(RunError, match='the interrupted run had another config'):
        RunFolder(tmp_path, 'noise', ours, resume=True)


def test_the_shipped_model_trusts_joints_as_it_did():
    inferencer = PoseInferencer()
    assert inferencer.kpt_thr == inferencer.streaming.min_score == 0.329
    assert inferencer.streaming.follower().min_score == 0.329


def test_what_is_known_is_gone_on_from(models, video):
    """Clips as if there had been no break; a stream at the same box, with the same person."""
    clips = PoseInferencer(*models['rpstn_demo'], kpt_thr=-9)
    source = open_frames(video)
    whole = list(clips.raw(source))
    resumed = list(clips.raw(source, whole[:7]))
    np.testing.assert_array_equal(joints(resumed), joints(whole))
    stream = PoseInferencer(*models['rpstn_demo'], kpt_thr=-9, mode='stream', look_ahead=0)
    whole = list(stream.raw(source))
    resumed = list(stream.raw(source, whole[:3]))
    np.testing.assert_array_equal(joints(resumed)[:3], joints(whole)[:3])
    np.testing.assert_array_equal(resumed[3].people[0].box, whole[3].people[0].box)
    assert [r.people[0].state for r in resumed] == [
        'started',
        *['tracked'] * 2,
        'started',
        *['tracked'] * 4,
    ]
    assert {r.people[0].id for r in resumed} == {0} and resumed[3].image is not None


@pytest.fixture(scope='module')
def upright(models, tmp_path_factory) -> list[str]:
    """The same RPSTN, that looks at upright crops."""
    config = Config.fromfile(models['rpstn_demo'][0])
    pipeline = config.test_dataloader.dataset.pipeline
    (place,) = [k for k, step in enumerate(pipeline) if step['type'] == 'ClipBBox']
    size = config.model.backbone.input_size
    pipeline[place] = dict(type='ClipBody', joints='penn13', input_size=size)
    path = tmp_path_factory.mktemp('upright') / 'upright.py'
    config.dump(path)
    return [str(path), models['rpstn_demo'][1]]


@pytest.mark.parametrize('box', ['frame', '10,5,50,40'])
def test_upright_crops_about_a_box_for_all_frames(upright, video, box):
    """Clips of one frame each are all P's, as is a stream that P sees every frame of."""
    stream = PoseInferencer(
        *upright, box=box, kpt_thr=-9, mode='stream', stream_options=dict(reset_every=1)
    )
    expected = predict_video(stream.model, open_frames(video), box, clip_len=1, kpt_thr=-9)
    for result, clip in zip(stream(video), expected, strict=True):
        np.testing.assert_allclose(result.keypoints, clip.keypoints, atol=1e-4)
        np.testing.assert_allclose(result.people[0].box, clip.people[0].box, atol=1e-4)
        assert result.people[0].rotation == clip.people[0].rotation == 0


def test_who_looks_at_upright_crops_finds_people_by_blazepose_unless_told_where_they_are(
    upright, video
):
    def found_by(**options) -> PersonFinder:
        return PoseInferencer(*upright, **options).streaming.finder

    for options, people in (({}, 1), (dict(stream_options=dict(max_people=2)), 2)):
        finder = found_by(**options)
        assert isinstance(finder, BlazePoseFinder) and finder.people == people
    assert isinstance(found_by(box=(1, 2, 30, 40)), WholeFrame)
    given = WholeFrame()
    assert found_by(stream_options=dict(finder=given)) is given
    assert PoseInferencer(*upright, mode='clip').streaming is None
    # Files are streamed, too: a clip's frames have their crops late.
    assert PoseInferencer(*upright).mode_for(open_frames(video)) == 'stream'


def test_the_shipped_model_finds_people_by_blazepose(video):
    inferencer = PoseInferencer()
    assert isinstance(inferencer.streaming.finder, BlazePoseFinder)
    assert inferencer.mode_for(open_frames(video)) == 'stream'
    assert tuple(inferencer.joints) == get_skeleton('blazepose33').joints


def test_modes_by_model_engine_and_source(models, video):
    source = open_frames(video)

    class Live(FrameSource):
        live = True

    live = Live(source.path, source.fps, source.size, 0)
    both = PoseInferencer(*models['rpstn_demo'])
    assert (both.mode_for(source), both.mode_for(live)) == ('clip', 'stream')
    with pytest.raises(ValueError, match='needs a finder that tells people apart'):
        PoseInferencer(*models['rpstn_demo'], stream_options=dict(max_people=2))
    several = PoseInferencer(
        *models['rpstn_demo'], stream_options=dict(max_people=2, finder=build_finder('motion'))
    )
    assert several.mode_for(source) == 'stream'
    plain = PoseInferencer(*models['rpstn_demo'], stream_options=dict(finder=None, max_people=1))
    assert plain.mode_for(source) == 'clip'
    with pytest.raises(BoxError, match="would leave the finder nothing to look for; use 'follow'"):
        PoseInferencer(
            *models['rpstn_demo'], box='frame', stream_options=dict(finder=build_finder('motion'))
        )
    for options in (dict(finder=build_finder('motion')), dict(reset_every=5)):
        streams = PoseInferencer(*models['rpstn_demo'], stream_options=options)
        assert streams.mode_for(source) == 'stream', 'clips would leave it unused'
        with pytest.raises(ModelError, match="needs mode 'stream'"):
            PoseInferencer(*models['rpstn_demo'], mode='clip', stream_options=options)
    single = PoseInferencer(*models['baseline_r18_jhmdb'])
    assert single.mode_for(live) == 'clip'
    assert {r.people[0].state for r in single(video)} <= {'started', 'lost'}
    with pytest.raises(ModelError, match='TopdownPoseEstimator is a single-frame model'):
        PoseInferencer(*models['baseline_r18_jhmdb'], mode='stream')
    with pytest.raises(ModelError, match="needs mode 'stream'"):
        PoseInferencer(*models['rpstn_demo'], mode='clip', engine='torch', precision='bfloat16')
    with pytest.raises(ValueError, match='mode must be one of'):
        PoseInferencer(*models['rpstn_demo'], mode='fast')


def test_an_exported_engine_gives_the_same_joints(models, video):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    options = dict(kpt_thr=-9, box='frame')
    torch_ = list(PoseInferencer(*models['rpstn_demo'], mode='stream', **options)(video))
    onnx = PoseInferencer(*models['rpstn_demo'], engine='onnx', **options)
    assert 'ONNX Runtime' in onnx.engine
    assert np.median(np.abs(joints(list(onnx(video))) - joints(torch_))) < 0.01


@pytest.mark.parametrize('live', [False, True])
def test_sources_are_smoothed_as_they_can_be(models, video, live):
    inferencer = PoseInferencer(*models['rpstn_demo'], kpt_thr=-9, smooth=True)
    raw = list(inferencer.raw(open_frames(video)))
    found = joints(list(inferencer.finish(iter(raw), live)))
    expected = map(OneEuroSmoother(), raw) if live else KernelSmoother()(raw)
    np.testing.assert_array_equal(found, joints(list(expected)))
    assert (found != joints(raw)).any()
    if not live:
        np.testing.assert_array_equal(found, joints(list(inferencer(video))))
    for off in (False, None):
        assert PoseInferencer(*models['rpstn_demo'], smooth=off).smoothing(live) is None
    own = PoseInferencer(*models['rpstn_demo'], kpt_thr=-9, smooth={})
    assert own.smoothing(live) == dict(
        filter='one_euro', min_cutoff=2, beta=10, derivative_cutoff=1
    )
    np.testing.assert_array_equal(
        joints(list(own.finish(iter(raw), live))), joints(list(map(OneEuroSmoother(), raw)))
    )


def test_smoothing_is_that_of_the_class(models, video):
    raw, smooth = (
        list(PoseInferencer(*models['rpstn_demo'], kpt_thr=-9, smooth=s)(video))
        for s in (False, dict(min_cutoff=0.1, beta=0.0))
    )
    still = np.abs(np.diff(joints(smooth), axis=0)).mean()
    assert still < 0.3 * np.abs(np.diff(joints(raw), axis=0)).mean()


def test_closing_early_ends_the_decoding(models, video):
    import threading

    for smooth in (False, True):
        results = PoseInferencer(*models['rpstn_demo'], smooth=smooth)(video)
        next(results)
        results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith('rpstn')]


@MODELS.register_module()
class ColourMaps(nn.Module):
    """Heatmaps (B, 3, H, W) that are the colours of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (images * self.gain,)


def resident() -> float:
    """Megabytes."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs /proc')
def test_memory_does_not_grow_with_the_length_of_a_stream(tmp_path):
    """Two thousand frames, 147 MB of them, through model, smoothing and all kinds of files."""
    codec = dict(type='MSRAHeatmap', input_size=(16, 16), heatmap_size=(16, 16), sigma=2)
    points = {
        k: dict(name=name, id=k, color=[0, 0, 0], type='upper', swap='')
        for k, name in enumerate('abc')
    }
    config = Config(
        dict(
            model=dict(
                type='TopdownPoseEstimator',
                backbone=dict(type='ColourMaps'),
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
                    clip_len=10,
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
                        dict(type='ClipBBox'),
                        dict(
                            type='ForEachFrame',
                            transforms=[dict(type='TopdownAffine', input_size=(16, 16))],
                        ),
                        dict(type='PackClipInputs'),
                    ],
                )
            ),
        )
    )
    torch.save({'backbone.gain': torch.ones(1)}, tmp_path / 'colours.pth')
    inferencer = PoseInferencer(config, tmp_path / 'colours.pth', smooth=True)

    class Endless(FrameSource):
        def __iter__(self):
            rng = np.random.default_rng(0)
            for t in range(2000):
                yield Frame(t, t / 25, np.full((96, 256, 3), rng.integers(255), np.uint8))

    source = Endless(Path('endless'), 25.0, (256, 96), 0)
    used = []
    with (
        CsvFile(tmp_path / 'a.csv', list('abc')) as table,
        PoseJson(tmp_path / 'a.json', list('abc'), {}) as text,
        NpzFile(tmp_path / 'a.npz', list('abc'), 25.0, (256, 96)) as arrays,
        DrawnFile(tmp_path / 'a.avi', source, 25.0) as drawn,
    ):
        for result in inferencer(source):
            for file in (table, text, arrays):
                file.write(result)
            result.draw()
            drawn.write(result)
            if result.index % 100 == 0:
                used.append(resident())
    assert len(used) == 20
    assert max(used[6:]) - used[5] < 8, used
    assert len(json.loads((tmp_path / 'a.json').read_text())['frames']) == 2000


@pytest.mark.parametrize('name', SMALL)
def test_mmposes_own_inferencers_take_the_configs(models, video, tmp_path, name):
    """An image is a clip of one frame: of RPSTN, P and the relation."""
    config, checkpoint = models[name]
    source = open_frames(video)
    image = next(iter(source)).image
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    inferencer = Pose2DInferencer(config, checkpoint, 'cpu', det_model='whole_image')
    ((people,),) = (result['predictions'] for result in inferencer(str(tmp_path / 'image.png')))
    # The whole image, as MMPose counts it.
    ours = next(
        predict_video(
            PoseInferencer(config, checkpoint).model,
            [Frame(0, 0.0, image)],
            (0, 0, 64, 48),
            clip_len=1,
        )
    )
    np.testing.assert_allclose(people[0]['keypoints'], ours.keypoints[0], atol=1e-3)
    np.testing.assert_allclose(people[0]['keypoint_scores'], ours.scores[0], atol=1e-5)
    every = MMPoseInferencer(pose2d=config, pose2d_weights=checkpoint, device='cpu')
    found = list(every(str(video), out_dir=str(tmp_path / 'out')))
    assert len(found) == 8
    np.testing.assert_allclose(
        found[0]['predictions'][0][0]['keypoints'], ours.keypoints[0], atol=1e-3
    )
    assert (tmp_path / 'out/visualizations/noise.avi').exists()
