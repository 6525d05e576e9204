"""The lifter's parts: views, anatomy, density, network."""

import math

import numpy as np
import pytest
import torch

from rpstn.lift.models import DepthHead, JointAttention, JointFeatures, PoseFlow
from rpstn.lift.models.anatomy import (
    BONES,
    LENGTHS,
    SHORTEST,
    bend_loss,
    bends,
    bone_lengths,
    clip_lengths,
    depths_from_bones,
    hidden_lengths,
    length_loss,
)
from rpstn.lift.models.views import (
    DISTANCE,
    body_scale,
    flipped,
    normalize,
    pitch,
    project,
    unproject,
    yaw,
)
from rpstn.skeletons import SKELETONS

SKELETON = SKELETONS['lifter15']
MIRROR = torch.tensor([1.0, 1.0, -1.0])


def clip(batch=2, frames=5, seed=0):
    """Joints in the image that somebody might have, normalized."""
    generator = torch.Generator().manual_seed(seed)
    ys = dict(neck=-1, head=-1.4, shoulder=-1, elbow=-0.5, wrist=0, hip=0, knee=0.75, ankle=1.5)
    image = torch.zeros(batch, frames, 15, 2)
    for n, name in enumerate(SKELETON.joints):
        image[..., n, 1] = ys.get(name.split('_')[-1], 0)
        image[..., n, 0] = 0.25 * (name.startswith('left') - float(name.startswith('right')))
    image += 0.1 * torch.randn(image.shape, generator=generator)
    left, right = (SKELETON.index(f'{side}_hip') for side in ('left', 'right'))
    image[..., 0, :] = (image[..., left, :] + image[..., right, :]) / 2
    return normalize(image)


def kneeling():
    """(1, 15, 3) from the camera that it faces: knees and elbows bent as they do."""
    joints = dict(pelvis=(0, 0, 0), neck=(0, -1, 0), head=(0, -1.35, -0.15))
    for side, sign in (('left', 1), ('right', -1)):
        joints |= {
            f'{side}_hip': (0.18 * sign, 0, 0),
            f'{side}_knee': (0.2 * sign, 0.6, -0.5),
            f'{side}_ankle': (0.2 * sign, 1.2, 0.0),
            f'{side}_shoulder': (0.35 * sign, -1, 0),
            f'{side}_elbow': (0.4 * sign, -0.5, 0),
            f'{side}_wrist': (0.4 * sign, -0.3, -0.45),
        }
    return torch.tensor([joints[name] for name in SKELETON.joints])[None]


def test_projection_is_undone_by_depths():
    image = clip()
    depth = 0.3 * torch.randn(image.shape[:3])
    joints = unproject(image, depth)
    torch.testing.assert_close(project(joints), image)
    one = joints[1, 2, 7]
    assert project(joints)[1, 2, 7, 0].item() == pytest.approx(
        one[0].item() * DISTANCE / (DISTANCE + one[2].item()), rel=1e-5
    )


def test_turns_keep_lengths_and_are_undone():
    joints = unproject(clip(), torch.randn(2, 5, 15))
    for turn in (pitch(torch.tensor([0.3, -0.2])), yaw(torch.tensor([2.0, 0.5]))):
        torch.testing.assert_close(turn @ turn.transpose(2, 3), torch.eye(3).expand(2, 1, 3, 3))
        assert torch.linalg.det(turn) == pytest.approx(np.ones((2, 1)), abs=1e-5)
        torch.testing.assert_close(bone_lengths(joints @ turn), bone_lengths(joints))
    there = pitch(torch.tensor([0.3]))
    torch.testing.assert_close(pitch(torch.tensor([-0.3])), there.transpose(2, 3))


def test_from_above_the_head_is_nearer_than_the_feet():
    standing = torch.tensor([[[[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]]]])
    seen = standing @ pitch(torch.tensor([0.2]))
    assert seen[0, 0, 0, 2] < 0 < seen[0, 0, 1, 2]
    assert seen[0, 0, 0, 1] == pytest.approx(-math.cos(0.2))


def test_normal_joints_do_not_depend_on_size_and_place():
    image = clip()
    torch.testing.assert_close(normalize(image * 37 + 200), image, rtol=1e-4, atol=1e-4)
    assert body_scale(image) == pytest.approx(np.ones((2, 1, 1, 1)), abs=1e-4)


def test_mirrors_undo_themselves():
    image = clip()
    torch.testing.assert_close(flipped(flipped(image)), image)
    left, right = SKELETON.index('left_knee'), SKELETON.index('right_knee')
    torch.testing.assert_close(flipped(image)[..., left, 0], -image[..., right, 0])


def test_bends_against_a_loop_and_in_a_mirror():
    joints = kneeling()
    found = bends(joints)
    at = {name: joints[0, n].numpy() for n, name in enumerate(SKELETON.joints)}

    def unit(a, b):
        return (at[b] - at[a]) / np.linalg.norm(at[b] - at[a])

    for n, side in enumerate(('left', 'right')):
        thigh, shank = unit(f'{side}_hip', f'{side}_knee'), unit(f'{side}_knee', f'{side}_ankle')
        expected = np.cross(thigh, shank) @ unit('right_hip', 'left_hip')
        assert found['knees'][0, n].item() == pytest.approx(expected, abs=1e-5)
    assert min(value.min().item() for value in found.values()) > 0  # all as people bend
    for part, value in bends(joints * MIRROR).items():
        torch.testing.assert_close(value, -found[part])
    assert bend_loss(joints)[0] < 0.01 < 0.5 < bend_loss(joints * MIRROR)[0]


