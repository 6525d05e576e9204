"""The tutorial's training, run as its users run it, small."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2

ROOT = Path(__file__).parents[3]
SMALL = [
    'train_dataloader.dataset.num_sequences=16',
    'val_dataloader.dataset.num_sequences=2',
    'test_dataloader.dataset.num_sequences=4',
]


def run_tool(*args: str) -> str:
    done = subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_compares_both_models_and_draws(tmp_path):
    out = run_tool(
        'tools/research/demo_train.py',
        '--epochs',
        '1',
        '--work-dir',
        str(tmp_path),
        '--cfg-options',
        *SMALL,
    )
    figures = json.loads((tmp_path / 'pck.json').read_text())
    assert list(figures) == ['RPSTN', 'single frame', 'mean pose (chance)']
    for name, values in figures.items():
        assert 0 <= values['torso_PCK@0.2/mean'] <= 1
        assert re.search(rf'{re.escape(name)} .*\b{100 * values["bbox_PCK@0.2/mean"]:.1f}\b', out)
    # The mean place of a joint in the box is right now and then; it is no model's answer.
    assert 0.05 < figures['mean pose (chance)']['bbox_PCK@0.2/mean'] < 0.95
    for picture in ('relation.png', 'curves.png'):
        assert cv2.imread(str(tmp_path / picture)) is not None
    frames = int(cv2.VideoCapture(str(tmp_path / 'predictions.mp4')).get(cv2.CAP_PROP_FRAME_COUNT))
    assert frames in (10, 20, 30, 40)  # 10 of each motion
