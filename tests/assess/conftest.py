"""A set of two squats: the demo's clip, looped, assessed and written down once."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rpstn.assess import AssessOptions, Assessor, assess_all, write_report
from rpstn.video.frames import VideoWriter, open_frames

CLIP = Path(__file__).parents[2] / 'demo/squat.mp4'
LOOPS = 2
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')


@pytest.fixture(scope='session')
def video(tmp_path_factory):
    source = open_frames(CLIP)
    images = [frame.image for frame in source]
    path = tmp_path_factory.mktemp('video') / 'set.mp4'
    with VideoWriter(path, source.fps, source.size) as writer:
        for image in images * LOOPS:
            writer.write(image)
    return path


@pytest.fixture(scope='session')
def assessor():
    return Assessor()


@pytest.fixture(scope='session')
def assessment(assessor, video):
    return assessor(open_frames(video))


@pytest.fixture(scope='session')
def report(assessment, video, tmp_path_factory):
    """The folder of the report."""
    page = write_report(assessment, open_frames(video), tmp_path_factory.mktemp('out') / 'set')
    return page.parent


@pytest.fixture
def blank(tmp_path):
    """Nobody in it."""
    image = np.full((426, 240, 3), 90, np.uint8)
    path = tmp_path / 'blank.mp4'
    with VideoWriter(path, 12.5, (240, 426)) as writer:
        for _ in range(2):
            writer.write(image)
    return path


@pytest.fixture
def assess_again(monkeypatch, tmp_path):
    """:func:`assess_all` by any assessor, without loading the model: status and lines said."""

    def run(assessor, *inputs, out=tmp_path / 'out', **options):
        monkeypatch.setattr('rpstn.assess.run.Assessor', lambda *args: assessor)
        said = []
        status = assess_all(AssessOptions(tuple(map(str, inputs)), out, **options), said.append)
        return status, said

    return run


@pytest.fixture(scope='session')
def browser():
    api = pytest.importorskip('playwright.sync_api')
    if CHROMIUM is None:
        pytest.skip('Chromium is not installed')
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()
