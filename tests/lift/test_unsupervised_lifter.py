"""The lifter as an estimator of MMPose: its losses, its training, its config, the source."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, METRICS, MODELS
from mmpose.structures import PoseDataSample

from rpstn.errors import RPSTNError, SettingError
from rpstn.lift import Track
from rpstn.lift.datasets import read_tracks
from rpstn.lift.lifter_source import LifterJoints
from rpstn.lift.models.shipped_lifter import lift_video, load_lifter
from rpstn.lift.models.unsupervised_lifter import WEIGHTS, UnsupervisedLifter
from rpstn.lift.models.views import flipped, normalize, project
from rpstn.lift.structures import LiftError
from rpstn.registration import register
from rpstn.skeletons import SKELETONS, map_joints

SKELETON = SKELETONS['lifter15']
CONFIGS = sorted((Path(__file__).parents[2] / 'configs/lift').glob('*.py'))
RELATIONS = [None, dict(type='JRE'), dict(type='JointAttention')]


def build(relation=None, prior=True, **backbone):
    register()
    torch.manual_seed(0)
    config = dict(
        type='UnsupervisedLifter',
        backbone=dict(type='JointFeatures', width=32, depth=1, **backbone),
        head=dict(type='DepthHead', relation=relation),
        ramp=10,
    )
    if prior:
        config['prior'] = dict(type='PoseFlow', width=16, couplings=2)
    return MODELS.build(config)


def poses(batch=6, frames=8, seed=0):
    """Pixels of people who bend their knees, somewhere in the image."""
    rng = np.random.default_rng(seed)
    ys = dict(neck=-100, head=-140, shoulder=-100, elbow=-50, wrist=0, hip=0, knee=75, ankle=150)
    image = np.zeros((batch, frames, 15, 2), np.float32)
    depth = rng.uniform(0, 40, (batch, 1)) * np.sin(np.linspace(0, 3, frames))
    for n, name in enumerate(SKELETON.joints):
        image[..., n, 1] = ys.get(name.split('_')[-1], 0) - depth * (n < 11)
        image[..., n, 0] = 20 * (name.startswith('left') - float(name.startswith('right')))
    image += rng.normal(0, 3, image.shape).astype(np.float32) + 300
    hips = [SKELETON.index(f'{side}_hip') for side in ('left', 'right')]
    image[..., 0, :] = image[..., hips, :].mean(-2)
    return torch.from_numpy(image)


@pytest.mark.parametrize('relation', RELATIONS, ids=str)
def test_every_loss_is_there_and_moves_the_network_alone(relation):
    model = build(relation)
    losses = model.loss(poses(), [PoseDataSample()] * 6)
    assert set(losses) == {f'loss_{name}' for name in WEIGHTS} - {'loss_depth'}
    sum(losses.values()).backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    # What starts at 0 hides what lies behind it in the first step, but has a gradient itself.
    assert not [name for name in missing if not name.startswith('head.relation')]
    assert all(p.grad is None for p in model.prior.parameters())


def test_simulated_clips_teach_their_depth_and_nothing_else():
    model, image = build(), poses()
    with torch.no_grad():
        true, _ = model._depth(normalize(image), model.lengths(normalize(image)))
    model.noise = 0.0
    samples = [PoseDataSample() for _ in range(6)]
    for n in (1, 4):
        samples[n].gt_instances = InstanceData(depth=true[n] + 0.1)
    torch.manual_seed(0)
    losses = model.loss(image, samples)
    assert losses['loss_depth'].item() == pytest.approx(0.1 * WEIGHTS['depth'], rel=1e-4)
    torch.manual_seed(0)
    model.step.zero_()
    others = model.losses(normalize(image)[[0, 2, 3, 5]])
    torch.testing.assert_close({k: v for k, v in losses.items() if k != 'loss_depth'}, others)
    for sample, depth in zip(samples, true):
        sample.gt_instances = InstanceData(depth=depth)
    assert set(model.loss(image, samples)) == {'loss_depth'}


def test_a_short_training_lowers_the_losses():
    model, image = build(), normalize(poses(16))
    model.step.fill_(model.ramp)  # the weights at the end
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 3e-3)
    course = []
    for _ in range(40):
        loss = sum(model.losses(image).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        course.append(loss.item())
    assert np.mean(course[-5:]) < 0.9 * np.mean(course[:5])


def test_lengths_count_more_and_more():
    model, image = build(), normalize(poses())
    with torch.no_grad():
        first, *_, last = (model.losses(image)['loss_lengths'].item() for _ in range(12))
    assert last > 4 * first


def test_lifted_joints_are_seen_where_they_were_and_mirrored_with_the_image():
    model = build().eval()
    image = normalize(poses())
    with torch.no_grad():
        joints, elevation = model.lift(image)
        other, other_elevation = model.lift(flipped(image))
    torch.testing.assert_close(project(joints), image, rtol=1e-4, atol=1e-5)
    mirrored = joints[..., list(SKELETON.flip_indices), :] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(other, mirrored, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(elevation, other_elevation)


def test_predictions_are_joints_of_every_frame():
    model = build().eval()
    samples = model(poses(2), [PoseDataSample(), PoseDataSample()], mode='predict')
    assert [sample.pred_instances.keypoints.shape for sample in samples] == [(8, 15, 3)] * 2
    assert samples[0].pred_instances.keypoint_scores.shape == (8, 15)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_configs_build(path):
    register()
    config = Config.fromfile(path)
    config.model.prior.init_cfg = None
    model = MODELS.build(config.model)
    assert sum(p.numel() for p in model.backbone.parameters()) < 1e6
    METRICS.build(config.val_evaluator)
    assert config.train_dataloader.dataset.windows == (
        config.train_cfg.max_iters * config.train_dataloader.batch_size
    )


@pytest.fixture(scope='module')
def labels(tmp_path_factory):
    """Two videos' joints as a teacher labels them."""
    folder = tmp_path_factory.mktemp('labels')
    track = poses(2, 30).numpy()
    for n, image in enumerate(track):
        joints = map_joints(image, SKELETON, 'mediapipe33')
        ears = [SKELETONS['mediapipe33'].index(f'{side}_ear') for side in ('left', 'right')]
        joints[:, ears] = image[:, [SKELETON.index('head')]]
        np.savez(folder / f'{n}.npz', keypoints=joints, scores=np.ones(joints.shape[:2]))
    return folder


