import resource

import pytest

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.teachers.journal import Journal, read_journal


def test_records_come_back_in_their_order(tmp_path):
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"text": "zeile\n1 ü"})
        journal.append({"n": 2})
    assert list(read_journal(tmp_path / "j.jsonl")) == [{"text": "zeile\n1 ü"}, {"n": 2}]


@pytest.mark.parametrize("kept", [0, 1, 5, 10])
def test_a_half_written_last_record_is_removed_and_writing_goes_on(tmp_path, kept):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n":1}\n' + b'{"text":"' + b"x" * 100_000)
    path.write_bytes(path.read_bytes()[: 8 + kept])
    assert list(read_journal(path)) == [{"n": 1}]
    with Journal(path) as journal:
        assert journal.repaired == (kept > 0)
        journal.append({"n": 2})
    assert list(read_journal(path)) == [{"n": 1}, {"n": 2}]


def test_a_long_half_written_record_is_removed_whole(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n":1}\n{"text":"' + b"x" * 200_000)
    with Journal(path) as journal:
        assert journal.repaired
    assert path.read_bytes() == b'{"n":1}\n'


@pytest.mark.parametrize("content", [b'{"precious": 1}', b'{\n "precious": 1\n}', b"PAR1\n\x00\x01PAR1", b"[" * 5000])
def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path, content):
    (tmp_path / "j.jsonl").write_bytes(content)
    with pytest.raises(DataError, match="name another one"):
        Journal(tmp_path / "j.jsonl")
    with pytest.raises(DataError):
        list(read_journal(tmp_path / "j.jsonl"))
    assert (tmp_path / "j.jsonl").read_bytes() == content


def test_a_record_that_does_not_fit_on_the_disk_leaves_nothing_behind(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"n": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))  # bytes of a file
        try:
            with pytest.raises(MissingError, match=r"j\.jsonl: cannot be written: File too large"):
                journal.append({"text": "x" * 100})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        journal.append({"n": 2})
    assert list(read_journal(tmp_path / "j.jsonl")) == [{"n": 1}, {"n": 2}]


def test_half_a_surrogate_pair_in_an_answer_is_kept(tmp_path):
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"text": "cut \ud83d"})
    assert list(read_journal(tmp_path / "j.jsonl")) == [{"text": "cut \ud83d"}]
    assert (tmp_path / "j.jsonl").read_text() == '{"text":"cut \\ud83d"}\n'


def test_a_damaged_record_between_others_is_named(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":\n{"n":3}\n')
    with pytest.raises(DataError, match=r"j\.jsonl:2: not JSON"):
        list(read_journal(path))


def test_a_second_writer_is_refused(tmp_path):
    # The lock belongs to an opened file, so that a second one of this process stands for another process.
    with Journal(tmp_path / "j.jsonl"), pytest.raises(UsageError, match="another process is writing to it"):
        Journal(tmp_path / "j.jsonl")
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append({"n": 1})


def test_an_absent_journal_is_named(tmp_path):
    with pytest.raises(MissingError, match="no such file"):
        list(read_journal(tmp_path / "j.jsonl"))


def test_a_journal_is_for_its_owners_eyes(tmp_path):
    with Journal(tmp_path / "j.jsonl"):
        assert (tmp_path / "j.jsonl").stat().st_mode & 0o777 == 0o600
