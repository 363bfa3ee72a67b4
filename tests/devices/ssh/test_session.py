"""Boards over SSH: a real sshd on the loopback interface, which runs this Python as the board."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import psutil
from support.builds import run_command
from support.html_pages import check_page
from support.ssh_boards import FIRST, NEEDS_SSHD, NOISY, OTHER, PYTHON, SECOND, make_key

from edge_convnext import __version__
from edge_convnext.cli.hosts import measure_build
from edge_convnext.core.errors import ArtifactError, RemoteError
from edge_convnext.core.files import sha256_file
from edge_convnext.devices import ssh
from edge_convnext.devices.bench import BoardSettings, bench_bundle
from edge_convnext.devices.ssh import (
    HostResult,
    RemoteSettings,
    bench_on_hosts,
    check_hosts,
    scripts,
)
from edge_convnext.devices.ssh.client import Host
from edge_convnext.report.contract import Report
from edge_convnext.report.described import FileReport

pytestmark = [NEEDS_SSHD, pytest.mark.slow]

ARGUMENTS = ("--runtime", "onnxruntime", "--rounds", "1")


def test_two_boards_run_side_by_side_merge_back_and_keep_nothing(boards, root, tmp_path):
    options = [word for option in boards.options() for word in ("--ssh-option", option)]
    result = run_command(
        "bench", root / "tiny.ecb", "-o", "out", "--host", FIRST, "--host", SECOND, *options,
        "--remote-command", PYTHON, *ARGUMENTS, "--require", "int8",
        cwd=tmp_path, cache=tmp_path / "cache",
    )  # fmt: skip
    assert result.returncode == 1, result.stderr  # of one round nothing is sure
    assert "Traceback" not in result.stderr
    assert "error" not in result.stderr
    for host in (FIRST, SECOND):
        assert host in result.stdout
        assert f"{host}  timing batch 1" in result.stderr  # live, with the host in front
        report = Report.read(tmp_path / "out" / host / "report.json")
        assert report.board is not None
        assert not report.verdict.passed
        assert (tmp_path / "out" / host / "report.md").is_file()
        check_page((tmp_path / "out" / host / "report.html").read_text(encoding="utf-8"))
        assert boards.left(host) == []
        assert not (boards.cache(host) / "edge-convnext-remote").exists()
    shutil.copytree(root / "build", tmp_path / "build")
    merged = run_command(
        "merge", "build", f"out/{FIRST}", f"out/{SECOND}", cwd=tmp_path, cache=tmp_path / "cache"
    )
    assert merged.returncode == 0, merged.stderr
    # The two are one machine, and so one board.
    assert len(Report.read(tmp_path / "build" / "report.json").boards) == 1


def test_a_line_cut_in_the_copy_and_in_the_bench_goes_on_by_itself(
    boards, root, tmp_path, monkeypatch, clean
):
    offsets, lines, cuts = [], [], []
    real = scripts.receive

    def receive(folder, offset):
        offsets.append(offset)
        return real(folder, offset)

    def say(text):
        lines.append(text)
        if text.startswith("copied") and not cuts:
            until = time.monotonic() + 10.0  # what was sent arrives, and is counted there
            while time.monotonic() < until and not any(
                part.stat().st_size for part in boards.cache().rglob("bundle.part")
            ):
                time.sleep(0.1)
            boards.cut()
            cuts.append("copy")
        if text.startswith("evaluating ") and cuts == ["copy"]:
            boards.cut()
            cuts.append("bench")

    monkeypatch.setattr(scripts, "receive", receive)
    report = boards.session(root / "tiny.ecb", say=say, keep=True).run(tmp_path / "out")
    assert cuts == ["copy", "bench"]
    assert len(offsets) == 2
    assert 0 == offsets[0] < offsets[1]  # not from the start again
    assert sum(one.startswith("evaluating ") for one in lines) == 1  # nor a line of the log twice
    assert sum("trying again" in line for line in lines) >= 2
    assert report == Report.read(tmp_path / "out" / "report.json")
    for file in report.outputs:
        assert sha256_file(tmp_path / "out" / file.path) == file.sha256
    [left] = boards.left()  # --keep
    assert sha256_file(left / "bundle.ecb") == sha256_file(root / "tiny.ecb")
    # The same again finds it done, and cleans up; what an earlier verdict shipped goes.
    lines.clear()
    old, own = tmp_path / "out" / "model.fp16.onnx", tmp_path / "out" / "mine.onnx"
    old.write_bytes(b"of an earlier bench")
    shipped = (*report.outputs, FileReport.of(old, tmp_path / "out"))
    report.model_copy(update={"outputs": shipped}).write(tmp_path / "out" / "report.json")
    own.write_bytes(b"the user's")
    boards.session(root / "tiny.ecb", say=lines.append).run(tmp_path / "out")
    assert "the bench was done" in lines
    assert not old.exists()
    assert own.exists()
    assert boards.left() == []


def test_a_desk_that_gave_up_picks_the_bench_up_and_another_host_s_failure_stops_nothing(
    boards, root, tmp_path, clean
):
    def cut(text):
        if text.startswith("evaluating "):
            boards.cut()

    only_first = f'[ "${{SSH_CONNECTION#*{SECOND}}}" = "$SSH_CONNECTION" ] && {PYTHON}'
    first = boards.session(root / "tiny.ecb", say=cut, give_up_s=0.0, command=only_first)
    with pytest.raises(RemoteError, match="run the same command again"):
        first.run(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    lines = []
    settings = boards.settings(command=only_first)
    good, bad = bench_on_hosts(
        root / "tiny.ecb", [FIRST, SECOND], tmp_path / "out", settings, lines.append
    )
    assert good.error is None
    assert good.report == Report.read(tmp_path / "out" / FIRST / "report.json")
    assert any(line.endswith(("is still running", "was done")) for line in lines)
    assert bad.report is None
    assert "no edge-convnext answers there" in bad.error
    assert boards.left() == []


def test_a_build_is_bundled_measured_on_every_host_and_merged(root, tmp_path, monkeypatch):
    """What `build --host` does after the build; the board's run itself is tested above."""
    shutil.copytree(root / "build", tmp_path / "build")
    report = Report.read(root / "build" / "report.json").model_copy(
        update={"folder": str(tmp_path / "build")}
    )
    seen = []

    def bench(bundle, hosts, out, settings, say):
        seen.append((sha256_file(bundle), tuple(hosts), settings.arguments))
        bench_bundle(bundle, out / FIRST, BoardSettings(("onnxruntime",), rounds=1))
        good = HostResult(FIRST, out / FIRST, Report.read(out / FIRST / "report.json"), None)
        return [good, HostResult(SECOND, out / SECOND, None, "its disk is full")]

    monkeypatch.setattr(ssh, "bench_on_hosts", bench)
    settings = RemoteSettings(arguments=("--require", "int8"))
    merged, errors = measure_build(report, [FIRST, SECOND], settings, silent=True)
    assert seen == [(sha256_file(root / "tiny.ecb"), (FIRST, SECOND), ("--require", "int8"))]
    assert errors == ["its disk is full"]
    assert len(merged.boards) == 1
    assert Report.read(tmp_path / "build" / "report.json") == merged


