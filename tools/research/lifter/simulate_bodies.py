"""Simulate bodies in motion through random cameras, whose depths are known, to train lifters with.

python tools/research/lifter/simulate_bodies.py --out work_dirs/simulated_bodies/clips.npz

Half of the clips are of rpstn.simulation, squats of right and wrong form, jumping jacks, walking
and push-ups; the others are exercises at random: limbs, one side or both, and the trunk go from
standing to a posture within what joints allow, knees that fall in among them, and back. Bones are
lengthened and shortened at random, as joints that are seen in images lie beside those of anatomy.

Shapes: N clips, T frames, V joints of ``lifter15``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.files import replacing
from rpstn.lift.evaluation.random_views import random_view
from rpstn.lift.models.views import normalize
from rpstn.simulation.athletes.motion import Motion, jumping_jack, push_up, squat, walking
from rpstn.simulation.athletes.skeleton import SIDES, PosedSkeleton, Poser, Proportions, body_frame
from rpstn.simulation.athletes.skeleton import normalize as normalized
from rpstn.simulation.athletes.timing import draw_repetitions, sway
from rpstn.simulation.squats.squat import squat_joints
from rpstn.simulation.squats.squat_form import (
    SQUAT_CLASSES,
    SquatForm,
    SquatStyle,
    SquatTempo,
    random_body,
)
from rpstn.skeletons import SKELETONS

_SKELETON = SKELETONS['lifter15']
_FRAMES, _RATE = 12, 10.0  # of a clip; a second
_LONGER = (0.82, 1.15)
"""Of limbs and widths, one share for both sides: what BlazePose calls a shank is shorter than a
thigh, against anatomy."""


def exercise(rng: np.random.Generator, body: Proportions, times: np.ndarray) -> PosedSkeleton:
    """From standing to a random posture, and back, over and over; see :data:`Motion`."""
    course = draw_repetitions(rng, times, rng.uniform(1.6, 4.0)).depth()

    def moved(rest: np.ndarray | float, end: np.ndarray | float) -> np.ndarray:
        """(N, 2) radians, left and right, of degrees at rest and at the end."""
        degrees = rest + course[:, None] * (np.broadcast_to(end, 2) - rest)
        return np.radians(degrees) + np.stack([sway(rng, times, 0.03) for _ in range(2)], 1)

    def one(rest: float, end: float) -> np.ndarray:
        return moved(rest, end)[:, 0]

    def of_sides(low: float, high: float, rest: float, share: float) -> np.ndarray:
        """Degrees at the end of both sides, which are alike, or one stays at rest, or both do."""
        ends = np.full(2, rest)
        if rng.random() < share:
            ends[:] = rng.uniform(low, high) + rng.normal(0, 4, 2)
            if rng.random() < 0.4:
                ends[rng.integers(2)] = rest + rng.normal(0, 4)
        return ends

    lean = one(rng.uniform(-3, 8), rng.uniform(-10, 60) if rng.random() < 0.5 else 4.0)
    chest = body_frame(lean, one(0, rng.normal(0, 15)), one(0, rng.normal(0, 8)))
    poser = Poser(body, len(times)).trunk(
        np.zeros((len(times), 3)),
        body_frame(0.6 * lean),
        chest,
        body_frame(0.5 * lean + one(0, rng.normal(5, 12)), one(0, rng.normal(0, 15))),
    )
    # Thighs forward of straight down, knees bent from there, both spread outwards.
    thighs = moved(rng.uniform(-4, 6), of_sides(-15, 100, 0.0, 0.6))
    bends = np.radians(rng.uniform(2, 12)) + np.clip(thighs, 0, None) * rng.uniform(0, 1.6)
    bends = np.clip(bends + moved(0.0, of_sides(0, 50, 0.0, 0.3)), 0.02, np.radians(140))
    spread = moved(rng.uniform(2, 8), of_sides(-25, 40, 4.0, 0.5)) * SIDES
    knees = poser.pair('hip') + body.thigh * _down(thighs, spread)
    ankles = knees + body.shank * _down(thighs - bends, spread * rng.uniform(-1.0, 1.0))
    poser.legs(ankles, _down(thighs + np.pi / 2 - bends / 2, spread), np.array([1.0, 0.0, 0.0]))
    # Upper arms go aside or forward, as far as overhead; forearms forward, in and up from there.
    raised = moved(rng.uniform(2, 15), of_sides(15, 170, 8.0, 0.7))
    bent = np.clip(moved(rng.uniform(5, 25), of_sides(5, 140, 15.0, 0.5)), 0.02, None)[..., None]
    ahead = np.radians(rng.uniform(-20, 100))
    upper = np.stack(
        [np.sin(raised) * np.sin(ahead), np.sin(raised) * np.cos(ahead) * SIDES, -np.cos(raised)],
        axis=-1,
    )
    pole = np.stack(
        [np.ones(2), rng.uniform(-0.8, 0.4) * SIDES, np.full(2, rng.uniform(-0.3, 0.8))], axis=-1
    )
    over = normalized(pole - (pole * upper).sum(-1, keepdims=True) * upper)
    lower = np.cos(bent) * upper + np.sin(bent) * over
    poser.swing(*(np.einsum('nij,nsj->nsi', chest, limb) for limb in (upper, lower)))
    return poser.skeleton()


def _down(forward: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """Directions (N, 2, 3), turned forward from straight down, then to the left; radians."""
    return np.stack(
        [np.sin(forward), np.cos(forward) * np.sin(aside), -np.cos(forward) * np.cos(aside)], -1
    )


def squat_of_form(rng: np.random.Generator) -> np.ndarray:
    """Joints (T, V, 3) of a part of a squat of right or wrong form, metres, z up."""
    body = random_body(rng)
    form = SquatForm.random(rng, str(rng.choice(SQUAT_CLASSES)))
    times, course = SquatTempo.random(rng, 1).course(_RATE)
    style, seed = SquatStyle.random(rng, body), int(rng.integers(2**31))
    joints = squat_joints(body, form, times, course, style, seed, skeleton=_SKELETON)
    start = rng.integers(max(len(joints) - _FRAMES, 0) + 1)
    return joints[np.minimum(np.arange(start, start + _FRAMES), len(joints) - 1)]


def of(motion: Motion) -> Callable[[np.random.Generator], np.ndarray]:
    """The same of a motion."""

    def clip(rng: np.random.Generator) -> np.ndarray:
        posed = motion(rng, Proportions.random(rng), np.arange(_FRAMES) / _RATE)
        shoulders = (posed['left_shoulder'] + posed['right_shoulder']) / 2
        joints = [shoulders if name == 'neck' else posed[name] for name in _SKELETON.joints]
        return np.stack(joints, axis=1)

    return clip


CLIPS = (
    of(exercise), squat_of_form, of(exercise), of(squat), of(exercise), squat_of_form,
    of(exercise), of(jumping_jack), of(exercise), of(walking), of(exercise), of(push_up),
)  # fmt: skip
"""One after the other."""


def lengthened(joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Joints (T, V, 3) with bones of other lengths, the same on both sides and in all frames."""
    names, shares, moved = _SKELETON.joints, {}, {'pelvis': joints[:, 0]}
    at = {name: joints[:, n] for n, name in enumerate(names)}
    order = [('pelvis', 'neck'), ('neck', 'head')]
    for side in ('left', 'right'):
        for chain in (('pelvis', 'hip', 'knee', 'ankle'), ('neck', 'shoulder', 'elbow', 'wrist')):
            parts = [chain[0], *(f'{side}_{part}' for part in chain[1:])]
            order += zip(parts, parts[1:])
    for start, end in order:
        bone = end.rpartition('_')[2]
        share = shares.setdefault(bone, rng.uniform(*_LONGER))
        moved[end] = moved[start] + share * (at[end] - at[start])
    return np.stack([moved[name] for name in names], axis=1)


def simulated(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normalized joints in the image (N, T, V, 2), and their depths (N, T, V) in the same unit."""
    rng = np.random.default_rng(seed)
    images, depths = [], []
    for n in range(count):
        view = random_view(lengthened(CLIPS[n % len(CLIPS)](rng), rng), rng)
        image = torch.from_numpy(view.image())[None]
        scale = (image - image[:, :, :1]).norm() / normalize(image).norm()
        images.append(normalize(image)[0].numpy())
        depth = view.joints[..., 2] - view.joints[:, :1, 2]
        depths.append(depth / view.joints[:, :1, 2] / float(scale))
    return np.stack(images).astype(np.float32), np.stack(depths).astype(np.float32)


def main() -> int:
    """Simulates, writes, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--clips', type=int, default=6000, help='(default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/simulated_bodies/clips.npz'))
    args = parser.parse_args()
    images, depths = simulated(args.clips, args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(args.out) as partial:
        np.savez(partial, images=images, depths=depths)
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
