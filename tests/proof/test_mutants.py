"""Small faults put into the metrics on purpose, one at a time: the tests must notice at least nine of ten.

A mutant is a copy of a module in which one operator, constant, condition, argument or assigned value is another. It is
killed if a test of tests/metrics fails or does not end; only what is in the repository counts, no goldens and no real
data. Docstrings, annotations and what is raised are left as they are. A share of each module's mutants is drawn, with a
fixed seed; MUTANTS=all takes every one. Mutants that no test could tell from the original count as survivors too: they
are listed with the reason.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from queue import Queue
from typing import NamedTuple

import cosmic_ray.ast
import parso
import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

pytestmark = pytest.mark.proof
ROOT = Path(__file__).parents[2]
METRICS = "handbench/metrics"
SEED, DRAWN, AT_ONCE = 0, 1000, 2
# What one run of the tests may use; they take some seconds.
SECONDS, BYTES = 60, 6 * 2**30
PLUGINS = ("-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin")

BINARY = (
    "Add_Sub Add_Mul Sub_Add Sub_Mul Mul_Div Mul_Add Div_Mul Div_FloorDiv FloorDiv_Div FloorDiv_Mul Mod_Mul Pow_Mul"
)
BITS = "BitAnd_BitOr BitOr_BitAnd BitXor_BitOr RShift_LShift LShift_RShift"
COMPARED = "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
OPERATORS = [
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in f"{BINARY} {BITS}".split()),
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in COMPARED.split()),
    *(f"core/ReplaceUnaryOperator_Delete_{sign}" for sign in ("USub", "Invert", "Not")),
    *(f"core/Replace{pair}" for pair in ("TrueWithFalse", "FalseWithTrue", "AndWithOr", "OrWithAnd")),
    *("core/NumberReplacer", "core/AddNot", "core/ZeroIterationForLoop", "core/RemoveDecorator"),
]

# Why some mutants survive: reasons that several share.
DOUBLE = "the other operand is float64 already, so the sum or product is"
DEFAULT = "float64 is what None stands for here"
SAME = "a guard: there are always as many"
PIECES = "how much is done at once: the result is the same"
FALLS_BACK = "thresholds then count as uneven and are searched one by one: slower, the same"
EXACT = "more is looked up exactly: slower, the same"
MARGIN = "between what rounding does and what is real lie many powers of ten"
NEVER_EQUAL = "equality has no probability, or both sides give the same there"
MORE_EXACT = "float64 where float32 would do: slower, the same"
BRACKET = "where bisection begins: what is sought still lies within"
ACCURACY = "beyond the accuracy that is asked for"
TRUTHY = "a condition need not be bool"
PIVOT = "any pivot gives the same"
UNIT_OF_NONE = "a unit without samples is left out again"
# Survivors that were looked at: by module, what stands in the mutated lines, and why no test could tell them apart.
LOOKED_AT: dict[str, dict[str, str]] = {
    "align": {
        "np.asarray(root, None)": DOUBLE,
        "np.asarray(points, None)": DOUBLE,
        "np.asarray(target, None)": DOUBLE,
        "s[:, 2] >= FLAT": NEVER_EQUAL,
        "points_norm >= OFFICIAL": NEVER_EQUAL,
        "np.linalg.det(u @ vt) <= 0": "a determinant of +1 or -1 is not 0",
        "np.linalg.det(rotation) <= 0": "a determinant of +1 or -1 is not 0",
    },
    "bones": {"zip(*BONES, ": SAME},
    "curves": {
        "NEAR, EVEN = 1.001": EXACT,
        "NEAR, EVEN = 1e-3, -0.9": FALLS_BACK,
        "step = (at[": FALLS_BACK,
        "even = ": FALLS_BACK,
        "rows = PIECE": PIECES,
        "PIECE = ": PIECES,
        "np.asarray(errors, None)": DOUBLE,
        "reshape(- 2)": "any negative number stands for the rest",
        "unsure = None": EXACT,
        "<= NEAR": EXACT,
    },
    "errors": {
        "np.asarray(target, None)": DOUBLE,
        "np.asarray(points, None)": DOUBLE,
        "np.asarray(valid, None)": TRUTHY,
    },
    "fscore": {
        "LARGEST = 1e+30": "prints otherwise, and is the same number",
        "<= LARGEST": NEVER_EQUAL,
        "SLACK * largest + TINY, None": "NaN says as infinity does that nothing is known",
        "SLACK = 49": "a wider slack: more is measured in float64, the same",
        "SLACK = 47": "within the margin that was left above the 40 of its terms",
        "cloud.shape[1]), None)": MORE_EXACT,
        ".astype(None)": MORE_EXACT,
        "np.empty((tiles, together, w), None)": "bits as integers are exact in float64 too: slower, the same",
        "tiles = ": PIECES,
        "together = ": PIECES,
        "step = ": PIECES,
        "PRODUCT = ": PIECES,
        "HELD = ": PIECES,
        "HELD_EXACT = ": PIECES,
        "out=factor[:, :3], )": "the default is as strict",
        "np.matmul(left[:, part], right, )": "a new array instead of one that is used again",
        "np.asarray(thresholds, None)": "compared with distances in float64",
        "np.asarray(target, None)": DOUBLE,
        "np.asarray(points, None)": DOUBLE,
    },
    "image_plane": {
        "np.asarray(camera, None)": DOUBLE,
        "np.asarray(target, None)": DOUBLE,
        "np.asarray(points, None)": DOUBLE,
        "np.asarray(valid, None)": TRUTHY,
    },
    "intervals": {
        "missing >= 0": "nothing is appended then",
        "missing > -1": "nothing is appended then",
        "missing = int(clusters.max()) + 2": UNIT_OF_NONE,
        "rows = 1 if clustered": UNIT_OF_NONE,
        "int(unit.max()) + 2": UNIT_OF_NONE,
        "int(unit.max()) + 0": "a count grows to hold the last unit",
        "int(unit.max()) * 1": "a count grows to hold the last unit",
        "part + found.error": "without an error all parts are 0",
        ", strict=False": SAME,
        "zip(*columns, )": SAME,
        "astype(None)": DEFAULT,
        "self._level = ": PIVOT,
        "expected < ROUNDING": NEVER_EQUAL,
        "np.asarray(values, None)": "`Moments.add` converts once more",
        "np.argsort(clusters, )": "the order within a cluster changes a sum's rounding at most",
        "variance >= 0 and": "skewness is multiplied by the error, which is 0",
        "variance > -1 and": "skewness is multiplied by the error, which is 0",
    },
    "permutation": {
        "_AT_ONCE = ": PIECES,
        "rows = max(": PIECES,
        "np.asarray(differences, None)": "sums are float64 anyway",
        "strict=False": SAME,
        "_drawn(sums[:, drawn], seed, draws), )": SAME,
        "np.asarray(p, None)": "multiplied by whole numbers of 64 bits, it is float64",
        "astype(None)": DEFAULT,
        "integers(1, 2**64": "the one word that is left out is one of 2**64",
        "len(unit) else 1": UNIT_OF_NONE,
        "moving >= ALL_UP_TO": "drawn for nothing, where all flips are gone through",
        "if not sums.shape[0]": "draws for no column at all",
        "np.argsort(given, )": "equal p have the same adjusted p in either order",
    },
    "scale_align": {
        "np.maximum(count, 2)": "fewer than two points have no result",
        "axis=1)": "of two axes the last",
    },
    "spread": {
        "high = low + ": BRACKET,
        "low = np.log(": BRACKET,
        "for _ in range(": ACCURACY,
        "leggauss(": ACCURACY,
        "self.skew <= 0": "without skewness both sides are as long",
        "lru_cache": "remembers more or less: the same",
        "(_NODES - 1)": "the nodes mirrored",
        "ROUNDING * weight** 3": MARGIN,
        "expected < ROUNDING": NEVER_EQUAL,
        "reshape(- 2, 2)": "any negative number stands for the rest",
        "beyond >= 1 - level": NEVER_EQUAL,
        "t >= ndtri": NEVER_EQUAL,
    },
    "temporal": {
        "linked = names[1:]": "all were linked before",
        "if n == -1": "of no windows there is nothing to place",
        "np.asarray(mm_per_frame2, None)": DOUBLE,
    },
}


class Mutant(NamedTuple):
    module: str
    line: int
    what: str
    code: str


def left_alone(tree: ast.Module) -> set[int]:
    """Lines and columns, as line * 1000 + column, where annotations, raised errors and docstrings stand."""
    found: set[int] = set()
    for node in ast.walk(tree):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            parts.append(node)
        for part in filter(None, parts):
            found.update(range(part.lineno * 1000 + part.col_offset, part.end_lineno * 1000 + part.end_col_offset))
    return found


def by_operators(code: str, alone: set[int]) -> Iterator[str]:
    """One operator, constant, condition, loop or decorator is another."""
    nodes = list(cosmic_ray.ast.ast_nodes(parso.parse(code)))
    for name in OPERATORS:
        operator = get_operator(name)()
        places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, column) in enumerate(places):
            if line * 1000 + column not in alone:
                yield mutate_code(code, operator, occurrence)


def by_what_is_given(code: str, tree: ast.Module, alone: set[int]) -> Iterator[str]:
    """An argument or an assigned value is None, a keyword is not given, += does not add."""
    data = code.encode()
    starts = [0, *(match.end() for match in re.finditer(b"\n", data))]

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    def put(start: int, end: int, text: str) -> str:
        return (data[:start] + text.encode() + data[end:]).decode()

    def span(node: ast.expr | ast.keyword) -> tuple[int, int]:
        return at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)

    for node in ast.walk(tree):
        if not hasattr(node, "lineno") or node.lineno * 1000 + node.col_offset in alone:
            continue
        if isinstance(node, ast.Call):
            for given in node.args:
                if not isinstance(given, ast.Starred | ast.Constant):
                    yield put(*span(given), "None")
            for keyword in node.keywords:
                start, end = span(keyword)
                after = re.compile(rb"\s*,?").match(data, end)
                yield put(start, after.end(), "")
        elif isinstance(node, ast.Assign):
            yield put(*span(node.value), "None")
        elif isinstance(node, ast.AugAssign):
            start, end = span(node.target)[1], span(node.value)[0]
            yield put(start, end, " = ")


def mutants(module: str) -> list[Mutant]:
    """All of a module, each with its line and that line's text."""
    code = (ROOT / METRICS / f"{module}.py").read_text()
    tree = ast.parse(code)
    alone, before = left_alone(tree), code.splitlines()
    found = {}
    for mutant in (*by_operators(code, alone), *by_what_is_given(code, tree, alone)):
        if mutant == code:
            continue
        after = mutant.splitlines()
        changes = SequenceMatcher(None, before, after, False).get_opcodes()
        _, start, end, first, last = next(change for change in changes if change[0] != "equal")
        try:
            ast.parse(mutant)
        except SyntaxError:
            continue
        text = " ".join(" ".join(after[first:last]).split()) or f"without {' '.join(before[start:end]).strip()}"
        found[mutant] = Mutant(module, start + 1, re.sub(r"(?<=[(\[]) ", "", text), mutant)
    return list(found.values())


