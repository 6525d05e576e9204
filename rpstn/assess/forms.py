"""The classes of form of an assessment's repetitions, and how they are said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rpstn.errors import SettingError
from rpstn.form.angle_table import error_of
from rpstn.form.classifier import FormClassifier, FormPrediction
from rpstn.form.exercises import Exercise
from rpstn.form.repetitions import Repetition
from rpstn.lift.structures import Joints3D

from .structures import Forms

# Of a repetition's length, before and after it, as in the recordings that the classifiers know
# (medians 0.48 and 0.35): they compare with how the person stands.
_STANDING = 0.4


class FormReader:
    """The classifiers that an exercise names, loaded.

    Raises:
        ModelError: one does not come with the package.
    """

    def __init__(self, exercise: Exercise) -> None:
        self._rules = exercise.rules
        self._classifier, self._distances = (
            FormClassifier.from_pretrained(name) if name else None
            for name in (exercise.classifier, exercise.distance_classifier)
        )

    def __call__(
        self, joints: Joints3D, repetitions: Sequence[Repetition], view: str
    ) -> Forms | None:
        """What they say; None where nothing can be asked.

        A fault whose angle the view does not show is not named by its class either.
        """
        if self._classifier is None:
            return None
        unseen = tuple(
            rule.form_class
            for rule in self._rules
            if rule.form_class is not None and math.isinf(error_of(rule.angle, view))
        )
        found, leaned = [], []
        for number, one in enumerate(repetitions):
            form = marks = None
            part = joints.joints[self._around(repetitions, number, len(joints.joints))]
            try:
                if not one.partial:
                    form = replace(self._classifier(part, joints.skeleton), unseen=unseen)
                    if self._distances is not None:
                        marks = self._distances.leaned_on(part, joints.skeleton)
            except SettingError:  # joints that are not there
                pass
            found.append(form)
            leaned.append(marks)
        known = [form for form in found if form is not None]
        if not known:
            return None
        shown = () if self._distances is None else tuple(leaned)
        whole = replace(self._classifier.whole(known), unseen=unseen)
        return Forms(tuple(found), whole, self._classifier.about, shown)

    @staticmethod
    def _around(repetitions: Sequence[Repetition], number: int, frames: int) -> slice:
        """A repetition and some standing, no farther than half of the way to its neighbours."""
        one = repetitions[number]
        more = round(_STANDING * (one.end - one.start))
        before = repetitions[number - 1].end if number else 0
        after = repetitions[number + 1].start if number + 1 < len(repetitions) else frames
        first = max(one.start - more, (before + one.start) // 2 if number else 0)
        last = min(one.end + more, (one.end + after) // 2 if after < frames else frames - 1)
        return slice(first, last + 1)


def _percent(probability: float) -> str:
    """Never 0 or 100: nothing is as sure as that."""
    if 0.01 <= probability <= 0.99:
        return f'{100 * probability:.0f} %'
    return 'under 1 %' if probability < 0.01 else 'above 99 %'


def in_words(form: FormPrediction | None) -> str:
    """A class as readers see it.

    >>> in_words(FormPrediction({'good': 0.3, 'no depth': 0.7}, 0.6, ('good',)))
    'no depth (70 %); right form: 30 %'
    >>> in_words(FormPrediction({'good': 0.4, 'no depth': 0.6}, 0.7, ('good',)))
    'unsure (most likely no depth, 60 %); right form: 40 %'
    >>> hidden = ('heels lifting',)
    >>> in_words(FormPrediction({'good': 0.2, 'heels lifting': 0.8}, 0.5, unseen=hidden))
    'unsure (most likely heels lifting, 80 %, not seen from here)'
    >>> in_words(FormPrediction({'good': 0.003, 'no depth': 0.997}, 0.6, ('good',)))
    'no depth (above 99 %); right form: under 1 %'
    """
    if form is None:
        return 'not asked'
    percent = _percent(form.probability)
    unseen = ', not seen from here' if form.best in form.unseen else ''
    known = form.label == form.best
    said = f'({percent})' if known else f'(most likely {form.best}, {percent}{unseen})'
    said = f'{form.best if known else form.label} {said}'
    if form.right is None:
        return said
    return f'{said}; right form: {_percent(form.right)}'
