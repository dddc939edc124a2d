"""What `import` reads."""

import io

import pytest

from scylla_store import Put, ValidationError
from scylla_store.cli.sources import Folder, JsonLines, Position, Shape, text_document

START = Position()


def records(tmp_path, text, shape=Shape(("docs",)), start=START):  # noqa: B008
    file = tmp_path / "lines.jsonl"
    file.write_text(text)
    return list(JsonLines(file, shape).records(start))


def test_a_line_is_a_put(tmp_path):
    line = '{"namespace": ["a", "b"], "key": "k", "value": {"text": "x"}, "index": ["text"], "ttl": 60}\n'

    (record,) = records(tmp_path, line)

    assert record.put == Put(["a", "b"], "k", {"text": "x"}, index=["text"], ttl=60)
    assert (record.name, record.after) == ("line 1", Position(1, len(line)))


def test_a_line_without_namespace_takes_the_one_that_was_given(tmp_path):
    found = records(tmp_path, '{"key": "k", "value": {}}\n{"namespace": "x/y", "key": "k", "value": {}}\n')

    assert [record.put.namespace for record in found] == [("docs",), ("x", "y")]


def test_a_line_can_be_the_document_itself(tmp_path):
    found = records(tmp_path, '{"id": 7, "text": "x"}\n{"id": "b"}\n', Shape(("docs",), "id"))

    assert [record.put for record in found] == [
        Put(("docs",), "7", {"id": 7, "text": "x"}),
        Put(("docs",), "b", {"id": "b"}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("\xff", "not JSON"),
        ("[1]", "JSON object"),
        ('{"value": {}}', "'key' is missing"),
        ('{"key": "k"}', "'value' is missing"),
        ('{"key": "k", "value": {}, "tll": 1}', "unknown field 'tll'"),
        ('{"namespace": "a//b", "key": "k", "value": {}}', "empty label"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_says_what_is_wrong_and_the_next_one_is_read(tmp_path, line, reason):
    bad, good = records(tmp_path, line + '\n\n{"key": "k", "value": {}}\n')

    assert bad.put is None
    assert reason in bad.error
    assert good.name == "line 3"
    assert good.put is not None


def test_whole_objects_need_a_key_that_is_text_or_a_whole_number(tmp_path):
    found = records(tmp_path, '{"id": true}\n{"id": 1.5}\n{}\n', Shape(("docs",), "id"))

    assert ["key field 'id'" in record.error for record in found] == [True, True, True]


def test_reading_goes_on_where_it_stopped(tmp_path):
    text = "".join(f'{{"key": "{number}", "value": {{}}}}\n' for number in range(5))
    first = records(tmp_path, text)

    rest = records(tmp_path, text, start=first[2].after)

    assert [record.put.key for record in rest] == ["3", "4"]
    assert rest == first[3:]


def test_a_changed_file_has_another_digest(tmp_path):
    file = tmp_path / "lines.jsonl"
    digests = []
    for text in ("a", "b", "a"):
        file.write_text(text)
        digests.append(JsonLines(file, Shape()).digest())

    assert digests[0] == digests[2] != digests[1]


def test_standard_input_cannot_be_read_twice(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"key": "k", "value": {}}')))
    source = JsonLines(None, Shape(("docs",)))

    assert source.digest() is None
    assert [record.put.key for record in source.records(START)] == ["k"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "b.txt").write_text("plain")
    (tmp_path / "sub" / "a.md").write_text("intro\n\n# Heading one\ntext")
    (tmp_path / "sub" / "bad.md").write_bytes(b"\xff\xfe")
    (tmp_path / "sub" / ".git" / "x.md").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_files_of_a_folder_are_keyed_by_their_path(folder):
    found = list(Folder(folder, Shape(("docs",))).records(START))

    assert [record.name for record in found] == ["b.txt", "sub/a.md", "sub/bad.md"]
    assert found[0].put == Put(("docs",), "b.txt", {"title": "b", "text": "plain", "path": "b.txt"})
    assert found[1].put.value["title"] == "Heading one"
    assert "not UTF-8" in found[2].error


def test_a_folder_goes_on_after_the_files_that_were_read(folder):
    source = Folder(folder, Shape(("docs",)))
    first = list(source.records(START))

    assert list(source.records(first[0].after)) == first[1:]
    assert first[-1].after == Position(3, source.size)


def test_a_folder_needs_a_namespace_and_files(folder, tmp_path):
    with pytest.raises(ValidationError, match="--namespace"):
        Folder(folder, Shape())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValidationError, match="holds no files"):
        Folder(tmp_path / "empty", Shape(("docs",)))


def test_a_folder_with_a_changed_file_has_another_digest(folder):
    before = Folder(folder, Shape(("docs",))).digest()
    (folder / "b.txt").write_text("changed")

    assert Folder(folder, Shape(("docs",))).digest() != before


def test_a_text_without_heading_is_called_by_its_name():
    assert text_document("just text", "notes/my_tea.txt")["title"] == "my tea"