def imported(path: Path) -> set[str]:
    """Names of the metrics' modules that a file imports, or from which it imports."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    package = {alias.name for node in nodes if node.module == "handbench.metrics" for alias in node.names}
    return package | {str(node.module).removeprefix("handbench.metrics.") for node in nodes}


@cache
def files_for(module: str) -> list[str]:
    """Test files that import the module, then those that import a module of the metrics that uses it."""
    users = {path.stem for path in (ROOT / METRICS).glob("*.py") if module in imported(path)}
    files = {path: imported(path) for path in sorted((ROOT / "tests/metrics").glob("test_*.py"))}
    direct = [path for path, names in files.items() if module in names]
    indirect = [path for path, names in files.items() if names & users and path not in direct]
    return [str(path.relative_to(ROOT)) for path in direct + indirect]


def copied(folder: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("handbench", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


class Judge:
    """A process in a folder of its own that has the heavy libraries ready, and runs tests in forks of itself."""

    def __init__(self, folder: Path):
        self.folder = copied(folder)
        nowhere = {"HANDBENCH_GOLDENS": "/nonexistent", "HANDBENCH_REAL_DATA": "/nonexistent"}
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.test_mutants"],
            cwd=folder,
            env={**os.environ, **nowhere, **alone},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # Once with all as it is: it must pass, and leaves the tests compiled, but not what will be changed.
        assert self.ask("tests/metrics") == "survived"
        shutil.rmtree(folder / METRICS / "__pycache__")

    def ask(self, *tests: str) -> str:
        print(json.dumps(tests), file=self.process.stdin, flush=True)
        found = self.process.stdout.readline().strip()
        assert found in ("survived", "killed", "timeout")
        return found

    def end(self) -> None:
        self.process.communicate()

    def judge(self, mutant: Mutant) -> str:
        path = self.folder / METRICS / f"{mutant.module}.py"
        code = path.read_text()
        path.write_text(mutant.code)
        try:
            return self.ask(*files_for(mutant.module))
        finally:
            path.write_text(code)


def run(tests: list[str], compile_them: bool) -> str:
    """In a fork: `survived` where all pass, else `killed`, or `timeout`."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            silent = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(silent, stream)
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
            signal.alarm(10 * SECONDS)
            sys.dont_write_bytecode = not compile_them
            code = int(pytest.main(["-q", "-x", "--tb=no", *PLUGINS, *tests]))
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL):
        return "timeout"
    return "killed" if status else "survived"