def test_what_a_login_prints_is_nobody_s_answer(boards, root, tmp_path):
    [result] = bench_on_hosts(
        root / "tiny.ecb", [NOISY], tmp_path / "out", boards.settings(), lambda _: None
    )
    assert result.error is None
    assert Report.read(result.folder / "report.json") == result.report
    for file in result.report.outputs:
        assert sha256_file(result.folder / file.path) == file.sha256
    assert not (boards.cache(NOISY) / "edge-convnext-remote").exists()
    host = Host(NOISY, boards.options())
    answer = host.run("echo one; echo two >&2; exit 7")
    assert (answer.code, answer.text) == (7, "one\n")
    assert answer.errors.splitlines()[-1] == "two"
    large = bytes(range(256)) * 5000
    (tmp_path / "large").write_bytes(large)
    assert b"".join(host.stream(f"cat {tmp_path / 'large'}")) == large
    assert b"".join(host.stream("true")) == b""
    sent = host.send(f"cat >{tmp_path / 'copy'}; echo done", iter([large]), lambda _: None)
    assert (sent.code, sent.text) == (0, "done\n")
    assert (tmp_path / "copy").read_bytes() == large


def test_a_login_that_runs_something_else_is_told_so(boards):
    host = Host(OTHER, boards.options())
    for ask in (lambda: host.run("echo one"), lambda: list(host.stream("echo one"))):
        with pytest.raises(
            RemoteError, match=rf"^{OTHER}: the login there does not run the command"
        ):
            ask()


