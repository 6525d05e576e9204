"""Label clips of JHMDB with BlazePose's 33 landmarks, to train on.

python tools/research/label_by_teacher.py

Clips with labels (split 1, the parts train and val) keep them for the 12 joints of the limbs and
get the other 21 landmarks; clips without (the part unlabelled) get all 33. A landmark's score is 0
where the teacher is not to be trusted (teacher_trust.py). One NPZ per clip is written to
--out/<part>, in the layout that rpstn.pose.datasets.TeacherClipDataset documents; nothing is
written beside the videos. Clips already done are left out, so an interrupted run goes on. The
weights are those of the extra mediapipe.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import rpstn  # noqa: F401
from rpstn.errors import RPSTNError, SettingError
from rpstn.files import replacing
from rpstn.pose.bodies import BodyJoints
from rpstn.pose.datasets import (
    JHMDBClipDataset,
    PoseSequence,
    UnreadableFrameError,
    VideoReader,
    find_data,
)
from rpstn.pose.datasets.boxes import joints_boxes
from rpstn.video.readers import size_of

from teacher import SKELETON, Teacher
from teacher_trust import JHMDB, complete, limb_indices, torso_errors, trust_bodies

SUFFIXES = ('.avi', '.mp4', '.mov', '.mkv')
PARTS = ('train', 'val', 'unlabelled')
GROUPS = dict(face=range(11), limbs=limb_indices()[0], hands=range(17, 23), feet=range(29, 33))


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('parts', nargs='*', help=f'among {", ".join(PARTS)} (default: all)')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/teacher_blazepose'),
        help='folder of labels (default: %(default)s)',
    )
    parser.add_argument(
        '--videos',
        default='jhmdb_unlabelled',
        help='those without labels: a folder, or its name below a data root (default: %(default)s)',
    )
    parser.add_argument('--most', type=int, help='only so many clips of a part, evenly spread')
    return parser.parse_args()


def main() -> int:
    """Labels, and returns the exit status."""
    args = parse_args()
    parts = args.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        print(f'parts must be among {", ".join(PARTS)}, got {min(unknown)}', file=sys.stderr)
        return 1
    try:
        clips = {part: clips_of(part, args.videos) for part in parts}
        for root, _ in (clip for part in parts for clip in clips[part].values()):
            if args.out.resolve().is_relative_to(root.resolve()):
                raise SettingError(f"--out {args.out} lies in the videos' folder; choose another")
        teacher = Teacher()
        done = [label_part(teacher, args.out / part, clips[part], args.most) for part in parts]
    except (FileNotFoundError, RPSTNError) as error:
        print(error, file=sys.stderr)
        return 1
    return int(not all(done))


def clips_of(part: str, videos: str) -> dict[str, tuple[Path, PoseSequence | Path]]:
    """Of each clip, by its path below the labels' folder, the videos' folder, and what is known."""
    if part == 'unlabelled':
        root = find_data(videos)
        found = sorted(p for p in root.rglob('*') if p.suffix.lower() in SUFFIXES)
        if not found:
            raise FileNotFoundError(f'{root}: no videos ({", ".join(SUFFIXES)}) there')
        return {p.relative_to(root).with_suffix('').as_posix(): (root, p) for p in found}
    data = JHMDBClipDataset(subset=part, source='videos')
    root = Path(data.data_root) / 'ReCompress_Videos'
    sequences = [data.sequences[i] for i in range(len(data.sequences))]
    return {sequence.name: (root, sequence) for sequence in sequences}


def label_part(
    teacher: Teacher,
    out: Path,
    clips: dict[str, tuple[Path, PoseSequence | Path]],
    most: int | None = None,
) -> bool:
    """Label the clips of a part that are not labelled yet, and print what came of it.

    Returns:
        Whether any clip of the part is labelled now.
    """
    names = list(clips)
    if most:
        chosen = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
        names = [names[i] for i in chosen]
    todo = [name for name in names if not (out / f'{name}.npz').exists()]
    scores, misses = [], []
    for name in todo:
        root, clip = clips[name]
        try:
            labels = (
                _with_labels(teacher, clip)
                if isinstance(clip, PoseSequence)
                else _without(teacher, clip)
            )
        except UnreadableFrameError as error:
            print(error, file=sys.stderr)
            continue
        misses.append(labels.pop('errors', np.zeros(0)))
        scores.append(labels['scores'])
        path = clip if isinstance(clip, Path) else Path(clip.reader.path)
        video = path.relative_to(root).as_posix()
        with replacing(out / f'{name}.npz') as partial:
            np.savez_compressed(
                partial,
                video=np.array(video),
                joints=np.array(SKELETON.joints),
                teacher=np.array('BlazePose full'),
                **labels,
            )
        print(f'{name}: {_shares([labels["scores"]])}', flush=True)
    print(f'{out}: {len(scores)} clips labelled, {len(names) - len(todo)} were done already')
    if scores:
        print(f'trusted: {_shares(scores)}')
    if errors := [e[np.isfinite(e)] for e in misses if e.size]:
        share = (np.concatenate(errors) <= 0.2).mean()
        print(f"the teacher's own PCK@0.2 by torso on the 12 limb joints: {share:.1%}")
    return len(scores) + len(names) - len(todo) > 0


def _with_labels(teacher: Teacher, clip: PoseSequence) -> dict[str, np.ndarray]:
    """Labels of a clip that has some, which its crops are about."""
    images = clip.reader.read(range(len(clip)))
    joints, everything = BodyJoints.of(JHMDB.joints), np.ones(JHMDB.num_joints, bool)
    poses = clip.keypoints.astype(float)
    # Joints that the image does not show are labelled, too.
    seen = teacher.look(images, [joints.body(pose, everything) for pose in poses])
    keypoints, scores = complete(seen, poses, clip.labelled)
    return dict(
        keypoints=keypoints.astype(np.float32),
        scores=scores.astype(np.float32),
        boxes=clip.boxes,
        image_size=np.array(clip.image_size),
        errors=torso_errors(seen, poses, clip.labelled),
    )


def _without(teacher: Teacher, video: Path) -> dict[str, np.ndarray]:
    """Labels of a clip that has none: of its main person, or, if there is nobody, score 0."""
    reader = VideoReader(str(video))
    images = reader.read(range(reader.count()))
    if not images:
        raise UnreadableFrameError(f'{video}: no frame can be decoded')
    shape, size = (len(images), SKELETON.num_joints), size_of(images[0])
    keypoints, scores = np.full((*shape, 2), np.nan), np.zeros(shape)
    if seen := teacher.look_twice(images):
        keypoints, scores = seen.joints, trust_bodies(seen)
    return dict(
        keypoints=keypoints.astype(np.float32),
        scores=scores.astype(np.float32),
        boxes=joints_boxes(keypoints, np.isfinite(keypoints).all(-1), size).astype(np.float32),
        image_size=np.array(size),
    )


def _shares(scores: list[np.ndarray]) -> str:
    """Of each group of landmarks, those with a score of 0.5 or more."""
    trusted = np.concatenate(scores) >= 0.5
    return ', '.join(f'{name} {trusted[:, list(g)].mean():.0%}' for name, g in GROUPS.items())


if __name__ == '__main__':
    sys.exit(main())
