"""The page, and the files beside it, say what the assessment says."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from rpstn.assess import Forms, write_report
from rpstn.assess.forms import in_words
from rpstn.assess.matrix import leaning_in_words
from rpstn.assess.measures import Measure, consistency, measure_repetitions
from rpstn.assess.report import render
from rpstn.form.classifier import FormPrediction
from rpstn.form.findings import Evidence, Finding
from rpstn.video.frames import open_frames


class Page(HTMLParser):
    """Its tags with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, *names):
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.fixture(scope='session')
def text(report):
    return (report / 'report.html').read_text(encoding='utf-8')


def test_everything_is_there(report):
    names = {file.name for file in report.iterdir()}
    assert names == {'report.html', 'report.json', 'angles.csv', 'joints.trc', 'video.mp4'}
    assert len(list(open_frames(report / 'video.mp4'))) == 2 * 46


def test_the_page_loads_nothing_and_runs_nothing(text):
    page = Page(text)
    assert not page.all('script', 'link', 'iframe', 'object')
    for attrs in page.all('img', 'image', 'video', 'a', 'use'):
        target = attrs.get('src') or attrs.get('href') or attrs.get('xlink:href') or ''
        assert re.match(r'data:image/|#|[\w.]+$', target), target[:80]
    assert not re.search(r'url\((?!#)|@import', text)
    assert not any(name.startswith('on') for _, attrs in page.tags for name in attrs)


def test_the_page_can_be_read_by_a_machine(text):
    page = Page(text)
    ids = [attrs['id'] for _, attrs in page.tags if 'id' in attrs]
    assert len(ids) == len(set(ids))
    references = re.findall(r'(?:xlink:href="|url\()#([\w-]+)', text)
    assert set(references) <= set(ids)
    named = ' '.join(attrs.get('aria-labelledby', '') for _, attrs in page.tags).split()
    assert set(named) <= set(ids)
    assert page.all('html')[0]['lang'] == 'en'
    assert all(attrs.get('alt') for attrs in page.all('img'))
    assert all(attrs.get('aria-label') for attrs in page.all('svg'))
    assert all(attrs.get('scope') for attrs in page.all('th'))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r'h\d', tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert max(np.diff(levels)) == 1  # none is left out


def test_every_repetition_has_three_pictures(text):
    alts = [attrs['alt'] for attrs in Page(text).all('img')]
    assert alts == [
        f'{name} of repetition {number}, the skeleton drawn'
        for number in (1, 2)
        for name in ('Start', 'Bottom', 'End')
    ]


def test_the_most_important_cue_comes_first(text, assessment):
    first = assessment.faults[0]
    assert first.status == 'confirmed'
    assert text.index(f'<strong>{first.cue}</strong>') < text.index('What was seen')
    assert 'no medical advice' in text


def test_the_most_important_is_farthest_outside_in_errors(assessment):
    def fault(name, status, value, error):
        evidence = Evidence(1, 0, 'both', value, error, '°')
        return Finding(name, name, status, 'so', 'do', 'depth', (0, 10), 'here', 1, (evidence,))

    once, unseen = (
        'seen once, not confirmed',
        Finding('unseen', 'unseen', 'not visible', 'from here', '', 'depth', (0, 10), 'here', 1),
    )
    found = (
        fault('a little', 'confirmed', 15, 4),
        fault('far but unsure', 'confirmed', 40, 20),
        fault('below', 'confirmed', -20, 4),
        fault('once', once, 99, 1),
        unseen,
    )
    names = [one.fault for one in replace(assessment, findings=found).faults]
    assert names == ['below', 'far but unsure', 'a little', 'once']


def test_no_fault_and_seen_once(assessment):
    none = render(replace(assessment, findings=()), {}, [])
    assert 'No fault was seen' in none
    once = replace(assessment.findings[0], status='seen once, not confirmed')
    assert 'Seen once, not confirmed' in render(replace(assessment, findings=(once,)), {}, [])


def test_names_are_no_markup(assessment):
    page = render(replace(assessment, video='<script>alert(1)</script>.mp4'), {}, [])
    assert '<script' not in page
    assert '&lt;script&gt;' in page


def test_form_classes_have_their_row_and_their_limits(assessment):
    ones = [
        FormPrediction({'no depth': share, 'good': 1 - share}, 0.6, ('good',))
        for share in (0.9, 0.55)
    ]
    about = dict(
        sequences=1163,
        simulated=30,
        left_out='day',
        accuracy=0.6294,
        answered=0.448,
        accuracy_of_answered=0.8023,
        right_or_wrong_balanced_accuracy=0.7384,
    )
    forms = Forms((ones[0], None), ones[1], about)
    page = render(replace(assessment, forms=forms), {}, [])
    row = re.search(r'<tr><th scope="row">Form class.*?</tr>', page, re.DOTALL)[0]
    cells = re.findall(r'<td class="text">(.*?)</td>', row)
    assert cells == ['no depth (90 %); right form: 10 %', 'not asked', in_words(ones[1])]
    assert 'unsure (most likely no depth, 55 %); right form: 45 %' in page.split('What was seen')[0]
    limits = page.split('id="limits"')[1]
    said = (
        '1,163 squats filmed by others and 30 simulated ones.',
        'Of recordings of a day that it had not seen',
        'named 63 % right',
        '60 % or more',
        '45 % of them',
        '80 %',
        'in 74 %',
    )
    assert all(one in limits for one in said)
    real = {key: value for key, value in about.items() if key != 'simulated'}  # as of others
    page = render(replace(assessment, forms=replace(forms, about=real)), {}, [])
    assert '1,163 squats filmed by others. Of' in page and 'simulated ones' not in page
    assert 'nothing here speaks of a round or hollow back' in limits
    assert 'Form class' not in render(replace(assessment, forms=None), {}, [])


