"""Texts of the code as Markdown: escaped, with flags in code, and the strings under the members of a class."""

import ast
import inspect
import re
import textwrap


def prose(text: str) -> str:
    """A help text as Markdown: nothing in it is markup, and flags are code."""
    escaped = re.sub(r"([*\[\]~|\\]|\b_|_\b)", r"\\\1", text).replace("<", "&lt;")
    flags = re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"`\1`", escaped)
    return flags.replace("`" * 2, "")


def code(text: str) -> str:
    """A text as code; one with a grave accent is fenced by two."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def docstring(text: str | None) -> str:
    """A docstring in plain paragraphs; its code marks stay."""
    return textwrap.dedent(inspect.cleandoc(text or "")).strip()


def under_members(cls: type) -> dict[str, str]:
    """The string under each assignment in the body of a class, by the name that is assigned."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    name = ""
    for part in tree.body:
        if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
            name = part.targets[0].id
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            name = part.target.id
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and name:
            found[name] = " ".join(str(part.value.value).split())
            name = ""
        else:
            name = ""
    return found
