"""A page of the docs as a session: its blocks run one after another, shortened by rules.

A rule is an HTML comment on the line before a block, in the Markdown itself:

    <!-- test: + --iterations 4 -->          these options are appended to every program of the block
    <!-- test: 224 => 32; 600_000 => 2 -->   these texts of the block are replaced
    <!-- test: output -->                    the text block is what the block before prints
    <!-- test: output, other values -->      the same, but for the numbers and the names of classes

Text on the page and what is printed are compared line by line, in order: `…` stands for anything, and where a rule
shortened the block any number stands for any number. There is no rule that leaves a block out. What a test cannot do
has a stand-in: `git clone`, `pip` and `python -m venv` install nothing (pip's extras are looked up), `curl` fetches
weights of random numbers and photographs of blobs, a run of `./test.sh` is this one, Keras's download of CIFAR-10 gives
the same few images that stand in for CIFAR-10 everywhere, and what launchers would start (`torchrun`, `srun`) runs
once, here. With `--help` as its rule a program does nothing else, and its help has to name each option that the page
gives.
"""

import contextlib
import importlib.util
import io
import itertools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EXECUTED = ("bash", "python")
SHOWN = ("text", "bibtex")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- test: (?P<rule>[^\n]*?) -->\n+ *)?"
    r"```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_PREAMBLE = """
record() {{ printf '%s\\037' "$@" >> {record}; printf '\\036' >> {record}; }}
{functions}
source() {{ [[ $1 == .venv/bin/activate ]]; }}
"""
_STANDS_IN = (
    "python", "python3", ".venv/bin/python", "pip", ".venv/bin/pip", "git", "curl", "tar", "./test.sh",
    "torchrun", "srun", "tensorboard",
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: path within the repository.
        line: of the page, where its text begins.
        language: of the fence.
        rule: the comment before it, or "".
        text: without the fences.
    """

    page: str
    line: int
    language: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order; indented ones (in a list or a tab) without their indent."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        indent = len(match["indent"])
        lines = [line[indent:] for line in match["text"].splitlines()]
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(page, line, match["language"], match["rule"] or "", "\n".join(lines)))
    return found


def substituted(block: Block) -> Block:
    """The block with the texts of its rule replaced; a text that is not there is an error."""
    text = block.text
    for change in block.rule.split("; "):
        old, new = change.split(" => ")
        assert old in text, f"{block}: the rule replaces {old!r}, which is not there"
        text = text.replace(old, new)
    return replace(block, text=text)


def extras() -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return set(tomllib.load(file)["project"]["optional-dependencies"])