def test_bends_are_the_same_left_and_right():
    joints = kneeling()
    joints[..., SKELETON.index('left_ankle'), 2] += 0.3
    other = joints[..., list(SKELETON.flip_indices), :] * torch.tensor([-1.0, 1.0, 1.0])
    for part, value in bends(other).items():
        torch.testing.assert_close(value, bends(joints)[part].flip(-1))


def test_lengths_of_a_clip():
    image = clip(frames=9)
    found = clip_lengths(image)
    for n, (a, b) in enumerate(BONES):
        twin = [
            i
            for i, bone in enumerate(BONES)
            if bone == tuple(SKELETON.flip_indices[j] for j in (a, b))
        ] or [n]
        longest = max(
            np.quantile(np.linalg.norm(image[0, :, BONES[i][1]] - image[0, :, BONES[i][0]], axis=1),
                        0.9) for i in (n, twin[0])
        )  # fmt: skip
        expected = max(longest, SHORTEST * LENGTHS[n])
        assert found[0, 0, n].item() == pytest.approx(expected, rel=1e-4)


def test_hidden_lengths_complete_what_is_seen():
    image, lengths = clip(), torch.full((2, 1, len(BONES)), 2.0)
    total = bone_lengths(image).square() + hidden_lengths(image, lengths).square()
    assert total.numpy() == pytest.approx(np.full(total.shape, 4.0), abs=0.01)
    joints = unproject(image, torch.zeros(2, 5, 15))
    shares = bone_lengths(joints) / lengths
    expected = np.mean([
        ((shares[..., n] - 1) ** 2).mean().item() * stiff
        for n, stiff in enumerate((0.5, 0.7, *[1.0] * 8, 2.0, 3.0))
    ])  # fmt: skip
    assert length_loss(joints, lengths).item() == pytest.approx(expected, rel=1e-4)


def test_depths_follow_from_bones():
    bones = torch.randn(2, 5, len(BONES))
    depth = depths_from_bones(bones)
    for n, (a, b) in enumerate(BONES):
        torch.testing.assert_close(depth[..., b] - depth[..., a], bones[..., n])
    assert (depth[..., 0] == 0).all()


def test_density_counts_how_volumes_change():
    torch.manual_seed(0)
    flow = PoseFlow(num_joints=3, components=4, width=8, couplings=3)
    poses = torch.randn(200, 3, 2)
    flow.fit_components(poses)
    for coupling in flow.couplings:
        torch.nn.init.normal_(coupling.network[-1].weight, std=0.2)
    x = ((poses[:1].flatten(1) - flow.mean) @ flow.basis)[0]

    def latent(values):
        for coupling in flow.couplings:
            values = coupling(values)[0]
        return values

    jacobian = torch.autograd.functional.jacobian(latent, x)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(latent(x)).sum()
    expected = -(normal + torch.linalg.slogdet(jacobian)[1]) / 4
    torch.testing.assert_close(flow.nll(poses[:1])[0], expected)


def test_components_are_white():
    torch.manual_seed(0)
    flow = PoseFlow(num_joints=3, components=4)
    poses = torch.randn(500, 3, 2) * torch.rand(3, 2)
    flow.fit_components(poses)
    white = (poses.flatten(1) - flow.mean) @ flow.basis
    assert torch.cov(white.T).numpy() == pytest.approx(np.eye(4), abs=1e-3)


@pytest.mark.parametrize('relation', [dict(type='JRE'), dict(type='JointAttention')])
def test_relations_start_as_the_identity(relation):
    torch.manual_seed(0)
    plain = DepthHead()
    related = DepthHead(relation=relation)
    related.load_state_dict(plain.state_dict(), strict=False)
    features, image = torch.randn(2, 5, 15, 16), clip()
    for a, b in zip(plain(features, image, clip_lengths(image)),
                    related(features, image, clip_lengths(image))):  # fmt: skip
        torch.testing.assert_close(a, b)


def test_attention_informs_joints_of_each_other():
    torch.manual_seed(0)
    attention = JointAttention(15)
    torch.nn.init.ones_(attention.scale)
    maps = torch.randn(3, 15, 1, 16)
    other = maps.clone()
    other[:, 4] = torch.randn(3, 1, 16)
    assert (attention(maps)[:, 9] - attention(other)[:, 9]).norm(dim=-1).min() > 1e-3


def test_separate_networks_are_as_large_and_keep_the_order():
    sizes = [
        sum(p.numel() for p in JointFeatures(separate=separate).parameters())
        for separate in (False, True)
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    network, image = JointFeatures(width=16, separate=True), clip()
    features = network(image, clip_lengths(image))
    legs = network.trunks[1](image, clip_lengths(image))
    torch.testing.assert_close(features[:, :, SKELETON.index('left_hip')], legs[:, :, 0])
