"""Rules for --exec: every mistake has its line, and commands get exactly their arguments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speechcmd.errors import RulesError
from speechcmd.runtime.listening.rule_runner import MOST_RUNNING, RuleRunner
from speechcmd.runtime.listening.rules import Rule, fill_in, load_rules
from speechcmd.runtime.recognition.decoder import Detection

pytestmark = pytest.mark.runtime

WORDS = ("yes", "no", "stop")
PYTHON = [sys.executable, "-I", "-S", "-c"]
# writes what it got into the file named first, whole or not at all
REPORT = """
import json, os, sys
found = {name: value for name, value in os.environ.items() if name.startswith("SPEECHCMD")}
facts = {"arguments": sys.argv[2:], "environment": found, "input": sys.stdin.read()}
facts["session"] = os.getsid(0) if hasattr(os, "getsid") else 0
with open(sys.argv[1] + ".part", "w", encoding="utf-8") as file:
    json.dump(facts, file)
os.replace(sys.argv[1] + ".part", sys.argv[1])
"""
HEARD = Detection("yes", 3.42049, 4.02049, 0.971149, 4.1)


def write(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rule_text(**keys: object) -> str:
    """One [[rule]]; JSON writes these values as TOML does."""
    return "[[rule]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


def at(decided_s: float, label: str = "yes", score: float = 0.9) -> Detection:
    return Detection(label, decided_s - 1.0, decided_s - 0.4, score, decided_s)


def ends(done: Path, seconds: float = 10.0) -> bool:
    """Wait for a file that a command writes."""
    limit = time.monotonic() + seconds
    while not done.exists() and time.monotonic() < limit:
        time.sleep(0.01)
    return done.exists()


def wait_for_all(runner: RuleRunner) -> None:
    """A process object that is dropped before its end warns."""
    limit = time.monotonic() + 10.0
    while runner._running and time.monotonic() < limit:
        time.sleep(0.01)
        runner.close()


class Log:
    """What a runner reports."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.started: list[tuple[str, list[str]]] = []

    def runner(self, *rules: Rule, dry_run: bool = False, output: int = subprocess.DEVNULL) -> RuleRunner:
        return RuleRunner(
            rules,
            on_problem=self.problems.append,
            on_start=lambda rule, command: self.started.append((rule.name, command)),
            dry_run=dry_run,
            output=output,
        )

    def wait(self, runner: RuleRunner, n_problems: int) -> list[str]:
        """Poll until so many problems are reported, or ten seconds."""
        limit = time.monotonic() + 10.0
        while len(self.problems) < n_problems and time.monotonic() < limit:
            time.sleep(0.01)
            runner.poll()
        return self.problems


def python_rule(code: str, *arguments: str, labels: tuple[str, ...] = WORDS) -> Rule:
    code = code.replace("{", "{{").replace("}", "}}")
    return Rule("rule 1", frozenset(labels), (*PYTHON, code, *arguments))


# ---- reading


def test_a_file_of_rules(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        rule_text(label="yes", command=[sys.executable, "{label} {{x}}"], min_score=0.8, cooldown_s=2)
        + rule_text(label=["yes", "no"], command=[sys.executable])
        + rule_text(label="*", command=[sys.executable]),
    )
    first, second, third = load_rules(path, WORDS)
    assert first == Rule("rule 1", frozenset({"yes"}), (sys.executable, "{label} {{x}}"), 0.8, 2.0)
    assert second == Rule("rule 2", frozenset({"yes", "no"}), (sys.executable,))
    assert third.labels == frozenset(WORDS)


def test_a_program_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / ("tool.exe" if sys.platform == "win32" else "tool")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (rule,) = load_rules(write(tmp_path, rule_text(label="yes", command=["tool"])), WORDS)
    assert Path(rule.command[0]) == program