def test_windows_are_of_one_length_and_normal(labels):
    register()
    dataset = DATASETS.build(
        dict(type='PoseTracks', penn_action=None, teacher=str(labels), frames=12, windows=7)
    )
    assert len(dataset) == 7 and [len(track) for track in dataset.tracks] == [10, 10]
    window = dataset[0]['inputs']
    assert window.shape == (12, 15, 2) and window.dtype == torch.float32
    assert (window[:, 0] == 0).all()


def test_tracks_are_what_infer_saw_in_videos(tmp_path):
    image = 100 * poses(1, 60)[0].numpy()
    scores = np.full((60, 15), 0.9)
    scores[30:36] = 0.1  # hardly seen: two of twenty frames at 10 a second
    rows = np.delete(np.arange(60), [1, 2, 4])  # nobody found; none of these is looked at
    saved = dict(
        frame=rows,
        time=rows / 30,
        person=np.zeros(len(rows), int),
        joints=SKELETON.joints,
        fps=30.0,
    )
    np.savez(tmp_path / 'a.npz', keypoints=image[rows], scores=scores[rows], **saved)
    np.savez(tmp_path / 'b.npz', keypoints=image[rows], scores=scores[rows] / 2, **saved)
    nobody = {key: saved[key][:0] for key in ('frame', 'time', 'person')}
    np.savez(tmp_path / 'c.npz', keypoints=image[:0], scores=scores[:0], **{**saved, **nobody})
    (track,) = read_tracks(None, None, str(tmp_path))
    seen = np.delete(np.arange(0, 60, 3), [10, 11])
    assert torch.allclose(track, normalize(torch.from_numpy(image[None, seen]))[0], atol=1e-5)
    # Of a video of 60 frames a second every sixth.
    twice = {**saved, 'time': rows / 60, 'fps': 60.0}
    np.savez(tmp_path / 'a.npz', keypoints=image[rows], scores=scores[rows], **twice)
    (track,) = read_tracks(None, None, str(tmp_path))
    assert torch.allclose(
        track, normalize(torch.from_numpy(image[None, np.delete(np.arange(0, 60, 6), 5)]))[0]
    )
    # A mean of 0.7 is sure where scores are peaks, and is not where they are calibrated.
    for kpt_thr, number in ((0.2, 2), (0.399, 1)):
        about = dict(scores=0.7 * np.ones((57, 15)), kpt_thr=kpt_thr)
        np.savez(tmp_path / 'd.npz', keypoints=image[rows], **about, **saved)
        assert len(read_tracks(None, None, str(tmp_path))) == number
    np.savez(tmp_path / 'stray.npz', other=np.zeros(3))
    with pytest.raises(RPSTNError, match='stray.npz'):
        read_tracks(None, None, str(tmp_path))


