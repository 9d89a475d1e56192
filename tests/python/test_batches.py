import pytest
import torch

from networks import linear_network
from sense.evaluation.batches import attack_batches, broken_before, choose_images, cut
from sense.evaluation.outcomes import OUTCOMES, Record
from sense.evaluation.runner import NATURAL, build_attack
from sense.evaluation.settings import Settings


def test_the_first_n_or_a_draw(few):
    assert choose_images(few, None, None) == list(range(100))
    assert choose_images(few, 3, None) == [0, 1, 2]
    drawn = choose_images(few, 10, 5)
    assert drawn == choose_images(few, 10, 5) == sorted(set(drawn))
    assert drawn != choose_images(few, 10, 6)
    assert len(drawn) == 10
    assert choose_images(few, None, 5) == list(range(100))


@pytest.mark.parametrize("n", [0, -1, 101])
def test_n_out_of_range(few, n):
    with pytest.raises(ValueError, match=f"n must be from 1 to 100, the test images, got {n}"):
        choose_images(few, n, None)


def test_batches_are_of_the_images_at_the_positions(few):
    batches = cut([3, 50, 51, 99], few.test_x, few.test_y, 3, torch.device("cpu"))
    assert [batch.images for batch in batches] == [[3, 50, 51], [99]]
    assert torch.equal(batches[1].x, few.test_x[99:].float() / 255)
    assert batches[0].y.tolist() == few.test_y[[3, 50, 51]].tolist()


def line(n):
    """Images on a line: two classes, and the cross-entropy of PGD knows the way."""
    torch.manual_seed(4)
    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(torch.tensor([1.0, -1.0])))
    return model, torch.rand(n, 1, 1, 2), torch.randint(2, (n,))


def settings(**options):
    return Settings(**{"eps": 0.2, "steps": 3, "restarts": 1, "batch": 4, **options}).complete(
        None, None
    )


def run(record, model, batches, chosen, names, most=99):
    """Whole batches, so many at most."""
    for name in names:
        attack = NATURAL if name == "natural" else build_attack(name, chosen)
        for _ in attack_batches(attack, model, batches, chosen, record):
            most -= 1
            if not most:
                return


@pytest.mark.parametrize("cascade", [False, True])
def test_stopped_after_any_batch_it_goes_on_to_the_same_outcomes(locked, cascade):
    model, x, y = line(10)
    chosen = settings(cascade=cascade, attacks=("fgsm", "pgd"))
    batches = cut(range(10), x, y, 4, torch.device("cpu"))
    names = ("natural", "fgsm", "pgd")
    whole = Record(range(10), y.tolist(), 4)
    run(whole, model, batches, chosen, names)
    for most in range(1, 9):
        locked.remove([OUTCOMES])
        run(Record(range(10), y.tolist(), 4, locked), model, batches, chosen, names, most)
        torch.rand(7)
        again = Record(range(10), y.tolist(), 4, locked)
        run(again, model, batches, chosen, names)
        assert again.outcomes() == whole.outcomes()


def test_each_attack_sees_what_is_naturally_right_and_a_cascade_what_stands(monkeypatch):
    model, x, y = line(40)
    batches = cut(range(40), x, y, 40, torch.device("cpu"))
    for cascade in (False, True):
        chosen = settings(cascade=cascade, attacks=("fgsm", "pgd"), eps=0.1)
        record, seen = Record(range(40), y.tolist(), 40), []
        run(record, model, batches, chosen, ("natural", "fgsm"))
        attack = build_attack("pgd", chosen)

        def look(model, x, y, *, function=attack.function, seen=seen, **options):
            seen.append(len(x))
            return function(model, x, y, **options)

        object.__setattr__(attack, "function", look)
        list(attack_batches(attack, model, batches, chosen, record))
        right, stands = sum(record.standing(["natural"])), sum(record.standing(["fgsm"]))
        assert 0 < stands < right
        assert seen == [stands if cascade else right]
        # On a linear network FGSM leaves nothing to PGD: the same images fall either way.
        assert record.standing(["natural", "fgsm"]) == record.standing(["natural", "pgd"])


def test_the_first_attack_that_broke_an_image_says_what_it_became(few):
    record = Record(range(3), [1, 1, 1], 3)
    record.add("natural", [1, 1, 7])
    record.add("fgsm", [1, 4, 7])
    record.add("pgd", [5, 6, 1])
    batch = cut(range(3), few.test_x, torch.tensor([1, 1, 1]), 3, torch.device("cpu"))[0]
    assert broken_before(record, ["natural", "fgsm", "pgd"], 0, batch).tolist() == [5, 4, 7]
    assert broken_before(record, ["natural"], 0, batch).tolist() == [1, 1, 7]