GOOD = {"label": "yes", "command": [sys.executable]}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "rule: expected [[rule]], in double brackets, with a label and a command, got nothing"),
        ("[rule]\nlabel = 'yes'", "rule: expected [[rule]], in double brackets,"),
        ("rule = [1]", "rule[0]: expected a table, got 1"),
        ("[[rules]]", "rules: unknown name, expected rule; did you mean rule?"),
        ("[[rule]\n", "the rules are not TOML: "),
        (rule_text(command=["x"]), "rule 1, label: expected a word, a list of words or \"*\" for all, got nothing"),
        (rule_text(label="yes"), "rule 1, command: expected a program and its arguments, each by itself, such as [\"notify-send\", \"{label}\"], got nothing"),
        (rule_text(**GOOD) + rule_text(**GOOD, cooldown=1), "rule 2, cooldown: unknown name, expected one of label, command, min_score, cooldown_s, any_label; did you mean cooldown_s?"),
        (rule_text(**GOOD, zzz=1), "rule 1, zzz: unknown name, expected one of label, command, min_score, cooldown_s, any_label"),
        (rule_text(**GOOD | {"label": "yess"}), "rule 1, label: 'yess' is not a word of this model; did you mean 'yes'?"),
        (rule_text(**GOOD | {"label": "_unknown_"}), "'_unknown_' is not a word of this model; known: no, stop, yes"),
        (rule_text(**GOOD | {"label": []}), "rule 1, label: expected a word, a list of words or"),
        (rule_text(**GOOD | {"label": ["yes", 3]}), "rule 1, label[1]: expected text, got 3"),
        (rule_text(**GOOD | {"label": 3}), "all, got 3"),
        (rule_text(**GOOD, min_score=1.5), "rule 1, min_score: expected a number from 0 to 1, got 1.5"),
        (rule_text(**GOOD, min_score="high"), "rule 1, min_score: expected a number from 0 to 1, got 'high'"),
        (rule_text(**GOOD, min_score=True), "rule 1, min_score: expected a number from 0 to 1, got True"),
        (rule_text(**GOOD, cooldown_s=-1), "rule 1, cooldown_s: expected a number of at least 0, got -1"),
        (rule_text(**GOOD) + "cooldown_s = inf", "cooldown_s: expected a number of at least 0, got inf"),
        (rule_text(**GOOD) + "min_score = nan", "min_score: expected a number from 0 to 1, got nan"),
        (rule_text(label="yes", command="echo hi"), """rule 1, command: expected a program and its arguments, each by itself, such as ["notify-send", "{label}"], got 'echo hi'"""),
        (rule_text(label="yes", command=["x", 1]), "command[1]: expected text, got 1"),
        (rule_text(label="yes", command=[]), "each by itself, such as [\"notify-send\", \"{label}\"], got []"),
        (rule_text(label="yes", command=[""]), "command: no program '' is found"),
        (rule_text(label="yes", command=["no-such-program-here"]), "command: no program 'no-such-program-here' is found"),
        (rule_text(label="yes", command=["{label}"]), "the program '{label}' cannot hold a placeholder"),
        (rule_text(label="yes", command=[sys.executable, "{word}"]), "unknown placeholder in '{word}'; known are {label} {score} {start_s}"),
        (rule_text(label="yes", command=[sys.executable, "{}"]), "unknown placeholder in '{}'"),
        (rule_text(label="yes", command=[sys.executable, "{label.__class__}"]), "unknown placeholder in '{label.__class__}'"),
        (rule_text(label="yes", command=[sys.executable, "{score:9999999}"]), "unknown placeholder in '{score:9999999}'"),
        (rule_text(label="yes", command=[sys.executable, "{label!r}"]), "unknown placeholder in '{label!r}'"),
        (rule_text(label="yes", command=[sys.executable, "a } b"]), "'a } b' holds a single brace; write {{ or }} for a brace"),
        (rule_text(label="yes", command=[sys.executable, "{label"]), "'{label' holds a single brace"),
        (rule_text(label="yes", command=[sys.executable, "a\0b"]), "holds a zero character"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_line(tmp_path: Path, text: str, line: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RulesError) as error:
        load_rules(path, WORDS)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert line in message
    assert "\n" not in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="the rules cannot be read"):
        load_rules(tmp_path / "none.toml", WORDS)
    with pytest.raises(RulesError, match="the rules cannot be read"):
        load_rules(tmp_path, WORDS)
    path = tmp_path / "latin.toml"
    path.write_bytes("# Größe".encode("latin-1"))
    with pytest.raises(RulesError, match="not UTF-8 text"):
        load_rules(path, WORDS)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(rule_text(**GOOD).encode("utf-8-sig"))
    assert len(load_rules(path, WORDS)) == 1


