"""RelationHead: MMPose's heads with a relation behind them, and their weights."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData, PoseDataSample
from torch import nn

from rpstn.engine.cpu import for_inference
from rpstn.pose import RelationHead
from rpstn.pose.models.relation_sequence import swap_relation

K, C = 5, 16
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
DECONV = dict(
    in_channels=C, out_channels=K, deconv_out_channels=(8,), deconv_kernel_sizes=(4,), decoder=CODEC
)
HEADS = {
    'simple': dict(type='HeatmapHead', conv_out_channels=(8,), conv_kernel_sizes=(3,), **DECONV),
    'vipnas': dict(type='ViPNASHead', deconv_num_groups=(4,), **DECONV),
    'cpm': dict(type='CPMHead', num_stages=2, **DECONV),
    'mspn': dict(
        type='MSPNHead',
        num_stages=2,
        num_units=2,
        out_shape=(16, 16),
        unit_channels=C,
        out_channels=K,
        use_prm=False,
        norm_cfg=dict(type='BN'),
        decoder=CODEC,
        level_indices=[0, 1, 1, 1],
        loss=[dict(type='KeypointMSELoss', use_target_weight=True)] * 4,
    ),
}
FLIPPED = [1, 0, 3, 2, 4]


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def seeded(cfg: dict) -> nn.Module:
    torch.manual_seed(0)
    module = MODELS.build(copy.deepcopy(cfg))
    module.init_weights()
    return module


def wrapped(name: str = 'simple', **relation) -> RelationHead:
    return seeded(
        dict(type='RelationHead', head=HEADS[name], relation=dict(type='JRE', **relation))
    )


def trained(name: str = 'simple') -> RelationHead:
    """In evaluation mode, its weights large enough that heatmaps and relation do something."""
    head = wrapped(name).eval()
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.3)
    return head


def features(name: str = 'simple', batch: int = 2, seed: int = 1):
    torch.manual_seed(seed)
    if name == 'cpm':
        return [torch.randn(batch, C, 8, 8) for _ in range(2)]
    if name == 'mspn':
        return [[torch.randn(batch, C, 16, 16) for _ in range(2)] for _ in range(2)]
    return (torch.randn(batch, 3, 4, 4), torch.randn(batch, C, 8, 8))


def samples(name: str = 'simple', batch: int = 2) -> list[PoseDataSample]:
    torch.manual_seed(2)
    if name == 'mspn':  # 2 levels of targets
        truth = [
            dict(
                gt_fields=MultilevelPixelData(heatmaps=[torch.rand(K, 16, 16)] * 2),
                gt_instance_labels=InstanceData(keypoint_weights=torch.rand(2, 1, K)),
            )
            for _ in range(batch)
        ]
    else:
        truth = [
            dict(
                gt_fields=PixelData(heatmaps=torch.rand(K, 16, 16)),
                gt_instance_labels=InstanceData(keypoint_weights=torch.rand(1, K)),
            )
            for _ in range(batch)
        ]
    return [PoseDataSample(metainfo=dict(flip_indices=FLIPPED), **sample) for sample in truth]


def own_weights(relation: nn.Module, prefix: str) -> set[str]:
    """Names of a relation's weights, without the counter that a norm makes up if it must."""
    return {f'{prefix}{key}' for key in relation.state_dict() if 'num_batches_tracked' not in key}


def last(heatmaps) -> torch.Tensor:
    return heatmaps if isinstance(heatmaps, torch.Tensor) else heatmaps[-1]


def same(ours: list[InstanceData], theirs: list[InstanceData]) -> bool:
    return all(
        np.array_equal(a.keypoints, b.keypoints)
        and np.array_equal(a.keypoint_scores, b.keypoint_scores)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize('name', HEADS)
def test_starts_with_the_loss_and_predictions_of_the_head_alone(name):
    head, ours = seeded(HEADS[name]), wrapped(name)
    # The unwrapped head's weights, by its own names: only the relation's are missing.
    found = ours.load_state_dict(head.state_dict(), strict=False)
    assert found.unexpected_keys == []
    assert set(found.missing_keys) == own_weights(ours.relation, 'relation.')
    feats = features(name)
    for model in (head, ours):
        model.train()
    losses = [model.loss(feats, samples(name), train_cfg={}) for model in (head, ours)]
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][key], losses[1][key]) for key in losses[0])
    for test_cfg in ({}, dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True)):
        given = [feats, features(name, seed=3)] if test_cfg else feats
        theirs, mine = (
            model.eval().predict(given, samples(name), test_cfg=test_cfg) for model in (head, ours)
        )
        assert same(mine, theirs)


