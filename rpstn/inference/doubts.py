"""What there is to say of results that nobody should trust unseen."""

from __future__ import annotations

from rpstn.results import FrameResult

LEAST = 0.6
"""Mean score of people's joints that is not worth a word."""


class Doubts:
    """Takes note of a source's results, one after the other.

    Only of scores that say how many joints are right (RPSTN-Lite's). Of JHMDB's 158 training clips
    one has a lower mean than ``LEAST``: of somebody who dives for a ball, 19 % right by torso.
    """

    def __init__(self) -> None:
        self._people, self._known, self._sum = 0, 0, 0.0
        self._guessed = False

    def add(self, result: FrameResult) -> None:
        """The next frame, with a model's bare answer."""
        self._people += len(result.people)
        for person in result.people:
            self._guessed |= person.state == 'guessed'
            if person.meta.get('score_knots') is not None:
                self._known += 1
                self._sum += float(person.scores.mean())

    def __str__(self) -> str:
        """A remark, empty where there is none to make."""
        if not self._people:
            return 'nobody was found'
        if self._known and self._sum < LEAST * self._known:
            share = f'{self._sum / self._known:.0%} of the joints are right by their scores'
            return f'{share}: whoever it shows is hard to see, or another was followed; have a look'
        if self._guessed:
            return (
                'the detector saw nobody who could be followed, and whoever it shows is the '
                "network's guess: have a look"
            )
        return ''
