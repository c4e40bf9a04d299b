"""The rooms of the package stay apart: who may import whom, how long a file may be, how a summary begins."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache

from helpers import REPO

PACKAGE = REPO / "aigp_lightning"
LAYERS = (
    {"__main__", "cli"},
    {"store", "report", "ship", "api"},
    {"plan", "audit", "deploy", "evaluation", "policy", "recipes"},
    {"callbacks", "loggers"},
    {"run", "modules", "data", "media", "predictions"},
    {"checkpoints", "logfiles", "terminal", "fetching"},
    {"files", "paths", "boxes", "types", "errors", "ranges"},
)
"""A room imports from its own layer or from those below."""
STANDALONE = {"aigp_lightning.deploy.runtime"}
"""Copied alone to other machines: it imports nothing of the package, may be imported by all, and may be long."""
MOST_LOOSE_FILES = 8
LONG, TOO_LONG = 250, 300
LINES_REASON = f"Longer than {LONG} lines:"
RIDDLES = {"What", "Who", "Whose", "Whether", "Where", "When", "Which", "Why", "Of", "How", "As", "That"}
"""Words with which no summary of a function begins: it begins with a verb, a predicate's with "True if"."""
RUNS_TEXT = {"eval", "exec", "__import__"}


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((REPO / file).read_text(encoding="utf-8"))


@cache
def files(under: str = "") -> tuple[str, ...]:
    """The package's files in a room, by their paths in the repository."""
    return tuple(sorted(path.relative_to(REPO).as_posix() for path in (PACKAGE / under).rglob("*.py")))


def docstring(file: str) -> str:
    return " ".join((ast.get_docstring(tree(file)) or "").split())


@cache
def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(file: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a file imports, at any depth, also under `if TYPE_CHECKING`."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@cache
def ours(file: str) -> tuple[tuple[int, str], ...]:
    """Line and module of everything of this package that a file imports, the package itself left out."""
    modules = {module_of(each) for each in files()}
    found = []
    for line, name in imported(file):
        parts = name.split(".")
        while parts and ".".join(parts) not in modules:
            parts.pop()
        if len(parts) > 1 and ".".join(parts) != module_of(file):
            found.append((line, ".".join(parts)))
    return tuple(found)


def check_none(found: Iterable[str]) -> None:
    """All that break a rule at once, a line each."""
    listed = "\n".join(found)
    assert not listed, f"\n{listed}"


def room(module: str) -> str:
    return module.split(".")[1]


def offenders(chosen: tuple[str, ...], is_forbidden: Callable[[str], bool]) -> list[str]:
    """Imports in these files that are forbidden, a line each."""
    return [f"{file}:{line} imports {name}" for file in chosen for line, name in imported(file) if is_forbidden(name)]


def check_rooms(chosen: tuple[str, ...], rooms: set[str], modules: Collection[str] = ()) -> None:
    """These files import, of ours, from these rooms and these modules (without the package's name) alone."""
    check_none(
        f"{file}:{line} imports {name}"
        for file in chosen
        for line, name in ours(file)
        if room(name) not in rooms and name.split(".", 1)[1] not in modules
    )


def root_in(*roots: str) -> Callable[[str], bool]:
    return lambda name: name.split(".")[0] in roots


def test_no_arrow_points_upwards() -> None:
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    rooms = {room(module_of(file)) for file in files() if module_of(file) != "aigp_lightning"}
    check_none(f"{name}/ has no layer" for name in rooms - set(level))
    wrong = [
        f"{file}:{line} imports {name}"
        for file in files()
        if module_of(file) != "aigp_lightning"
        for line, name in ours(file)
        if level[room(module_of(file))] > level[room(name)] and name not in STANDALONE
    ]
    check_none(wrong)


def test_a_file_that_is_copied_alone_needs_nothing_else() -> None:
    alone = tuple(file for file in files() if module_of(file) in STANDALONE)
    assert len(alone) == len(STANDALONE)
    allowed = {*sys.stdlib_module_names, "numpy", "cv2", "onnxruntime"}
    check_none(offenders(alone, lambda name: name.split(".")[0] not in allowed))


def test_no_module_imports_itself_by_a_detour() -> None:
    """Circles, also those within functions and under TYPE_CHECKING: modules that reach themselves."""
    edges = {module_of(file): {name for _, name in ours(file)} for file in files()}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(edges[start])
        while waiting:
            if (name := waiting.pop()) not in seen:
                seen.add(name)
                waiting.extend(edges[name])
        return seen

    check_none(name for name in edges if name in reached(name))


def test_few_files_lie_loose_and_none_is_long() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_LOOSE_FILES
    lengths = {file: len((REPO / file).read_text(encoding="utf-8").splitlines()) for file in files()}
    check_none(
        f"{file} has {lines} lines"
        for file, lines in lengths.items()
        if lines > TOO_LONG and module_of(file) not in STANDALONE
    )
    unreasoned = [file for file, lines in lengths.items() if lines > LONG and LINES_REASON not in docstring(file)]
    check_none(f"{file} has {lengths[file]} lines and no reason in its docstring" for file in unreasoned)


def test_only_the_yolo_family_imports_ultralytics() -> None:
    outside = tuple(file for file in files() if not file.startswith("aigp_lightning/modules/yolo/"))
    check_none(offenders(outside, root_in("ultralytics")))


def test_one_room_opens_connections_and_one_verb_uses_it() -> None:
    named = ("urllib.request.urlopen", "urllib.request.build_opener", "urllib.request.Request", "http.client.")
    asks = root_in("requests", "httpx", "urllib3", "aiohttp", "ftplib", "huggingface_hub")
    others = tuple(file for file in files() if not file.startswith("aigp_lightning/fetching/"))
    check_none(offenders(others, lambda name: asks(name) or f"{name}.".startswith(named)))
    users = {file for file in others for _, name in ours(file) if room(name) == "fetching"}
    assert users == {"aigp_lightning/cli/fetch.py"}


def test_media_knows_no_trainer_and_no_logger() -> None:
    """The loggers as destinations have a room of their own, which the rest knows by the protocol `Sink` alone."""
    loggers = root_in("lightning", "wandb", "tensorboard", "mlflow")
    drawing = tuple(file for file in files("media") if not file.startswith("aigp_lightning/media/sinks/"))
    check_none(offenders(drawing, loggers))
    check_none(offenders(drawing, lambda name: name.startswith("aigp_lightning.media.sinks")))
    check_rooms(files("media"), {"media", "types", "errors", "files", "paths", "boxes", "ranges"})


def test_audit_shares_nothing_with_what_it_checks() -> None:
    """It has the readers of ledger, signatures and checkpoints and the shapes of the loggers' records; no sink, no
    callback, no logger, and nothing that signs."""
    readers = {
        "media.ledger.ledger",
        "media.ledger.anchor",
        "media.ledger.keys",
        "media.ledger.signatures",
        "checkpoints.load",
        "checkpoints.paths",
    }
    check_rooms(files("audit"), {"audit", "logfiles", "terminal", "errors", "files"}, readers)
    check_none(offenders(files("audit"), root_in("lightning", "torch")))
    records = ("wandb.proto.wandb_internal_pb2", "tensorboard.compat.proto.event_pb2")
    loggers = root_in("wandb", "tensorboard", "mlflow")
    check_none(offenders(files("audit"), lambda name: loggers(name) and not name.startswith(records)))


def test_data_and_modules_know_no_callbacks_and_no_command_line() -> None:
    others = {room(module_of(file)) for file in files() if module_of(file) != "aigp_lightning"}
    check_rooms(files("data") + files("modules"), others - {"callbacks", "cli"})


def test_the_policy_stays_by_itself() -> None:
    """It trains without Lightning and logs to this machine alone: nothing that could send is within reach."""
    chosen = (*files("policy"), "aigp_lightning/cli/ppo.py")
    check_none(
        offenders(
            chosen, root_in("lightning", "lightning_utilities", "wandb", "mlflow", "torchvision", "albumentations")
        )
    )
    ours = {"cli.parser", "cli.class_help", "cli.verb_help", "run.folder", "run.lock", "run.provenance", "run.signals"}
    ours |= (readers := {"logfiles.safe_yaml"})
    check_rooms(chosen, {"policy", "terminal", "errors", "files", "ranges"}, ours)
    flying = readers | {module_of(file).split(".", 1)[1] for file in files("policy/env")}
    check_rooms(files("policy/env"), {"errors"}, flying)


def test_one_lightning() -> None:
    """`pytorch_lightning`'s classes are others than `lightning.pytorch`'s."""
    check_none(offenders(files(), root_in("pytorch_lightning")))


def test_everything_is_printed_by_the_functions_for_it() -> None:
    """They let no name control the terminal, and no stream end a run: `terminal/output.py`, and the log's own words."""
    printing = {"print", "Console", "ArgumentParser", "rank_zero_info", "rank_zero_warn", "warn"}
    streams = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
    found = []
    for file in files():
        if file.startswith("aigp_lightning/terminal/") or file == "aigp_lightning/errors.py":
            continue
        if module_of(file) in STANDALONE:
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func)).split(".")[-1] in printing:
                found.append(f"{file}:{node.lineno} calls {name}")
            if isinstance(node, ast.Attribute) and (name := ast.unparse(node)) in streams:
                found.append(f"{file}:{node.lineno} uses {name}")
    check_none(found)


