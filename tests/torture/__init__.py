"""Random tests of the folder of a run, for as long as there is time.

    make torture MINUTES=10
    python -m tests.torture --parts kills --seed 17 --trials 1      repeat one trial

Each trial is determined by its seed, except for timing. A failed trial is kept in `torture/`, with
its command, its error and its files. A trial fails if damage leads to an error other than
`sense.errors.InputError`, or to a result other than that of an undisturbed run.
"""
