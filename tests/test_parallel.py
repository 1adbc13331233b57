"""Tasks run at once give what they give one after the other."""

import threading

import pytest
import torch

from cmsr.parallel import both, together


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
