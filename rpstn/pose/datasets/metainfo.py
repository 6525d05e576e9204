"""Joints and limbs of the data sets, in the form MMPose's ``parse_pose_metainfo`` reads.

Left is drawn green, right orange, the middle blue, as MMPose draws COCO.
"""

from __future__ import annotations

from collections.abc import Sequence

_LEFT, _RIGHT, _MIDDLE = [0, 255, 0], [255, 128, 0], [51, 153, 255]
_LOWER = ('hip', 'knee', 'ankle', 'heel', 'foot_index')


def _side_color(name: str) -> list[int]:
    return {'left': _LEFT, 'right': _RIGHT}.get(name.partition('_')[0], _MIDDLE)


def _swap(name: str) -> str:
    side, _, part = name.partition('_')
    return {'left': f'right_{part}', 'right': f'left_{part}'}.get(side, '')


def make_metainfo(
    name: str,
    keypoints: Sequence[str],
    links: Sequence[tuple[str, str]],
    sigmas: Sequence[float] | None = None,
    paper: dict | None = None,
) -> dict:
    """A data set's joints, as MMPose's ``metainfo``.

    Every joint has weight 1: the papers' losses and PCK count all joints alike.

    Args:
        name: of the data set.
        keypoints: names of the joints, in order; mirroring an image swaps ``left_...`` and
            ``right_...``.
        links: pairs of joints between which a limb is drawn.
        sigmas: of the joints, which COCO's OKS alone needs. Default to a shoulder's.
        paper: the data set's.
    """

    def link_color(link: tuple[str, str]) -> list[int]:
        sides = [_side_color(joint) for joint in link]
        across = _LEFT in sides and _RIGHT in sides
        return _MIDDLE if across else next((c for c in sides if c != _MIDDLE), _MIDDLE)

    return dict(
        dataset_name=name,
        paper_info=paper,
        keypoint_info={
            i: dict(
                name=joint,
                id=i,
                color=_side_color(joint),
                swap=_swap(joint),
                type='lower' if joint.endswith(_LOWER) else 'upper',
            )
            for i, joint in enumerate(keypoints)
        },
        skeleton_info={
            i: dict(link=link, id=i, color=link_color(link)) for i, link in enumerate(links)
        },
        joint_weights=[1.0] * len(keypoints),
        sigmas=list(sigmas or [0.079] * len(keypoints)),
    )


# Tables of joints and limbs, to the end of the file.
# fmt: off
# Sigmas are COCO's for the joints it has; its nose serves for the head.
PENN13 = make_metainfo(
    name='penn_action',
    keypoints=['head', 'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow',
               'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee',
               'left_ankle', 'right_ankle'],
    links=[('head', 'left_shoulder'), ('head', 'right_shoulder'),
           ('left_shoulder', 'right_shoulder'), ('left_shoulder', 'left_elbow'),
           ('left_elbow', 'left_wrist'), ('right_shoulder', 'right_elbow'),
           ('right_elbow', 'right_wrist'), ('left_shoulder', 'left_hip'),
           ('right_shoulder', 'right_hip'), ('left_hip', 'right_hip'), ('left_hip', 'left_knee'),
           ('left_knee', 'left_ankle'), ('right_hip', 'right_knee'),
           ('right_knee', 'right_ankle')],
    sigmas=[0.026, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089,
            0.089],
    paper=dict(author='W. Zhang and M. Zhu and K. Derpanis',
               title='From Actemes to Action: A Strongly-supervised Representation for Detailed '
                     'Action Understanding',
               container='International Conference on Computer Vision (ICCV)',
               year='2013',
               homepage='http://dreamdragon.github.io/PennAction/'))

# Names, order and sigmas are those of MMPose's configs/_base_/datasets/jhmdb.py.
JHMDB15 = make_metainfo(
    name='jhmdb',
    keypoints=['neck', 'belly', 'head', 'right_shoulder', 'left_shoulder', 'right_hip',
               'left_hip', 'right_elbow', 'left_elbow', 'right_knee', 'left_knee', 'right_wrist',
               'left_wrist', 'right_ankle', 'left_ankle'],
    links=[('right_ankle', 'right_knee'), ('right_knee', 'right_hip'), ('right_hip', 'belly'),
           ('belly', 'left_hip'), ('left_hip', 'left_knee'), ('left_knee', 'left_ankle'),
           ('belly', 'neck'), ('neck', 'head'), ('neck', 'right_shoulder'),
           ('right_shoulder', 'right_elbow'), ('right_elbow', 'right_wrist'),
           ('neck', 'left_shoulder'), ('left_shoulder', 'left_elbow'),
           ('left_elbow', 'left_wrist')],
    sigmas=[0.025, 0.107, 0.025, 0.079, 0.079, 0.107, 0.107, 0.072, 0.072, 0.087, 0.087, 0.062,
            0.062, 0.089, 0.089],
    paper=dict(author='H. Jhuang and J. Gall and S. Zuffi and C. Schmid and M. J. Black',
               title='Towards understanding action recognition',
               container='International Conf. on Computer Vision (ICCV)',
               year='2013',
               homepage='http://jhmdb.is.tue.mpg.de/dataset'))

