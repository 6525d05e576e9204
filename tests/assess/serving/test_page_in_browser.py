"""The page in headless Chromium: from a video to its report, and from a camera to a count."""

import http.server
import itertools
import re
import threading
import time
from pathlib import Path

import cv2
import pytest

from rpstn.video.frames import open_frames

pytestmark = pytest.mark.browser
PAUSE = 0.6  # seconds between pictures of the camera
SQUAT = Path(__file__).parents[3] / 'demo/squat.mp4'


@pytest.fixture(params=[(390, 'dark'), (1200, 'light')])
def tab(request, browser, page):
    """The page, opened; what goes wrong in it is kept."""
    width, scheme = request.param
    context = browser.new_context(viewport=dict(width=width, height=900), color_scheme=scheme)
    tab = context.new_page()
    tab.said = []
    tab.on('console', lambda message: tab.said.append(message.text))
    tab.goto(page.door.address)
    yield tab
    context.close()


@pytest.fixture
def camera():
    """Address of a network camera that shows the demo's squat again and again, in slow motion.

    The squat takes eight seconds, so that a busy machine that looks at one or two pictures a second
    counts it as well: what is tested is the page. How quick it is is measured elsewhere
    (tools/research/live).
    """
    pictures = [cv2.imencode('.jpg', frame.image)[1].tobytes() for frame in open_frames(SQUAT)]

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            try:
                for number in itertools.count():
                    for data in pictures:
                        head = b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n'
                        self.wfile.write(head % len(data) + data + b'\r\n')
                        time.sleep(PAUSE if number else 0.05)  # who opens it looks at some
            except OSError:
                pass

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/live.mjpg'
    server.shutdown()


def violations(tab):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright')
    return [
        (one['id'], one['nodes'][0]['html'][:100])
        for one in axe.Axe().run(tab).response['violations']
    ]


def test_a_video_becomes_a_report(tab):
    assert violations(tab) == []
    tab.click('button[type=submit] >> nth=0')
    assert 'Choose a video' in tab.text_content('#said')
    tab.set_input_files('#video', str(SQUAT))
    tab.check('#blur')
    tab.click('#form button')
    tab.wait_for_selector('progress')
    tab.wait_for_selector('#jobs a', timeout=120_000)
    assert violations(tab) == []
    assert tab.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
    with tab.context.expect_page() as opened:
        tab.click('#jobs a >> nth=0')
    report = opened.value
    report.wait_for_load_state()
    assert 'squat.mp4' in report.title()
    # Pictures are there, and the video plays, under the page's policy.
    assert min(report.evaluate('Array.from(document.images, image => image.naturalWidth)')) > 50
    report.evaluate("document.querySelector('video').play()")  # fails where it does not play
    tab.reload()  # finds it again
    tab.wait_for_selector('#jobs a')
    other = tab.context.new_page()  # and so does a second page
    other.goto(tab.url)
    other.click('#jobs button')
    tab.wait_for_selector('#jobs li', state='detached')  # what one removes the other hears of
    assert tab.said == [] and 'token' not in tab.url


def test_where_nothing_is_streamed_the_page_asks(tab, page):
    tab.route('**/events', lambda route: route.abort())
    tab.reload()
    job = page.jobs.new('waits.mp4', {})
    tab.wait_for_selector('#jobs h3:text("waits.mp4")')
    page.jobs.remove(job)
    tab.wait_for_selector('#jobs li', state='detached')
    tab.unroute('**/events')
    tab.reload()
    assert _soon(lambda: page.app.state.events.listeners == 1)  # one stream, whatever there is


def test_who_comes_without_the_token_is_told_what_to_open(tab, page):
    stranger = tab.context.browser.new_context()
    alone = stranger.new_page()
    assert alone.goto(f'http://127.0.0.1:{page.port}/').status == 403
    assert alone.text_content('body') == 'open the whole address that rpstn serve has printed'
    stranger.close()


def test_a_camera_is_counted_from(tab, camera):
    api = pytest.importorskip('playwright.sync_api')
    tab.fill('#source', camera)
    tab.click('#watch button[type=submit]')
    counted = api.expect(tab.locator('#counted'))
    counted.to_contain_text(re.compile('[1-9][0-9]* repetition'), timeout=240_000)
    assert tab.evaluate("document.querySelector('#picture').naturalWidth") > 50
    assert violations(tab) == []
    tab.click('#stop')
    assert tab.text_content('#counted') == 'Stopped.'


def test_a_file_is_no_camera(tab):
    api = pytest.importorskip('playwright.sync_api')
    tab.fill('#source', '/etc/passwd')
    tab.click('#watch button[type=submit]')
    api.expect(tab.locator('#counted')).to_contain_text('number of a camera', timeout=60_000)


def _soon(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()
