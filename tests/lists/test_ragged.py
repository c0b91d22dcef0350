import numpy as np
import pyarrow as pa
import pytest

from limbeck.core.errors import DataError
from limbeck.lists import Lists
from limbeck.lists.ragged import NumberLists, StringLists, Strings


def pieces(*chunks: list) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(chunk) for chunk in chunks])


def lists_of(passages: pa.ChunkedArray, numbers: pa.ChunkedArray | None = None) -> Lists:
    queries = [f"q{number}" for number in range(len(passages))]
    labels = None if numbers is None else NumberLists(numbers.cast(pa.list_(pa.float32())))
    return Lists(queries, StringLists(passages), labels=labels)


def test_a_column_reads_as_a_sequence_whatever_its_pieces():
    column = StringLists(pieces([["a", "b"], ["c"]], [["d"]]))
    assert len(column) == 3
    assert column == [["a", "b"], ["c"], ["d"]]
    assert (column[0], column[2], column[-1], column[1:]) == (["a", "b"], ["d"], ["d"], [["c"], ["d"]])
    assert [column[0][position] for position in (1, 0, 1)] == ["b", "a", "b"]
    with pytest.raises(IndexError):
        column[3]
    assert Strings.of(["x", "y"]) == ["x", "y"]
    numbers = NumberLists(pieces([[1.0, 2.0], [3.0]], [[4.0]]).cast(pa.list_(pa.float32())))
    assert [values.tolist() for values in numbers] == [[1, 2], [3], [4]]
    assert (numbers[2].tolist(), numbers[0].dtype) == ([4], np.float32)


def test_the_fingerprint_does_not_depend_on_the_pieces():
    one = lists_of(pieces([["a", "b"], ["c"], ["d"]]), pieces([[1.0, 0.0], [0.0], [2.0]]))
    other = lists_of(pieces([["a", "b"]], [["c"], ["d"]]), pieces([[1.0, 0.0], [0.0]], [[2.0]]))
    assert one == other
    sliced = pieces([["x"], ["a", "b"], ["c"], ["d"]]).slice(1)
    assert lists_of(sliced, pieces([[9.0], [1.0, 0.0], [0.0], [2.0]]).slice(1)) == one


def test_a_fault_in_a_later_piece_is_named_by_its_row():
    with pytest.raises(DataError, match=r'row 4 \(query "q3"\), column passage_ids: passage "a" occurs twice'):
        lists_of(pieces([["a"], ["b", "c"]], [["a"], ["b", "a", "a"]]))
    passages = pieces([["a"], ["b", "c"]], [["a"], ["b", "d"]])
    with pytest.raises(DataError, match=r'row 4 \(query "q3"\), column labels: -1.0 for passage "d"'):
        lists_of(passages, pieces([[1.0], [1.0, 1.0]], [[1.0], [1.0, -1.0]]))
    with pytest.raises(DataError, match=r"row 3 .*: 2 values, expected one for each of 1 passages"):
        lists_of(passages, pieces([[1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]))
