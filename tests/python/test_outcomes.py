"""The record of outcomes: found again whole, whatever moment the process before it died at."""

import gzip

import pytest

from sense.evaluation.outcomes import OUTCOMES, Outcome, Record, read_outcomes

IMAGES, LABELS = [2, 5, 6, 8, 9], [1, 0, 1, 1, 0]


def record(path=None, **options):
    return Record(IMAGES, LABELS, 2, path, **options)


def filled(path):
    rows = record(path)
    for key, found in (("natural", [1, 0, 1, 0, 0]), ("pgd", [1, 1, 0, 0, 0])):
        for i in range(0, 5, 2):
            rows.add(key, found[i : i + 2])
    return rows


def test_rows_are_on_the_disk_as_soon_as_they_are_added(tmp_path):
    path = tmp_path / "o.csv"
    rows = record(path)
    assert path.read_bytes() == b"image,label,attack,prediction,correct\n"
    rows.add("natural", [1, 1])
    assert path.read_bytes().endswith(b"correct\n2,1,natural,1,1\n5,0,natural,1,0\n")
    assert rows.outcomes() == [Outcome(2, 1, "natural", 1, 1), Outcome(5, 0, "natural", 1, 0)]
    assert (rows.done("natural"), rows.complete("natural"), rows.unfinished()) == (
        2, False, ["natural"],
    )  # fmt: skip


def test_cut_at_any_byte_it_goes_on_to_the_same_file(tmp_path):
    path = tmp_path / "o.csv"
    filled(path)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        rows = record(path)
        assert all(rows.done(key) % 2 == 0 or rows.complete(key) for key in rows.predictions)
        for key, found in (("natural", [1, 0, 1, 0, 0]), ("pgd", [1, 1, 0, 0, 0])):
            while not rows.complete(key):
                done = rows.done(key)
                rows.add(key, found[done : done + 2])
        assert path.read_bytes() == whole


def test_who_stands(tmp_path):
    rows = filled(tmp_path / "o.csv")
    assert rows.standing(["natural"]) == [True, True, True, False, True]
    assert rows.standing(["natural", "pgd"]) == [True, False, False, False, True]


def test_two_writers_are_noticed(tmp_path):
    rows = filled(tmp_path / "o.csv")
    rows.check_file()
    record(tmp_path / "o.csv").add("fgsm", [1, 1])
    with pytest.raises(ValueError, match="by another evaluation into the same folder"):
        rows.check_file()
    record().check_file()


def test_without_a_path_all_stays_in_memory():
    rows = record()
    rows.add("natural", [1, 0])
    assert rows.done("natural") == 2


def test_another_key_has_its_own_column(tmp_path):
    rows = record(tmp_path / "o.csv", key="eps")
    rows.add("0.1", [1, 0])
    assert (tmp_path / "o.csv").read_text().splitlines()[0] == "image,label,eps,prediction,correct"
    with pytest.raises(ValueError, match="does not begin with image,label,attack"):
        record(tmp_path / "o.csv")


@pytest.mark.parametrize(
    "line", ["3,1,natural,1,1", "2,0,natural,1,0", "2,1,natural,1", "2,1,,1,1", "rubbish"]
)
def test_other_images_and_damage_are_refused(tmp_path, line):
    path = tmp_path / "o.csv"
    path.write_text(f"image,label,attack,prediction,correct\n{line}\n")
    with pytest.raises(ValueError, match=r"other images than these, or is damaged.*--overwrite"):
        record(path)


def test_more_rows_than_images_are_refused(tmp_path):
    path = tmp_path / "o.csv"
    filled(path)
    path.write_text(path.read_text() + "2,1,pgd,1,1\n")
    with pytest.raises(ValueError, match="or is damaged"):
        record(path)


def test_outcomes_are_read_gzipped_or_not(tmp_path):
    rows = filled(tmp_path / OUTCOMES).outcomes()
    assert read_outcomes(tmp_path) == rows
    (tmp_path / f"{OUTCOMES}.gz").write_bytes(gzip.compress((tmp_path / OUTCOMES).read_bytes()))
    (tmp_path / OUTCOMES).unlink()
    assert read_outcomes(tmp_path) == rows
    with pytest.raises(FileNotFoundError, match=r"python -m sense\.evaluate"):
        read_outcomes(tmp_path / "nowhere")