def test_the_demo_has_a_class_and_what_the_classifier_leaned_on(text, report, assessment):
    forms = assessment.forms
    assert len(forms.repetitions) == len(forms.leaned) == 2
    assert forms.whole.best == 'no depth'  # which it is
    assert f'{in_words(forms.whole)}. A hint' in text
    first, *_ = leaning_in_words(assessment)
    assert f'Most of all {first}' in text and text.count('speaks for its class') == 1
    read = json.loads((report / 'report.json').read_text())
    assert read['form']['about']['accuracy'] == 0.7059
    for plain, form in zip(read['repetitions'], forms.repetitions):
        assert plain['form']['label'] == form.label
        assert plain['form']['right'] == pytest.approx(form.right, abs=1e-4)


def test_the_json_says_the_same(report, assessment):
    def refuse(name):
        raise AssertionError(name)

    read = json.loads((report / 'report.json').read_text(), parse_constant=refuse)
    assert read['assessable'] and read['exercise'] == 'squat'
    assert [one['number'] for one in read['repetitions']] == [1, 2]
    for plain, one in zip(read['repetitions'], assessment.repetitions):
        assert plain['bottom']['frame'] == assessment.track.frames[one.bottom]
        assert plain['seconds']['down'] == pytest.approx(one.down, abs=1e-4)
    assert [one['reason'] for one in read['findings']] == [
        one.reason for one in assessment.findings
    ]
    flexion = read['repetitions'][0]['measures'][0]
    measured = measure_repetitions(assessment)[0]
    assert flexion['angle'] == 'knee_flexion'
    assert (flexion['left'], flexion['right']) == pytest.approx(measured.sides[0], abs=1e-3)


def test_the_table_has_every_angle_of_every_frame(report, assessment):
    rows = list(csv.DictReader((report / 'angles.csv').open()))
    assert [int(row['frame']) for row in rows] == assessment.track.frames.tolist()
    assert float(rows[-1]['time_s']) == pytest.approx(assessment.track.times[-1], abs=1e-3)
    for key, column in (
        ('left_knee_flexion', 'left_knee_flexion_deg'),
        ('heel_lift', 'heel_lift_cm'),
    ):
        found = [float(row[column] or 'nan') for row in rows]
        np.testing.assert_allclose(found, assessment.angles[key], atol=0.006)
    bottom = rows[assessment.repetitions[1].bottom]
    assert (bottom['repetition'], bottom['phase']) == ('2', 'turn')


def test_the_markers_are_read_back(report, assessment):
    lines = (report / 'joints.trc').read_text().split('\n')
    header = dict(zip(lines[1].split('\t'), lines[2].split('\t')))
    joints = assessment.joints
    assert header['Units'] == 'm'
    assert int(header['NumFrames']) == len(joints.frames)
    names = [name for name in lines[3].split('\t')[2:] if name]
    assert tuple(names) == joints.skeleton.joints
    assert int(header['NumMarkers']) == len(names)
    assert lines[4].split('\t')[2:5] == ['X1', 'Y1', 'Z1']
    assert lines[5] == ''
    rows = [line.split('\t') for line in lines[6:] if line]
    assert float(header['DataRate']) == pytest.approx(12.5, rel=0.01)
    np.testing.assert_allclose([float(row[1]) for row in rows], joints.times, atol=1e-5)
    found = np.array([[float(cell or 'nan') for cell in row[2:]] for row in rows])
    np.testing.assert_allclose(found.reshape(joints.joints.shape), joints.joints, atol=1e-5)


def test_an_error_leaves_the_former_report(assessment, video, tmp_path, monkeypatch):
    (tmp_path / 'report.html').write_text('before')

    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr('rpstn.assess.report.write_trc', fail)
    with pytest.raises(OSError, match='disk full'):
        write_report(assessment, open_frames(video), tmp_path, video=False)
    assert [file.name for file in tmp_path.iterdir()] == ['report.html']
    assert (tmp_path / 'report.html').read_text() == 'before'


def measure(*values, error=5.0, good=None, sides=()):
    return Measure('depth', 'Depth', 'bottom', '°', error, error, good, '', values, sides)


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        ((10.0,), 'one repetition, nothing to compare'),
        ((10.0, np.nan), 'one repetition, nothing to compare'),
        ((10.0, 14.0, 12.0, 11.0), '10° to 14°: steady within the error'),
        ((10.0, 20.0, 30.0, 40.0), '10° to 40°: rises through the set'),
        ((0.0, -10.0, -20.0, -30.0), '−30° to 0°: falls through the set'),
        ((10.0, 40.0, 10.0, 25.0), '10° to 40°: differs between repetitions'),
        ((10.0, 30.0, 40.0), '10° to 40°: differs between repetitions'),  # too few for a trend
    ],
)
def test_consistency_is_told_against_the_error(values, says):
    assert consistency(measure(*values)) == says


@pytest.mark.parametrize(('value', 'out'), [(94.9, True), (95.1, False), (125.1, True)])
def test_outside_is_beyond_the_error_on_any_side(value, out):
    assert measure(value, good=(100.0, 120.0)).outside(0) is out
    assert measure(110.0, good=(100.0, 120.0), sides=((110.0, value),)).outside(0) is out
    assert not measure(value).outside(0)
