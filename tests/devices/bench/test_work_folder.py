import pytest
from support.bench_boards import ORT

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.marks import MARK, mark
from edge_convnext.devices.bench import bench_bundle
from edge_convnext.devices.bench.work_folder import (
    UNPACKED,
    check_folder,
    drop_others,
    drop_unpacked,
    removed_on_failure,
)

pytest.importorskip("torch", reason="the build extra is not installed")


def test_another_bundle_s_work_goes_and_the_user_s_stays(root, tmp_path):
    out = tmp_path / "out"
    for name in ("0123456789abcdef", "fedcba9876543210", "engines", "mine"):
        (out / "work" / name).mkdir(parents=True)
    mark(out / "work" / "0123456789abcdef")
    bench_bundle(root / "tiny.ecb", out, ORT)
    assert not (out / "work" / "0123456789abcdef").exists()
    assert (out / "work" / "fedcba9876543210").exists()  # it may be called so, and is not ours
    assert (out / "work" / "engines").is_dir()
    assert (out / "work" / "mine").is_dir()


def test_a_finished_run_leaves_logits_and_no_unpacked_bundle(measured):
    (work,) = (measured[1] / "work").iterdir()
    assert [path.name for path in work.iterdir() if path.name != MARK] == ["logits"]


def test_an_unpacked_bundle_goes_where_the_folder_is_marked(tmp_path):
    for name in ("ours", "mine"):
        (tmp_path / name / UNPACKED).mkdir(parents=True)
    mark(tmp_path / "ours")
    for name in ("ours", "mine"):
        drop_unpacked(tmp_path / name)
    assert not (tmp_path / "ours" / UNPACKED).exists()
    assert (tmp_path / "mine" / UNPACKED).is_dir()


def failing(out, work, error):
    def begin():
        with removed_on_failure(out, work):
            work.mkdir(parents=True, exist_ok=True)
            (work / "bundle").mkdir(exist_ok=True)
            raise error

    with pytest.raises(type(error)):
        begin()


def test_what_a_failure_made_is_removed_and_what_was_there_stays(tmp_path):
    out, work = tmp_path / "out", tmp_path / "out" / "work" / "key"
    failing(out, work, ArtifactError("broken"))
    assert not out.exists()
    work.mkdir(parents=True)
    failing(out, work, OSError("full"))
    assert work.is_dir()
    assert not (work / "bundle").exists()
    (work / "bundle").mkdir()
    failing(out, work, OSError("full"))
    assert (work / "bundle").is_dir()  # an earlier run unpacked it


def test_the_work_of_other_bundles_is_dropped_where_it_is_marked(tmp_path):
    work = tmp_path / "work" / "this"
    for name in ("this", "other", "engines"):
        (work.parent / name).mkdir(parents=True)
    mark(work.parent / "other")
    drop_others(work)
    assert {path.name for path in work.parent.iterdir()} == {"this", "engines"}
    drop_others(tmp_path / "nothing" / "here")


def test_a_users_files_are_not_written_over(tmp_path):
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(ArtifactError, match=r"report\.md: would be removed"):
        check_folder(tmp_path)
    check_folder(tmp_path / "new")
    assert (tmp_path / "new").is_dir()
