"""The 3D skeleton of a synthetic athlete: proportions and kinematics.

World frame: X forward (where the person looks), Y to the person's left, Z up, metres, the floor
at z = 0. Body frames are (..., 3, 3) matrices whose columns are the forward, left and up axis.

Shape letters: N frames, J skeleton joints.
"""

from dataclasses import dataclass

import numpy as np

JOINTS = (
    'pelvis',
    'waist',
    'neck',
    'head',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hand',
    'right_hand',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
    'left_heel',
    'right_heel',
    'left_toe',
    'right_toe',
)
INDEX = {name: i for i, name in enumerate(JOINTS)}
SIDES = np.array([1.0, -1.0])  # left, right along the Y axis


@dataclass(frozen=True)
class Proportions:
    """Segment lengths in metres.

    The means are Drillis and Contini's (1966) shares of the stature, shoulder and hip widths
    taken between the joint centres.
    """

    stature: float
    thigh: float
    shank: float
    ankle_height: float
    foot: float
    upper_arm: float
    forearm: float
    hand: float
    shoulder_half: float
    hip_half: float
    lumbar: float  # pelvis to waist
    thorax: float  # waist to the level of the shoulders
    neck: float  # level of the shoulders to the base of the skull
    head: float  # base of the skull to the centre of the head

    SHARES = dict(
        thigh=0.245,
        shank=0.246,
        ankle_height=0.039,
        foot=0.152,
        upper_arm=0.186,
        forearm=0.146,
        hand=0.075,
        shoulder_half=0.112,
        hip_half=0.052,
        lumbar=0.105,
        thorax=0.183,
        neck=0.055,
        head=0.058,
    )

    @classmethod
    def random(cls, rng: np.random.Generator) -> 'Proportions':
        """A stature of 1.5 to 1.95 m, each segment varying by 4 % (standard deviation)."""
        stature = float(np.clip(rng.normal(1.72, 0.10), 1.5, 1.95))
        lengths = {
            name: stature * share * float(np.clip(rng.normal(1, 0.04), 0.9, 1.1))
            for name, share in cls.SHARES.items()
        }
        return cls(stature=stature, **lengths)

    @property
    def leg(self) -> float:
        return self.thigh + self.shank

    @property
    def arm(self) -> float:
        return self.upper_arm + self.forearm


@dataclass(frozen=True)
class PosedSkeleton:
    """A moving skeleton: joints (N, J, 3) in metres and the frames (N, 3, 3) of its trunk."""

    joints: np.ndarray
    pelvis_frame: np.ndarray
    chest_frame: np.ndarray
    head_frame: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.joints[:, INDEX[name]]

    def __len__(self) -> int:
        return len(self.joints)


