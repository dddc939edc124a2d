"""Errors and exit codes of the program."""

import json

import click
import pytest
from click.testing import CliRunner

from scylla_store import errors
from scylla_store.cli.invocation import Invocation, common_options, group_options
from scylla_store.cli.program import NotFound, Program, exit_code


def program(error=None):
    @click.group(cls=Program)
    @group_options
    def main():
        """A program."""

    @main.command()
    @common_options
    @click.pass_obj
    def run(call: Invocation):
        if error is not None:
            raise error
        call.output.answer({"path": call.path, "options": call.options}, ["fine"])

    return main


def run(*arguments, error=None):
    return CliRunner().invoke(program(error), list(arguments))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ValidationError("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.SchemaMismatch("x"), 2),
        (NotFound("x"), 3),
        (errors.DatabaseUnavailable("x"), 4),
        (errors.EmbeddedIndexBusy("x"), 4),
        (errors.EmbedderBusy("x"), 4),
        (errors.SyncTimeout("x"), 4),
        (errors.DeadLettered("x"), 5),
        (errors.DamagedRow("x"), 5),
        (OSError(28, "No space left on device"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error, code):
    assert run("run", error=error).exit_code == code


def test_an_error_is_one_line_on_stderr():
    result = run("run", error=errors.DatabaseUnavailable("The database\ndid not answer"))

    assert result.stderr == "Error: The database did not answer\n"
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [("--json", "run"), ("run", "--json")])
def test_with_json_an_error_is_one_document_on_stderr(arguments):
    result = run(*arguments, error=NotFound("There is no such thing"))

    assert json.loads(result.stderr) == {"error": "NotFound", "message": "There is no such thing", "exit_code": 3}


def test_a_wrong_command_line_is_one_line_that_names_the_help():
    result = run("run", "--nonsense")

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "run --help shows the usage" in result.stderr


def test_an_error_that_is_a_bug_keeps_its_traceback():
    result = run("run", error=ZeroDivisionError("ours"))

    assert isinstance(result.exception, ZeroDivisionError)


def test_common_options_stand_before_or_after_the_command():
    before = run("--json", "--path", "p", "-o", "index.timeout=1", "run")
    after = run("run", "--json", "--path", "p", "-o", "index.timeout=1")

    assert json.loads(before.stdout) == {"path": "p", "options": {"index__timeout": "1"}}
    assert after.stdout == before.stdout


def test_without_json_the_answer_is_text():
    assert run("run").stdout == "fine\n"


def test_without_a_command_the_help_is_shown():
    result = run()

    assert "Exit codes" in result.output


def test_an_interruption_has_the_shell_s_code():
    assert exit_code(click.Abort()) == 130
