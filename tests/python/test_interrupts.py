import os
import signal
import time

import pytest

from sense.interrupts import SIGNALS, Interrupted, interruptible, noted_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_only_noted(number):
    with noted_signals() as stop:
        assert stop() is None
        os.kill(os.getpid(), number)
        assert stop() == number
        assert stop() == number


def test_the_first_signal_counts():
    with noted_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop() == signal.SIGTERM


def interrupt_twice():
    with noted_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()


def test_handlers_are_restored():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_hangup_that_is_ignored_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with noted_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def work_until(number):
    with interruptible():
        os.kill(os.getpid(), number)
        time.sleep(5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_interruptible_work_at_once_and_is_noted_outside(number):
    with noted_signals() as stop:
        with pytest.raises(Interrupted) as interrupt:
            work_until(number)
        assert interrupt.value.number == number
        assert stop() is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop() == signal.SIGTERM
