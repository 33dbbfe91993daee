"""The process: how fast it answers, and how it ends."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from pnpvideo.cli.main import main

import pnpvideo

STAND_IN = """
    import hashlib, sys, time
    from types import ModuleType
    from pnpvideo.cli.main import main
    module = sys.modules["pnpvideo.pipeline"] = ModuleType("pnpvideo.pipeline")
    def translate(*arguments, **more):
        {work}
    module.translate = translate
    open("in.mp4", "wb").write(b"\\0\\0\\0\\x18ftypisom")
    sys.exit(main(["translate", "in.mp4", "a prompt", "-o", "out.mp4", *sys.argv[1:]]))
    """
WORKING = """
        from pnpvideo.events import Progress
        try:
            more["report"](Progress(stage="sample", done=1, total=2, unit="step"))
            print("working", flush=True)
            while True:
                time.sleep(0.01)
        finally:
            print("state kept", flush=True)
"""
STUBBORN = """
    import hashlib, sys
    from pnpvideo.cli.interrupt import interruptible
    with interruptible(grace_seconds=float(sys.argv[1])):
        while True:
            try:
                print("working", flush=True)
                hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # minutes of native code
            except BaseException:
                pass
    """


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"], ["translate", "--help"], ["store", "list", "-h"]])
def test_help_and_version_load_nothing_heavy(words: list[str]) -> None:
    heavy = ("torch", "diffusers", "transformers", "numpy", "cv2", "PIL", "av", "rich", "filelock", "platformdirs")
    code = f"""
    import sys
    from pnpvideo.cli.main import main
    status = main({words})
    print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
    sys.exit(status)
    """
    child = start(code)
    out, err = child.communicate()
    assert child.returncode == 0 and err == "[]\n"
    assert out == f"pnpvideo {pnpvideo.__version__}\n" if words == ["--version"] else out.startswith("Usage: pnpvideo")


def test_the_installed_command_answers() -> None:
    command = [sys.executable, "-m", "pnpvideo.cli.main", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == f"pnpvideo {pnpvideo.__version__}\n"


@pytest.mark.parametrize("words", [[], ["unknown"], ["translate"], ["--unknown"], ["store", "clear", "--kind", "x"]])
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Usage: pnpvideo" in said.err


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "terminated")],
)
class TestSignals:
    def test_the_work_is_told_to_stop_and_keeps_its_state(self, number: int, code: int, word: str) -> None:
        child = start(STAND_IN.format(work=WORKING))
        assert child.stdout is not None and child.stdout.readline() == "working\n"
        child.send_signal(number)
        out, err = child.communicate()
        assert (child.returncode, out) == (code, "state kept\n")
        last = err.strip().splitlines()[-1]
        assert last == f"pnpvideo: {word}; the same command goes on from what was kept" and "Traceback" not in err

    def test_native_code_that_does_not_listen_is_ended_after_the_grace(self, number: int, code: int, word: str) -> None:
        child = start(STUBBORN, "0.1")
        assert child.stdout is not None and child.stdout.readline() == "working\n"
        child.send_signal(number)
        child.communicate(timeout=60)
        assert child.returncode == code

    def test_a_second_signal_does_not_wait_for_the_grace(self, number: int, code: int, word: str) -> None:
        child = start(STUBBORN, "3600")
        assert child.stdout is not None and child.stdout.readline() == "working\n"
        child.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        assert child.returncode == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_arrives_while_handlers_are_set_is_told_from_an_error(number: int, code: int) -> None:
    child = start(
        """
        import os, sys, threading
        from pnpvideo.cli.main import main
        started = threading.Thread.start
        threading.Thread.start = lambda thread: (os.kill(os.getpid(), int(sys.argv[1])), started(thread))
        sys.exit(main(["--version"]))
        """,
        str(int(number)),
    )
    _, said = child.communicate(timeout=60)
    assert child.returncode == code
    assert said in ("pnpvideo: interrupted\n", "pnpvideo: terminated\n")


def test_signals_are_handled_as_before_once_main_returns() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["--version"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_an_error_that_nobody_foresaw_is_one_line_and_exit_1() -> None:
    child = start(STAND_IN.format(work="raise KeyError('a\\nbug')"))
    _, err = child.communicate()
    assert child.returncode == 1
    *before, last = err.splitlines()
    assert before == ["pnpvideo: load: libraries ..."]
    assert last.startswith("pnpvideo: unexpected KeyError: ") and "-v" in last


def test_an_error_that_nobody_foresaw_shows_where_under_v() -> None:
    child = start(STAND_IN.format(work="raise KeyError('a bug')"), "-v")
    _, err = child.communicate()
    assert child.returncode == 1
    assert "Traceback" in err and "KeyError: 'a bug'" in err


def test_a_closed_pipe_is_no_traceback() -> None:
    child = start("import sys; from pnpvideo.cli.main import main; sys.stdin.read(1); sys.exit(main(['--help']))")
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    err = child.stderr.read()
    child.stderr.close()
    child.wait()
    assert "Traceback" not in err


def openmp_variables(**environment: str) -> str:
    """What the command has set of OpenMP's variables at the moment when it loads its first module after click."""
    code = """
        import os, sys
        from pnpvideo.__main__ import main
        sys.argv = ["pnpvideo", "--version"]
        main()
        found = sorted(pair for pair in os.environ.items() if pair[0].startswith(("OMP", "GOMP", "KMP")))
        print(found, "torch" in sys.modules)
        """
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("OMP", "GOMP", "KMP"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_threads_sleep_where_they_wait_because_the_command_says_so_before_torch_loads() -> None:
    assert openmp_variables() == "[('GOMP_SPINCOUNT', '3000')] False"


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_how_the_user_lets_threads_wait_stays(name: str) -> None:
    assert openmp_variables(**{name: "7"}) == f"[('{name}', '7')] False"
