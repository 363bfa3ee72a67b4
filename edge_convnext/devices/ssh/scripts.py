"""Scripts for a board: short POSIX shell, with only coreutils and setsid."""

from __future__ import annotations

from edge_convnext.devices.ssh.client import quote

__all__ = [
    "between_marks",
    "doctor",
    "exit_code",
    "follow",
    "look",
    "others",
    "place",
    "prepare",
    "receive",
    "remove",
    "seal",
    "size_of",
    "start",
    "stop",
]

_MARK = ".edge-convnext-made-this"  # nothing is removed because of its name
_BEGIN, _END = "edge-convnext-begin", "edge-convnext-end"
_POLL_S = 0.3
_STOP_POLLS = 50  # of 0.2 s each, before a bench that does not end is killed
# After a restart of the board a process number means nothing; later it may be another process's.
_ALIVE = """alive() { [ "$(cat boot)" = "$(cat /proc/sys/kernel/random/boot_id)" ] &&
  grep -q bundle.ecb "/proc/$(cat pid)/cmdline"; } 2>/dev/null"""
_OTHERS = """others() { for other in ../*/; do
  [ "$other" = "../${PWD##*/}/" ] ||
  ( cd "$other" 2>/dev/null && [ ! -f code ] && alive && echo "other $(cat pid) $(pwd)" )
done; true; }"""


def doctor(command: str) -> str:
    """Print `doctor --json` between marks: a login may print anything around it."""
    return f"echo {_BEGIN}; {command} doctor --json </dev/null; echo {_END}"


def between_marks(text: str) -> str:
    """Extract what `doctor` printed."""
    return text.partition(_BEGIN)[2].partition(_END)[0]


def prepare(name: str) -> str:
    """Make the folder of one bench, private to the user, and print its path."""
    return (
        "set -e; umask 077; "
        f'folder="${{XDG_CACHE_HOME:-$HOME/.cache}}/edge-convnext-remote/{name}"; '
        f'mkdir -p "$folder"; cd "$folder"; : >{_MARK}; pwd'
    )


def look(folder: str) -> str:
    """Print how much of the bundle is there, its hash, and the free disk space.

    A receiver that a lost connection left is ended first, so that it can't write any more.
    """
    return f"""cd {quote(folder)} || exit
[ -f bundle.ecb ] && {{ echo whole=1; exit; }}
pid=$(cat copy.pid 2>/dev/null)
if [ -n "$pid" ] && [ "$(cat /proc/$pid/comm 2>/dev/null)" = cat ]; then
  kill -9 "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
fi
rm -f copy.pid
if [ -f bundle.part ]; then
  echo "have=$(wc -c <bundle.part | tr -d ' ')"
  echo "sha256=$(sha256sum <bundle.part | cut -d' ' -f1)"
fi
echo "free_kib=$(df -Pk . | tail -n 1 | tr -s ' ' | cut -d' ' -f4)\""""


def others(folder: str) -> str:
    """Print `other PID FOLDER` for each bench that runs beside the one of this folder."""
    return f"cd {quote(folder)} || exit\n{_ALIVE}\n{_OTHERS}\nothers"


def receive(folder: str, offset: int) -> str:
    """Append standard input to the part that is there, or start anew at offset 0."""
    into = ">>bundle.part" if offset else ">bundle.part"
    return f"cd {quote(folder)} || exit; echo $$ >copy.pid; exec cat {into}"


def seal(folder: str, sha256: str) -> str:
    """Give the whole copy its name, or remove a damaged one and fail."""
    return (
        f"cd {quote(folder)} || exit; rm -f copy.pid; "
        f'if [ "$(sha256sum <bundle.part | cut -d" " -f1)" = {sha256} ]; '
        "then mv bundle.part bundle.ecb; else rm -f bundle.part; exit 1; fi"
    )


def start(folder: str, line: str) -> str:
    """Start the bench, detached from this connection, unless it is `running` or `done`: print that.

    Beside another bench it is not started: the output of `others` is printed instead.
    A bench that failed is started again, and so is one that was asked for something else. Like
    `doctor`, it starts in the user's home, where a relative command such as
    `venv/bin/edge-convnext` is found.
    """
    # The trap lets this shell outlive a bench that is asked to stop, and note its exit code.
    inner = (
        f"trap : TERM; {{ cd; {line}; }} >console 2>log </dev/null; code=$?; cd {quote(folder)}; "
        "echo $code >code.new; mv code.new code"
    )
    return f"""cd {quote(folder)} || exit
{_ALIVE}
if [ -f code ]; then
  case "$(cat code)" in 0|1)
    [ ! -f asked ] || [ "$(cat asked)" = {quote(line)} ] && [ -f out/manifest.json ] &&
      {{ echo done; exit 0; }};;
  esac
elif alive; then echo running; exit 0
fi
{_OTHERS}
found=$(others); [ -n "$found" ] && {{ echo "$found"; exit 0; }}
rm -f code code.new; : >log; printf '%s\n' {quote(line)} >asked
detach=$(command -v setsid || command -v nohup)
$detach sh -c {quote(inner)} </dev/null >/dev/null 2>&1 &
echo $! >pid.new; cat /proc/sys/kernel/random/boot_id >boot; mv pid.new pid; echo started"""


def follow(folder: str, offset: int) -> str:
    """Print the log from `offset` on as it grows, until the bench has ended."""
    return f"""cd {quote(folder)} || exit; at={offset}; ended=
{_ALIVE}
while :; do
  {{ [ -f code ] || ! alive; }} && ended=1
  size=$(wc -c <log | tr -d ' ')
  [ "$size" -gt "$at" ] && {{ tail -c +$((at + 1)) log | head -c $((size - at)); at=$size; }}
  [ -n "$ended" ] && exit 0
  sleep {_POLL_S}
done"""


def stop(folder: str) -> str:
    """End the bench and all that it started, in some seconds; print `stopped` if one ran."""
    return f"""cd {quote(folder)} 2>/dev/null || exit 0
{_ALIVE}
{{ [ ! -f code ] && alive; }} || exit 0
pid=$(cat pid)
kill -TERM "-$pid" 2>/dev/null || kill -TERM "$pid"
polls={_STOP_POLLS}
while [ ! -f code ] && alive && [ $polls -gt 0 ]; do sleep 0.2; polls=$((polls - 1)); done
[ -f code ] || kill -KILL "-$pid" 2>/dev/null || ! alive || exit
echo stopped"""


def place(folder: str, name: str) -> str:
    """Write standard input to a file below the folder, unless there is one already."""
    target = quote(name)
    return (
        f"cd {quote(folder)} || exit; [ -f {target} ] && {{ cat >/dev/null; exit 0; }}; "
        f'mkdir -p "$(dirname {target})" && cat >{target}.new && mv {target}.new {target}'
    )


def size_of(folder: str, name: str) -> str:
    """Print the size of a file below the folder; nothing where there is none."""
    return f"cd {quote(folder)} || exit; wc -c <{quote(name)} 2>/dev/null | tr -d ' '; true"


def exit_code(folder: str) -> str:
    """Print the bench's exit code; nothing where there is none."""
    return f"cd {quote(folder)} || exit; [ -f code ] || sleep 1; cat code 2>/dev/null || true"


def remove(folder: str) -> str:
    """Remove the folder of one bench, and the one above if nothing else is in it.

    Only a folder that `prepare` made is removed. A login may have printed another name.
    """
    return (
        f"cd / && [ -f {quote(f'{folder}/{_MARK}')} ] && rm -rf {quote(folder)}; "
        f"rmdir {quote(folder.rpartition('/')[0])} 2>/dev/null || true"
    )
