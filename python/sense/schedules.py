"""The learning rate as a function of how far training is."""

import math

from .config import Config

RISE = 0.3  # of one-cycle: the part of training in which the learning rate climbs
FIRST = 1 / 25  # of one-cycle: the first learning rate, as a part of the peak


def learning_rate(config: Config, position: float) -> float:
    """The learning rate `position` epochs after the start, pre-training included.

    constant keeps lr; step multiplies it by `decay` at each milestone, counted in the method's
    epochs; cosine falls from lr to 0; one-cycle climbs to lr in the first 30 % of training, then
    falls to 0 as cosine does (Smith and Topin 2019).
    """
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "step":
        passed = sum(position - config.pretrain >= epoch for epoch in config.milestones)
        return config.lr * config.decay**passed
    part = position / (config.pretrain + config.epochs)
    if config.schedule == "cosine":
        return config.lr * (1 + math.cos(math.pi * part)) / 2
    if part < RISE:
        return config.lr * (FIRST + (1 - FIRST) * part / RISE)
    return config.lr * (1 + math.cos(math.pi * (part - RISE) / (1 - RISE))) / 2