@pytest.mark.parametrize('name', HEADS)
def test_the_relation_refines_the_heatmaps_that_the_head_predicts_from(name):
    ours, feats = trained(name), features(name)
    plain = type(ours.head).forward(ours.head, feats)
    related = ours(feats)
    assert torch.equal(last(related), ours.relation(last(plain)))
    assert not torch.allclose(last(related), last(plain), atol=1e-2)
    if isinstance(plain, list):  # the earlier stages are as they were
        assert len(related) == len(plain)
        assert all(torch.equal(a, b) for a, b in zip(related[:-1], plain[:-1]))
    fields = ours.predict(feats, samples(name), test_cfg=dict(output_heatmaps=True))[1]
    assert torch.equal(torch.stack([field.heatmaps for field in fields]), last(related))


def test_loss_is_the_weighted_mean_square_of_the_related_heatmaps():
    ours, truth = trained(), samples()
    loss = ours.loss(features(), truth, train_cfg=dict(compute_acc=False))
    assert set(loss) == {'loss_kpt'}
    maps = ours(features())
    expected = torch.stack(
        [
            sample.gt_instance_labels.keypoint_weights[0, k]
            * (maps[n, k] - sample.gt_fields.heatmaps[k]).square().mean()
            for n, sample in enumerate(truth)
            for k in range(K)
        ]
    ).mean()
    torch.testing.assert_close(loss['loss_kpt'], expected)


@pytest.mark.parametrize('shift', [True, False])
def test_flip_test_averages_with_the_mirrored_related_heatmaps(shift):
    ours, feats, mirrored = trained(), features(), features(seed=3)
    preds, fields = ours.predict(
        [feats, mirrored],
        samples(),
        test_cfg=dict(
            flip_test=True, flip_mode='heatmap', shift_heatmap=shift, output_heatmaps=True
        ),
    )
    back = ours(mirrored).flip(-1)[:, FLIPPED]
    if shift:
        back = torch.cat([back[..., :1], back[..., :-1]], dim=-1)
    expected = (ours(feats) + back) / 2
    torch.testing.assert_close(torch.stack([field.heatmaps for field in fields]), expected)
    assert same(preds, ours.decode(expected))


def test_an_overridden_loss_and_decoding_of_a_head_of_ones_own_are_used():
    class OwnHead(HeatmapHead):
        def loss(self, *args, **kwargs):
            return {name: 2 * value for name, value in super().loss(*args, **kwargs).items()}

        def decode(self, heatmaps):
            return ['mine', *super().decode(heatmaps)]

    ours, theirs = trained(), trained()
    ours.head.__class__ = OwnHead
    losses = [head.loss(features(), samples())['loss_kpt'] for head in (ours, theirs)]
    torch.testing.assert_close(losses[0], 2 * losses[1])
    assert ours.predict(features(), samples())[0] == 'mine'


def test_gradients_reach_head_and_relation():
    ours = wrapped().train()
    nn.init.ones_(ours.relation.out[1].weight)
    feats = tuple(feature.requires_grad_() for feature in features())
    ours.loss(feats, samples())['loss_kpt'].backward()
    silent = [name for name, p in ours.named_parameters() if p.grad is None or not p.grad.any()]
    # A norm takes the bias before it out again.
    assert set(silent) <= {'relation.out.0.bias', 'relation.g.bias', 'head.conv_layers.0.bias'}
    assert feats[-1].grad.any() and feats[0].grad is None


