import hashlib
from dataclasses import replace
from pathlib import Path

from edge_convnext.core.files import sha256_bytes
from edge_convnext.data.images import ImageSet, Sample, hash_files, rank

SAMPLES = tuple(Sample(Path(f"{n}.png"), f"{n:064x}", n % 2, None) for n in range(4))


def test_two_images_are_one_by_their_pixels_or_else_their_bytes():
    one = Sample(Path("a.png"), "bytes of a")
    assert one.content == "bytes of a"
    assert replace(one, pixels="pixels").content == "pixels"
    both = ImageSet((replace(one, pixels="p"), Sample(Path("b"), "b", pixels="p")), ())
    assert both.contents == {"p"}
    assert both.hashes == {"bytes of a", "b"}
    assert len(both) == 2


def test_the_digest_is_of_content_labels_names_and_order():
    whole = ImageSet(SAMPLES, ("ant", "bee"))
    moved = ImageSet(
        tuple(replace(one, path=Path("x") / one.path) for one in SAMPLES), whole.classes
    )
    assert moved.digest == whole.digest
    others = [
        ImageSet(SAMPLES[::-1], whole.classes),
        ImageSet(SAMPLES, ("bee", "ant")),
        ImageSet((replace(SAMPLES[0], label=1), *SAMPLES[1:]), whole.classes),
        ImageSet((replace(SAMPLES[0], sha256="0"), *SAMPLES[1:]), whole.classes),
    ]
    assert len({whole.digest, *(one.digest for one in others)}) == 5
    same = [whole.content_digest == one.content_digest for one in others]
    assert same == [False, True, True, False]


def test_a_rank_is_the_same_on_every_machine():
    assert rank("split", 3, "ab") == hashlib.sha256(b"split:3:ab").hexdigest()


def test_files_are_hashed_in_their_order_and_failures_are_told(tmp_path):
    paths = [tmp_path / f"{n}.png" for n in range(130)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d" % number)
    (tmp_path / "link").symlink_to(tmp_path / "none")
    seen = []

    def track(items, what, total):
        seen.append((what, total))
        return items

    found = hash_files([*paths, tmp_path / "link", tmp_path], track=track)
    assert found[:130] == [sha256_bytes(b"%d" % number) for number in range(130)]
    assert all("not a file" in str(one) for one in found[130:])
    assert seen == [("hashing images", 132)]


def test_an_error_of_one_file_stays_its_own(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()

    def sha256(path):
        if path.name == "a":
            raise PermissionError("Permission denied")
        return path.name

    first, second = hash_files([tmp_path / "a", tmp_path / "b"], sha256=sha256)
    assert isinstance(first, PermissionError)
    assert second == "b"
