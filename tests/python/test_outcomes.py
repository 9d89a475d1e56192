"""The record of outcomes, which survives the death of its process at any moment."""

import pytest

from sense.evaluation.outcomes import OUTCOMES, CorrectMatrix, Outcome, Record, read_outcomes
from sense.files import gzip_bytes

IMAGES, LABELS = [2, 5, 6, 8, 9], [1, 0, 1, 1, 0]


def record(folder=None, **options):
    return Record(IMAGES, LABELS, folder, **options)


def filled(folder):
    rows = record(folder)
    for key, found in (("natural", [1, 0, 1, 0, 0]), ("pgd", [1, 1, 0, 0, 0])):
        for i in range(0, 5, 2):
            rows.add(key, found[i : i + 2])
    return rows


def test_rows_are_on_the_disk_as_soon_as_they_are_added(locked, tmp_path):
    path = tmp_path / OUTCOMES
    rows = record(locked)
    assert path.read_bytes() == b"image,label,attack,prediction,correct\n"
    rows.add("natural", [1, 1])
    assert path.read_bytes().endswith(b"correct\n2,1,natural,1,1\n5,0,natural,1,0\n")
    assert rows.outcomes() == [Outcome(2, 1, "natural", 1, 1), Outcome(5, 0, "natural", 1, 0)]
    assert (rows.done("natural"), rows.complete("natural"), rows.unfinished()) == (
        2,
        False,
        ["natural"],
    )


def test_cut_at_any_byte_the_file_can_be_completed(locked, tmp_path):
    """If the checksum is that of the cut file; otherwise it is refused (test_run_folder)."""
    path = tmp_path / OUTCOMES
    filled(locked)
    whole = path.read_bytes()
    for cut in range(0, len(whole) + 1, 3):
        locked.write({OUTCOMES: whole[:cut]})
        rows = record(locked)
        assert sum(rows.done(key) for key in rows.predictions) == max(
            0, whole[:cut].count(b"\n") - 1
        )
        for key, found in (("natural", [1, 0, 1, 0, 0]), ("pgd", [1, 1, 0, 0, 0])):
            while not rows.complete(key):
                done = rows.done(key)
                rows.add(key, found[done : done + 2])
        assert path.read_bytes() == whole


def test_the_matrix_has_a_row_per_image_and_a_column_per_finished_attack(locked):
    rows = filled(locked)
    rows.add("fgsm", [1, 0])  # not finished
    correct = rows.correct()
    assert (correct.images, correct.labels) == (IMAGES, LABELS)
    assert correct.attacks == ["natural", "pgd"]
    assert correct["natural"].tolist() == [True, True, True, False, True]
    assert correct.under(["natural", "pgd"]).tolist() == [True, False, False, False, True]
    assert correct.tensor().shape == (5, 2)


def test_the_matrix_of_stored_rows_is_that_of_the_record(locked, tmp_path):
    correct = filled(locked).correct()
    stored = CorrectMatrix.from_outcomes(read_outcomes(tmp_path))
    assert (stored.images, stored.labels) == (IMAGES, LABELS)
    assert stored.tensor().equal(correct.tensor())


def test_a_change_by_another_process_is_detected(locked, tmp_path):
    """One that does not use locks."""
    rows = filled(locked)
    rows.check_file()
    with (tmp_path / OUTCOMES).open("a") as file:
        file.write("2,1,fgsm,1,1\n")
    with pytest.raises(ValueError, match=f"{OUTCOMES} was changed while it was being written"):
        rows.add("fgsm", [1, 1])
    record().check_file()


def test_without_a_folder_everything_stays_in_memory():
    rows = record()
    rows.add("natural", [1, 0])
    assert rows.done("natural") == 2


def test_another_key_has_its_own_column(locked, tmp_path):
    rows = record(locked, key="eps")
    rows.add("0.1", [1, 0])
    assert (tmp_path / OUTCOMES).read_text().splitlines()[0] == "image,label,eps,prediction,correct"
    with pytest.raises(ValueError, match="does not begin with image,label,attack"):
        record(locked)


@pytest.mark.parametrize(
    "line",
    [
        "3,1,natural,1,1",
        "2,0,natural,1,0",
        "2,1,natural,1",
        "2,1,,1,1",
        "2,1,pgd,1,0",
        "2,1,pgd,x,0",
        "2,1,pgd,-1,0",
        "2,1,pgd,1.0,0",
        "rubbish",
    ],
)
def test_rows_of_other_images_and_damaged_rows_are_refused(locked, line):
    locked.write({OUTCOMES: f"image,label,attack,prediction,correct\n{line}\n"})
    with pytest.raises(ValueError, match=r"other images than these, or is damaged.*--overwrite"):
        record(locked)


def test_more_rows_than_images_are_refused(locked, tmp_path):
    filled(locked)
    locked.write({OUTCOMES: (tmp_path / OUTCOMES).read_text() + "2,1,pgd,1,1\n"})
    with pytest.raises(ValueError, match="or is damaged"):
        record(locked)


def test_outcomes_are_read_gzipped_or_not(locked, tmp_path):
    rows = filled(locked).outcomes()
    assert read_outcomes(tmp_path) == rows
    locked.write({f"{OUTCOMES}.gz": gzip_bytes(locked.read(OUTCOMES))})
    locked.remove([OUTCOMES])
    assert read_outcomes(tmp_path) == rows
    with pytest.raises(FileNotFoundError, match=r"python -m sense\.evaluate"):
        read_outcomes(tmp_path / "nowhere")


HEAD = "image,label,attack,prediction,correct\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image,label,attack\n2,1,pgd\n",
        HEAD + "2,1,pgd,1\n",
        HEAD + "2,1,pgd,1,0\n",
        HEAD + "2,1,pgd,x,0\n",
        HEAD + "2,1,pgd,1,1,1\n",
        HEAD + "\n2,1,pgd,1,1\n",
        HEAD + "99999999999999999999,1,pgd,1,1\n",
        HEAD + "2,1,\u2028,1,1\n",
    ],
)
def test_rows_that_cannot_have_been_written_are_refused(locked, tmp_path, text):
    locked.write({OUTCOMES: text})
    with pytest.raises(ValueError, match=OUTCOMES):
        read_outcomes(tmp_path)
