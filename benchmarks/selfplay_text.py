"""Self-play on real text: ten steps of a real model over the factbook index, after a warm start on its three roles.

    python benchmarks/selfplay_text.py --work FOLDER [--model local-small] [--steps 10] [--teaching 20]

The embedded 0.5B model does not close its tags by itself, so that every proposal is invalid and nothing is learnt. A
short warm start shows it how a proposer, a solver and a reader write: capitals, days of independence and highest
points of some countries, by templates. Then it plays on answers drawn from all of the corpus. Ten steps of two answers
show that the game runs on real text and what the questions are like; they are far too few to learn from. Read them
with `questwell show FOLDER/run 3`. Results go to benchmarks/results/selfplay_text.json.
"""

import asyncio
import random
import re
import resource
import time
from pathlib import Path

import report
import torch
from arguments import parser
from arguments import run as started

from questwell.agents.prompts import Prompts
from questwell.agents.tools import Shelf, show
from questwell.llm.client import Message
from questwell.llm.pretrained import load
from questwell.recipes.corpus.index import IndexConfig, open_index
from questwell.recipes.runs.caller import Caller
from questwell.recipes.selfplay.loop import configure, run
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.retrieval.retriever import Retriever
from questwell.training.policy import Lora
from questwell.training.warmstart import WarmStart, demonstration_of, warm_start
from questwell.types.corpus import Passage

CORPUS = "factbook"
FACTS = {
    "What is the capital of {}?": re.compile(r"Capital - name: ([A-Z][a-z]+)\."),
    "On which day did {} become independent?": re.compile(r"Independence: (\d{1,2} [A-Z][a-z]+ \d{4})"),
    "What is the highest point of {}?": re.compile(r"[Hh]ighest point: ([A-Z][A-Za-z ]+?) [\d,]+ m"),
}
PROMPTS = {
    "ssp_proposer": """--- user
Here is a passage of a corpus. Write a question whose only answer is "$answer", and which does not hold it. First search
for what the question asks, by <search>words</search>; then write <question>the question</question>.
$passage
""",
    "solver": """--- user
Answer by searching. Write <search>words</search> to search, then <answer>name</answer>. $question
""",
    "gate_read": """--- user
$passages
Question: $question
Answer from these passages: <answer>name</answer>, or <answer>unknown</answer>.
""",
}
SETTINGS = {
    "corpus": CORPUS,
    "batch": 2,
    "attempts": 3,
    "hops": "1..1",
    "turns": 3,
    "turn_tokens": 40,
    "top_k": 1,
    "distractors": 1,
    "response_limit": 512,
    "lora_rank": 8,
    "dtype": "bfloat16",
    "learning_rate": 1e-4,
    "minibatches": 1,
    "save_every": 10,
}
COUNTRIES = 12
"""Number of countries shown for each kind of fact."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--work", type=Path, required=True, help="folder of the run; what is finished there is kept")
    options.add_argument("--model", default="local-small", help="as for `questwell selfplay --model`")
    options.add_argument("--steps", type=int, default=10)
    options.add_argument("--teaching", type=int, default=20, help="steps of the warm start")
    given = options.parse_args()
    torch.set_num_threads(1)
    told = report.heading()
    prompts = given.work / "prompts"
    prompts.mkdir(parents=True, exist_ok=True)
    for name, text in PROMPTS.items():
        (prompts / f"{name}.md").write_text(text, encoding="utf-8")
    start_folder = given.work / "start_folder"
    if not start_folder.exists():
        warm(given.model, Prompts(prompts), given.teaching, start_folder)
    values = {**SETTINGS, "model": str(start_folder), "prompts": prompts, "steps": given.steps}
    folder = given.work / "run"
    started, cpu = time.perf_counter(), time.process_time()
    run(configure(folder, values, resume=True), folder, Caller(resume=True, on_progress=tell))
    rows = Record(folder).rows()
    report.write(
        "selfplay_text",
        told
        | {
            "model": given.model,
            "teaching_steps": given.teaching,
            "settings": SETTINGS,
            "seconds": round(time.perf_counter() - started),
            "cpu_seconds": round(time.process_time() - cpu),
            "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            "steps": [{"step": row.step, "values": row.values, "reasons": row.reasons} for row in rows],
        },
    )


def tell(row: StepRow) -> None:
    known = {key: round(value, 3) for key, value in row.values.items() if value is not None}
    shown = ("valid_rate", "solver_accuracy", "proposer_reward", "question_length", "proposer_entropy")
    print(f"step {row.step}:", {key: known[key] for key in shown if key in known}, dict(row.reasons), flush=True)


def warm(model: str, prompts: Prompts, steps: int, out: Path) -> None:
    """Save `model` after `steps` supervised steps on what `demonstrations` shows."""
    start = load(model, dtype="bfloat16")
    shown = asyncio.run(demonstrations(prompts))
    views = [demonstration_of(dialogue, start.codec) for dialogue in shown]
    how = WarmStart(steps=steps, batch=3, learning_rate=5e-4, micro_tokens=1024)

    def on_progress(step: int, loss: float) -> None:
        print(f"teaching {step}: {loss:.3f}", flush=True)

    warm_start(start, views, how, lora=Lora(8, 16), on_step=on_progress).save(out)


async def demonstrations(prompts: Prompts) -> list[list[Message]]:
    """Dialogues of the three roles about the same facts, in a fixed random order."""
    index = open_index(IndexConfig(corpus=CORPUS))
    passages = [index.passage_at(place) for place in range(len(index))]
    found: list[list[Message]] = []
    for template, pattern in FACTS.items():
        known = [(passage, match[1]) for passage in passages if (match := pattern.search(passage.text))]
        for passage, answer in random.Random(template).sample(known, COUNTRIES):
            found += await roles(index, prompts, template.format(passage.title.partition(":")[0]), answer, passage)
    await index.aclose()
    random.Random(0).shuffle(found)
    return found


async def roles(
    index: Retriever, prompts: Prompts, question: str, answer: str, passage: Passage
) -> list[list[Message]]:
    """A proposer, a solver and a reader about one fact."""
    name = passage.title.partition(":")[0]
    query = f"{question.partition(' of ')[0].split()[-1].rstrip('?')} {name}"
    hits = await index.search(query, 1)
    known, new = Shelf([passage]), Shelf()
    proposer = prompts.messages("ssp_proposer", answer=answer, passage=show(passage, 1), rules="", turns=3, hops=1)
    solver = prompts.messages("solver", question=question, rules="", turns=3)
    reader = prompts.messages("gate_read", question=question, passages=show(passage, 1))
    return [
        [*proposer, *searched(query, known.show(hits)), Message("assistant", f"<question>{question}</question>")],
        [*solver, *searched(query, new.show(hits)), Message("assistant", f"<answer>{answer}</answer>")],
        [*reader, Message("assistant", f"<answer>{answer}</answer>")],
    ]


def searched(query: str, observation: str) -> list[Message]:
    """A search, and the message that the loop adds after it."""
    return [
        Message("assistant", f"<search>{query}</search>"),
        Message("user", f"<information>\n{observation}\n</information>"),
    ]


if __name__ == "__main__":
    started(main)