# Names, order, links and sigmas are those of MMPose's configs/_base_/datasets/posetrack18.py.
POSETRACK18 = make_metainfo(
    name='posetrack18',
    keypoints=['nose', 'head_bottom', 'head_top', 'left_ear', 'right_ear', 'left_shoulder',
               'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
               'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle'],
    links=[('left_ankle', 'left_knee'), ('left_knee', 'left_hip'), ('right_ankle', 'right_knee'),
           ('right_knee', 'right_hip'), ('left_hip', 'right_hip'), ('left_shoulder', 'left_hip'),
           ('right_shoulder', 'right_hip'), ('left_shoulder', 'right_shoulder'),
           ('left_shoulder', 'left_elbow'), ('right_shoulder', 'right_elbow'),
           ('left_elbow', 'left_wrist'), ('right_elbow', 'right_wrist'), ('nose', 'head_bottom'),
           ('nose', 'head_top'), ('head_bottom', 'left_shoulder'),
           ('head_bottom', 'right_shoulder')],
    sigmas=[0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107,
            0.107, 0.087, 0.087, 0.089, 0.089],
    paper=dict(author='Andriluka, Mykhaylo and Iqbal, Umar and Insafutdinov, Eldar and Pishchulin, '
                      'Leonid and Milan, Anton and Gall, Juergen and Schiele, Bernt',
               title='Posetrack: A benchmark for human pose estimation and tracking',
               container='Proceedings of the IEEE Conference on CVPR',
               year='2018',
               homepage='https://posetrack.net'))

# The published order. Sigmas are COCO's for the joints it has; the chest, between the shoulders,
# has theirs.
HIEVE14 = make_metainfo(
    name='hieve',
    keypoints=['nose', 'chest', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder',
               'left_elbow', 'left_wrist', 'right_hip', 'right_knee', 'right_ankle', 'left_hip',
               'left_knee', 'left_ankle'],
    links=[('nose', 'chest'), ('chest', 'right_shoulder'), ('right_shoulder', 'right_elbow'),
           ('right_elbow', 'right_wrist'), ('chest', 'left_shoulder'),
           ('left_shoulder', 'left_elbow'), ('left_elbow', 'left_wrist'), ('chest', 'right_hip'),
           ('right_hip', 'right_knee'), ('right_knee', 'right_ankle'), ('chest', 'left_hip'),
           ('left_hip', 'left_knee'), ('left_knee', 'left_ankle')],
    sigmas=[0.026, 0.079, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.107,
            0.087, 0.089],
    paper=dict(author='Lin, Weiyao and Liu, Huabin and Liu, Shizhan and Li, Yuxi and others',
               title='Human in Events: A Large-Scale Benchmark for Human-centric Video Analysis '
                     'in Complex Events',
               container='arXiv:2005.04490',
               year='2020',
               homepage='http://humaninevents.org'))

# MediaPipe's order and connections; its 'mouth_left' is 'left_mouth' here. Sigmas are COCO's, of
# landmarks that it has not those of the nearest one that it has: eye, wrist, ankle.
BLAZEPOSE33 = make_metainfo(
    name='blazepose33',
    keypoints=['nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner',
               'right_eye', 'right_eye_outer', 'left_ear', 'right_ear', 'left_mouth',
               'right_mouth', 'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow',
               'left_wrist', 'right_wrist', 'left_pinky', 'right_pinky', 'left_index',
               'right_index', 'left_thumb', 'right_thumb', 'left_hip', 'right_hip', 'left_knee',
               'right_knee', 'left_ankle', 'right_ankle', 'left_heel', 'right_heel',
               'left_foot_index', 'right_foot_index'],
    links=[('nose', 'left_eye_inner'), ('left_eye_inner', 'left_eye'),
           ('left_eye', 'left_eye_outer'), ('left_eye_outer', 'left_ear'),
           ('nose', 'right_eye_inner'), ('right_eye_inner', 'right_eye'),
           ('right_eye', 'right_eye_outer'), ('right_eye_outer', 'right_ear'),
           ('left_mouth', 'right_mouth'), ('left_shoulder', 'right_shoulder'),
           ('left_shoulder', 'left_elbow'), ('left_elbow', 'left_wrist'),
           ('left_wrist', 'left_pinky'), ('left_wrist', 'left_index'),
           ('left_wrist', 'left_thumb'), ('left_pinky', 'left_index'),
           ('right_shoulder', 'right_elbow'), ('right_elbow', 'right_wrist'),
           ('right_wrist', 'right_pinky'), ('right_wrist', 'right_index'),
           ('right_wrist', 'right_thumb'), ('right_pinky', 'right_index'),
           ('left_shoulder', 'left_hip'), ('right_shoulder', 'right_hip'),
           ('left_hip', 'right_hip'), ('left_hip', 'left_knee'), ('right_hip', 'right_knee'),
           ('left_knee', 'left_ankle'), ('right_knee', 'right_ankle'),
           ('left_ankle', 'left_heel'), ('right_ankle', 'right_heel'),
           ('left_heel', 'left_foot_index'), ('right_heel', 'right_foot_index'),
           ('left_ankle', 'left_foot_index'), ('right_ankle', 'right_foot_index')],
    sigmas=[0.026, *[0.025] * 6, 0.035, 0.035, 0.025, 0.025, 0.079, 0.079, 0.072, 0.072,
            *[0.062] * 8, 0.107, 0.107, 0.087, 0.087, *[0.089] * 6],
    paper=dict(author='Bazarevsky, Valentin and Grishchenko, Ivan and Raveendran, Karthik and '
                      'Zhu, Tyler and Zhang, Fan and Grundmann, Matthias',
               title='BlazePose: On-device Real-time Body Pose Tracking',
               container='arXiv:2006.10204',
               year='2020',
               homepage='https://arxiv.org/abs/2006.10204'))

# By the names that skeletons have in rpstn.skeletons.
METAINFO = dict(jhmdb15=JHMDB15, penn13=PENN13, blazepose33=BLAZEPOSE33)
