"""What a recording does not show, or shows badly: told, with what to do about it.

Shape letters: T frames, K joints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rpstn.form.exercises import Exercise, looks_different, out_of_position
from rpstn.form.repetitions import Repetition
from rpstn.lift.structures import Joints3D, Track

from .structures import Note

SHORTEST = 1.0  # seconds
SLOWEST = 10.0  # frames per second: of a second's descent ten are few
_OFTEN = 0.2  # share of the frames
_AWAY = 0.5  # seconds
_SOURCES = dict(
    lifter='Joints were brought into space by the lifter that knows no depth, which has no feet. '
    'Bends seen from the front come out smaller than in joints from which it was learned what is '
    'good, and of which errors are told.',
    lifter_simulated='Joints were brought into space by the lifter, which has no feet.',
    blazepose="Joints in space are BlazePose's alone. Those from which it was learned what is "
    'good, and of which errors are told, are lifted.',
)
"""Of joints in space that are not those of the default."""
_PARTS = dict(
    head=('nose',),
    shoulders=('left_shoulder', 'right_shoulder'),
    hips=('left_hip', 'right_hip'),
    knees=('left_knee', 'right_knee'),
    feet=('left_ankle', 'right_ankle', 'left_heel', 'right_heel'),
)


def nobody(frames: int) -> Note:
    """Nobody was found."""
    return Note(
        'no_person',
        f'Nobody was found in any of the {frames} frames. Film the whole person, upright in the '
        'picture and at least a third of its height, in good light.',
        stops=True,
    )


def on_people(counts: Sequence[int], track: Track, tracks: Sequence[Track]) -> list[Note]:
    """Several people, and a person who was lost and found.

    Args:
        counts: people found in each of some frames.
        track: the one assessed.
        tracks: all that were followed.
    """
    notes = []
    most = max(counts, default=0)
    if most > 1:
        often = sum(count > 1 for count in counts)
        width = track.image_size[0] if track.image_size else 1
        middle = float(np.nanmean(track.keypoints[..., 0])) / width
        where = 'on the left' if middle < 1 / 3 else 'on the right' if middle > 2 / 3 else 'central'
        notes.append(
            Note(
                'several_people',
                f'Up to {most} people were seen (in {often} of {len(counts)} frames looked at). '
                f'Only one was followed, {where} in the picture and shown below; '
                '--box follow:x1,y1,x2,y2 chooses another.',
            )
        )
    times = track.times[(track.scores > 0).any(1)]
    if (away := float(np.max(np.diff(times), initial=0.0))) > _AWAY:
        notes.append(
            Note(
                'away',
                f'In between the person is not seen for {away:.1f} s; what goes on then is not '
                'counted.',
            )
        )
    if len(tracks) > 1:
        seen = sum(len(one.frames) for one in tracks)
        notes.append(
            Note(
                'lost',
                f'The person was lost and found again; the longest part is assessed, '
                f'{len(track.frames)} of {seen} frames.',
            )
        )
    return notes


def on_file(joints: Joints3D) -> list[Note]:
    """Joints from a file: no pictures, and errors that are not theirs; too short."""
    return [
        Note(
            'from_a_file',
            'Joints were read from a file, without pictures. Errors are stated, and what can be '
            'seen is told, as for joints that one camera sees from where it stands; those that '
            'several cameras measured are more exact.',
        ),
        *_too_short(joints),
    ]


def on_picture(track: Track, fps: float) -> list[Note]:
    """Too short, cut off, hidden, too few frames a second."""
    notes = _too_short(track)
    for kind, parts, says, cure in (
        ('cut_off', _outside(track), 'out of the picture', 'Keep the whole body in it.'),
        ('hidden', _unsure(track), 'hidden or unclear', 'Film free of obstacles, in good light.'),
    ):
        often = {part: share for part, share in parts.items() if share > _OFTEN}
        if often:
            shares = ', '.join(f'the {part} in {share:.0%}' for part, share in often.items())
            notes.append(
                Note(
                    kind,
                    f'Parts of the body are {says}: {shares} of the frames; what needs them is '
                    f'less sure than stated. {cure}',
                )
            )
    if fps < SLOWEST:
        notes.append(
            Note(
                'few_frames',
                f'The video has {fps:.1f} frames per second; turning points may be missed. Film '
                'with 25 or more.',
            )
        )
    return notes


def on_movement(
    angles: Mapping[str, np.ndarray],
    repetitions: Sequence[Repetition],
    exercise: Exercise,
    view: str,
    joints: Joints3D,
    badly_seen: bool = False,
) -> list[Note]:
    """No repetition, another exercise, the view, the vertical.

    Args:
        badly_seen: parts of the body are out of the picture or hidden.
    """
    title = exercise.title.lower()
    different = looks_different(dict(angles), repetitions, exercise)
    notes = []
    if not repetitions:
        reasons = [
            f'the movement {different}' if different else '',
            out_of_position(dict(angles), exercise),
            'parts of the body cannot be seen, see below' if badly_seen else '',
        ]
        why = f': {"; ".join(filter(None, reasons))}' if any(reasons) else ''
        notes.append(
            Note(
                'no_repetition',
                f'No repetition of the exercise ({title}) was found{why}. A '
                'repetition counts from rest to rest, so the video must show both.',
                stops=True,
            )
        )
    elif different:
        notes.append(
            Note(
                'another_exercise',
                f'The movement {different}. What follows takes it for one all the same; --exercise '
                'names another.',
            )
        )
    if view == 'side':
        notes.append(
            Note(
                'from_the_side',
                'Filmed from the side: where the knees are over the feet, and differences between '
                'left and right, cannot be seen. Film from the front for these.',
            )
        )
    elif view == 'front':
        notes.append(
            Note(
                'from_the_front',
                'Filmed from the front: how far joints bend and the trunk leans lies in the depth '
                'of the picture, and is known less well than from the side.',
            )
        )
    if joints.source in _SOURCES:
        notes.append(Note('lifted', _SOURCES[joints.source]))
    if not joints.upright:
        notes.append(
            Note(
                'vertical_unknown',
                'The vertical is taken to be that of the picture; --tilt says how the camera '
                'was tilted.',
            )
        )
    return notes


def _too_short(person: Track | Joints3D) -> list[Note]:
    seen = (person.scores > 0).any(1)
    seconds = float(np.ptp(person.times[seen])) if seen.any() else 0.0
    if seconds >= SHORTEST:
        return []
    return [
        Note(
            'too_short',
            f'The person is seen for {seconds:.1f} s, too short for a repetition (at least '
            f'{SHORTEST:g} s).',
            stops=True,
        )
    ]


def _shares(track: Track, wrong: np.ndarray) -> dict[str, float]:
    """Part -> share of the frames in which most of its joints are ``wrong`` (T, K)."""
    seen = (track.scores > 0).any(1)
    shares = {}
    for part, names in _PARTS.items():
        columns = [track.skeleton.index(n) for n in names if n in track.skeleton.joints]
        if columns and seen.any():
            shares[part] = float((wrong[seen][:, columns].mean(1) > 0.4).mean())
    return shares


def _outside(track: Track) -> dict[str, float]:
    if track.image_size is None:
        return {}
    beyond = (track.keypoints < 0) | (track.keypoints > np.array(track.image_size) - 1)
    return _shares(track, beyond.any(-1))


def _unsure(track: Track) -> dict[str, float]:
    inside = np.ones(track.scores.shape, bool)
    if track.image_size is not None:
        beyond = (track.keypoints < 0) | (track.keypoints > np.array(track.image_size) - 1)
        inside = ~beyond.any(-1)
    return _shares(track, (track.scores < track.kpt_thr) & inside)
