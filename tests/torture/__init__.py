"""Break what a run's folder promises, at random and for as long as there is time.

    make torture MINUTES=10
    python -m tests.torture --parts kills --seed 17 --trials 1      one trial again

Each part makes trials, each from a number, its seed: the same number makes the same trial, but for
what the clock decides. A trial that fails is kept in `torture/`, with its command, what it found
and its files. Only errors of the user's input (`sense.errors.InputError`) may come of damage, and
no other result than the one that an undisturbed run has.
"""
