"""Ablations on cached features: what is cached, trained on it, kept, measured and tabulated."""

import copy
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, KEYPOINT_CODECS

from rpstn.pose.calibration import CalibratedHeatmap
from rpstn.pose.evaluation.pck import VideoPCK
from rpstn.pose.models.estimator import frames_of

TINY = """
custom_imports = dict(imports=['rpstn'], allow_failed_imports=False)
codec = dict(
    type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1, unbiased=True)
model = dict(
    type='VideoPoseEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor', mean=[0.] * 3, std=[0.01] * 3, bgr_to_rgb=True),
    backbone=dict(
        type='SharedBackbone', num_joints=13, channels=8, input_size=(64, 64),
        encoder=dict(
            type='UpsampledBackbone', channels=8, width=8, input_size=(64, 64), frozen=True,
            backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8))),
    head=dict(
        type='RPSTNHead', num_joints=13, channels=8, norms='none', relation=None,
        propagator=dict(type='NoPropagator'), decoder=codec,
        loss=dict(type='TemporalMSELoss', clip_len=3)))
pipeline = [
    dict(type='LoadClip'), dict(type='ClipBBox'),
    dict(type='ForEachFrame', transforms=[
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')]
clips = dict(
    type='SyntheticClipDataset', num_frames=4, image_size=(64, 64), clip_len=3, num_sequences=3,
    pipeline=pipeline)
train_dataloader = dict(
    batch_size=2, dataset=dict(type='RepeatDataset', times=2, dataset=clips))
test_dataloader = dict(batch_size=1, dataset=clips)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=1.))
"""


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.syspath_prepend(str(Path('tools/research/ablations').resolve()))
    init_default_scope('mmpose')


@pytest.fixture(scope='module')
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('ablations') / 'tiny.py'
    path.write_text(TINY)
    return path


