"""Which answers are held, and what is dropped first."""

from typing import cast

from tests.serve.conftest import header_of
from uformer.restore.options import RestoreOptions
from uformer.restore.restoration import Restoration
from uformer.serve.held import DROPPED, HeldAnswers
from uformer.serve.jobs import Job

ANSWER = cast(Restoration, object())


def make() -> Job:
    return Job(b"", header_of(), RestoreOptions(), suffix=".png", metadata="strip", seconds=60, hold=True)


def hold(answers: HeldAnswers, cost: int) -> Job:
    job = make()
    assert answers.reserve(job, cost)
    answers.put(job, ANSWER)
    assert answers.get(job) is ANSWER
    return job


def test_an_answer_is_held_until_it_is_dropped() -> None:
    answers = HeldAnswers(100)
    job = hold(answers, 50)
    assert (job.held, answers.count, answers.bytes) == (True, 1, 50)
    answers.drop(job)
    assert (job.held, job.not_held, answers.get(job), answers.bytes) == (False, None, None, 0)


def test_the_least_recently_used_answer_makes_room() -> None:
    answers = HeldAnswers(100)  # room for three of 25 bytes, and for blending one of them
    first, second, third = (hold(answers, 25) for _ in range(3))
    answers.get(first)
    fourth = hold(answers, 25)
    assert [job.held for job in (first, second, third, fourth)] == [True, False, True, True]
    assert (second.not_held, answers.bytes) == (DROPPED, 75)
    fifth = hold(answers, 50)
    assert [job.held for job in (first, third, fourth, fifth)] == [False, False, False, True]


def test_an_answer_that_is_too_large_costs_no_other() -> None:
    answers = HeldAnswers(100)
    first = hold(answers, 20)
    assert not answers.reserve(make(), 51)
    assert first.held
    assert not HeldAnswers(0).reserve(make(), 1)


def test_nothing_is_held_for_a_job_that_was_cancelled() -> None:
    answers = HeldAnswers(100)
    early, late = make(), make()
    early.cancel()
    assert answers.reserve(early, 10)
    assert answers.reserve(late, 10)
    late.cancel()
    answers.drop(late)
    for job in (early, late):
        answers.put(job, ANSWER)
        assert (job.held, answers.get(job)) == (False, None)
    assert answers.bytes == 0


def test_an_answer_whose_room_was_taken_meanwhile_is_not_held() -> None:
    answers = HeldAnswers(100)
    slow = make()
    assert answers.reserve(slow, 50)
    hold(answers, 50)
    answers.put(slow, ANSWER)
    assert (slow.held, slow.not_held, answers.count) == (False, DROPPED, 1)