def normalize(v: np.ndarray) -> np.ndarray:
    """Vectors (..., D) scaled to unit length; zero stays zero."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def body_frame(
    pitch: float | np.ndarray = 0.0, yaw: float | np.ndarray = 0.0, roll: float | np.ndarray = 0.0
) -> np.ndarray:
    """Frames (N, 3, 3): turned left by yaw, then bent forward by pitch, then leaning left by
    roll; radians, scalars or (N,)."""
    pitch, yaw, roll = np.broadcast_arrays(*map(np.atleast_1d, (pitch, yaw, roll)))
    cp, sp, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    cr, sr = np.cos(-roll), np.sin(-roll)
    zero, one = np.zeros_like(cp), np.ones_like(cp)

    def matrix(*entries: np.ndarray) -> np.ndarray:
        return np.stack(entries, -1).reshape(*cp.shape, 3, 3)

    turn = matrix(cy, -sy, zero, sy, cy, zero, zero, zero, one)
    bend = matrix(cp, zero, sp, zero, one, zero, -sp, zero, cp)
    lean = matrix(one, zero, zero, zero, cr, -sr, zero, sr, cr)
    return turn @ bend @ lean


def two_bone_ik(
    root: np.ndarray, target: np.ndarray, pole: np.ndarray, first: float, second: float
) -> tuple[np.ndarray, np.ndarray]:
    """The middle and the end of a chain of two bones from `root` towards `target`.

    All (..., 3). The middle joint bends to the side of the direction `pole`. A target out of
    reach is approached as far as the bones allow, so that their lengths never change.
    """
    delta = target - root
    reach = np.linalg.norm(delta, axis=-1, keepdims=True)
    direction = delta / np.maximum(reach, 1e-9)
    reach = np.clip(reach, abs(first - second) + 1e-4, (first + second) * 0.9995)
    along = (first**2 + reach**2 - second**2) / (2 * reach)
    aside = np.sqrt(np.maximum(first**2 - along**2, 0))
    side = normalize(pole - (pole * direction).sum(-1, keepdims=True) * direction)
    return root + along * direction + aside * side, root + reach * direction


class Poser:
    """Puts a skeleton together frame by frame: trunk first, then legs, then arms.

    Args:
        body: the segment lengths.
        num_frames: N.
    """

    def __init__(self, body: Proportions, num_frames: int) -> None:
        self.body = body
        self.joints = np.zeros((num_frames, len(JOINTS), 3))
        self.frames: tuple[np.ndarray, ...] = ()

    def _set(self, name: str, value: np.ndarray) -> None:
        self.joints[:, INDEX[name]] = value

    def _set_pair(self, name: str, value: np.ndarray) -> None:
        self.joints[:, [INDEX[f'left_{name}'], INDEX[f'right_{name}']]] = value

    def pair(self, name: str) -> np.ndarray:
        """The left and the right joint of a name: (N, 2, 3)."""
        return self.joints[:, [INDEX[f'left_{name}'], INDEX[f'right_{name}']]]

    def trunk(
        self,
        pelvis: np.ndarray,
        pelvis_frame: np.ndarray,
        chest_frame: np.ndarray,
        head_frame: np.ndarray,
    ) -> 'Poser':
        """Sets pelvis (N, 3), spine, head, hips and shoulders from the three frames."""
        body, n = self.body, len(self.joints)
        self.frames = tuple(
            np.broadcast_to(f, (n, 3, 3)) for f in (pelvis_frame, chest_frame, head_frame)
        )
        pelvis_frame, chest_frame, head_frame = self.frames
        waist = pelvis + body.lumbar * pelvis_frame[..., 2]
        neck = waist + body.thorax * chest_frame[..., 2]
        skull = neck + body.neck * normalize(chest_frame[..., 2] + head_frame[..., 2])
        head = skull + body.head * head_frame[..., 2] + 0.1 * body.head * head_frame[..., 0]
        for name, value in zip(
            ('pelvis', 'waist', 'neck', 'head'), (pelvis, waist, neck, head), strict=True
        ):
            self._set(name, value)
        side = SIDES[:, None]
        self._set_pair('hip', pelvis[:, None] + body.hip_half * side * pelvis_frame[:, None, :, 1])
        self._set_pair(
            'shoulder', neck[:, None] + body.shoulder_half * side * chest_frame[:, None, :, 1]
        )
        return self

    def legs(
        self, ankles: np.ndarray, knee_pole: np.ndarray, foot_direction: np.ndarray
    ) -> 'Poser':
        """Sets knees, ankles and feet; every argument (N, 2, 3) or broadcastable to it.

        `foot_direction` points from the heel to the toes.
        """
        body = self.body
        knees, ankles = two_bone_ik(self.pair('hip'), ankles, knee_pole, body.thigh, body.shank)
        self._set_pair('knee', knees)
        self._set_pair('ankle', ankles)
        forward = normalize(np.broadcast_to(foot_direction, ankles.shape))
        shin = normalize(knees - ankles)
        left = normalize(np.cross(shin, forward))
        sole = -normalize(np.cross(forward, left))  # from the ankle down to the sole
        drop = (body.ankle_height - 0.028) * sole
        self._set_pair('heel', ankles + drop - 0.16 * body.foot * forward)
        self._set_pair('toe', ankles + drop + 0.66 * body.foot * forward)
        return self

    def reach(
        self, wrists: np.ndarray, elbow_pole: np.ndarray, hand_direction: np.ndarray | None = None
    ) -> 'Poser':
        """Sets the arms so that the wrists come to `wrists` (N, 2, 3)."""
        elbows, wrists = two_bone_ik(
            self.pair('shoulder'), wrists, elbow_pole, self.body.upper_arm, self.body.forearm
        )
        return self._arms(elbows, wrists, hand_direction)

    def swing(
        self,
        upper_direction: np.ndarray,
        forearm_direction: np.ndarray,
        hand_direction: np.ndarray | None = None,
    ) -> 'Poser':
        """Sets the arms by the directions (N, 2, 3) of upper arm and forearm."""
        elbows = self.pair('shoulder') + self.body.upper_arm * normalize(upper_direction)
        wrists = elbows + self.body.forearm * normalize(forearm_direction)
        return self._arms(elbows, wrists, hand_direction)

    def _arms(
        self, elbows: np.ndarray, wrists: np.ndarray, hand_direction: np.ndarray | None
    ) -> 'Poser':
        if hand_direction is None:
            hand_direction = wrists - elbows
        self._set_pair('elbow', elbows)
        self._set_pair('wrist', wrists)
        self._set_pair(
            'hand',
            wrists + self.body.hand * normalize(np.broadcast_to(hand_direction, wrists.shape)),
        )
        return self

    def skeleton(self) -> PosedSkeleton:
        return PosedSkeleton(self.joints, *self.frames)