HOSTILE_WORDS = (
    "yes$(reboot)", "`reboot`", "a;b", "a|b", "a&b", "a>b", 'a"b', "a\\b", "a\nb", "a=b", "a'b c'd", "(a)", "a.b", "--a", "x -rf",
    "a/b", "a*b", "a~b", "{a}", "'a", "a!", "a#", "a%b", "a,b", "a\u00a0b", "a\u202eb",
)  # fmt: skip
WRAPPERS = [
    ["sh", "-c", "echo {label}"], ["env", "sh", "-c", "echo {label}"], ["timeout", "9", "sh", "-c", "echo {label}"],
    ["python3", "-c", "print('{label}')"], ["awk", "BEGIN {{ print {label} }}"], ["notify-send", "heard {label}"],
]  # fmt: skip


@pytest.mark.parametrize("word", HOSTILE_WORDS)
@pytest.mark.parametrize("command", WRAPPERS, ids=" ".join)
def test_a_word_that_is_not_plain_enters_no_argument(
    tmp_path: Path, word: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which programs run what stands in an argument cannot be listed."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    text = rule_text(label="*", command=command)
    with pytest.raises(
        RulesError,
        match=r"rule 1, command: the word .* use the variable SPEECHCMD_LABEL, or any_label = true",
    ):
        load_rules(write(tmp_path, text), ("yes", word))
    assert load_rules(write(tmp_path, f"{text}any_label = true\n"), ("yes", word))
    by_variable = rule_text(label="*", command=["sh", "-c", 'echo "$SPEECHCMD_LABEL"'])
    assert load_rules(write(tmp_path, by_variable), ("yes", word))


@pytest.mark.parametrize(
    "word",
    [
        "yes",
        "lamp on",
        "can't",
        "l\u2019eau",
        "stop-now",
        "lamp_2",
        "caf\u00e9",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\u0645\u06cc\u200c\u0631\u0648\u0645",
        "\u306f\u3044",
    ],
)
def test_plain_words_of_any_script_may_be_arguments(tmp_path: Path, word: str) -> None:
    rules = load_rules(write(tmp_path, rule_text(label="*", command=[sys.executable, "{label}"])), (word,))
    assert rules[0].labels == {word}


def test_a_word_cannot_become_an_option_even_where_any_label_may_be_an_argument(tmp_path: Path) -> None:
    text = f"{rule_text(label='*', command=[sys.executable, '{label}'])}any_label = true\n"
    with pytest.raises(RulesError, match="the word '-rf' would be read as an option"):
        load_rules(write(tmp_path, text), ("yes", "-rf"))


def test_any_label_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="rule 1, any_label: expected true or false, got 'yes'"):
        load_rules(write(tmp_path, f'{rule_text(**GOOD)}any_label = "yes"\n'), WORDS)


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    values = {"label": "{score} {{", "score": "0.9"}
    assert fill_in("{{{label}}} {score}%", values) == "{{score} {{} 0.9%"


# ---- running


def test_a_command_gets_its_arguments_as_they_are(tmp_path: Path) -> None:
    done = tmp_path / "done.json"
    label = """a b'c"d; $(x) `y` %PATH% * \\ ü"""
    arguments = ["{label}", "{label} {score}", "{start_s} {end_s} {decided_s}", "{{label}}", "", "a b"]
    log = Log()
    runner = log.runner(python_rule(REPORT, str(done), *arguments, labels=(label,)))
    runner.on_detection(Detection(label, 3.42049, 4.02049, 0.971149, 4.1))
    assert ends(done)
    facts = json.loads(done.read_text(encoding="utf-8"))
    assert facts["arguments"] == [label, f"{label} 0.9711", "3.42 4.02 4.1", "{label}", "", "a b"]
    assert facts["environment"] == {"SPEECHCMD_LABEL": label, "SPEECHCMD_SCORE": "0.9711"}
    assert facts["input"] == ""
    if sys.platform != "win32":
        assert facts["session"] != os.getsid(0)  # so Ctrl-C in our terminal does not reach it
    assert log.started == [("rule 1", [*PYTHON, REPORT, str(done), *facts["arguments"]])]
    wait_for_all(runner)
    assert log.problems == []


def test_commands_write_where_they_are_told(tmp_path: Path) -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(1)"
    log = Log()
    with (tmp_path / "output.txt").open("w") as output:
        runner = log.runner(python_rule(code), output=output.fileno())
        runner.on_detection(HEARD)
        log.wait(runner, 1)
    assert (tmp_path / "output.txt").read_text().split() == ["out", "err"]


def test_nothing_of_a_command_reaches_our_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log()
    runner = log.runner(python_rule("import sys; print('x', flush=True); sys.exit('y')"))
    runner.on_detection(HEARD)
    assert log.wait(runner, 1)
    assert capfd.readouterr() == ("", "")