@pytest.mark.parametrize(
    'copied',
    [copy.deepcopy, lambda head: pickle.loads(pickle.dumps(head)), for_inference],
    ids=['deepcopy', 'pickle', 'for_inference'],
)
def test_copies_are_independent_and_answer_alike(copied):
    ours = trained()
    expected = ours(features())
    other = copied(ours)
    torch.testing.assert_close(other(features()), expected, rtol=1e-4, atol=1e-5)
    for parameter in ours.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(other(features()), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.stack(
            [
                f.heatmaps
                for f in other.predict(features(), samples(), test_cfg=dict(output_heatmaps=True))[
                    1
                ]
            ]
        ),
        expected,
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_swapped_relation_is_used():
    ours = trained()
    before = ours(features())
    swap_relation(ours, dict(type='NonLocalRelation'), path='relation')  # behind JRE, the identity
    torch.testing.assert_close(ours(features()), before)
    ours.relation = nn.Identity()
    assert torch.equal(ours(features()), type(ours.head).forward(ours.head, features()))


def test_trains_in_ddp_as_alone(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    try:

        class Loss(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.head = wrapped().train()

            def forward(self, feats):
                return self.head.loss(feats, samples())['loss_kpt']

        def gradients(wrap) -> list[torch.Tensor]:
            model = wrap(Loss())
            model(features()).backward()
            return [parameter.grad for parameter in model.parameters()]

        # The DDP model is gone before its process group: were it the last to hold the group, it
        # would wait for the group's threads with the interpreter locked, and they at times for it.
        parallel = gradients(nn.parallel.DistributedDataParallel)
        for ours, theirs in zip(gradients(nn.Identity()), parallel, strict=True):
            torch.testing.assert_close(ours, theirs)
    finally:
        torch.distributed.destroy_process_group()


def estimator(head: dict) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(type='PoseDataPreprocessor'),
            backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8, init_cfg=None),
            head=head,
            test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True),
        )
    )


HEAD = dict(
    type='HeatmapHead',
    in_channels=64,
    out_channels=K,
    deconv_out_channels=(8, 8, 8),
    conv_out_channels=(8,),
    conv_kernel_sizes=(3,),
    decoder=CODEC,
)
WRAPPED = dict(type='RelationHead', head=HEAD, relation=dict(type='JRE'))


def missing_and_unexpected(caught: str) -> tuple[set[str], set[str]]:
    """Keys that MMEngine's report names."""
    names = []
    for words in ('missing keys in source state_dict: ', 'unexpected key in source state_dict: '):
        line = next((line for line in caught.splitlines() if words in line), words)
        names.append(set(line.partition(words)[2].split(', ')) - {''})
    return names[0], names[1]


def old_names(weights: dict) -> dict:
    """As MMPose 0.x has them: another name of the head, its last layers all within the final."""
    return {
        key.replace('head.', 'keypoint_head.')
        .replace('final_layer.', 'final_layer.3.')
        .replace('conv_layers.', 'final_layer.')
        if key.startswith('head.') and 'deconv' not in key
        else key.replace('head.', 'keypoint_head.'): value
        for key, value in weights.items()
    }


@pytest.mark.parametrize('names', [dict, old_names], ids=['1.x', '0.x'])
def test_a_checkpoint_of_the_unwrapped_model_loads(names, tmp_path, capsys):
    """As ``load_from`` loads it: reports the relation's weights as missing, and nothing else."""
    alone, ours = estimator(HEAD), estimator(WRAPPED)
    for parameter in alone.parameters():
        nn.init.normal_(parameter, std=0.1)
    weights = alone.state_dict()
    if names is old_names:
        weights = names(weights)
    torch.save(dict(state_dict=weights), tmp_path / 'alone.pth')
    capsys.readouterr()
    load_checkpoint(ours, str(tmp_path / 'alone.pth'))
    missing, unexpected = missing_and_unexpected(capsys.readouterr().out)
    assert unexpected == set()
    assert missing == own_weights(ours.head.relation, 'head.relation.')
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(alone.eval()(images, None), ours.eval()(images, None))
    meta = dict(
        flip_indices=FLIPPED,
        input_size=(64, 64),
        input_center=np.array([32.0, 32]),
        input_scale=np.array([64.0, 64]),
    )
    predictions = [
        model(
            images,
            [
                PoseDataSample(
                    metainfo=meta,
                    gt_instances=InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1)),
                )
                for _ in range(2)
            ],
            mode='predict',
        )
        for model in (alone, ours)
    ]
    assert same(*([sample.pred_instances for sample in found] for found in predictions))