def test_no_eval_no_exec() -> None:
    called = [
        f"{file}:{node.lineno} calls {node.func.id}"
        for file in files()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT
    ]
    check_none(called)


def test_text_files_have_an_encoding() -> None:
    """Without one they are read and written in the locale's: another on Windows, in China and in bare containers."""
    found = []
    for file in files():
        for node in ast.walk(tree(file)):
            if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
                continue
            name, modes = ast.unparse(node.func), [each.value for each in node.args if isinstance(each, ast.Constant)]
            own = name in ("open", "os.fdopen") or name.endswith((".read_text", ".write_text"))
            path = name.endswith(".open") and name != "os.open" and len(modes) == len(node.args)
            if (own or path) and not any("b" in str(mode) for mode in modes):
                found.append(f"{file}:{node.lineno} {name}(…) has no encoding")
    check_none(found)


def functions() -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Place, node and summary of every function that has a docstring; properties are attributes, and left out."""
    for file in files():
        for node in ast.walk(tree(file)):
            if not isinstance(node, ast.FunctionDef) or not (text := ast.get_docstring(node)):
                continue
            if not any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
                yield f"{file}:{node.lineno} {node.name}", node, text.splitlines()[0]


def test_summaries_begin_with_a_verb() -> None:
    """By ruff's rule for that, which does not know our "True if" of predicates."""
    words = ["--select", "D401", "--output-format", "concise", "--no-cache", "aigp_lightning"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *words], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    check_none(line for line in done.stdout.splitlines() if ": D401" in line and '"True if ' not in line)


def test_summaries_are_no_riddles() -> None:
    check_none(f"{place}: {summary}" for place, _, summary in functions() if summary.split()[0] in RIDDLES)


def test_a_predicates_summary_says_when_it_is_true() -> None:
    predicate = re.compile(r"_*(is|has)_")
    wrong = [
        f"{place}: {summary}"
        for place, node, summary in functions()
        if predicate.match(node.name) and node.returns is not None and ast.unparse(node.returns) == "bool"
        if not summary.startswith("True if ")
    ]
    check_none(wrong)
