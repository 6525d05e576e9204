"""Recording W_r, and the figures that sum it up."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

from rpstn.checkpoints import ModelError
from rpstn.pose import ClipDataSample, TokenRelation
from rpstn.results import PersonResult

from relation_summary import describe, find_support, own_share, row_entropy
from relations import RelatedFrame, RelationRecorder, find_relation

K, T, SIDE = 4, 3, 64
CODEC = dict(type='MSRAHeatmap', input_size=(SIDE, SIDE), heatmap_size=(16, 16), sigma=1)
RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8, init_cfg=None)
TEST_CFG = dict(flip_test=True, flip_mode='heatmap')


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def random(cfg: dict) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(cfg).eval()
    for norm in model.head.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
    return model


def video_model(relation: dict | None) -> nn.Module:
    return random(
        dict(
            type='VideoPoseEstimator',
            data_preprocessor=dict(type='ClipDataPreprocessor'),
            backbone=dict(
                type='RPSTNBackbone',
                num_joints=K,
                channels=8,
                input_size=(SIDE, SIDE),
                encoder=RESNET,
            ),
            head=dict(
                type='RPSTNHead',
                num_joints=K,
                channels=8,
                relation=relation,
                propagator=dict(type='JRPSP'),
                decoder=CODEC,
            ),
            test_cfg=TEST_CFG,
        )
    )


def image_model(head: dict | None = None, **preprocessor) -> nn.Module:
    own = dict(type='HeatmapHead', in_channels=64, out_channels=K, decoder=CODEC)
    return random(
        dict(
            type='TopdownPoseEstimator',
            backbone=RESNET,
            test_cfg=TEST_CFG,
            data_preprocessor=dict(type='PoseDataPreprocessor', **preprocessor),
            head=head or dict(type='RelationHead', head=own, relation=dict(type='JRE')),
        )
    )


def clip(seed: int, padded: int = 0) -> dict:
    """A clip of T frames as a data set gives it, the last ones padded."""
    frames = [
        PoseDataSample(
            metainfo=dict(
                frame_index=10 * seed + t,
                padded=t >= T - padded,
                flip_indices=[1, 0, 2, 3],
                input_size=np.array([SIDE, SIDE]),
                input_center=np.array([32.0, 32.0]),
                input_scale=np.array([64.0, 64.0]),
            ),
            gt_instances=InstanceData(
                bboxes=np.array([[1.0, 2, 3, 4]]),
                bbox_scores=np.ones(1),
                keypoints_occluded=np.eye(1, K, t),
            ),
        )
        for t in range(T)
    ]
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(256, (T, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return dict(inputs=inputs, data_samples=ClipDataSample(frames, metainfo=dict(video='v')))


@torch.no_grad()
def test_every_frame_of_every_clip_gets_the_relation_of_its_own_raw_heatmaps():
    model = video_model(dict(type='JRE'))
    with RelationRecorder(model) as recorder:
        model.test_step(pseudo_collate([clip(1), clip(2, padded=2)]))
    assert [frame.index for frame in recorder.frames] == [10, 11, 12, 20]
    expected = {}
    head = model.head
    for seed in (1, 2):
        features, raw = model.backbone(clip(seed)['inputs'][None].float())
        for t in range(T):
            flat = raw.flatten(2)
            expected[10 * seed + t] = torch.softmax(flat @ flat.transpose(1, 2), -1)[0]
            if t < T - 1:
                raw = head.propagator(
                    head.norm(head.relation(raw)), features[:, t], features[:, t + 1]
                )
    for t, frame in enumerate(recorder.frames):
        np.testing.assert_allclose(frame.relation, expected[frame.index], rtol=1e-3, atol=1e-5)
        assert frame.person.keypoints.shape == (K, 2) and frame.person.scores.shape == (K,)
        np.testing.assert_array_equal(frame.person.box, [1, 2, 3, 4])
        assert frame.occluded.tolist() == [k == t % T for k in range(K)]
    assert not np.allclose(expected[10], expected[11], atol=0.01)


class AtPeak(nn.Module):
    """A relation whose answered places are those that the joints are decoded from."""

    num_joints, takes = K, ('last',)

    def relation(self, heatmaps, last):
        senders = K if last is None else 2 * K
        return torch.full((len(heatmaps), K, senders), 1 / senders)

    def places(self, heatmaps, last):
        cells = heatmaps.flatten(2).argmax(-1)
        shares = torch.stack([cells % 16, cells // 16], -1) / 15
        return shares, torch.full((len(heatmaps), K), 0.0 if last is None else 1.0)

    def forward(self, heatmaps, last):
        return heatmaps - heatmaps.amin((2, 3), keepdim=True)  # no joint is decoded below 0


@pytest.mark.parametrize('rotation', [0.0, 30.0])
@torch.no_grad()
def test_places_lie_in_the_image_where_joints_decoded_from_them_do(rotation):
    model = video_model(None)
    model.head.relation, model.head.norm = AtPeak(), nn.Identity()
    inputs = clip(1)
    for frame in inputs['data_samples'].frames:
        frame.set_metainfo(
            dict(
                input_center=np.array([50.0, 70.0]),
                input_scale=np.array([128.0, 128.0]),
                bbox_rotation=np.array([rotation]),
            )
        )
    with RelationRecorder(model) as recorder:
        model.test_step(pseudo_collate([inputs]))
    for t, frame in enumerate(recorder.frames):
        # The last frame's joints, too, are these joints; decoding shifts by a quarter of a cell.
        assert frame.relation == pytest.approx(np.full((K, K), 1 / K))
        assert frame.gates.tolist() == [float(t > 0)] * K
        np.testing.assert_allclose(frame.places, frame.person.keypoints, atol=2.9)
    assert np.ptp(recorder.frames[0].places) > 20


@torch.no_grad()
def test_a_relation_head_is_recorded_for_images_without_the_flip_test():
    model = image_model()
    images = torch.randint(256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    samples = clip(1)['data_samples'].frames[:2]
    for sample in samples:
        del sample.gt_instances.keypoints_occluded
        sample.set_metainfo(dict(raw_ann_info=dict(keypoints=[5, 5, 2, 6, 6, 1, 0, 0, 0, 7, 7, 2])))
    before = model.test_cfg
    with RelationRecorder(model) as recorder:
        model.test_step(dict(inputs=list(images), data_samples=samples))
    assert model.test_cfg is before and before['flip_test']
    assert not model._forward_hooks and not model.head.relation._forward_hooks
    maps = type(model.head.head).forward(model.head.head, model.backbone(images.float())).flatten(2)
    for frame, own in zip(recorder.frames, maps, strict=True):
        np.testing.assert_allclose(frame.relation, torch.softmax(own @ own.T, -1), rtol=1e-4)
        assert frame.occluded.tolist() == [False, True, False, False]  # COCO: 1 is not visible


def test_the_relation_is_found_inside_others_and_its_absence_is_told():
    model = video_model(dict(type='JRE'))
    jre = model.head.relation
    assert find_relation(model) is jre
    model.head.relation = nn.Sequential(jre, nn.Conv2d(K, K, 1))
    assert find_relation(model) is jre
    model.head.relation = nn.Sequential(jre, video_model(dict(type='JRE')).head.relation)
    with pytest.raises(
        ModelError, match=r'several.*head.relation.0 \(JRE\), head.relation.1 \(JRE\)'
    ):
        find_relation(model)
    assert find_relation(model, 'head.relation.0') is jre
    with pytest.raises(ModelError, match="not one 'TokenRelation' of: head.relation.0"):
        find_relation(model, 'TokenRelation')
    model.head.relation[1] = TokenRelation(K)
    assert find_relation(model, 'TokenRelation') is model.head.relation[1]
    with pytest.raises(ModelError, match='its relation is Identity'):
        find_relation(video_model(None))
    with pytest.raises(ModelError, match='its head is HeatmapHead'):
        find_relation(image_model(dict(type='HeatmapHead', in_channels=64, out_channels=K)))


def test_a_relation_between_pixels_has_no_matrix():
    with pytest.raises(ModelError, match='its relation is NonLocalRelation.*JRE'):
        find_relation(video_model(dict(type='NonLocalRelation')))


def frames_of(relations: list[np.ndarray], occluded=None, scores=None) -> list[RelatedFrame]:
    count = len(relations[0])
    return [
        RelatedFrame(
            t,
            PersonResult(
                0,
                np.array([0.0, 0, 1, 1]),
                np.zeros((count, 2)),
                np.ones(count) if scores is None else scores,
            ),
            relation,
            np.zeros(count, bool) if occluded is None else occluded[t],
        )
        for t, relation in enumerate(relations)
    ]


def test_entropy_and_description_of_known_relations():
    even, sharp = np.full((K, K), 1 / K), np.eye(K)
    half = np.array([[0.5, 0.5, 0, 0]] * 4)
    np.testing.assert_allclose(row_entropy(even), 1)
    np.testing.assert_allclose(row_entropy(sharp), 0)
    np.testing.assert_allclose(row_entropy(half), np.log(2) / np.log(4))
    np.testing.assert_allclose(own_share(half), [0.5, 0.5, 0, 0])
    # Columns normalised, as the release does: the rows are made shares first.
    np.testing.assert_allclose(row_entropy(3 * half), row_entropy(half))
    assert describe(even[None]).endswith('25 % on the joint itself; nearly uniform')
    assert 'nearly the identity in 1 of 2 frames' in describe(np.stack([sharp, half]))
    one = np.tile([0.0, 0, 1, 0], (K, 1))
    assert 'one-hot' in describe(one[None]) and 'identity' not in describe(one[None])
    assert 'nearly' not in describe(half[None])


def test_supporters_are_averaged_over_the_frames_in_which_the_joint_is_occluded():
    relations = [
        np.tile(row, (K, 1))
        for row in ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1])
    ]
    occluded = np.zeros((3, K), bool)
    occluded[:2, 1] = occluded[2, 3] = True
    first, second = find_support(frames_of(relations, occluded), list('abcd'))
    assert (first.joint, first.why) == (1, 'occluded in 2 of 3 frames')
    assert first.own == pytest.approx(0.25) and set(first.supporters) == {0, 2, 3}
    np.testing.assert_allclose(first.mean, 0.25)
    by_joint = dict(zip(first.supporters, first.std))
    np.testing.assert_allclose([by_joint[j] for j in (0, 2, 3)], [0.15, 0.05, 0.15])
    assert (second.joint, second.supporters) == (3, (0, 1, 2))
    assert second.mean[0] == pytest.approx(0.7)
    # Without such labels those with the lowest scores, and any that is asked for.
    scores = np.array([0.9, 0.1, 0.8, 0.2])
    assert [s.joint for s in find_support(frames_of(relations, scores=scores), list('abcd'))] == [
        1,
        3,
        2,
    ]
    chosen = find_support(frames_of(relations, occluded), list('abcd'), ['c'])
    assert [s.joint for s in chosen] == [2] and chosen[0].frames.all()
    with pytest.raises(ValueError, match="no joint 'e'; the joints are a, b, c, d"):
        find_support(frames_of(relations), list('abcd'), ['e'])
