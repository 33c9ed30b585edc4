"""The ledger: the records of a dead worker, and the image that killed it."""

from uformer.batch.ledger import MOST_DEATHS, Ledger, given_up
from uformer.batch.records import Record
from uformer.errors import OptionError

DONE = Record(input="a", output="A", seconds=1.0)


def test_a_shard_begun_again_comes_with_its_records() -> None:
    ledger = Ledger()
    assert ledger.begin(0) == (False, {})
    ledger.finish(0, DONE)
    assert ledger.begin(0) == (True, {"a": DONE})
    assert ledger.begin(1) == (False, {})
    assert ledger.unclaimed() == [DONE]
    ledger.forget(0)
    assert ledger.unclaimed() == []


def test_a_picture_noted_and_not_finished_has_killed() -> None:
    ledger = Ledger()
    assert [ledger.note("bad") for _ in range(MOST_DEATHS + 1)] == list(range(MOST_DEATHS + 1))
    ledger.note("a")
    ledger.finish(0, DONE)
    assert ledger.note("a") == 0


def test_forgetting_a_shard_keeps_no_picture() -> None:
    ledger = Ledger()
    ledger.begin(0)
    ledger.finish(0, DONE)
    ledger.note("a")
    ledger.forget(0)
    assert vars(ledger) == {"_begun": {}, "_records": {}, "_deaths": {}, "_refusal": None}


def test_the_first_refusal_holds() -> None:
    ledger = Ledger()
    assert ledger.refusal() is None
    ledger.refuse(OptionError("one"))
    ledger.refuse(OptionError("two"))
    assert str(ledger.refusal()) == "one"


def test_what_is_given_up_says_why() -> None:
    assert "its worker died 3 times" in (given_up("a").error or "")