def test_one_host_s_report_that_cant_be_merged_leaves_the_others(root, tmp_path, monkeypatch):
    shutil.copytree(root / "build", tmp_path / "build")
    report = Report.read(tmp_path / "build" / "report.json")
    report = report.model_copy(update={"folder": str(tmp_path / "build")})
    good = tmp_path / "good"
    measured = bench_bundle(root / "tiny.ecb", good, BoardSettings(("onnxruntime",), rounds=1))
    (tmp_path / "odd").mkdir()
    results = [
        HostResult("odd", tmp_path / "odd", measured, None),
        HostResult("good", good, measured, None),
    ]
    (tmp_path / "odd" / "report.json").write_text("{}")
    monkeypatch.setattr(ssh, "bench_on_hosts", lambda *_: results)
    merged, errors = measure_build(report, ["odd", "good"], RemoteSettings(), True)
    assert len(merged.boards) == 1
    assert len(errors) == 1
    assert errors[0].startswith("odd: ")


def test_damaged_halves_start_again(boards, root, tmp_path, clean):
    one = boards.session(root / "tiny.ecb")
    folder = Path(one._prepare(sha256_file(root / "tiny.ecb")))
    (folder / "bundle.part").write_bytes(b"x" * 1000)  # not the beginning of it
    one._copy(str(folder), sha256_file(root / "tiny.ecb"))
    assert sha256_file(folder / "bundle.ecb") == sha256_file(root / "tiny.ecb")
    assert not (folder / "bundle.part").exists()


@pytest.fixture
def full(boards, tmp_path, monkeypatch, clean):
    """A board with a megabyte of disk: a real one where mounting is allowed, else by its df."""
    disk = boards.cache()
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode:
        yield
        subprocess.run(["umount", str(disk)], check=True)
        return
    (tmp_path / "df").write_text("#!/bin/sh\necho 'tmpfs 1024 24 1000 3% /'\n")
    (tmp_path / "df").chmod(0o755)
    real = scripts.look
    monkeypatch.setattr(scripts, "look", lambda folder: f"PATH={tmp_path}:$PATH; {real(folder)}")
    yield


def test_a_full_disk_is_told_before_the_copy(boards, root, tmp_path, full):
    with pytest.raises(RemoteError, match=r"its disk is full: 1 MB free where \d+ MB are needed"):
        boards.session(root / "tiny.ecb").run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_in_the_copy_is_told(boards, root, tmp_path, clean):
    one = boards.session(root / "tiny.ecb")
    folder = Path(one._prepare(sha256_file(root / "tiny.ecb")))
    (folder / "bundle.part").symlink_to("/dev/full")
    with pytest.raises(RemoteError, match="No space left on device") as caught:
        one.run(tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_what_the_bench_says_when_it_fails_there_is_told_here(boards, root, tmp_path, clean):
    one = boards.session(root / "tiny.ecb")
    folder = Path(one._prepare(sha256_file(root / "tiny.ecb")))
    (folder / "out").write_text("in the way")
    with pytest.raises(RemoteError, match=r"the bench failed there: .*out: is a file"):
        one.run(tmp_path / "out")
    assert one.do(scripts.start(str(folder), "true")).strip() == "started"  # and not "done"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"options": {"UserKnownHostsFile": "wrong_hosts"}}, "host key is not the known one"),
        ({"options": {"IdentityFile": "stranger"}}, "login was refused .*ssh-copy-id"),
        ({"options": {"UserKnownHostsFile": "none"}}, "not known here yet; .*ssh -o Port="),
        ({"options": {"Port": 1}}, "refused; check --host and --ssh-option"),
        ({"options": {"NoSuchOption": 1}}, "--ssh-option"),
        ({"command": "/nowhere/edge-convnext"}, "no edge-convnext answers there .*pip install"),
        ({"command": "echo '{\"edge_convnext\": \"0.0.9\", \"jetson\": null, \"gpus\": [], "
          "\"cpu_model\": \"x\"}' #"}, f"has edge-convnext 0.0.9, this is {__version__}"),
        ({"host": "nowhere.invalid"}, "--host"),
    ],
)  # fmt: skip
def test_a_board_that_can_t_be_used_is_told_in_one_line(boards, root, tmp_path, changes, reason):
    port = boards.port
    other = make_key(tmp_path / "other")
    (boards.folder / "wrong_hosts").write_text(f"[{FIRST}]:{port} {other}")
    stated = {
        name: boards.folder / value if isinstance(value, str) else value
        for name, value in changes.get("options", {}).items()
    }
    settings = boards.settings(
        ssh_options=boards.options(**stated), command=changes.get("command", PYTHON)
    )
    [result] = bench_on_hosts(
        root / "tiny.ecb", [changes.get("host", FIRST)], tmp_path, settings, lambda _: None
    )
    assert result.report is None
    assert "\n" not in result.error
    with pytest.raises(RemoteError, match=reason):
        check_hosts([changes.get("host", FIRST)], settings)


