"""Tasks run at once give what they give one after the other."""

import threading

import pytest
import torch

from cmsr.parallel import ahead, both, together


def test_results_keep_their_order_and_errors_come_through() -> None:
    assert together(*(lambda n=n: n * n for n in range(7))) == [n * n for n in range(7)]
    assert both(lambda: 1, lambda: "a") == (1, "a")
    with pytest.raises(ZeroDivisionError):
        together(lambda: 1, lambda: 1 // 0)


def test_each_task_has_one_thread_and_one_core_means_one_task() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert together(torch.get_num_threads, torch.get_num_threads) == [1, 1]
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        here = threading.get_ident()
        assert together(threading.get_ident, threading.get_ident) == [here, here]
    finally:
        torch.set_num_threads(threads)


def test_who_has_nothing_to_do_takes_over_from_nested_calls() -> None:
    threads = torch.get_num_threads()
    meeting = threading.Barrier(2, timeout=60)
    try:
        torch.set_num_threads(2)
        arrived, _ = both(lambda: together(meeting.wait, meeting.wait), lambda: None)
        assert sorted(arrived) == [0, 1]
        nested = [lambda n=n: together(*(lambda m=m: (n, m) for m in range(5))) for n in range(4)]
        assert together(*nested) == [[(n, m) for m in range(5)] for n in range(4)]
        with pytest.raises(ZeroDivisionError):
            together(lambda: together(lambda: 1, lambda: 1 // 0), lambda: [2])
    finally:
        torch.set_num_threads(threads)


def test_what_is_offered_ahead_is_done_once() -> None:
    threads, done = torch.get_num_threads(), []
    meeting = threading.Barrier(2, timeout=60)

    def task() -> int:
        done.append(threading.get_ident())
        return 7

    def meet() -> int:
        later = ahead(lambda: (meeting.wait(), task())[1])
        meeting.wait()
        return later()

    later = ahead(task)
    assert done == [], "nobody else is there to do it"
    assert later() == 7
    try:
        torch.set_num_threads(2)
        assert both(meet, lambda: None) == (7, None)
        assert together(lambda: ahead(task)(), lambda: ahead(task)()) == [7, 7]
        assert len(done) == 4
    finally:
        torch.set_num_threads(threads)
