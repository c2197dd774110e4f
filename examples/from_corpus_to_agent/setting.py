"""A setting: the corpus, the model that writes, the model that is trained, the tests, and the keys of each recipe.

It is a TOML file. The toy world writes one like `toy.toml`; write your own with your paths and models.
"""

from pathlib import Path

from pydantic import Field

from questwell.recipes.runs.config import RecipeConfig, Values, read_toml, resolve


class Setting(RecipeConfig):
    """The inputs of `run.py`."""

    writer: str
    """Model that writes the questions and judges answers, as for `questwell generate --llm`."""
    agent: str
    """Model that is trained, as for `questwell train --model`; also the solver, and the untrained agent."""
    corpus: str
    """Corpus that questions are made from and that is searched in domain."""
    other_corpus: str
    """Corpus that is searched out of domain; may be the same."""
    other_test: str
    """Questions out of domain, as NAME=FILE of `questwell evaluate --benchmarks`."""
    prompts: Path | None = None
    """Folder of prompt files that replace the packaged ones of the same name."""
    questions: int = Field(ge=1)
    """Number of questions that each of the two trained agents learns from."""
    test_questions: int = Field(ge=1)
    """Maximum number of test questions in domain."""
    generate: dict[str, object] = Field(default_factory=dict)
    """Further keys of `questwell generate`; likewise the next three."""
    dataset: dict[str, object] = Field(default_factory=dict)
    train: dict[str, object] = Field(default_factory=dict)
    evaluate: dict[str, object] = Field(default_factory=dict)

    def index_of(self, corpus: str, out: Path) -> Path:
        """Where the index of a corpus is kept."""
        return out / f"index-{Path(corpus).stem}"


def read_setting(path: Path) -> Setting:
    """The setting in a file, its paths seen from the file's folder.

    Raises:
        ConfigError: the file cannot be read, or a key or value is invalid.
    """
    found: dict[str, object] = dict(read_toml(path))
    for key in ("agent", "corpus", "other_corpus", "prompts"):
        here = path.parent / str(found.get(key, ""))
        if key in found and here.exists():  # else a name, such as `local` or `foldoc`
            found[key] = str(here)
    name, _, file = str(found.get("other_test", "")).partition("=")
    found["other_test"] = f"{name}={path.parent / file}"
    return resolve(Setting, found)


def keys(*layers: Values) -> Values:
    """All mappings merged; later ones override earlier ones."""
    return {key: value for layer in layers for key, value in layer.items()}
