"""tools/research/relation/show_relation.py, on tiny networks: of clips, of videos and of images."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.pose.datasets.metainfo import PENN13

JOINTS = [joint['name'] for joint in PENN13['keypoint_info'].values()]
# A model of single images with a relation, on COCO's layout with the joints of Penn Action.
IMAGES = """
_base_ = '{root}/configs/_base_/default_runtime.py'
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(
    type='TopdownPoseEstimator', data_preprocessor=dict(type='PoseDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
    head=dict(type='RelationHead', relation=dict(type='JRE'), head=dict(
        type='HeatmapHead', in_channels=64, out_channels=17, decoder=codec)),
    test_cfg=dict(flip_test=True, flip_mode='heatmap'))
pipeline = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(64, 64)), dict(type='PackPoseInputs')]
test_dataloader = dict(dataset=dict(
    type='CocoDataset', data_root='{data}', ann_file='people.json', data_prefix=dict(img=''),
    data_mode='topdown', pipeline=pipeline))
"""
ROOT = Path(__file__).parents[3]


def results(out: Path) -> tuple[str, dict, dict]:
    """Name, arrays and summary of what the tool wrote; its picture can be read."""
    names = {path.stem for path in out.iterdir()}
    assert len(names) == 1
    name = names.pop()
    assert min(cv2.imread(str(out / f'{name}.png')).shape[:2]) > 500
    with np.load(out / f'{name}.npz') as file:  # allow_pickle is off
        arrays = dict(file)
    return name, arrays, json.loads((out / f'{name}.json').read_text())


def frames_in(video: Path) -> int:
    return int(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT))


def test_a_clip_of_the_data_set(configs, tool, trained, tmp_path, capsys):
    tool('show_relation', configs['tiny'], trained / 'epoch_2.pth', '--clip', 1, '--out', tmp_path)
    name, arrays, summary = results(tmp_path)
    assert name.endswith('_3')  # the second window of three frames
    assert arrays['relation'].shape == (3, 13, 13)
    np.testing.assert_allclose(arrays['relation'].sum(-1), 1, rtol=1e-5)
    assert arrays['frame'].tolist() == summary['frames'] == [3, 4, 5]
    assert arrays['joints'].tolist() == JOINTS
    assert arrays['keypoints'].shape == (3, 13, 2) and arrays['scores'].shape == (3, 13)
    assert frames_in(tmp_path / f'{name}.mp4') == 3
    printed = capsys.readouterr().out
    assert summary['summary'] in printed
    for joint, support in summary['joints'].items():
        assert joint in printed
        k = JOINTS.index(joint)
        used = [t for t, frame in enumerate(summary['frames']) if frame in support['frames']]
        mean = arrays['relation'][used, k].mean(0)
        assert support['own'] == pytest.approx(mean[k], rel=1e-4)
        found = {s['joint']: s['share'] for s in support['supporters']}
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert found == pytest.approx(
            {n: mean[j] for j, n in enumerate(JOINTS) if j != k}, rel=1e-4
        )


def test_the_whole_video_without_its_padding_and_a_chosen_joint(configs, tool, trained, tmp_path):
    tool(
        'show_relation',
        configs['tiny'],
        trained / 'epoch_2.pth',
        '--clip',
        4,
        '--whole',
        '--split',
        'train',
        '--joint',
        'left_knee',
        '--columns',
        3,
        '--out',
        tmp_path,
    )
    name, arrays, summary = results(tmp_path)
    assert arrays['frame'].tolist() == list(range(7))
    assert list(summary['joints']) == ['left_knee']
    assert frames_in(tmp_path / f'{name}.mp4') == 7


def test_a_video_of_ones_own(configs, tool, trained, tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for number in range(4):
        image = np.full((70, 90, 3), 40 * number, np.uint8)
        cv2.circle(image, (30 + 5 * number, 35), 15, (0, 200, 255), -1)
        cv2.imwrite(str(folder / f'{number}.png'), image)
    out = tmp_path / 'out'
    tool(
        'show_relation',
        configs['tiny'],
        trained / 'epoch_2.pth',
        folder,
        '--box',
        '5,5,80,65',
        '--out',
        out,
    )
    name, arrays, summary = results(out)
    assert name == 'frames' and arrays['relation'].shape == (4, 13, 13)
    assert not arrays['occluded'].any() and len(summary['joints']) == 3
    assert all('lowest' in joint['why'] for joint in summary['joints'].values())


@pytest.fixture
def image_model(tmp_path) -> tuple[Path, Path]:
    """Config and checkpoint."""
    image = np.random.default_rng(0).integers(0, 255, (80, 100, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'person.jpg'), image)
    keypoints = [[20 + 3 * k, 30 + 2 * k, 1 if k in (7, 9) else 2] for k in range(17)]
    (tmp_path / 'people.json').write_text(
        json.dumps(
            dict(
                images=[dict(id=1, file_name='person.jpg', width=100, height=80)],
                categories=[dict(id=1, name='person')],
                annotations=[
                    dict(
                        id=1,
                        image_id=1,
                        category_id=1,
                        iscrowd=0,
                        bbox=[10, 10, 70, 60],
                        area=4200,
                        num_keypoints=17,
                        keypoints=sum(keypoints, []),
                    )
                ],
            )
        )
    )
    (tmp_path / 'image.py').write_text(IMAGES.format(root=ROOT, data=tmp_path))
    torch.manual_seed(0)
    init_default_scope('mmpose')
    model = MODELS.build(Config.fromfile(tmp_path / 'image.py').model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'image.pth')
    return tmp_path / 'image.py', tmp_path / 'image.pth'


def test_an_image_with_occluded_joints(image_model, tool, tmp_path):
    tool('show_relation', *image_model, '--out', tmp_path / 'out')
    name, arrays, summary = results(tmp_path / 'out')
    assert name == 'person_0' and arrays['relation'].shape == (1, 17, 17)
    assert not (tmp_path / f'out/{name}.mp4').exists()
    assert list(summary['joints']) == ['left_elbow', 'left_wrist']
    # The same from the image file, looked at in the same box.
    tool(
        'show_relation',
        *image_model,
        tmp_path / 'person.jpg',
        '--box',
        '10,10,80,70',
        '--out',
        tmp_path / 'file',
    )
    np.testing.assert_allclose(
        results(tmp_path / 'file')[1]['relation'], arrays['relation'], atol=1e-5
    )


@pytest.mark.parametrize('kind', ['TokenRelation', 'PairwiseRelation'])
def test_where_a_relation_puts_joints_is_drawn(image_model, tool, tmp_path, kind):
    config, weights = image_model
    relations = f"type='RelationSequence', relations=[dict(type='JRE'), dict(type='{kind}')]"
    config.write_text(config.read_text().replace("type='JRE'", relations))
    torch.save(dict(state_dict=MODELS.build(Config.fromfile(config).model).state_dict()), weights)
    with pytest.raises(SystemExit, match=rf'head.relation.relations.1 \({kind}\): choose'):
        tool('show_relation', config, weights, '--out', tmp_path / 'out')
    tool('show_relation', config, weights, '--relation', kind, '--out', tmp_path / 'out')
    _, arrays, _ = results(tmp_path / 'out')
    assert arrays['places'].shape == (1, 17, 2) and arrays['gates'].shape == (1, 17)
    np.testing.assert_allclose(arrays['relation'].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--clip', '9'], r'clip 9: SyntheticClipDataset has 9, from 0 to 8'),
        (['--joint', 'tail'], r"no joint 'tail'; the joints are head, left_shoulder"),
        (['none.mp4'], r'none.mp4: no such file'),
        (['--cfg-options', 'model.head.relation=None'], r'epoch_2.pth does not fit .*tiny.py'),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(
    configs, tool, trained, tmp_path, arguments, message
):
    with pytest.raises(SystemExit, match=message) as error:
        tool(
            'show_relation',
            configs['tiny'],
            trained / 'epoch_2.pth',
            *arguments,
            '--out',
            tmp_path / 'out',
        )
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists() or not list((tmp_path / 'out').iterdir())