def test_ctrl_c_stops_the_bench_there_and_a_second_bench_is_refused(boards, root, tmp_path, clean):
    options = [word for option in boards.options() for word in ("--ssh-option", option)]
    line = [
        sys.executable, "-c", "from edge_convnext.cli import main; main()", "bench",
        root / "tiny.ecb", "-o", tmp_path / "out", "--host", FIRST, *options, "--remote-command",
        PYTHON, "--runtime", "onnxruntime", "--rounds", "10000",
    ]  # fmt: skip
    told = tmp_path / "told"
    with told.open("w") as file:
        desk = subprocess.Popen(list(map(str, line)), stderr=file, stdout=file)
    try:
        until = time.monotonic() + 60
        while "timing batch" not in told.read_text() and time.monotonic() < until:
            time.sleep(0.1)
        assert "timing batch" in told.read_text()
        [folder] = boards.left()
        [other] = bench_on_hosts(
            root / "tiny.ecb", [FIRST], tmp_path, boards.settings(), lambda _: None
        )
        assert "another bench runs there" in other.error
        assert f"kill -TERM -$(cat {folder}/pid)" in other.error
        desk.send_signal(signal.SIGINT)
        assert desk.wait(30) == 130
    finally:
        desk.kill()
        desk.wait()
        left_running = [
            subprocess.run(["sh", "-c", scripts.stop(str(one))], stdout=subprocess.PIPE).stdout
            for one in boards.left()
        ]
    text = told.read_text()
    assert set(left_running) == {b""}, text
    # What the bench said last may come between the two lines.
    [left] = [line for line in text.splitlines() if "its bench was stopped" in line]
    last = text.splitlines()[-1]
    assert f"its bench was stopped; the same command goes on from what is left in {folder}" in left
    assert "run again to go on" in last
    assert (folder / "code").read_text() == "143\n"
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if f"{folder}/bundle.ecb" in " ".join(process.info["cmdline"] or ())
    ]


def test_a_bench_that_can_t_be_told_to_stop_is_told_of(boards, root):
    lost = boards.session(root / "tiny.ecb", options=boards.options(Port=1))
    assert lost.stop() == ""  # nothing was begun
    lost._at.append("/there")
    line = lost.stop()
    assert "could not be asked to stop" in line
    assert "the same command picks it up" in line
    assert "-o Port=1" in line


def test_nothing_is_copied_of_what_is_no_bundle(boards, tmp_path):
    (tmp_path / "x.ecb").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="cut short, or no bundle"):
        bench_on_hosts(tmp_path / "x.ecb", [FIRST], tmp_path, boards.settings(), lambda _: None)


def test_what_a_board_lacks_is_said_before_anything_is_copied(boards, root, tmp_path):
    seen = {
        "edge_convnext": __version__, "gpus": [], "jetson": "Orin Nano", "cpu_model": "ARM",
        "abilities": [{"kind": "target", "name": "tensorrt", "works": False, "reason": "no CUDA"}],
    }  # fmt: skip
    stand_in = tmp_path / "edge-convnext"
    stand_in.write_text(f"#!/bin/sh\n[ $1 = doctor ] && echo '{json.dumps(seen)}'\n")
    stand_in.chmod(0o755)
    said = []
    session = boards.session(root / "tiny.ecb", command=str(stand_in), say=said.append)
    with pytest.raises(RemoteError):  # it benches nothing
        session.run(tmp_path / "out")
    assert said[0] == (
        "reached Orin Nano; no engine will be built there, and its GPU is not measured: no CUDA"
    )
    assert said[1].startswith("copied ")
