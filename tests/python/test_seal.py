import json

import pytest

from sense.checkpoint import WEIGHTS, pack_weights
from sense.errors import InputError
from sense.files import gzip_bytes
from sense.manifest import MANIFEST, Checksum
from sense.run_folder import RunFolder
from sense.seal import OLD_CHECKSUM, seal_folder, seal_main


def test_a_changed_folder_can_be_read_once_it_is_sealed(locked, tmp_path, capsys):
    locked.write({"config.json": "{}", "metrics.jsonl": "one\n", "curve.csv": "x"})
    locked.close()
    (tmp_path / "config.json").write_text('{"a": 1}')
    (tmp_path / "curve.csv").unlink()
    (tmp_path / "outcomes.csv.gz").write_bytes(gzip_bytes(b"rows"))
    with pytest.raises(InputError, match=r"config.json is damaged, or was changed.*sense.seal"):
        RunFolder(tmp_path).read("config.json")
    seal_main([str(tmp_path)])
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'config.json'}: changed",
        f"{tmp_path / 'curve.csv'}: removed",
        f"{tmp_path / 'outcomes.csv.gz'}: new",
    ]
    assert RunFolder(tmp_path).read("config.json") == b'{"a": 1}'
    assert not RunFolder(tmp_path).has("curve.csv")
    seal_main([str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / MANIFEST}: unchanged\n"


def test_a_folder_that_is_older_than_manifests_can_be_sealed(tmp_path):
    content = pack_weights({})
    (tmp_path / WEIGHTS).write_bytes(content)
    (tmp_path / OLD_CHECKSUM).write_text(f"{'0' * 64}  {WEIGHTS}\n")
    with pytest.raises(InputError, match=f"{WEIGHTS} is damaged: .*remove {OLD_CHECKSUM}"):
        seal_folder(tmp_path)
    assert not (tmp_path / MANIFEST).exists()
    (tmp_path / OLD_CHECKSUM).write_text(f"{Checksum.of(content).sha256}  {WEIGHTS}\n")
    seal_folder(tmp_path)
    assert not (tmp_path / OLD_CHECKSUM).exists()
    assert json.loads((tmp_path / MANIFEST).read_text())["files"] == {
        WEIGHTS: Checksum.of(content).plain()
    }


def test_a_link_is_not_sealed(tmp_path):
    (tmp_path / "victim").write_text("secret")
    (tmp_path / "config.json").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match=r"config.json is a link"):
        seal_folder(tmp_path)
    assert not (tmp_path / MANIFEST).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the folder"),
        (["nowhere"], "no folder nowhere"),
        (["empty"], "does not hold a file of"),
    ],
)
def test_bad_arguments_are_rejected(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stopped:
        seal_main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_in_use_is_not_sealed(locked, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is in use by process"):
        seal_folder(tmp_path)