def answer() -> None:
    """Read lists of tests line by line and print what became of each."""
    import cv2  # noqa: F401
    import h5py  # noqa: F401
    import hypothesis
    import hypothesis.strategies
    import pydantic  # noqa: F401
    import scipy.spatial.transform
    import scipy.special  # noqa: F401

    # The same examples each time, and a failing one is not made smaller.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutants")
    for number, line in enumerate(sys.stdin):
        print(run(json.loads(line), compile_them=number == 0), flush=True)


def verdicts(drawn: list[Mutant], folder: Path, say: Callable[[str], None]) -> list[str]:
    """What became of each, several at a time."""
    judges: Queue[Judge] = Queue()
    done = itertools.count(1)

    def one(mutant: Mutant) -> str:
        judge = judges.get()
        try:
            found = judge.judge(mutant)
        finally:
            judges.put(judge)
        if found == "survived":
            say(f"survived: {mutant.module}:{mutant.line} {mutant.what} ({why(mutant)})")
        if not (number := next(done)) % 50:
            say(f"{number} of {len(drawn)} mutants tried")
        return found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for judge in pool.map(Judge, (folder / str(k) for k in range(AT_ONCE))):
            judges.put(judge)
        found = list(pool.map(one, drawn))
    for _ in range(AT_ONCE):
        judges.get().end()
    return found


