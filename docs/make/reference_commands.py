"""The pages of the commands and of the config keys."""

import re
from collections.abc import Iterator
from typing import Any

import typer
from reference_text import code, docstring, prose
from typer.core import TyperGroup

from questwell.cli.app import app
from questwell.cli.verbs import VERBS, load
from questwell.recipes.sections import CONFIGS, config_of

_PLACEHOLDERS = {"path": "PATH", "int": "N", "float": "X"}


def commands() -> str:
    """The list of commands, and what all of them share."""
    rows = "\n".join(f"| [`{name}`](questwell-{name}.md) | {prose(verb.summary)} |" for name, verb in VERBS.items())
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return (
        f"# Commands\n\n{prose(docstring(group.help))}\n\n| command | what it does |\n|---|---|\n{rows}\n\n"
        f"## Options before the command\n\n{_options(group)}"
    )


def verb_page(verb: str) -> str:
    """Everything that one command takes, in the order of its help."""
    command = load(verb)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join(["questwell", verb, "[OPTIONS]", *map(_argument, arguments)])
    parts = [f"# questwell {verb}", prose(docstring(command.help)), f"    {usage}", prose(VERBS[verb].codes)]
    if verb in CONFIGS:
        parts.append(
            f"In a [config file](../runs.md#config-file) these are keys of the section `[{verb}]`, with `_` for `-`."
        )
    return "\n\n".join([*parts, _options(command)])


def _options(command: Any) -> str:  # noqa: ANN401  typer's command is of a private type
    panels: dict[str, list[str]] = {}
    context = command.context_class(command)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            name = _argument(parameter) if kind == "Arguments" else re.sub(r"<(?:list\[)?(\w+)[^>]*>", _kind, record[0])
            panel = getattr(parameter, "rich_help_panel", None) or kind
            panels.setdefault(panel, []).append(f"- {code(name.strip())}: {prose(_plain(record[1]))}")
    return "\n\n".join(f"## {panel}\n\n" + "\n".join(rows) for panel, rows in panels.items())


def _argument(parameter: Any) -> str:  # noqa: ANN401
    name = str(parameter.metavar or parameter.name.upper()).strip("{}[]").removesuffix("...")
    many = "..." if parameter.nargs == -1 else ""
    return f"{name}{many}" if parameter.required else f"[{name}{many}]"


def _kind(found: re.Match[str]) -> str:
    return _PLACEHOLDERS.get(found[1].lower(), "TEXT")


def _plain(text: str) -> str:
    return " ".join(text.split())


def keys() -> str:
    """Every config key from A to Z, with the commands that have it, and the names of older versions."""
    having: dict[str, list[str]] = {}
    for verb in CONFIGS:
        for key in config_of(verb).model_fields:
            having.setdefault(key, []).append(verb)
    rows = "\n".join(f"| `{key}` | {_verbs(having[key])} |" for key in sorted(having))
    parts = [
        "# Keys",
        "Every key of a [config file](../runs.md#config-file), and the commands that have it. A flag is its key "
        "with `-` for `_`; the command's page says what it means and its default. `questwell init` writes a file with "
        "all of them.",
        f"| key | commands |\n|---|---|\n{rows}",
        "## Names of older versions",
        "A config file or a run with an old name still opens, and a line says the new one.",
        "\n".join(["| old | now | commands |\n|---|---|---|", *_renamed()]),
    ]
    return "\n\n".join(parts)


def _verbs(verbs: list[str]) -> str:
    return ", ".join(f"[{verb}](questwell-{verb}.md)" for verb in verbs)


def _renamed() -> Iterator[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for verb in CONFIGS:
        for old, now in config_of(verb).renames().items():
            found.setdefault((old, now.key), []).append(verb)
    for (old, now), verbs in sorted(found.items()):
        yield f"| `{old}` | `{now}` | {_verbs(verbs)} |"
