"""A training method of your own in ten lines: R-AT with adversarial logit pairing.

From the shell: python -m sense.train --method own_method:paired
"""

import tempfile
from dataclasses import replace

import torch.nn.functional as F

import sense


def paired(model, batch, config, epoch):
    """The loss of Kannan et al. (2018): attacked and natural logits are drawn together."""
    x_adv = sense.pgd(
        model, batch.x, batch.y, eps=config.eps, step_size=config.step_size, steps=config.steps
    )
    natural, attacked = model(batch.x), model(x_adv)
    return F.cross_entropy(attacked, batch.y) + 0.5 * F.mse_loss(attacked, natural)


if __name__ == "__main__":
    # Small enough for seconds: leave out train_size, batch_size and epochs for a real training.
    config = replace(
        sense.recipe("mnist-demo"),
        method=paired,
        eps=0.1,
        step_size=0.02,
        train_size=1000,
        batch_size=25,
        epochs=3,
    )
    sense.fit(config, tempfile.mkdtemp() + "/run", show=True)
