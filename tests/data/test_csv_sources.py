"""CSVs and labels files as people have them: recognised, or named in the refusal."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_convnext.core.class_names import tell_apart
from edge_convnext.core.errors import DataError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.csv_sources import list_csv
from edge_convnext.data.labels import read_labels_file
from edge_convnext.data.labels_file import read_labels
from edge_convnext.data.samples import list_source, read_source
from edge_convnext.data.splits import load_splits

CLASSES = ("cat", "dog", "emu")
PLAIN = "path,label\n{p},{c}\n"

Write = Callable[..., Path]


@pytest.fixture
def write(make_images, tmp_path) -> Write:
    """Write a CSV for two images of each class: a header, and a row for each."""
    root = make_images(dict.fromkeys(CLASSES, 2))
    for path in sorted(root.rglob("*.png")):
        path.rename(path.with_name(f"{path.parent.name}{path.name}"))

    def make(text: str, name: str = "list.csv", encoding: str = "utf-8", ends: str = "\n") -> Path:
        *header, row = text.removesuffix("\n").split("\n")
        lines = list(header)
        for index, path in enumerate(sorted(root.rglob("*.png"))):
            label = path.parent.name
            fields = {
                "p": path.relative_to(root).as_posix(),
                "f": path.name,
                "s": path.stem,
                "c": label,
                "n": CLASSES.index(label),
                "i": index,
                "w": str(path.relative_to(root)).replace("/", "\\"),
                "side": ("train", "val")[index % 2],
                "truth": str(index % 2 == 1),
                "hot": ",".join(str(int(label == one)) for one in CLASSES),
            }
            lines.append(row.format(**fields))
        (root / name).write_bytes((ends.join(lines) + ends).encode(encoding))
        return root / name

    return make


def labels_of(source: Path, *arguments: object) -> dict[str, str]:
    """What each image is taken for."""
    reading = read_source(list_source(source), *arguments)
    samples = [sample for side in reading.sides.values() for sample in side]
    return {sample.path.name: reading.classes[sample.label] for sample in samples}


def refusal(source: Path, *arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        read_source(list_source(source), *arguments)
    return str(caught.value)


RIGHT = {f"{name}{index}.png": name for name in CLASSES for index in range(2)}


@pytest.mark.parametrize(
    "text",
    [
        "path;label\n{p};{c}",
        "path\tlabel\n{p}\t{c}",
        "path|label\n{p}|{c}",
        "sep=;\npath;label\n{p};{c}",
        "# by a tool\n\npath,label\n{p},{c}",
        ",path,label\n{i},{p},{c}",
        "Unnamed: 0,path,label\n{i},{p},{c}",
        'path,label\n"{i}","{p}","{c}"',  # R
        "path,label,\n{p},{c},",
        "path,label\n{p},{c},",
        "path,label,\n{p},{c}",
        "filename,class\n{p},{c}",
        "file_name,label\n{p},{c}",
        "Image Path,Species\n{p},{c}",
        "img_path,y\n{p},{c}",
        "a,b\n{p},{c}",
        "{p},{c}",
        "{i},{p},{c}",
        "path,label\n{w},{c}",
        "path,label\nC:\\Users\\me\\{w},{c}",
        "path,label\n/home/me/data/{p},{c}",
        "filename,label\n{f},{c}",
        "id,label\n{s},{c}",
        "id,image_id,label\n{i},{s},{c}",
        "image,id,choice,annotator\n{p},{i},{c},1",
        "Width,Height,Roi.X1,ClassName,Path\n9,9,1,{c},{p}",
        'path,label,comment\n{p},{c},"a, b"',
    ],
)
def test_a_csv_is_read_in_every_dialect(write, text):
    assert labels_of(write(text)) == RIGHT


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_csv_is_read_in_the_encodings_of_spreadsheets(write, encoding, ends):
    assert labels_of(write(PLAIN, encoding=encoding, ends=ends)) == RIGHT


@pytest.mark.parametrize("name", ["list.tsv", "train.txt"])
def test_lists_under_other_suffixes_are_read(write, name):
    assert labels_of(write("{p} {n}", name)) == {k: str(CLASSES.index(v)) for k, v in RIGHT.items()}


@pytest.mark.parametrize(
    "text",
    [
        "path,label,split\n{p},{c},{side}",
        "path,label,Set\n{p},{c},{side}",
        "path,label,is_valid\n{p},{c},{truth}",
        "path,label,is_test\n{p},{c},{truth}",
    ],
)
def test_a_split_is_read_from_words_and_truths(write, text):
    entries = list_csv(write(text)).entries
    assert [entry.side for entry in entries] == ["train", "val"] * 3


def test_a_column_of_training_images_is_a_split(write):
    entries = list_csv(write("path,label,is_training_image\n{p},{c},{truth}")).entries
    assert [entry.side for entry in entries] == ["val", "train"] * 3


def test_columns_of_0_and_1_are_classes_in_their_order(write):
    text = "filename, dog, cat, emu\n{f}, {hot}"
    splits = load_splits(write(text), DataConfig(val_fraction=0.5), seed=0)
    assert splits.val.classes == ("dog", "cat", "emu")
    assert {s.path.stem[:3]: s.label for s in splits.val.samples} == {"cat": 0, "dog": 1, "emu": 2}
    assert str(splits.facts[-1].origin) == "csv (the order of its columns)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,a,b,c\n{p},1,{hot}", "quote a field"),
        ("path,a,b,c,d\n{p},1,{hot}", "2 of the 4 class columns are 1 (a, b)"),
        ("path,label\n{p},-1", "label -1: a negative number is no class"),
        ("path,label\n{p},0.{i}7", "is a measurement, not a class"),
        ("path,label\n{p},['{c}']", "seems to name several classes"),
        ("path,label\n{p},{c}|x", "the label 'cat|x' seems to name several classes"),
        ("path,label\n{p},{c}_a x_b", "the label 'cat_a x_b' seems to name several classes"),
        ("path,label,fold\n{p},{c},{i}", "the column 'fold' numbers folds"),
        ("path,label,spilt\n{p},{c},{side}", "'spilt' is not one of"),
        ("path,label,grup\n{p},{c},{i}", "did you mean 'group'?"),
        ("a,b,c\n{p},{c},7", "no column 'label' among a, b, c"),
        ("id,label\n{i},{c}", "no such file: 0 (paths are relative to"),
        ("other,label\n{i},{c}", "no column 'path' among other, label"),
        ("path,label\nwrong/{f},{c}", "no such file: wrong/cat0.png (there is "),
    ],
)
def test_what_is_no_list_of_one_class_an_image_is_refused_by_name(write, text, message):
    assert message in refusal(write(text))


def test_labels_that_are_lists_of_other_labels_are_refused(write):
    source = write(PLAIN)
    for joint in ("cat dog", '"cat,dog"', "cat;dog"):
        source.write_text(source.read_text().replace("cat/cat0.png,cat", f"cat/cat0.png,{joint}"))
        assert "seems to name several classes" in refusal(source)
        source = write(PLAIN)


def test_names_with_spaces_and_commas_are_names(write):
    source = write('path,label\n{p},"{c}, Latin name"')
    assert set(labels_of(source).values()) == {f"{name}, Latin name" for name in CLASSES}
    assert set(labels_of(write("path,label\n{p},Apple {c}")).values()) == {
        f"Apple {name}" for name in CLASSES
    }


def test_boxes_of_a_detection_data_set_are_named(write):
    source = write("filename,class,xmin\n{p},{c},1")
    source.write_text(source.read_text() + "cat/cat0.png,cat,3\n")
    assert "boxes of a detection data set" in refusal(source)


def test_a_name_that_several_files_have_is_refused(write):
    source = write("filename,label\n{f},{c}")
    (source.parent / "other").mkdir()
    (source.parent / "other" / "dog0.png").write_bytes(b"")
    assert "dog0.png may be " in refusal(source)
    source.write_text(source.read_text().replace("dog0.png", "dog/dog0.png"))
    assert labels_of(source) == RIGHT


def test_another_case_of_a_path_is_told_and_not_guessed(write):
    source = write(PLAIN)
    source.write_text(source.read_text().replace("cat/cat0", "cat/Cat0"))
    assert "cat0.png, which differs in upper and lower case" in refusal(source)


def test_a_path_finds_the_file_whatever_its_unicode_form(make_images):
    nfd = unicodedata.normalize("NFD", "grün/käse")
    root = make_images({nfd: 1, "rot": 1})
    (root / "list.csv").write_text("path,label\ngrün/käse/0.png,grün\nrot/0.png,rot\n")
    assert list(read_source(list_source(root / "list.csv")).classes) == ["grün", "rot"]


def test_pipes_devices_and_endless_lines_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    (tmp_path / "line.csv").write_text("path,label" + "x" * (2 << 20))
    for name, reason in (
        ("pipe", "pipe or a device"),
        ("device", "pipe or a device"),
        ("line", "over 1048576"),
    ):
        with pytest.raises(DataError, match=reason):
            list_csv(tmp_path / f"{name}.csv")


# Numbers


@pytest.mark.parametrize("form", ["{n}", "{n}.0", "0{n}", "{n}."])
def test_whole_numbers_are_indices_in_every_form(write, form):
    source = write(f"path,label\n{{p}},{form}")
    assert labels_of(source) == {k: str(CLASSES.index(v)) for k, v in RIGHT.items()}
    assert labels_of(source, CLASSES) == RIGHT
    assert labels_of(source, ("2", "0", "1")) == {
        k: str(CLASSES.index(v)) for k, v in RIGHT.items()
    }


@pytest.mark.parametrize("numbers", [("1", "2", "3"), ("1.0", "2.0", "3.0"), ("01", "02", "03")])
def test_numbers_from_1_on_are_never_shifted(write, numbers):
    source = write(PLAIN)
    text = source.read_text()
    for name, number in zip(CLASSES, numbers, strict=True):
        text = text.replace(f",{name}\n", f",{number}\n")
    source.write_text(text)
    assert "the labels run from 1 to 3, but logits are counted from 0" in refusal(source)
    assert "the labels seem to start at 1" in refusal(source, CLASSES)
    by_name = {k: str(CLASSES.index(v) + 1) for k, v in RIGHT.items()}
    assert labels_of(source, ("1", "2", "3")) == by_name  # the model's own names are numbers


def test_numbers_with_gaps_are_taken_as_they_are_and_told(write):
    source = write(PLAIN)
    source.write_text(
        source.read_text()
        .replace(",cat\n", ",0\n")
        .replace(",dog\n", ",2\n")
        .replace(",emu\n", ",5\n")
    )
    reading = read_source(list_source(source))
    assert reading.classes == tuple("012345")
    assert "3 of the 6 classes have no image" in reading.order.notes[0]


def test_a_number_for_a_named_class_is_told(write):
    reading = read_source(list_source(write("path,label\n{p},{n}")), CLASSES)
    assert reading.order.notes == ("Labels are numbers, taken as logits counted from 0: 0 is cat.",)


def test_padded_codes_are_names(make_images):
    root = make_images({"a": 2})
    (root / "list.csv").write_text("path,label\na/0.png,007\na/1.png,113\n")
    assert read_source(list_source(root / "list.csv")).classes == ("007", "113")


def test_the_order_of_rows_is_one_that_pandas_may_have_used(write):
    source = write(PLAIN)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert load_splits(source, DataConfig(val_fraction=0.5), 0).other_orders == (CLASSES[::-1],)


# Labels files

FORMS = {
    "id2label.json": json.dumps({str(i): name for i, name in enumerate(CLASSES)}),
    "class_to_idx.json": json.dumps({name: i for i, name in enumerate(CLASSES)}),
    "config.json": json.dumps({"id2label": {"0": "cat", "1": "dog", "2": "emu"}, "x": [1]}),
    "imagenet.json": json.dumps({str(i): [f"n{i:08d}", name] for i, name in enumerate(CLASSES)}),
    "pairs.json": json.dumps([[name, i] for i, name in enumerate(CLASSES)]),
    "records.json": json.dumps([{"id": 2 - i, "name": n} for i, n in enumerate(CLASSES[::-1])]),
    "coco.json": json.dumps({"categories": [{"id": i, "name": n} for i, n in enumerate(CLASSES)]}),
    "list.json": json.dumps(list(CLASSES)),
    "python.txt": "{0: 'cat',\n 1: 'dog',\n 2: 'emu'}",
    "index-name.txt": "0 cat\n1 dog\n2 emu\n",
    "index-colon.txt": "2: emu\n0: cat\n1: dog\n",
    "bracket.txt": "0) cat\n1) dog\n2) emu\n",
    "brackets.txt": "[0] cat\n[1] dog\n[2] emu\n",
    "parentheses.txt": "(0) cat\n(1) dog\n(2) emu\n",
    "arrow.txt": "0 -> cat\n1 -> dog\n2 -> emu\n",
    "arrow-last.txt": "dog => 1\ncat => 0\nemu => 2\n",
    "name-colon.txt": "dog: 1\ncat: 0\nemu: 2\n",
    "vocab.json": json.dumps({"vocab": CLASSES}),
    "name-index.csv": "dog,1\ncat,0\nemu,2\n",
    "header.csv": "ClassId,SignName\n0,cat\n1,dog\n2,emu\n",
    "crlf-bom.txt": "\ufeffcat\r\ndog\r\nemu\r\n",
    "comment.txt": "# made by hand\ncat\ndog\nemu\n",
    "quoted.txt": '"cat"\n"dog"\n"emu"\n',
    "one-line.txt": "cat, dog, emu",
    "data.yaml": "nc: 3\nnames:\n  0: cat\n  1: dog\n  2: emu\n",
    "flow.yaml": "names: [cat, dog, emu]\ntrain: ../train\n",
    "list.yaml": "- cat\n- dog\n- emu\n",
    "map.pbtxt": "".join(
        f"item {{\n id: {i + 1}\n name: '{n}'\n}}\n" for i, n in enumerate(CLASSES)
    ),
}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_labels_files_are_read_in_the_forms_people_have(tmp_path, name):
    (tmp_path / name).write_text(FORMS[name], encoding="utf-8", newline="")
    assert read_labels_file(tmp_path / name) == CLASSES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"0": 1, "1": 0}', "maps numbers to numbers"),
        ("0,5\n1,3\n", "two columns of numbers"),
        ('{"cat": "Katze"}', "a mapping without indices (its first key is 'cat')"),
        ('{"cat": 0, "dog": 2}', "indices are not 0 to 1 (they run from 0 to 2)"),
        ("0: cat\n0: dog\n", "indices are not 0 to 1 (0 comes twice)"),
        ('{"cat": 0, "cat": 1}', "'cat' comes twice"),
        ("names: &a [x]\nclasses: *a\n", "it has aliases"),
    ],
)
def test_labels_files_of_two_meanings_are_refused(tmp_path, text, message):
    (tmp_path / "labels").write_text(text)
    with pytest.raises(DataError) as caught:
        read_labels_file(tmp_path / "labels")
    assert message in str(caught.value)


def test_indices_from_1_on_are_told(tmp_path):
    (tmp_path / "labels.txt").write_text("1 cat\n2 dog\n")
    read = read_labels(tmp_path / "labels.txt")
    assert read.names == ("cat", "dog")
    assert "run from 1 to 2; they are taken as logits 0 to 1" in read.notes[0]


def test_the_data_tells_what_the_name_is(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("n01 x\nn02 y\n".replace("n0", "n0000000"))
    assert read_labels(path, {"n00000001"}).names == ("n00000001", "n00000002")
    assert read_labels(path, {"y"}).names == ("x", "y")
    path.write_text("1 euro\n2 cent\n")
    assert read_labels(path, {"2 cent"}).names == ("1 euro", "2 cent")
    assert read_labels(path, {"cent"}).names == ("euro", "cent")


def test_names_that_repeat_are_told_apart_by_their_index(tmp_path, make_images):
    assert tell_apart(["crane", "maillot", "crane"]) == ("crane#0", "maillot", "crane#2")
    assert tell_apart(["a", "a", "a#0"]) == ("a#0#0", "a#1", "a#0#2")
    (tmp_path / "labels.txt").write_text("crane\nmaillot\ncrane\n")
    read = read_labels(tmp_path / "labels.txt")
    assert read.names == ("crane#0", "maillot", "crane#2")
    root = make_images({"crane": 1, "maillot": 1})
    message = refusal(root, read.names)
    assert "it has crane#0 and crane#2, told apart by their index" in message
    assert refusal(root, ("crane", "maillot", "crane")) == message


def test_another_spelling_of_a_models_class_is_named(make_images):
    root = make_images({"healthy": 1, "sick": 1})
    assert "it has 'Healthy', which differs in case" in refusal(root, ("Healthy", "sick"))
    make_images({"late blight": 1})
    assert "it has 'late_blight'" in refusal(root, ("healthy", "late_blight", "sick"))


# Hostile: nothing of these takes long, or more than one line to refuse.


@pytest.mark.parametrize(
    "text",
    [
        '[["' + "9" * 5000 + '", 7], ["1", 8]]',
        "9" * 5000 + " cat\n1 dog\n",
        ("9" * 1_000_000 + "\n") * 3,
        "item {" * 200_000,
        "{" * 200_000 + "'",
        ("names:" + "\n" * 100_000) * 2,
    ],
)
def test_labels_files_that_would_hang_or_break_a_reader(tmp_path, text):
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        read_labels_file(tmp_path / "labels.txt")
    assert len(str(caught.value)) < 1700


def test_tables_that_would_hang_or_break_a_reader(make_images):
    root = make_images({"a": 2})
    source = root / "list.csv"
    source.write_text("path,label\na/0.png," + "9" * 100_000 + "\na/1.png,b1\n")
    order = read_source(list_source(source)).order  # with its natural order, of no number
    assert len(order.names) == 2
    source.write_text("path,label\na/0.png,." + "0" * 100_000 + "x\na/1.png,1." + "0" * 100_000)
    assert len(read_source(list_source(source)).classes) == 2
    source.write_text("path," + ",".join(f"c{i}" for i in range(20_000)) + "\n")
    with pytest.raises(DataError, match="no column 'label' among path, c0"):
        list_csv(source)


@pytest.mark.parametrize(
    "text",
    [
        "'path','label'\n'{p}','{c}'",  # every text in single quotes
        "path,label\nhttps://x.org/{p}?sig=a#b,{c}",
        "Dateiname;Klasse;Notiz\n{p};{c};x",
        "fichier;étiquette;note\n{p};{c};x",
        "ruta,etiqueta,nota\n{p},{c},x",
        "路径,标签,x\n{p},{c},x",
        "img_id,cls,score\n{p},{c},0.5",
    ],
)
def test_a_csv_is_read_in_other_languages_quotes_and_addresses(write, text):
    assert set(labels_of(write(text)).values()) == set(CLASSES)


def test_rows_of_nothing_but_separators_are_no_images(write):
    source = write(PLAIN)
    source.write_text(source.read_text() + ",\n   \n ,\n")
    assert len(labels_of(source)) == 6


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-32"])
def test_wide_encodings_are_read_with_and_without_a_mark(write, encoding):
    assert set(labels_of(write(PLAIN, encoding=encoding)).values()) == set(CLASSES)


def test_numbers_with_a_decimal_comma_are_counted(write):
    reading = read_source(list_source(write("path;label\n{p};{n},0")))
    assert reading.classes == ("0", "1", "2")


@pytest.mark.parametrize("text", ["nan", "NaN", "<NA>"])
def test_what_pandas_writes_for_no_label_is_no_class(write, text):
    source = write(PLAIN)
    source.write_text(source.read_text().replace(",cat", f",{text}", 1))
    with pytest.raises(DataError, match="line 2: no label"):
        list_source(source)


@pytest.mark.parametrize("column", ["kfold", "cv_fold", "fold_id"])
def test_every_column_of_folds_is_asked_about(write, column):
    with pytest.raises(DataError, match=f"'{column}' numbers folds"):
        list_source(write(f"path,label,{column}\n{{p}},{{c}},{{i}}"))


def test_another_suffix_on_disk_is_named(write):
    source = write("path,label\n{s}.jpg,{c}")
    with pytest.raises(DataError, match=r"cat1?\d*\.png, which has another suffix"):
        list_source(source)


def test_labels_that_differ_in_case_alone_are_told(write):
    source = write(PLAIN)
    source.write_text(source.read_text().replace(",cat", ",Cat", 1))
    notes = load_splits(source, DataConfig(), seed=0).notes
    assert any("differ in case alone" in note and "Cat and cat" in note for note in notes)


def test_a_header_above_names_is_skipped_where_the_data_has_all_others(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("class\ncat\ndog\nemu\n")
    found = read_labels(path, CLASSES)
    assert found.names == CLASSES
    assert found.notes == ("The header of names.csv, class, is skipped.",)
    assert read_labels(path, ("class", "cat")).names == ("class", *CLASSES)


def test_a_line_names_the_folder_that_has_blanks_at_its_ends(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("owl\ncat\n dog\n")
    assert read_labels(path, (" cat", "dog ", "owl")).names == ("owl", " cat", "dog ")
    assert read_labels(path, (" cat", "cat", "owl")).names == ("owl", "cat", "dog")
