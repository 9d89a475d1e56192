"""The other methods' losses, written out from the authors' equations and code as described in their
papers, without a look at the fast versions. Batches are (x, y) in float64; the network is in
training mode when a function is called, and is left so. Random draws come in the order in which
the authors' programs make them."""

import torch
from torch import Tensor, nn


def eval_logits(network: nn.Module, images: Tensor) -> Tensor:
    network.eval()
    output = network(images)
    network.train()
    return output


def probabilities(logits: Tensor) -> Tensor:
    return torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)


def cross_entropies(logits: Tensor, y: Tensor) -> list[Tensor]:
    p = probabilities(logits)
    return [-torch.log(p[i, y[i]]) for i in range(len(y))]


def kl(p: Tensor, q: Tensor) -> Tensor:
    """sum_k p_k log(p_k / q_k) of one image."""
    return sum(p[k] * (torch.log(p[k]) - torch.log(q[k])) for k in range(len(p)))


def gradient_of(value, image: Tensor) -> Tensor:
    """The gradient of value(image), a number."""
    image = image.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(image), image)
    return gradient


def into_cube(z: Tensor, x: Tensor, eps: float) -> Tensor:
    return torch.maximum(torch.minimum(z, x + eps), x - eps).clamp(0, 1)


# TRADES: max KL(p(x) || p(x')), then CE(x) + beta KL.


def trades_attack(network, x, start, *, eps, step_size, steps, norm):
    reached = []
    for i in range(len(x)):
        p = probabilities(eval_logits(network, x[i : i + 1]))[0].detach()

        def value(image, p=p):
            return kl(p, probabilities(eval_logits(network, image[None]))[0])

        z = start[i]
        for _ in range(steps):
            gradient = gradient_of(value, z)
            if norm == "inf":
                z = into_cube(z + step_size * gradient.sign(), x[i], eps)
            else:  # SGD with learning rate 2 eps / K on delta, gradient of length 1
                delta = z - x[i] + 2 * eps / steps * gradient / gradient.square().sum().sqrt()
                delta = (x[i] + delta).clamp(0, 1) - x[i]
                length = delta.square().sum().sqrt()
                z = x[i] + (delta * eps / length if length > eps else delta)
        reached.append(z)
    return torch.stack(reached)


def trades(network, x, y, *, beta, **attack) -> Tensor:
    start = x + 0.001 * torch.randn_like(x)
    x_adv = trades_attack(network, x, start, **attack)
    natural = sum(cross_entropies(network(x), y)) / len(x)
    q, p = probabilities(network(x_adv)), probabilities(network(x))
    return natural + beta * sum(kl(p[i], q[i]) for i in range(len(x))) / len(x)


# MART: max CE, then BCE(x') + beta KL (1 - p_y(x)).


def mart(network, x, y, *, beta, eps, step_size, steps) -> Tensor:
    start, reached = x + 0.001 * torch.randn_like(x), []
    for i in range(len(x)):

        def value(image, label=y[i]):
            return -torch.log(probabilities(eval_logits(network, image[None]))[0, label])

        z = start[i]
        for _ in range(steps):
            z = into_cube(z + step_size * gradient_of(value, z).sign(), x[i], eps)
        reached.append(z)
    natural, adversarial = network(x), network(torch.stack(reached))
    p, q = probabilities(natural), probabilities(adversarial)
    total = 0
    for i in range(len(x)):
        others = [q[i, k] for k in range(q.shape[1]) if k != y[i]]
        boosted = -torch.log(q[i, y[i]]) - torch.log(1.0001 - max(others) + 1e-12)
        divergence = sum(
            p[i, k] * (torch.log(p[i, k]) - torch.log(q[i, k] + 1e-12)) for k in range(len(q[i]))
        )
        total = total + boosted + beta * divergence * (1.0000001 - p[i, y[i]])
    return total / len(x)


# MMA: AN-PGD on correctly classified images, then CE at the margins below d_max.


def soft_logit_margin(logits: Tensor, label: int) -> Tensor:
    others = torch.stack([logits[k] for k in range(len(logits)) if k != label])
    return torch.log(torch.exp(others).sum()) - logits[label]