class Session:
    """One page: a folder that looks like the checkout, one Python namespace, the output of the last block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("recipes", "benchmarks", "results", "docs", "pyproject.toml", "constraints-cpu.txt"):
            (folder / name).symlink_to(ROOT / name)
        self.names: dict[str, object] = {"__name__": "__page__"}
        self.printed = ""
        self.shortened = False

    def run(self, block: Block) -> None:
        """Executes a block, or compares an output block with what was printed."""
        if block.rule.startswith("output"):
            if "other values" in block.rule:
                block = replace(block, text=re.sub(rf"\b({'|'.join(CLASSES)})\b", "…", block.text))
            compare(block, self.printed, numbers_differ=self.shortened or "other values" in block.rule)
            return
        if block.language in SHOWN:
            return
        self.shortened = bool(block.rule)
        if "=>" in block.rule:
            block = substituted(block)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            if block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), self.names)
            else:
                for command in self._commands(block):
                    self._command(command, block)
        self.printed = printed.getvalue()

    def _commands(self, block: Block) -> list[list[str]]:
        """The programs that bash would start, with their arguments; bash itself does everything else."""
        record = self.folder / ".commands"
        record.write_text("")
        functions = "\n".join(f'{name}() {{ record {name} "$@"; }}' for name in _STANDS_IN)
        script = _PREAMBLE.format(record=shlex.quote(str(record)), functions=functions) + block.text
        (self.folder / "resnet_keras").mkdir(exist_ok=True)  # what git clone makes
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{block}: {done.stderr}"
        print(done.stdout, end="")
        calls = record.read_text().split("\036")[:-1]
        return [call.split("\037")[:-1] for call in calls]

    def _command(self, command: list[str], block: Block) -> None:
        name, *arguments = command
        match Path(name).name, arguments:
            case "python" | "python3", ["-m", "venv", _]:
                pass
            case "python" | "python3", ["-c", code]:
                exec(code, {"__name__": "__main__"})
            case "python" | "python3", [script, *options] if script.endswith(".py"):
                self._recipe(script, options, block)
            case "torchrun" | "srun", [*_, script] if script.count(".py ") == 1:  # bash -c '...'
                self._command(shlex.split(script), block)
            case "torchrun" | "srun", _:
                where = next(number for number, one in enumerate(arguments) if one.endswith(".py"))
                self._recipe(arguments[where], arguments[where + 1 :], block)
            case "tensorboard", ["--logdir", folder]:
                assert list((self.folder / folder).rglob("events.out.tfevents.*")), block
            case "pip", ["install", *wanted]:
                for extra in itertools.chain(*(re.findall(r"^\.\[(.*)\]$", one) for one in wanted)):
                    assert set(extra.split(",")) <= extras(), f"{block}: {extra}"
            case "git", ["clone", *_]:
                pass
            case "curl", ["-LO", address]:
                weights_of_others(self.folder / address.rpartition("/")[2])
            case "tar", ["xzf", _]:
                pass  # the photographs are there
            case "test.sh", []:
                assert (ROOT / "test.sh").exists()
            case _:
                raise AssertionError(f"{block}: no rule runs {shlex.join(command)}")

    def _recipe(self, script: str, options: list[str], block: Block) -> None:
        rule = block.rule.removeprefix("+ ") if block.rule.startswith("+ ") else ""
        sys.path.insert(0, str((ROOT / script).parent))  # as for a script: benchmarks import modules beside them
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                program(ROOT / script)([*options, *shlex.split(rule)])
            except SystemExit as ended:  # --help
                if ended.code != 0:
                    raise AssertionError(f"{block}: exit code {ended.code}") from ended
                unknown = [one for one in options if one.startswith("--") and one not in printed.getvalue()]
                assert not unknown, f"{block}: {script} has no {unknown}"
            finally:
                sys.path.pop(0)
        print(printed.getvalue(), end="")


def weights_of_others(file: Path) -> None:
    """Stands in for a download of this name: a net of that project with random numbers, or nothing for an archive."""
    if file.suffix == ".th":
        torch = pytest.importorskip("torch")
        from weights.torch_nets import IMAGES, Akamaster, settle

        torch.save({"state_dict": settle(Akamaster(3), IMAGES, Akamaster.pixels).state_dict()}, file)


def program(script: Path) -> Callable[[list[str]], None]:
    """The `program` of a recipe, which runs in this process. Two benchmarks have only a `main`."""
    module = _module(script)

    def run_main(options: list[str]) -> None:
        before, sys.argv = sys.argv, [str(script), *options]
        try:
            module.main()
        finally:
            sys.argv = before

    return module.program if hasattr(module, "program") else run_main


def _module(script: Path) -> ModuleType:
    name = f"page_{script.stem}"
    spec = importlib.util.spec_from_file_location(name, script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def compare(block: Block, printed: str, *, numbers_differ: bool) -> None:
    """Checks that each line of the block was printed, in the same order."""
    lines = iter([_plain(line) for line in printed.splitlines()])
    for wanted in filter(None, map(_plain, block.text.splitlines())):
        pattern = re.escape(wanted).replace("…", ".*")
        if numbers_differ:
            pattern = re.sub(r"(?<![A-Za-z-])\d[\d,]*(?:\\\.\d+)?(?:e\\?[-+]?\d+)?", r"[\\d.,e+-]+", pattern)
        if not any(re.fullmatch(pattern, line) for line in lines):
            raise AssertionError(f"{block}: no such line is printed, or not here: {wanted}\n--- printed:\n{printed}")


def _plain(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[\d;]*m", "", line)).strip()


@contextlib.contextmanager
def working_in(folder: Path):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
