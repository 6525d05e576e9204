"""Reports in headless Chromium: nothing is fetched, all fits, contrast and labels are right."""

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture(params=[(390, 'light'), (390, 'dark'), (1200, 'light'), (1200, 'dark')])
def page(request, browser, report):
    """The report, on a phone and a desk, by day and by night; told all that it asks for."""
    width, scheme = request.param
    context = browser.new_context(
        viewport=dict(width=width, height=900), color_scheme=scheme, offline=True
    )
    page = context.new_page()
    page.asked, page.said = [], []
    page.on('request', lambda asked: page.asked.append(asked.url))
    page.on('console', lambda message: page.said.append(message.text))
    page.goto((report / 'report.html').as_uri())
    yield page
    context.close()


def test_nothing_is_fetched_and_nothing_goes_wrong(page, report):
    files = [url for url in page.asked if not url.startswith('data:')]
    assert files == [(report / 'report.html').as_uri()]
    assert page.said == []
    sizes = page.evaluate('Array.from(document.images, image => image.naturalWidth)')
    assert len(sizes) == 6 and min(sizes) > 50


def test_it_fits_the_width(page):
    assert page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')


def test_contrast_and_labels(page):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright')
    found = axe.Axe().run(page).response['violations']
    assert [(one['id'], one['nodes'][0]['html'][:100]) for one in found] == []


def test_curves_follow_the_scheme(page):
    color = 'getComputedStyle({}).{}'
    text = page.evaluate(color.format('document.body', 'color'))
    axis = page.evaluate(color.format("document.querySelector('.curves svg text')", 'fill'))
    assert axis == text


def test_the_keyboard_reaches_tables_and_files(page):
    reached = []
    for _ in range(12):
        page.keyboard.press('Tab')
        reached.append(
            page.evaluate(
                "document.activeElement.getAttribute('aria-label') || "
                'document.activeElement.textContent.trim()'
            )
        )
    assert reached[0] == 'Skip to the summary'
    assert 'All numbers' in reached
    assert 'report.json' in reached


def test_the_video_plays(page):
    duration = page.evaluate(
        """async () => {
            const video = document.querySelector('video');
            video.preload = 'metadata';
            video.load();
            await new Promise((done, fail) => {
                video.onloadedmetadata = done;
                video.onerror = () => fail(video.error.message);
            });
            return video.duration;
        }"""
    )
    assert duration == pytest.approx(2 * 46 / 12.5, abs=0.1)


def test_it_can_be_printed(page, tmp_path):
    page.pdf(path=tmp_path / 'report.pdf', format='A4')
    assert (tmp_path / 'report.pdf').stat().st_size > 50_000
