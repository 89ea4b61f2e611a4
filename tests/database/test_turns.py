"""Turns: who asks first is first, and nothing that is handed on gets lost."""

from __future__ import annotations

import threading

from database.turns import Turns


def test_who_asks_first_is_first() -> None:
    turns: Turns[str] = Turns(1)
    assert turns.ask() is None
    first, second = turns.ask(), turns.ask()
    assert first is not None
    assert second is not None
    assert turns.hand_on("thing")
    late = turns.ask()  # comes by before the first has woken up
    assert late is not None
    assert first.get_nowait() == "thing"
    assert (second.empty(), late.empty(), turns.waiting) == (True, True, 2)
    turns.end()
    assert second.get_nowait() is None


def test_nobody_waits() -> None:
    turns: Turns[str] = Turns(2)
    assert turns.ask() is None
    assert not turns.hand_on("thing")  # the turn goes on
    assert (turns.free, turns.waits) == (1, 0)
    turns.end()
    assert turns.free == 2


def test_who_waits_no_longer_is_passed_over() -> None:
    turns: Turns[str] = Turns(1)
    turns.ask()
    given_up, patient = turns.ask(), turns.ask()
    assert given_up is not None
    assert patient is not None
    assert turns.withdraw(given_up)
    assert turns.hand_on("thing")
    assert patient.get_nowait() == "thing"
    assert not turns.withdraw(patient)  # it has come, and has to be ended


def test_never_more_than_there_are() -> None:
    turns: Turns[int] = Turns(3)
    lock, at_once, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal at_once, most
        for number in range(300):
            turn = turns.ask()
            if turn is not None:
                turn.get(timeout=10)
            with lock:
                at_once += 1
                most = max(most, at_once)
            with lock:
                at_once -= 1
            if number % 2 or not turns.hand_on(number):
                turns.end()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most <= 3
    assert (turns.free, turns.waiting) == (3, 0)
