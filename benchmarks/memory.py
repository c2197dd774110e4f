"""Peak memory of PPO on a model of 135M weights: actor, critic and reference, next to what `--dry-run` estimates.

    python benchmarks/memory.py [--only "lora 16;all weights"] [--rows 8] [--tokens 512]

The model has SmolLM2-135M's shape (Llama: 30 layers of width 576, 9 heads, 3 of keys and values, 1,536 within, 49,152
words, tied) and random weights: memory does not depend on their values. Each case is a process of its own: it makes the
trainer and updates twice by PPO (critic, KL in the reward), first on two attempts of 16 tokens, so that the optimisers'
moments exist, then on `--rows` of `--tokens`: a quarter of them prompt, and half of the response retrieved. The batch
is one pass unless the case says otherwise. Peak is VmHWM, the highest resident memory of the process; what Python and
torch take before (RSS after the imports) is subtracted, because the estimate does not cover it. CPU only.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import report
from arguments import names, parser

if TYPE_CHECKING:
    from questwell.types.episode import Sample

HEAP = "MALLOC_MMAP_THRESHOLD_"
"""Environment variable of the C library: larger blocks, in bytes, are mapped outside its heap."""
WORDS, WIDTH, INNER, LAYERS = 49_152, 576, 1536, 30


@dataclass(frozen=True, slots=True)
class Case:
    """The settings of one process."""

    lora: int = 0
    half: bool = False
    checkpointing: bool = False
    passes: int = 1
    """Number of passes that the batch is split into."""
    mapped: bool = False
    """Tensors outside the C library's heap (MALLOC_MMAP_THRESHOLD_)."""


CASES = {
    "all weights": Case(),
    "all weights, checkpointing": Case(checkpointing=True),
    "all weights, 8 passes": Case(passes=8),
    "lora 16": Case(lora=16),
    "lora 16, outside the heap": Case(lora=16, mapped=True),
    "lora 16, checkpointing": Case(lora=16, checkpointing=True),
    "lora 16, frozen weights in bfloat16": Case(lora=16, half=True),
    "lora 16, bfloat16, checkpointing, 8 passes": Case(lora=16, half=True, checkpointing=True, passes=8),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", type=names(CASES), default=list(CASES), help="cases, separated by semicolons")
    options.add_argument("--rows", type=int, default=8, help="attempts in the batch")
    options.add_argument("--tokens", type=int, default=512, help="tokens per attempt")
    asked = options.parse_args()
    found: dict[str, object] = {}
    told = {**report.heading(), "rows": asked.rows, "tokens": asked.tokens, "cases": found}
    fresh = multiprocessing.get_context("spawn")
    for name in asked.only:
        os.environ.pop(HEAP, None)
        if CASES[name].mapped:
            os.environ[HEAP] = "65536"  # read by a process when it starts
        with fresh.Pool(1) as pool:
            found[name] = pool.apply(measured, (CASES[name], asked.rows, asked.tokens))
        print(name, json.dumps(found[name]), flush=True)
        report.write("memory", told)


def measured(case: Case, rows: int, tokens: int) -> dict[str, object]:
    """Memory in MiB and duration in seconds of one update."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from questwell.llm.pretrained import Pretrained, Size
    from questwell.toy.model import toy_tokenizer
    from questwell.training.algorithms.ppo import PPO
    from questwell.training.memory import need
    from questwell.training.policy import Lora
    from questwell.training.trainer import Trainer
    from questwell.training.update import Update
    from questwell.types.trajectory import Role

    torch.set_num_threads(1)
    bare = status("VmRSS")
    shape = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        dtype=torch.bfloat16 if case.half else torch.float32,
    )
    torch.set_default_dtype(torch.bfloat16 if case.half else torch.float32)
    model = LlamaForCausalLM(shape).eval()
    torch.set_default_dtype(torch.float32)
    size = Size(model.num_parameters(), WORDS, WIDTH, INNER, LAYERS)
    micro_tokens = rows * tokens // case.passes
    options = Update(micro_tokens=micro_tokens, checkpointing=case.checkpointing)
    lora = Lora(case.lora, 2 * case.lora) if case.lora else None
    start = Pretrained("135m", model, toy_tokenizer(()))
    trainer = Trainer(start, {Role.SOLVER: PPO()}, options, lora=lora)
    made = status("VmRSS")
    trainer.update(list(attempts(2, 16)))  # from now on the optimisers' moments exist
    started, cpu = time.perf_counter(), time.process_time()
    trainer.update(list(attempts(rows, tokens)))
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    predicted = need(
        size,
        critic=True,
        reference=True,
        lora_rank=case.lora or None,
        micro_tokens=micro_tokens,
        checkpointing=case.checkpointing,
        dtype="bfloat16" if case.half else "float32",
        cpu=not case.mapped,  # otherwise it is in the C library's heap
    )
    peak = status("VmHWM")
    return {
        **asdict(case),
        "weights": size.parameters,
        "imports_mib": mib(bare),
        "trainer_made_mib": mib(made),
        "peak_mib": mib(peak),
        "peak_without_imports_mib": mib(peak - bare),
        "predicted_mib": mib(predicted.total),
        "predicted_weights_mib": mib(predicted.weights),
        "predicted_training_mib": mib(predicted.training),
        "predicted_passes_mib": mib(predicted.passes),
        "measured_to_predicted": round((peak - bare) / predicted.total, 2),
        "update_s": round(seconds, 1),
        "update_cpu_s": round(cpu_s, 1),
    }


def attempts(rows: int, tokens: int) -> Iterator["Sample"]:
    """Made-up attempts, all of one length."""
    import torch

    from questwell.types.episode import Sample
    from questwell.types.trajectory import TokenView

    draw = torch.Generator().manual_seed(0)
    prompt = tokens // 4
    response = tokens - prompt
    mask = tuple(int(at // 32 % 2 == 0) for at in range(response))
    for row in range(rows):
        ids: list[int] = torch.randint(WORDS, (tokens,), generator=draw).tolist()  # type: ignore[reportUnknownMemberType]
        view = TokenView(tuple(ids[:prompt]), tuple(ids[prompt:]), mask, tuple(-10.8 * ours for ours in mask))
        yield Sample(view, float(row % 2), str(row // 4))


def status(name: str) -> int:
    """A memory figure of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def mib(size: int) -> int:
    """Bytes as MiB, rounded."""
    return round(size / 2**20)


if __name__ == "__main__":
    main()