def test_labels_and_scores_choose() -> None:
    log = Log()
    rules = (
        Rule("rule 1", frozenset({"yes"}), ("a",), min_score=0.8),
        Rule("rule 2", frozenset({"yes", "no"}), ("b", "{label}")),
    )
    runner = log.runner(*rules, dry_run=True)
    for detection in (at(1, score=0.8), at(2, score=0.79), at(3, "no"), at(4, "stop")):
        runner.on_detection(detection)
    assert log.started == [
        ("rule 1", ["a"]),
        ("rule 2", ["b", "yes"]),
        ("rule 2", ["b", "yes"]),
        ("rule 2", ["b", "no"]),
    ]
    assert log.problems == []


def test_the_cool_down_counts_on_the_detections_clock() -> None:
    log = Log()
    runner = log.runner(
        Rule("rule 1", frozenset({"yes"}), ("x", "{decided_s}"), cooldown_s=2.0), dry_run=True
    )
    # 3.42 s starts; 5.41 is too early; 5.42 is two seconds later, whatever the floats say
    for decided_s in (3.42, 4.0, 5.41, 5.42, 7.41, 60.0):
        runner.on_detection(at(decided_s))
    assert [command[1] for _, command in log.started] == ["3.42", "5.42", "60.0"]


def test_failures_are_reported_once() -> None:
    log = Log()
    runner = log.runner(python_rule("import sys; sys.exit(3)"))
    runner.on_detection(HEARD)
    assert log.wait(runner, 1) == [f"rule 1 ({sys.executable}) failed with exit status 3"]
    runner.poll()
    runner.close()
    assert len(log.problems) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_an_end_by_signal_is_reported() -> None:
    log = Log()
    runner = log.runner(python_rule("import os; os.kill(os.getpid(), 15)"))
    runner.on_detection(HEARD)
    assert log.wait(runner, 1) == [f"rule 1 ({sys.executable}) was ended by signal {signal.SIGTERM:d}"]


def test_a_program_that_went_away(tmp_path: Path) -> None:
    log = Log()
    runner = log.runner(Rule("rule 1", frozenset(WORDS), (str(tmp_path / "gone"),), cooldown_s=5.0))
    runner.on_detection(at(1.0))
    runner.on_detection(at(2.0))  # what did not start does not cool down
    line = f"rule 1 ({tmp_path / 'gone'}) cannot be started: No such file or directory"
    assert log.problems == [line, line]


def test_a_label_that_no_argument_can_hold() -> None:
    log = Log()
    runner = log.runner(python_rule("", "{label}", labels=("a\0b",)))
    runner.on_detection(at(1.0, "a\0b"))
    assert len(log.problems) == 1
    assert "cannot be started: embedded null byte" in log.problems[0]


def test_only_so_many_run_at_once_and_close_leaves_them(tmp_path: Path) -> None:
    """Commands that wait for a file: they still run after close, and end when it is there."""
    go = tmp_path / "go"
    code = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.02)\nopen(sys.argv[2], 'w').close()"
    log = Log()
    runner = log.runner(python_rule(code, str(go), str(tmp_path / "done{decided_s}")))
    begun = time.monotonic()
    for i in range(MOST_RUNNING + 2):
        runner.on_detection(at(float(i)))
    refusal = f"rule 1 ({sys.executable}) was not started: 8 commands are still running"
    assert log.problems == [refusal, refusal]
    runner.close()
    assert time.monotonic() - begun < 5.0
    assert list(tmp_path.glob("done*")) == []
    go.touch()
    assert all(ends(tmp_path / f"done{float(i)}") for i in range(MOST_RUNNING))
    limit = time.monotonic() + 10.0
    while len(log.started) == MOST_RUNNING and time.monotonic() < limit:
        time.sleep(0.02)
        runner.on_detection(at(100.0))  # runs as soon as one of the eight has ended
    assert len(log.started) == MOST_RUNNING + 1
    assert ends(tmp_path / "done100.0")
    wait_for_all(runner)


def test_a_dry_run_starts_nothing(tmp_path: Path) -> None:
    log = Log()
    runner = log.runner(python_rule("", str(tmp_path / "x")), dry_run=True)
    for i in range(MOST_RUNNING + 2):
        runner.on_detection(at(float(i)))
    assert len(log.started) == MOST_RUNNING + 2
    assert log.problems == []
    assert runner._running == []
