"""The commands together, and what becomes of everything that goes wrong in them.

Exit codes: 0 done; 2 what the user gave is at fault (one message, no traceback); 1 our fault (one line, the traceback
is kept in a file, or shown with HEADSTART_DEBUG=1); 130 interrupted; 141 whoever read our output went away.

With --json there is exactly one JSON document on standard output, also when the command fails:
`{"error": {"type": "DataError", "message": "...", "exit_code": 2}}`. Words for people go to standard error.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence

import typer
from typer.main import get_command

from headstart import __version__
from headstart.cli import (
    cache,
    compare,
    doctor,
    ensemble,
    evaluate,
    explain,
    fit,
    predict,
    pretrain,
    rank,
    resume,
    sources,
    tune,
)
from headstart.cli.output import Interrupted, print_json, print_words
from headstart.core.errors import ConfigError, UserError
from headstart.core.extras import explained

INTERRUPTED, READER_GONE = 130, 141
COMPLETION = "_HEADSTART_COMPLETE"
"""Set by the shell when it asks for completions."""

app = typer.Typer(
    name="headstart",
    help="Fit a pretrained model to your data, prove what the reuse was worth, ship the result.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"headstart {__version__}")
        raise typer.Exit


@app.callback(epilog="Example: headstart fit photos/ --out runs/mine")
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    pass


for _module in (rank, fit, pretrain, tune, resume, predict, explain, evaluate, compare, ensemble, doctor):
    app.command(_module.__name__.rpartition(".")[2], epilog=_module.EPILOG)(_module.command)
app.add_typer(sources.app, name="sources")
app.add_typer(cache.app, name="cache")


def run(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; gives the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(given, as_json="--json" in given)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    return code


def _run(given: list[str], as_json: bool) -> int:
    try:
        if "" in given:
            raise ConfigError("an argument is empty. Is a variable of the shell not set? Leave it out, or fill it in.")
        result = get_command(app)(args=given, prog_name="headstart", standalone_mode=False)
    except UserError as error:
        return _failed(error, str(error), error.exit_code, as_json)
    except (Interrupted, KeyboardInterrupt, typer.Abort) as error:
        return _failed(error, str(error) or "interrupted.", INTERRUPTED, as_json)
    except BrokenPipeError:
        raise
    except SystemExit as error:  # typer and rich end so when the reader has gone; completion always does
        if error.code == 1 and COMPLETION not in os.environ:
            return _reader_gone()
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (missing := explained(error, "this command")):
            return _failed(missing, str(missing), missing.exit_code, as_json)
        if hasattr(error, "format_message"):  # typer's own: the command line itself is at fault
            error.show()  # type: ignore[attr-defined]
            return _failed(error, error.format_message(), 2, as_json, said=True)
        return _failed(error, _our_fault(error), 1, as_json)
    if result == INTERRUPTED:
        return _failed(KeyboardInterrupt(), "interrupted.", INTERRUPTED, as_json)
    return result if isinstance(result, int) else 0


def _reader_gone() -> int:
    """Nobody reads our output any more: let nothing be said about it at exit either."""
    if sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    return READER_GONE


def _failed(error: BaseException, message: str, code: int, as_json: bool, *, said: bool = False) -> int:
    if not said:
        print_words(f"headstart: {message}")
    if as_json:
        print_json({"error": {"type": type(error).__name__, "message": message, "exit_code": code}})
    return code


def _our_fault(error: Exception) -> str:
    """One line; the traceback goes to a file, or to standard error with HEADSTART_DEBUG=1."""
    where = "its traceback is above"
    words = "".join(traceback.format_exception(error))
    if os.environ.get("HEADSTART_DEBUG", "0") not in ("", "0"):
        print_words(words)
    else:
        try:
            handle, path = tempfile.mkstemp(prefix="headstart-error-", suffix=".txt")
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as out:
                out.write(words)
            where = f"its traceback is in {path}, HEADSTART_DEBUG=1 shows it"
        except OSError:
            where = "HEADSTART_DEBUG=1 shows its traceback"
    first = (str(error).splitlines() or [""])[0]
    return (
        f"something failed inside headstart ({type(error).__name__}: {first}); {where}. "
        "Please report it with the output of `headstart doctor`."
    )