def why(mutant: Mutant) -> str:
    table = LOOKED_AT.get(mutant.module, {})
    return next((reason for part, reason in table.items() if part in mutant.what), "not looked at")


def test_nine_of_ten_faults_are_noticed(keep, capsys, tmp_path):
    modules = sorted(path.stem for path in (ROOT / METRICS).glob("*.py") if path.stem != "__init__")
    made = {module: mutants(module) for module in modules}
    total, generator = sum(map(len, made.values())), random.Random(SEED)
    share = 1.0 if os.environ.get("MUTANTS") == "all" else min(1.0, DRAWN / total)
    drawn = [one for module in modules for one in generator.sample(made[module], round(share * len(made[module])))]

    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    found = verdicts(drawn, tmp_path, say)
    survivors = [mutant for mutant, verdict in zip(drawn, found, strict=True) if verdict == "survived"]
    killed = len(drawn) - len(survivors)
    per_module = {
        module: {
            "possible": len(made[module]),
            "mutants": sum(mutant.module == module for mutant in drawn),
            "killed": sum(mutant.module == module and mutant not in survivors for mutant in drawn),
        }
        for module in modules
    }
    keep(
        "mutants",
        {
            "what": "faults put into handbench/metrics one at a time, and how many of them tests/metrics notices",
            "possible": total,
            "mutants": len(drawn),
            "killed": killed,
            "of_which_did_not_end": found.count("timeout"),
            "share": killed / len(drawn),
            "seed": SEED,
            "by_module": per_module,
            "survivors": [
                {"module": mutant.module, "line": mutant.line, "what": mutant.what, "why": why(mutant)}
                for mutant in survivors
            ],
        },
    )
    assert len(drawn) >= 300
    assert killed >= 0.9 * len(drawn)


if __name__ == "__main__":
    answer()
