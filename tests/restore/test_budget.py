import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from uformer.restore.budget import Budget


def test_no_more_than_the_budget_is_out_and_all_are_served_in_order() -> None:
    costs = [3, 9, 1, 4, 25, 2, 10, 0, 8, 3]
    budget, lock = Budget(10), threading.Lock()
    out, most, order = 0, 0, []

    def use(number: int) -> None:
        nonlocal out, most
        time.sleep(0.002 * (len(costs) - number))  # the last requests come first
        budget.take(number, costs[number])
        with lock:
            out += costs[number]
            most = max(most, out - (costs[number] if costs[number] == out else 0))
            assert out <= 10 or out == costs[number]
            order.append(number)
        time.sleep(0.002)
        with lock:
            out -= costs[number]
        budget.give_back(costs[number])

    with ThreadPoolExecutor(len(costs)) as pool:
        for done in [pool.submit(use, number) for number in range(len(costs))]:
            done.result(timeout=20)
    assert out == 0
    assert sorted(order) == list(range(len(costs)))


def test_turns_are_kept() -> None:
    budget, order = Budget(10), []

    def use(number: int) -> None:
        budget.take(number, 10)
        order.append(number)
        budget.give_back(10)

    threads = [threading.Thread(target=use, args=(number,)) for number in (3, 2, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert order == [0, 1, 2, 3]


def test_closing_wakes_those_who_wait() -> None:
    budget = Budget(1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(budget.take, 5, 1)
        budget.close()
        with pytest.raises(CancelledError):
            waiting.result(timeout=20)
    with pytest.raises(CancelledError):
        budget.take(0, 0)


def test_more_may_be_granted_later() -> None:
    budget = Budget()
    budget.take(0, 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(budget.take, 1, 1)
        assert not waiting.done()
        budget.resize(2)
        waiting.result(timeout=20)
