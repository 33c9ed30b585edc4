"""The command line: a table of commands, each imported when it runs.

Exit codes: 0 success; 1 some files failed; 2 wrong usage; 130 interrupted. An error is one line on stderr.
"""

import difflib
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import (
    App,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownOptionError,
    UnusedCliTokensError,
    convert,
)

from uformer.errors import ExportError, OptionError, PictureError, TrainingError, UformerError, UnknownOption
from uformer.values import memory_in_bytes, typed
from uformer.version import __version__

COMMANDS = {
    "restore": (
        "uformer.restore.command:restore",
        "Restore noisy, rainy or blurred images.",
    ),
    "batch": (
        "uformer.batch.command:batch",
        "Restore millions of images, here or on a Ray cluster; an interrupted job resumes.",
    ),
    "train": ("uformer.train.command:train", "Train a network on your own image pairs, or on clean images."),
    "ablate": (
        "uformer.train.ablate:ablate",
        "Compare networks that train for the same time: a table and curves.",
    ),
    "data": ("uformer.check_data:data", "Check a dataset before training."),
    "eval": (
        "uformer.evaluate.command:eval_command",
        "Evaluate weights on a benchmark, with the metrics of published results.",
    ),
    "serve": ("uformer.serve.command:serve", "Restore images in the browser and over HTTP."),
    "web": (
        "uformer.web.command:web",
        "Write a static site that restores photos in the browser, without a server.",
    ),
    "degrade": (
        "uformer.degrade:degrade",
        "Degrade clean images with noise, rain or blur, for tests or training.",
    ),
    "photon-transfer": (
        "uformer.photon_transfer:photon_transfer",
        "Estimate the gain and read noise of a camera from a stack.",
    ),
    "info": ("uformer.info:info", "Show the parameters and multiply-adds of a network, and how they grow."),
    "models": ("uformer.show_models:models", "List the networks and the weights that ship."),
    "devices": (
        "uformer.show_devices:devices",
        "List the devices of this machine, and time them.",
    ),
    "export": (
        "uformer.export.command:export",
        "Export weights for other programs: ONNX, OpenVINO or torch.export.",
    ),
    "convert": (
        "uformer.convert:convert",
        "Convert the original authors' weights to a checkpoint, or back.",
    ),
}


_SHARES = ("--strength", "--luma", "--chroma", "--detail", "--grain", "--shadows")
"""Options that may be percentages."""

_AMOUNTS = ("--max-bytes", "--max-kept")
"""Options that may be amounts of memory."""

EXAMPLES = """\
Common uses:

  uformer photo.jpg                              writes photo.restored.jpg
  uformer restore photos --task derain -o dry    restores a folder into dry/
  uformer serve                                  opens a page in the browser
"""


class _Help:
    """Formats --help as cyclopts does, but prints each text as one paragraph: docstrings are wrapped."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        for entry in panel.entries:
            text = getattr(entry.description, "primary_renderable", None)
            if text is not None:
                text.plain = " ".join(text.plain.split())
        self._default()(console, options, panel)

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        self._default().render_usage(console, options, usage)

    def _default(self) -> Any:
        from cyclopts.help import DefaultFormatter  # noqa: PLC0415 - only --help needs it

        return DefaultFormatter()


def make_app() -> App:
    """The command-line application, with no command imported yet."""
    app = App(
        name="uformer",
        version=__version__,
        help="Restore noisy, rainy or blurred images with Uformer.\n\n" + EXAMPLES,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(show_default=_shown, converter=_value),
        help_formatter=_Help(),
    )
    for place, (name, (target, summary)) in enumerate(COMMANDS.items()):
        app.command(target, name=name, help=summary, sort_key=place)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    words = _with_command([*(sys.argv[1:] if arguments is None else arguments)])
    command = next((word for word in words[:1] if word in COMMANDS), None)
    see = f"see {' '.join(filter(None, ['uformer', command]))} --help"
    app = make_app()
    try:
        answer = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except UnusedCliTokensError as error:
        return _fail(OptionError(f"unexpected arguments: {shlex.join(error.unused_tokens or ())}; {see}"), 2)
    except UnknownOptionError as error:
        return _fail(
            OptionError(_unknown(app, command, error.token.keyword or error.token.value or "") + see), 2
        )
    except UnknownOption as error:
        return _fail(OptionError(_unknown(app, command, str(error)) + see), 2)
    except MissingArgumentError as error:
        names = error.argument.names if error.argument else ("an argument",)
        given = next((name for name in names if name in words), None)
        missing = f"{given} needs a value" if given else f"{names[0].lstrip('-').upper()} is missing"
        return _fail(OptionError(f"{missing}; {see}"), 2)
    except (CycloptsError, UformerError) as error:
        return _fail(error, 1 if isinstance(error, ExportError | PictureError | TrainingError) else 2)
    except KeyboardInterrupt:
        print("uformer: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(OSError(f"{where}{error.strerror or error}"), 1)
    except MemoryError:
        return _fail(MemoryError("out of memory"), 1)
    return answer if isinstance(answer, int) else 0


def _with_command(words: list[str]) -> list[str]:
    """Add `restore` to a command line that begins with a file, a folder or a pattern."""
    first = words[0] if words else "-"
    if first in COMMANDS or first.startswith("-"):
        return words
    return ["restore", *words] if os.path.exists(first) or any(sign in first for sign in "*?[/.") else words


def _shown(default: object) -> str | None:
    """A default as --help shows it; None, to show nothing, for no default and for a flag that is off."""
    return None if default is None or default is False else str(default)


def _value(kind: Any, words: Sequence[Token]) -> Any:
    """The value of an option.

    `values` reads numbers, because cyclopts rounds 1.5 to an integer and accepts nan.
    """
    if words[0].keyword in _SHARES and words[0].value.endswith("%"):
        return typed(words[0].value.removesuffix("%"), float, text=True) / 100
    if words[0].keyword in _AMOUNTS:
        return memory_in_bytes(words[0].value, free=None, name=words[0].keyword)
    for number in (int, float):
        if kind in (number, number | None):
            return typed(words[0].value, number, text=True)
    return convert(kind, words)


def _unknown(app: App, command: str | None, option: str) -> str:
    """The start of an error about an unknown option, with the nearest known one, if any is near."""
    option = option.partition("=")[0]
    known = (
        [name for each in app[command].assemble_argument_collection() for name in each.names]
        if command
        else ["--help", "--version"]
    )
    meant = difflib.get_close_matches(option, known, n=1)
    return f"unknown option {option}; " + (f"did you mean {meant[0]}? " if meant else "")


def _fail(error: BaseException, code: int) -> int:
    print("uformer: error: " + " ".join(str(error).split()), file=sys.stderr)
    return code
