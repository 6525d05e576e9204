"""The classes of form of an assessment's repetitions, and how they are said."""

from __future__ import annotations

from collections.abc import Sequence

from rpstn.errors import SettingError
from rpstn.form.classifier import FormClassifier, FormPrediction
from rpstn.form.exercises import Exercise
from rpstn.form.repetitions import Repetition
from rpstn.lift.structures import Joints3D

from .structures import Forms


class FormReader:
    """The classifiers that an exercise names, loaded.

    Raises:
        ModelError: one does not come with the package.
    """

    def __init__(self, exercise: Exercise) -> None:
        self._classifier, self._distances = (
            FormClassifier.from_pretrained(name) if name else None
            for name in (exercise.classifier, exercise.distance_classifier)
        )

    def __call__(self, joints: Joints3D, repetitions: Sequence[Repetition]) -> Forms | None:
        """What they say; None where nothing can be asked."""
        if self._classifier is None:
            return None
        found, leaned = [], []
        for one in repetitions:
            form = marks = None
            part = joints.joints[one.start : one.end + 1]
            try:
                if not one.partial:
                    form = self._classifier(part, joints.skeleton)
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
        whole = self._classifier.whole(known)
        return Forms(tuple(found), whole, self._classifier.about, shown)


def in_words(form: FormPrediction | None) -> str:
    """A class as readers see it.

    >>> in_words(FormPrediction({'good': 0.3, 'no depth': 0.7}, 0.6, ('good',)))
    'no depth (70 %); right form: 30 %'
    >>> in_words(FormPrediction({'good': 0.4, 'no depth': 0.6}, 0.7, ('good',)))
    'unsure (most likely no depth, 60 %); right form: 40 %'
    """
    if form is None:
        return 'not asked'
    percent = f'{100 * form.probability:.0f} %'
    known = form.label == form.best
    said = f'{form.best} ({percent})' if known else f'unsure (most likely {form.best}, {percent})'
    if form.right is None:
        return said
    return f'{said}; right form: {100 * form.right:.0f} %'