def mma(
    network,
    x,
    y,
    margins: list[float],
    *,
    d_max,
    eps_min,
    steps,
    norm,
    natural_part,
    search=10,
    search_in_training=False,
) -> tuple[Tensor, list[float]]:
    """The loss, and each image's new margin. With `search_in_training` (the authors' code) the
    search sees batch statistics, so it goes over all images at once."""
    logits = network(x)
    clean = sum(cross_entropies(logits, y)) / len(x)
    right = [i for i in range(len(x)) if soft_logit_margin(logits[i], y[i]).item() < 0]
    eps = [max(eps_min, margins[i]) for i in right]
    if norm == "inf":
        draw = torch.empty_like(x).uniform_(-1, 1)[right]
        starts = [(x[i] + e * d).clamp(0, 1) for d, i, e in zip(draw, right, eps, strict=True)]
    else:
        draw = torch.rand_like(x)[right]
        starts = [x[i] + project_l2(d - x[i], e) for d, i, e in zip(draw, right, eps, strict=True)]
    directions, points = [], []
    for z, i, e in zip(starts, right, eps, strict=True):

        def value(image, label=y[i]):
            return soft_logit_margin(eval_logits(network, image[None])[0], label)

        for _ in range(steps):
            gradient = gradient_of(value, z)
            if norm == "inf":
                z = into_cube(z + 2.5 * e / steps * gradient.sign(), x[i], e)
            else:
                moved = z + 2.5 * e / steps * gradient / gradient.square().sum().sqrt()
                z = x[i] + project_l2(moved.clamp(0, 1) - x[i], e)
        points.append(z)
        directions.append((z - x[i]) / (e + 1e-12))

    def search_margins(images: list[Tensor]) -> list[float]:
        with torch.no_grad():
            if search_in_training:
                outputs = network(torch.stack(images))
            else:
                outputs = [eval_logits(network, image[None])[0] for image in images]
            return [float(soft_logit_margin(outputs[j], y[i])) for j, i in enumerate(right)]

    current, low, high = list(eps), [0.0] * len(right), [1.05 * d_max] * len(right)
    found = search_margins(points)
    for _ in range(search):
        for j in range(len(right)):
            if found[j] < 0:
                low[j] = max(low[j], current[j])
            else:
                high[j] = min(high[j], current[j])
            current[j] = (low[j] + high[j]) / 2
        found = search_margins(
            [(x[i] + current[j] * directions[j]).clamp(0, 1) for j, i in enumerate(right)]
        )

    images, new = x.clone(), [0.0] * len(x)
    for j, i in enumerate(right):
        images[i] = x[i] + current[j] * directions[j]
        new[i] = current[j]
    losses = cross_entropies(network(images), y)
    kept = [losses[i] for i in range(len(x)) if i not in right or new[i] < d_max]
    return (1 - natural_part) * sum(kept) / len(x) + natural_part * clean, new


def project_l2(delta: Tensor, eps: float) -> Tensor:
    length = delta.square().sum().sqrt()
    return delta * eps / length if length > eps else delta


# IAAT: choose eps_i, then CE of PGD's images with that radius.


def iaat(
    network,
    x,
    y,
    radii: list[float],
    epoch,
    *,
    eps,
    step_size,
    steps,
    warmup,
    gamma,
    rate,
    in_training=False,
) -> tuple[Tensor, list[float]]:
    """The loss, and the new eps_i. With `in_training` (the authors' code) all of it sees batch
    statistics, and running ones are updated."""

    def logits_of(images):
        return network(images) if in_training else eval_logits(network, images)

    def right(images):
        with torch.no_grad():
            return [int(row.argmax()) == int(y[i]) for i, row in enumerate(logits_of(images))]

    def attack(sizes):
        e = torch.tensor(sizes, dtype=x.dtype).view(-1, 1, 1, 1)
        length = torch.tensor([max(s / (0.5 * steps), step_size) for s in sizes], dtype=x.dtype)
        z = x + torch.empty_like(x).uniform_(-1, 1) * e
        for _ in range(steps):
            gradient = gradient_of(lambda images: sum(cross_entropies(logits_of(images), y)), z)
            z = z + length.view(-1, 1, 1, 1) * gradient.sign()
            z = (x + torch.maximum(torch.minimum(z - x, e), -e)).clamp(0, 1)
        return z

    clean = right(x)
    if epoch < warmup:
        new = [eps if ok else 0.0 for ok in clean]
    else:
        near, far = attack(radii), attack([r + gamma for r in radii])
        now, more = right(near), right(far)
        new = []
        for i, old in enumerate(radii):
            candidate = old + gamma if more[i] else old if now[i] else old - gamma
            candidate = max(candidate if clean[i] else 0.0, 0.0)
            new.append(rate * candidate + (1 - rate) * old)
    losses = cross_entropies(network(attack(new)), y)
    return sum(losses) / len(x), new