def test_half_of_the_windows_are_simulated(labels, tmp_path):
    register()
    clips = dict(images=np.full((3, 12, 15, 2), 7.0), depths=np.full((3, 12, 15), 2.0))
    np.savez(tmp_path / 'clips.npz', **clips)
    config = dict(type='PoseTracks', penn_action=None, teacher=str(labels), windows=60)
    config['simulated'] = str(tmp_path / 'clips.npz')
    dataset = DATASETS.build(config)
    torch.manual_seed(0)
    drawn = [dataset[n] for n in range(60)]
    simulated = [one for one in drawn if 'gt_instances' in one['data_samples']]
    assert 20 <= len(simulated) <= 40
    assert all((one['inputs'] == 7).all() for one in simulated)
    assert simulated[0]['data_samples'].gt_instances.depth.shape == (12, 15)
    with pytest.raises(SettingError, match='must have 8 frames of 15 joints'):
        DATASETS.build(dict(config, frames=8))


def test_a_source_lifts_a_track_of_any_rate():
    model = build().eval()
    image = poses(1, 40)[0].numpy()
    track = make_track(image)
    found = LifterJoints(model)(track)
    assert found.skeleton is SKELETON and found.scale == 'nominal' and not found.upright
    assert found.joints.shape == (40, 15, 3) and np.abs(found.joints[:, 0]).max() < 1e-4
    # Every third frame of 30 a second, as the network itself sees it.
    clip = normalize(torch.from_numpy(image)[None])
    with torch.no_grad():
        expected, _ = model.lift(clip[:, 1::3], model.lengths(clip))
    own = expected[0].numpy() * [0.507, -0.507, -0.507]
    middle = own[:, [SKELETON.index('left_hip'), SKELETON.index('right_hip')]].mean(1)
    assert found.joints[1::3] == pytest.approx(own - middle[:, None], abs=1e-4)


def make_track(image, scores=None):
    count = len(image)
    scores = np.ones((count, 15)) if scores is None else scores
    image = np.where(scores[..., None] > 0, image, np.nan)
    return Track(image, scores, np.arange(count) / 30, np.arange(count), SKELETON)


def test_a_source_bridges_what_is_not_seen():
    model = build().eval()
    image = poses(1, 40)[0].numpy()
    scores = np.ones((40, 15))
    scores[10, 4] = 0
    scores[20:23] = 0
    found = LifterJoints(model)(make_track(image, scores))
    assert np.isnan(found.joints[20:23]).all() and np.isfinite(found.joints[10]).all()
    assert found.scores[10, 4] == 0 and (found.scores[20:23] == 0).all()
    scores[:, 4] = 0
    with pytest.raises(LiftError, match='right_shoulder'):
        LifterJoints(model)(make_track(image, scores))


def test_one_frame_is_lifted_too():
    assert lift_video(build().eval(), poses(1, 1)[0].numpy(), np.zeros(1)).shape == (1, 15, 3)


def test_it_is_built_whatever_scope_another_model_left_behind():
    with DefaultScope.overwrite_default_scope('mmaction'):
        assert isinstance(load_lifter(), UnsupervisedLifter)
