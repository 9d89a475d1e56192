"""The tables and figures of the paper by name, at three scales.

    python -m sense.reproduce                                 all names, and what is stored of them
    python -m sense.reproduce table7 --scale cpu --hours      how long it takes
    python -m sense.reproduce table7 --scale cpu --cifar10 DIR
    python -m sense.reproduce all --scale smoke               seconds: to try the command

Each network is a cell of a sweep (`sense.sweep`). Experiments of a scale share the folder of cells,
so that no network is trained twice.
"""