def test_a_wrapped_checkpoint_loads_strictly_and_foreign_weights_are_named():
    ours, other = estimator(WRAPPED), estimator(WRAPPED)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    ours.load_state_dict(other.state_dict(), strict=True)
    assert all(
        torch.equal(a, b)
        for a, b in zip(ours.state_dict().values(), other.state_dict().values(), strict=True)
    )
    weights = other.state_dict()
    weights['head.final_layer.weight'] = torch.zeros(1)  # of neither kind
    with pytest.raises(RuntimeError, match='Unexpected.*"head.final_layer.weight"'):
        ours.load_state_dict(weights)
    weights = estimator(HEAD).state_dict()
    weights['head.foreign.weight'] = torch.zeros(1)
    with pytest.raises(RuntimeError, match='Unexpected.*"head.head.foreign.weight"'):
        ours.load_state_dict(weights)
    del weights['head.foreign.weight'], weights['head.final_layer.bias']
    found = ours.load_state_dict(weights, strict=False)
    assert 'head.head.final_layer.bias' in found.missing_keys and not found.unexpected_keys
    # The relation alone stays the relation.
    relation = {f'head.relation.{k}': v for k, v in other.head.relation.state_dict().items()}
    assert ours.load_state_dict(relation, strict=False).unexpected_keys == []


@pytest.mark.parametrize('name', HEADS)
def test_a_relation_that_looks_at_features_gets_the_backbones_last(name):
    ours, feats = wrapped(name, features=C).eval(), features(name)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    plain = last(type(ours.head).forward(ours.head, feats))
    looked = feats[-1][-1] if name == 'mspn' else feats[-1]
    assert torch.equal(last(ours(feats)), ours.relation(plain, looked))


@pytest.mark.parametrize(
    'relation',
    [
        dict(type='PairwiseRelation', kernel_size=5, temporal=True),
        dict(type='TokenRelation', temporal=True),
    ],
)
def test_a_single_image_has_no_last_frame(relation):
    ours = seeded(dict(type='RelationHead', head=HEADS['simple'], relation=relation)).eval()
    nn.init.constant_(ours.relation.scale, 0.5)
    feats = features()
    plain = type(ours.head).forward(ours.head, feats)
    assert torch.equal(ours(feats), ours.relation(plain))


def test_number_of_joints_comes_from_the_head():
    assert wrapped().relation.num_joints == wrapped(num_joints=K).relation.num_joints == K
    with pytest.raises(ValueError, match='relation.num_joints=17.*HeatmapHead.out_channels=5'):
        wrapped(num_joints=17)


@pytest.mark.parametrize(
    ('head', 'message'),
    [
        (
            dict(
                type='SimCCHead',
                in_channels=C,
                out_channels=K,
                input_size=(64, 64),
                in_featuremap_size=(8, 8),
            ),
            'HeatmapHead, CPMHead, MSPNHead.*got SimCCHead',
        ),
        (
            dict(type='AssociativeEmbeddingHead', in_channels=C, num_keypoints=K),
            'not AssociativeEmbeddingHead.*got AssociativeEmbeddingHead',
        ),
        (
            dict(
                type='RPSTNHead',
                num_joints=K,
                channels=C,
                relation=None,
                propagator=dict(type='JRPSP'),
            ),
            'got RPSTNHead',
        ),
        (
            dict(
                HEADS['simple'],
                out_channels=3 * K,
                decoder=dict(
                    type='UDPHeatmap',
                    input_size=(64, 64),
                    heatmap_size=(16, 16),
                    heatmap_type='combined',
                ),
            ),
            "UDPHeatmap.heatmap_type='combined'.*15 maps",
        ),
    ],
)
def test_other_heads_are_refused(head, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='RelationHead', head=head, relation=dict(type='JRE')))
