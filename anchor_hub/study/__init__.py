"""Blind user studies: people see the results of several runs in shuffled order and say which one is best."""

from __future__ import annotations

from anchor_hub.study.making import new_study
from anchor_hub.study.plan import Question, Study, open_study
from anchor_hub.study.results import results, wilson

__all__ = ["Question", "Study", "new_study", "open_study", "results", "wilson"]
