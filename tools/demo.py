"""The shipped model on a real squat: its joints, beside MediaPipe Pose's, and a report of the form.

    python tools/demo.py

writes the joints that RPSTN-Lite finds in demo/squat.mp4 as squat.json and squat.csv, as `rpstn
infer` does, and draws them: squat.mp4, and one frame of it, frame.jpg; MediaPipe's beside them
where it is installed. Then squat/report.html, as `rpstn assess` writes it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from rpstn.apis import PoseInferencer
from rpstn.assess.run import AssessOptions, assess_all
from rpstn.choices import KPT_THR
from rpstn.drawing import draw_pose, write_image
from rpstn.files import replacing
from rpstn.inference.options import InferOptions
from rpstn.inference.run import infer
from rpstn.video.frames import VideoWriter, open_frames

sys.path.append(str(Path(__file__).parent / 'research'))
from mediapipe_pose import MediaPipePose

CLIP = Path(__file__).parents[1] / 'demo/squat.mp4'
BOTTOM = 26  # the frame in which the hips are lowest
ZOOM = 2


@contextmanager
def silent() -> Iterator[None]:
    """What MediaPipe's libraries log past Python, to the process's standard error, is dropped."""
    kept = os.dup(2)
    with open(os.devnull, 'wb') as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def draw(
    image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, meta: dict, title: str
) -> np.ndarray:
    """The image enlarged, with joints and limbs; none where nobody was found."""
    large = cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    if np.any(scores):
        # Whole coordinates are the centres of pixels.
        draw_pose(large, ZOOM * (keypoints + 0.5) - 0.5, scores, meta)
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 2)):
        cv2.putText(
            large, title, (12, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.9, color, thickness, cv2.LINE_AA
        )
    return large


def main() -> None:
    """Find, compare, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/demo'), help='(default: %(default)s)'
    )
    args = parser.parse_args()
    began = time.perf_counter()
    options = InferOptions(
        [str(CLIP)], args.out, save=('json', 'csv'), device='cpu', overwrite=True
    )
    infer(options, print)

    inferencer = PoseInferencer(smooth=True)  # its joints are MediaPipe's 33 landmarks
    metas = {'RPSTN-Lite': inferencer.dataset_meta}
    results = list(inferencer(CLIP))
    images = [result.image for result in results]
    nobody = np.zeros((len(inferencer.joints), 2)), np.zeros(len(inferencer.joints))
    found = {
        'RPSTN-Lite': [
            (result.people[0].keypoints, result.people[0].scores) if result.people else nobody
            for result in results
        ]
    }
    try:
        with silent(), MediaPipePose() as pose:
            found['MediaPipe Pose'] = [pose(image) for image in images]
        # Its scores are of another kind.
        metas['MediaPipe Pose'] = dict(inferencer.dataset_meta, kpt_thr=KPT_THR)
    except ImportError as error:
        print(f'RPSTN-Lite is drawn alone. {error}')

    rows = [
        np.hstack([draw(image, *joints[i], metas[title], title) for title, joints in found.items()])
        for i, image in enumerate(images)
    ]
    video, picture = args.out / CLIP.name, args.out / 'frame.jpg'
    with (
        replacing(video) as partial,
        VideoWriter(partial, open_frames(CLIP).fps, rows[0].shape[1::-1]) as writer,
    ):
        for row in rows:
            writer.write(row)
    write_image(picture, rows[BOTTOM], quality=85)
    print(f'{" beside ".join(found)}, drawn: {video}, {picture}')
    assess_all(AssessOptions([str(CLIP)], args.out, device='cpu', overwrite=True), print)
    print(f'{time.perf_counter() - began:.0f} s in all')


if __name__ == '__main__':
    main()