# SENSE-TRADES: Algorithm 1 with the divergence from the natural prediction.


def sense_trades(network, x, y, *, c, eps, step_size, steps, natural_weight) -> Tensor:
    limit = torch.log(torch.tensor(1 / c, dtype=x.dtype))
    logits = network(x)
    p = probabilities(logits)
    reached = []
    for i in range(len(x)):

        def ce(image, label=y[i]):
            return -torch.log(probabilities(eval_logits(network, image[None]))[0, label])

        natural = p[i].detach()

        def divergence(image, natural=natural):
            return kl(natural, probabilities(eval_logits(network, image[None]))[0])

        z = x[i]
        wrong = int(eval_logits(network, z[None]).argmax()) != int(y[i])
        if not wrong and ce(z) < limit:
            for k in range(steps):
                gradient = gradient_of(ce if k == 0 else divergence, z)
                new = into_cube(z + step_size * gradient.sign(), x[i], eps)
                if divergence(new) > limit:
                    break
                z = new
        reached.append(z)
    q = probabilities(network(torch.stack(reached)))
    divergences = sum(kl(p[i], q[i]) for i in range(len(x))) / len(x)
    return divergences + natural_weight * sum(cross_entropies(logits, y)) / len(x)


# FGSM-RS and N-FGSM: CE of the images after noise and one step. Only FGSM-RS has a projection.


def noise_in_ball(x: Tensor, radius: float, norm: str) -> Tensor:
    """Uniform in the ball of this radius around 0."""
    if norm == "inf":
        return torch.empty_like(x).uniform_(-radius, radius)
    normal, d = torch.empty_like(x).normal_(), x[0].numel()
    lengths = torch.empty(len(x), dtype=x.dtype).uniform_(0, 1)
    return torch.stack(
        [
            radius * u ** (1 / d) * direction / direction.square().sum().sqrt()
            for u, direction in zip(lengths, normal, strict=True)
        ]
    )


def one_step(network, x, y, *, noise, step, eps, norm, in_training=False) -> Tensor:
    """The loss. `eps` is that of the projection, None for none. With `in_training` (the authors'
    code) the step sees batch statistics, and running ones are updated."""
    start = (x + noise_in_ball(x, noise, norm)).clamp(0, 1)
    if in_training:
        gradients = gradient_of(
            lambda images: sum(cross_entropies(network(images), y)) / len(y), start
        )
    else:
        gradients = [
            gradient_of(
                lambda image, i=i: cross_entropies(eval_logits(network, image[None]), y[i : i + 1])[
                    0
                ],
                start[i],
            )
            for i in range(len(x))
        ]
    reached = []
    for i, gradient in enumerate(gradients):
        if norm == "inf":
            delta = start[i] + step * gradient.sign() - x[i]
            delta = delta if eps is None else delta.clamp(-eps, eps)
        else:
            delta = start[i] + step * gradient / gradient.square().sum().sqrt() - x[i]
            delta = delta if eps is None else project_l2(delta, eps)
        reached.append((x[i] + delta).clamp(0, 1))
    return sum(cross_entropies(network(torch.stack(reached)), y)) / len(x)


# Free: the gradient of one backward pass updates the weights by SGD and the perturbation.


def free(network, batches, *, eps, step, replays, lr, norm) -> tuple[list[float], Tensor]:
    """Train the network; return the loss of each update, and the perturbation after the last. It
    has the shape of the largest batch."""
    delta, found = torch.zeros_like(max((x for x, _ in batches), key=len)), []
    for x, y in batches:
        for _ in range(replays):
            images = [(x[i] + delta[i]).clamp(0, 1) for i in range(len(x))]
            inputs = torch.stack(images).requires_grad_()
            loss = sum(cross_entropies(network(inputs), y)) / len(x)
            weights = list(network.parameters())
            on_images, *on_weights = torch.autograd.grad(loss, [inputs, *weights])
            found.append(loss.item())
            with torch.no_grad():
                for weight, gradient in zip(weights, on_weights, strict=True):
                    weight -= lr * gradient
            for i in range(len(x)):
                clipped = ((x[i] + delta[i]) < 0) | ((x[i] + delta[i]) > 1)
                gradient = torch.where(clipped, 0.0, on_images[i])
                if norm == "inf":
                    delta[i] = (delta[i] + step * gradient.sign()).clamp(-eps, eps)
                else:
                    length = gradient.square().sum().sqrt()
                    delta[i] = project_l2(delta[i] + step * gradient / length, eps)
    return found, delta
