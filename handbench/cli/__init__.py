"""What the user types. One file a command: options in, one call, print.

Heavy imports stand inside the commands, so that `handbench --help` answers at once and scoring never imports torch.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

from handbench import __version__
from handbench.cli import (
    compare,
    demo,
    doctor,
    evaluate,
    importing,
    ls,
    predict,
    prep,
    report,
    speed,
    submit,
    synth,
    train,
)
from handbench.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_MISSING, HandbenchError

# what the extra `methods` brings
OF_METHODS = ("torch", "torchvision", "timm", "open_clip", "lightning_fabric", "tensorboard", "safetensors")

app = typer.Typer(
    name="handbench",
    help="Benchmark 3D hand pose and mesh estimation from RGB: prepare, train, predict, score, time, print.",
    epilog="A first look at everything, on a synthetic hand: handbench demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

for name, command in (
    ("prep", prep.prep),
    ("synth", synth.synth),
    ("train", train.train),
    ("predict", predict.predict),
    ("import", importing.import_predictions),
    ("eval", evaluate.evaluate),
    ("compare", compare.compare),
    ("submit", submit.submit),
    ("speed", speed.speed),
    ("demo", demo.demo),
    ("doctor", doctor.doctor),
    ("ls", ls.ls),
):
    app.command(name)(command)

app.add_typer(report.app, name="report")


def _version(show: bool) -> None:
    if show:
        print(__version__)
        raise typer.Exit()


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a known error is one sentence and a hint, with its own exit code."""
    debug = "--debug" in sys.argv
    try:
        code = app(standalone_mode=False) or 0
        # typer answers Ctrl-C itself, without a word
        if code == EXIT_INTERRUPTED:
            _interrupted()
        sys.exit(code)
    except HandbenchError as error:
        if debug:
            raise
        _complain("error", error.message, error.hint)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _interrupted()
    except ModuleNotFoundError as error:
        if debug or (error.name or "").partition(".")[0] not in OF_METHODS:
            raise
        _complain("error", f"This command needs {error.name}.", "pip install 'handbench[methods]'")
        sys.exit(EXIT_MISSING)
    except BrokenPipeError:
        # the reader of our stdout (head, less) has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            # typer's own usage errors
            error.show()
            sys.exit(error.exit_code)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _complain("error", "The disk is full.", "Make room and run again: what is done is kept.")
            sys.exit(EXIT_MISSING)
        _complain("bug", f"{type(error).__name__}: {error}", "This is a fault of handbench: --debug shows where.")
        sys.exit(EXIT_BUG)


def _interrupted() -> NoReturn:
    _complain("interrupted", "stopped; what was finished is kept", "")
    sys.exit(EXIT_INTERRUPTED)


def _complain(kind: str, message: str, hint: str) -> None:
    from rich.text import Text

    from handbench.console import stderr

    stderr().print(Text(f"{kind}: ", style="bold red") + Text(message))
    if hint:
        stderr().print(Text("hint: ", style="bold") + Text(hint))