@pytest.fixture(scope='module')
def cached(tiny) -> Path:
    """A folder of the two training parts; the weights are random, but always the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path('tools/research/ablations').resolve()))
        import feature_cache

        config = Config.fromfile(tiny)
        assert feature_cache.training_parts(config, 1) == ['train-0-0', 'train-0-1']
        for part in feature_cache.training_parts(config, 1):
            torch.manual_seed(0)
            feature_cache.make_part(config, tiny.parent / 'features', part)
        return tiny.parent / 'features'


def test_cached_features_and_targets_are_those_of_the_network_and_its_data(tiny, cached):
    import feature_cache
    from head_training import heatmaps_of, targets_of

    config = Config.fromfile(tiny)
    torch.manual_seed(0)
    model = feature_cache.build_model(config).eval()
    (part,) = feature_cache.load_training(cached, ['train-0-1'])
    assert part.features.shape == (3, 3, 8, 16, 16) and part.features.dtype == np.float16
    dataset = DATASETS.build(feature_cache.training_sets(config)[0][0])
    for index in range(3):
        feature_cache._seed(1 * 100003 + index)
        packed = dataset[index]
        batch = dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
        clips = model.data_preprocessor(batch, False)['inputs']
        with torch.no_grad():
            features = model.backbone(clips)[0]
            heatmaps = model(clips, None, mode='tensor')
            kept = feature_cache.as_floats(part.features[index : index + 1])
            again = heatmaps_of(model, kept)
        scale = float(features.abs().max())
        assert scale > 0.01
        torch.testing.assert_close(kept, features, rtol=2e-3, atol=1e-3 * scale)
        torch.testing.assert_close(
            again, heatmaps, rtol=1e-2, atol=1e-3 * float(heatmaps.abs().max())
        )
        frames = frames_of([packed['data_samples']])
        targets, weights = targets_of(
            model.head.decoder, part.joints[index : index + 1], part.weights[index : index + 1]
        )
        given = torch.cat([f.gt_instance_labels.keypoint_weights for f in frames])
        assert torch.equal(weights, given) and 0 < float(weights.mean()) <= 1
        labels = torch.stack([f.gt_fields.heatmaps for f in frames])
        torch.testing.assert_close(
            targets * weights[..., None, None], labels * given[..., None, None]
        )


def test_a_part_is_made_once_and_of_one_encoder(tiny, cached, monkeypatch):
    from rpstn.errors import SettingError

    import feature_cache

    config = Config.fromfile(tiny)
    feature_cache.claim_folder(cached, config)
    feature_cache.claim_folder(cached, config)
    monkeypatch.setattr(feature_cache, 'build_model', None)  # would fail if it were made again
    feature_cache.make_part(config, cached, 'train-0-0')
    config.model.backbone.encoder.width = 16
    with pytest.raises(SettingError, match='another encoder'):
        feature_cache.claim_folder(cached, config)


def test_every_clip_is_drawn_before_one_is_drawn_again():
    from feature_cache import TrainingClips
    from head_training import draws

    # A number for each clip, and one for each of its three frames.
    joints = 10.0 * np.arange(6)[:, None, None, None] + np.arange(3)[:, None, None]
    given = np.broadcast_to(joints, (6, 3, 13, 2))
    features = np.broadcast_to(joints[..., None], (6, 3, 8, 4, 4)).astype(np.float16)
    parts = [
        TrainingClips(features[part], given[part], given[part][..., 0])
        for part in (slice(4), slice(4, 6))
    ]
    batches = draws(parts, 2, 3, seed=0)
    drawn = [next(batches) for _ in range(20)]
    for number in range(0, 20, 2):
        both = np.concatenate([clips[:, :, 0, 0] for _, clips, _ in drawn[number : number + 2]])
        assert sorted(both[:, 0] // 10) == list(range(6))
        assert (both[:, 1] == both[:, 0] + 1).all()
    assert {clips[0, 0, 0, 0] % 10 for _, clips, _ in drawn} == {0, 1}
    for maps, clips, weights in drawn:
        assert (
            maps[..., 0, 0, 0].numpy() == clips[..., 0, 0]
        ).all() and maps.dtype == torch.float32
        assert (weights == clips[..., 0]).all()


@pytest.fixture
def videos():
    """Two videos, of 3 and 2 frames, of 15 joints, cut out as the whole, turned image."""
    from feature_cache import WholeClips

    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 200, (5, 15, 2))
    return WholeClips(
        rng.random((5, 8, 16, 16)).astype(np.float16),
        np.array([3, 2]),
        np.full((5, 2), 100.0),
        np.full((5, 2), 200.0),
        np.array([0.0, 30, 90, -45, 10]),
        dict(
            keypoints=keypoints,
            labelled=rng.random((5, 15)) < 0.8,
            hidden=rng.random((5, 15)) < 0.5,
            boxes=np.tile([0.0, 0, 200, 150], (5, 1)),
        ),
    )


def test_a_run_is_kept_and_not_trained_again(tiny, cached, videos, tmp_path, monkeypatch):
    import ablation_rows
    import feature_cache
    from ablation_rows import Row
    from head_training import start_model

    monkeypatch.setattr(feature_cache, 'load_whole', lambda folder, part: videos)
    (tmp_path / 'features').symlink_to(cached)
    change = {
        'model.head.relation': dict(type='ConvRelation', _delete_=True),
        'model.head.propagator.type': 'CatPropagator',
    }
    row = Row('relation', 'conv', 'a label', str(tiny), change, None, 2, 2, 3, alone=True)
    parts = ['train-0-0', 'train-0-1']
    ablation_rows.train_row(row, 0, tmp_path, parts)
    run = ablation_rows.load_run(row, 0, tmp_path)
    assert run['losses'].shape == (2,) and run['curve'].shape == (3, 5, 13, 3)
    for part in feature_cache.WHOLE_PARTS:
        assert np.isfinite(run[part]).all() and run[part].shape == (5, 13, 3)
    own = torch.load(row.path(tmp_path, 0).with_suffix('.pth'), weights_only=True)
    assert float(own['head.relation.conv.weight'].abs().max()) > 0
    assert not any(key.startswith('backbone.encoder') for key in own)
    # All else, statistics of norms among it, is as it started.
    torch.manual_seed(0)
    started = start_model(row.read(), None).state_dict()
    assert any(key.endswith('running_mean') for key in own)
    for key in own.keys() - {'head.relation.conv.weight', 'head.relation.conv.bias'}:
        assert torch.equal(own[key], started[key]), key
    monkeypatch.setattr(ablation_rows, 'train_head', None)  # would fail if it were trained again
    ablation_rows.train_row(row, 0, tmp_path, parts)
    longer = Row(**{**vars(row), 'steps': 3})
    assert ablation_rows.load_run(longer, 0, tmp_path) is None
    renamed = Row(**{**vars(row), 'label': 'another', 'seeds': 3})
    assert ablation_rows.load_run(renamed, 0, tmp_path) is not None


def test_the_grid_s_rows_are_read_and_chosen():
    from rpstn.errors import SettingError

    from ablation_rows import read_grid

    grid = Path('tools/research/ablations/grid.py')
    rows = read_grid(grid, seeds=2)
    assert len({row.name for row in rows}) == len(rows) and {row.seeds for row in rows} == {1, 2}
    gate = next(row for row in rows if row.name == 'propagation/residual')
    assert gate.read().model.head.propagator.carry is False
    tokens = next(row for row in rows if row.name == 'single/tokens')
    assert tokens.read().model.head.relation == dict(type='TokenRelation')
    behind = next(row for row in rows if row.name == 'relation/placed_readout')
    assert '_delete_' not in behind.read().model.head.readout
    assert tokens.fingerprint() == tokens.fingerprint() != gate.fingerprint()
    assert [row.name for row in read_grid(grid, ['single/jre'])] == ['single/jre']
    with pytest.raises(SettingError, match='single/nothing'):
        read_grid(grid, ['single/nothing'])


def test_pck_of_parts_is_the_metric_s(videos):
    from row_measures import counts, pck

    rng = np.random.default_rng(1)
    joints = videos.labels['keypoints'] + rng.normal(0, 25, (5, 15, 2))
    metric = VideoPCK(thr=0.2)

    metric.dataset_meta = DATASETS.get('JHMDBClipDataset').METAINFO
    metric.dataset_meta = dict(
        dataset_name='jhmdb',
        keypoint_id2name=dict(enumerate(joint_names())),
        keypoint_name2id={name: k for k, name in enumerate(joint_names())},
    )
    metric.process(
        {},
        [
            dict(
                pred_instances=dict(keypoints=joints[n : n + 1]),
                gt_instances=dict(
                    keypoints=videos.labels['keypoints'][n : n + 1],
                    keypoints_visible=videos.labels['labelled'][n : n + 1].astype(float),
                    keypoints_occluded=videos.labels['hidden'][n : n + 1],
                    bboxes=videos.labels['boxes'][n : n + 1],
                ),
            )
            for n in range(5)
        ],
    )
    figures = metric.compute_metrics(metric.results)
    found = counts(joints, videos)
    for normalizer, name in (('torso', 'torso'), ('box', 'bbox')):
        for part, what in (('all', 'mean'), ('visible', 'visible'), ('hidden', 'occluded')):
            expected = 100 * figures[f'{name}_PCK@0.2/{what}']
            assert pck([found[normalizer, part]]) == [pytest.approx(expected)]


def joint_names() -> tuple[str, ...]:
    from rpstn.skeletons import get_skeleton

    return get_skeleton('jhmdb15').joints


def test_reliability_bins_hold_equally_many_and_tell_the_error():
    from row_measures import reliability, score_knots

    rng = np.random.default_rng(0)
    scores = rng.random(20000)
    honest = reliability(scores, rng.random(20000) < scores)
    assert honest.error < 0.02 and len(honest.score) == 10 and honest.number == 20000
    boasting = reliability(scores, rng.random(20000) < scores / 2)
    assert boasting.error == pytest.approx(0.25, abs=0.02)
    wrong = rng.random(20000) < scores / 2
    knots = score_knots(scores, wrong)
    CalibratedHeatmap((64, 64), (16, 16), 1, knots=knots.tolist())  # or they are refused
    mended = reliability(np.interp(scores, *knots.T), wrong)
    assert mended.error < 0.02
    knots = score_knots(scores, np.ones(20000))  # as steep as can be, and still rising
    assert (np.diff(knots, axis=0) > 0).all() and knots[-1, 1] == 1


def test_rows_are_trained_and_measured_by_peaks_whatever_ships():
    from ablate import GRID
    from ablation_rows import read_grid

    (lite,) = read_grid(GRID, ['relation/lite'])
    decoder = lite.read().model.head.decoder
    assert decoder.type == 'MSRAHeatmap' and 'knots' not in decoder
    assert lite.knots()[1].tolist() == [0.2, 0.329]
    (none,) = read_grid(GRID, ['relation/none'])
    assert none.knots() is None


@pytest.mark.slow
def test_the_map_that_ships_can_be_fitted_again(capsys):
    """Here of one clip in thirty."""
    import ast

    import fit_scores

    assert fit_scores.main(['--every', '30']) == 0
    first, *table = capsys.readouterr().out.splitlines()
    knots = ast.literal_eval(first.removeprefix('knots='))
    CalibratedHeatmap((64, 64), (16, 16), 1, knots=knots)
    assert sum(line.startswith('| val') for line in table) in (2, 3)


def test_joints_are_carried_where_the_score_is_low_and_filtered():
    from plain_carrying import carried, filtered

    joints = np.arange(8.0).reshape(4, 1, 2)
    scores = np.array([[0.1], [0.9], [0.1], [0.2]])
    assert carried(joints, scores, 0.5)[:, 0, 0].tolist() == [0, 2, 2, 2]
    smooth = filtered(joints, 100.0, 1.0, 0.0)
    assert smooth[0].tolist() == joints[0].tolist() and (smooth[1:] < joints[1:]).all()


def test_fitted_places_are_where_the_others_say():
    """A joint that always lies right of another is found though its own map knows nothing."""
    from rpstn.pose.models.token_relation import TokenRelation

    from feature_cache import TrainingClips
    from place_fitting import fit_places

    torch.manual_seed(0)
    places = torch.rand(300, 2, 1, 2) * 0.4 + 0.2
    truth = torch.cat([places, places + torch.tensor([0.2, 0.0])], dim=2)
    seen = torch.cat([truth, torch.full((300, 2, 2, 1), 0.05), torch.ones(300, 2, 2, 1)], dim=3)
    hidden = torch.arange(300) % 2 == 0
    seen[hidden, :, 1] = torch.tensor([0.5, 0.5, 0.4, 0.1])
    clips = TrainingClips(
        np.zeros((300, 2, 1)), (truth * 15 * 4).numpy(), np.ones((300, 2, 2), np.float32)
    )
    relation = TokenRelation(2, width=16, heads=2, layers=1, keep_height=True)
    codec = KEYPOINT_CODECS.build(
        dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
    )
    fit_places(relation, seen, [clips], codec, steps=300)
    with torch.no_grad():
        found, logits = relation.answers(seen[:, 0])
    off = (found - truth[:, 0]).norm(dim=-1)[hidden, 1]
    assert off.median() < 0.5 * (seen[:, 0, :, :2] - truth[:, 0]).norm(dim=-1)[hidden, 1].median()
    assert (logits[hidden, 1] > 0).float().mean() > 0.8 and relation.scale.min() == 1


def test_the_readout_alone_is_fitted(tiny, tmp_path, monkeypatch, capsys):
    import fit_readout

    import feature_cache

    config = Config.fromfile(tiny)
    torch.manual_seed(0)
    trained = feature_cache.build_model(config).state_dict()
    torch.save(dict(state_dict=trained), tmp_path / 'trained.pth')
    config.model.head.readout = dict(type='TokenRelation', width=16, keep_height=True)
    config.dump(tmp_path / 'with.py')

    def fit(config: Path) -> int:
        given = [config, tmp_path / 'trained.pth', tmp_path / 'out.pth', '--steps', 2]
        given += ['--work-dir', tmp_path / 'work']
        monkeypatch.setattr('sys.argv', ['fit_readout.py', *map(str, given)])
        return fit_readout.main()

    assert fit(tmp_path / 'with.py') == 0
    fitted = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert float(fitted['head.readout.scale'].min()) == 1
    assert all(torch.equal(fitted[key], value) for key, value in trained.items())
    assert fit(tiny) == 1 and 'readout must be a TokenRelation' in capsys.readouterr().err
    torch.save(dict(state_dict=fitted), tmp_path / 'trained.pth')
    assert fit(tmp_path / 'with.py') == 1 and 'fitted already' in capsys.readouterr().err


@pytest.mark.slow
def test_cached_answers_are_those_of_the_whole_model_on_real_frames():
    """Also of crops that are turned: JHMDB's, by the shipped model, whose crops are upright."""
    from rpstn.engine.loading import load_model, read_model
    from rpstn.engine.shipped import shipped_files

    from feature_cache import WholeClips, whole_samples
    from head_training import answer
    from lite_evaluation import jhmdb_clips, videos
    from lite_predictors import label_predictor
    from row_measures import to_labels

    try:
        dataset = jhmdb_clips('val')
    except FileNotFoundError:
        pytest.skip('the clips of JHMDB are not here')
    _, clip = itertools.islice(videos(dataset, 9), 2)  # of somebody lying
    clip['frames'] = clip['frames'][:5]
    whole = load_model(*shipped_files('lite'))
    config = whole.cfg
    model = read_model(config, shipped_files('lite')[1])[0].eval()
    ((features, fields),) = whole_samples(config, model, [copy.deepcopy(clip)])
    labels = {name: fields.pop(name) for name in ('keypoints', 'labelled', 'hidden', 'boxes')}
    assert np.abs(fields['rotation']).min() > 45
    found = to_labels(
        answer(model, WholeClips(features.astype(np.float16), **fields, labels=labels))
    )
    expected = np.stack(label_predictor(whole)(clip))
    # Half a pixel at most, of features in half precision.
    assert np.abs(found - expected).max() < 0.5 and np.abs(found - expected).mean() < 0.02


