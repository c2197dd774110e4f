"""From a corpus to an agent, three ways: how much training on questions hardened by execution feedback is worth.

    python examples/from_corpus_to_agent/run.py --out runs/example
    python examples/from_corpus_to_agent/run.py --out runs/mine --setting mine.toml

Three agents answer the same questions: untrained; trained on questions that were written in one go and never
checked; trained on SAGE's. Stages are the recipes behind `questwell generate`, `dataset`, `train` and `evaluate`.
Each leaves an ordinary folder; finished stages are not repeated, so run the same command again after an interruption.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import findings
import toy
from clock import Clock
from setting import Setting, keys, read_setting

from questwell.datasets.manifest import Manifest
from questwell.errors import ConfigError, QuestwellError
from questwell.llm.client import LLM
from questwell.recipes.dataset import build as dataset
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.evaluate import loop as evaluate
from questwell.recipes.generate import loop as generate
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import Values, resolve
from questwell.recipes.runs.ending import Report
from questwell.recipes.train import loop as train

FEEDBACK: Values = {"variant": "feedback"}
"""SAGE: attempts show whether a question is right and takes as many searches as asked for; if not, it is repaired."""
ONE_GO: Values = {"variant": "initial", "rounds": 0, "accept": "band", "band": "0..1"}
"""The same first questions from the same seeds, any that was solved at all: no look at difficulty, no feedback."""
KINDS: Mapping[str, Values] = {"one-go": ONE_GO, "sage": FEEDBACK}
say = logging.getLogger("from_corpus_to_agent").info


def main() -> None:
    """Run all stages for each seed, then compare the agents."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of all stages; the same folder continues")
    parser.add_argument(
        "--setting", type=Path, help="TOML file of your own corpus and models; by default the toy world"
    )
    parser.add_argument("--seeds", type=_seeds, default=[0, 1, 2], help="repetitions, separated by commas")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    stories: list[findings.Story] = []
    for seed in given.seeds:
        out = given.out / f"seed-{seed}"
        if given.setting:
            stories.append(story(read_setting(given.setting), {}, out, seed))
        else:
            with Clock(out / "cpu.json")("prepare"):  # the policy's warm start with the first seed
                path = toy.prepare(out, seed)
            stories.append(story(read_setting(path), toy.clients(), out, seed))
    found = findings.compare(stories)
    findings.write(found, given.out)
    say((given.out / "findings.md").read_text(encoding="utf-8"))


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0,1,2") from None


def story(setting: Setting, clients: Mapping[str, LLM], out: Path, seed: int) -> findings.Story:
    """Everything for one seed, in the order in which it happens; `clients` are models of this process, by name."""
    timing = Clock(out / "cpu.json")

    # 1. From the corpus to questions, in two ways from the same seeds.
    for kind, rules in KINDS.items():
        with timing(f"generate {kind}"):
            questions(setting, out, kind, rules, seed, clients)

    # 2. To datasets. SAGE's is split by evidence; the other may share no document with its test split.
    sage = datasets(setting, out, "sage", seed)
    other = datasets(setting, out, "one-go", seed, apart_from=[out / "data-sage" / "data" / "test.parquet"])
    if len({made.splits["train"].items for made in (sage, other)}) > 1:
        counts = f"{sage.splits['train'].items} of SAGE and {other.splits['train'].items} written in one go"
        raise ConfigError(f"{counts}: both agents must learn from as many, so raise seeds or lower questions")

    # 3. From datasets to agents: from the same model, with the same number of steps.
    agents = {"untrained": setting.agent}
    for kind in KINDS:
        with timing(f"train {kind}"):
            agents[kind] = trained(setting, out, kind, seed)

    # 4. The comparison: the same questions for all three agents, in domain and out of domain.
    tests = {"in": f"questwell={out / 'data-sage' / 'data' / 'test.parquet'}", "out": setting.other_test}
    for agent, model in agents.items():
        for domain, test in tests.items():
            with timing(f"evaluate {agent} {domain}"):
                evaluated(setting, out, agent, model, domain, test, seed)
    return findings.Story(seed, out, tuple(agents), tuple(tests), timing.seconds)


def questions(setting: Setting, out: Path, kind: str, rules: Values, seed: int, clients: Mapping[str, LLM]) -> None:
    """A run of generate in `questions-KIND`."""
    folder = out / f"questions-{kind}"
    models = {"llm": setting.writer, "solver_llm": setting.agent}
    where = {"corpus": setting.corpus, "index": setting.index_of(setting.corpus, out), "prompts": setting.prompts}
    config = generate.configure(folder, keys(setting.generate, models, where, {"seed": seed}, rules), resume=True)

    async def whole() -> generate.Report:
        setup = open_setup(config, clients=clients)
        try:
            return await generate.generate(config, folder, setup, Caller(resume=True))
        finally:
            await setup.aclose()

    done(folder, asyncio.run(whole()))


def datasets(setting: Setting, out: Path, kind: str, seed: int, apart_from: Sequence[Path] = ()) -> Manifest:
    """A dataset in `data-KIND`: SAGE's with a test split, the other for training only."""
    folder = out / f"data-{kind}"
    if not (folder / "manifest.json").exists():
        counts = f"train:{setting.questions}"
        given: Values = {"at_most": counts, "apart_from": [*apart_from], "split": "train:1"}
        if not apart_from:
            given = {"at_most": f"{counts},test:{setting.test_questions}"}
        config = resolve(DatasetConfig, keys({"prompts": setting.prompts, "seed": seed}, setting.dataset, given))
        dataset.build([out / f"questions-{kind}"], folder, config)
    return dataset.read_manifest(folder)


def trained(setting: Setting, out: Path, kind: str, seed: int) -> str:
    """An agent in `train-KIND`: supervised on right attempts at the training questions, then by their rewards."""
    folder, data = out / f"train-{kind}", out / f"data-{kind}"
    learns = {"data": data / "data" / "train.parquet", "demonstrations": data / "sft" / "train.jsonl"}
    where = {"corpus": setting.corpus, "index": setting.index_of(setting.corpus, out), "prompts": setting.prompts}
    given = keys(setting.train, learns, where, {"model": setting.agent, "seed": seed})
    report = train.run(train.configure(folder, given, resume=True), folder, Caller(resume=True))
    done(folder, report)
    return str(report.model)


def evaluated(setting: Setting, out: Path, agent: str, model: str, domain: str, test: str, seed: int) -> None:
    """A run of evaluate in `test-DOMAIN-AGENT`."""
    folder = out / f"test-{domain}-{agent}"
    corpus = setting.corpus if domain == "in" else setting.other_corpus
    where = {"corpus": corpus, "index": setting.index_of(corpus, out), "prompts": setting.prompts}
    given = keys(setting.evaluate, {"llm": model, "benchmarks": [test], "seed": seed}, where)
    done(folder, evaluate.run(evaluate.configure(folder, given, resume=True), folder, Caller(resume=True)))


def done(folder: Path, report: Report) -> None:
    """Say that a stage is complete.

    Raises:
        SystemExit: it is not; says why. The same command continues it.
    """
    if report.ending != "complete":
        raise SystemExit(f"{folder} is not finished ({report.ending}): {report.message}. The same command continues.")
    say(f"{folder} is complete")


if __name__ == "__main__":
    try:
        main()
    except QuestwellError as error:
        sys.exit(f"Error: {error}")