@pytest.mark.slow
def test_the_page_tells_what_is_there_and_what_not(videos, tmp_path, monkeypatch):
    from rpstn.skeletons import get_skeleton

    import ablation_page
    import ablation_results
    import closed_loop
    from ablation_rows import Row, read_grid
    from closed_loop import whole_path

    monkeypatch.setattr(ablation_results, 'load_whole', lambda folder, part: videos)
    grid = Path('tools/research/ablations/grid.py')
    rows = read_grid(grid, ['single/none', 'single/placed', 'single/jre'], seeds=2)
    # Labels where BlazePose has the joint, and noise: more in the first row.
    source, target = get_skeleton('blazepose33'), get_skeleton('jhmdb15')
    rng = np.random.default_rng(0)

    def answers(noise: float) -> np.ndarray:
        found = rng.uniform(0, 200, (5, 33, 3))
        for k, name in enumerate(target.joints):
            if name in source.joints:
                found[:, source.index(name), :2] = videos.labels['keypoints'][:, k]
        found[..., :2] += rng.normal(0, noise, (5, 33, 2))
        found[..., 2] = rng.random((5, 33))
        return found

    def keep(row: Row, noise: float) -> None:
        for seed in range(row.seeds):
            path = row.path(tmp_path, seed)
            path.parent.mkdir(exist_ok=True)
            given = {part: answers(noise) for part in ablation_results.PARTS_MEASURED}
            np.savez(
                path,
                fingerprint=row.fingerprint(),
                curve=np.stack([answers(noise)] * 3),
                losses=np.ones(4),
                seconds=1.0,
                **given,
            )
            for part in ('test-clean', 'test-occluded'):
                path = whole_path(row, seed, tmp_path, part)
                path.parent.mkdir(exist_ok=True)
                joints = videos.labels['keypoints'] + rng.normal(0, noise, (5, 15, 2))
                joints[0] = np.nan
                np.savez(path, joints=joints, fingerprint=row.fingerprint())

    for row, noise in zip(rows, (200.0, 0.1, 0.1)):
        if row.key != 'jre':
            keep(row, noise)
    assert closed_loop.load_whole_run(rows[0], 0, tmp_path, 'test-clean').shape == (5, 15, 2)
    page = tmp_path / 'page.md'
    page.write_text(f'said\n{ablation_page.BEGIN}\n{ablation_page.END}\nby hand\n')
    ablation_page.write_page(rows, grid, tmp_path, page)
    text = page.read_text()
    assert text.startswith('said\n') and text.endswith('by hand\n')
    assert 'Not run: single/jre.' in text
    assert (tmp_path / 'page.png').is_file() and (tmp_path / 'page_reliability.png').is_file()
    lines = [line.split('|') for line in text.splitlines() if 'tokens, places fitted' in line]
    assert float(lines[0][5].split('±')[0]) > 60 and lines[0][2].strip() == '2'
    assert lines[1][2].strip().startswith('**+')  # the difference excludes 0
    with pytest.raises(ablation_page.SettingError, match='no run'):
        ablation_page.write_page(rows, grid, tmp_path / 'empty', page)


@pytest.mark.slow
def test_jobs_are_tasks_of_a_cluster(tmp_path, monkeypatch, capsys):
    """In the folder that they are asked for in, whose paths the rows name."""
    from rpstn.cluster.pool import connected

    from ablate import run_all

    monkeypatch.chdir(tmp_path)
    with connected(None, cores=2):
        run_all([(name, os.mkdir, (name,)) for name in ('a', 'b')], 1, cluster='auto')
        with pytest.raises(FileExistsError):
            run_all([('a', os.mkdir, ('a',))], 1, cluster='auto')
    assert {path.name for path in tmp_path.iterdir()} == {'a', 'b'}
    assert sorted(capsys.readouterr().out.split('\n')[:2]) == ['a: done', 'b: done']
