"""Tokens per second of sampling and of the update, with random weights in the shape of a real model.

    python benchmarks/gpu/speed.py --out speed.json [--shape 135m] [--dialogues 64] [--device cuda]

Sampling plays dialogues of five messages with four searches between them, whose lengths are those of search agents
(median message 81 tokens, 250 to 550 tokens of passages); every search takes 5 to 40 ms. The same dialogues go through
the sampler without and with CUDA graphs, in one run. `benchmarks/throughput.py` measures it next to TRL's.
"""

# pyright: basic, reportArgumentType=false, reportPrivateImportUsage=false, reportOperatorIssue=false
# pyright: reportMissingImports=false

import argparse
import asyncio
import gc
import random
import sys
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1]))

from arguments import parser
from report import heading, write

from questwell.llm.pretrained import Pretrained
from questwell.llm.torch_policy import TorchPolicy
from questwell.toy.model import toy_tokenizer
from questwell.training.algorithms.grpo import GRPO
from questwell.training.policy import Lora
from questwell.training.trainer import Trainer
from questwell.training.update import Update
from questwell.types.episode import Sample
from questwell.types.trajectory import Role, TokenView

PEAK = 989e12
"""bf16 operations per second of an H100 without sparsity, by its data sheet."""
SHAPES = {
    "135m": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=49_152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
            num_key_value_heads=3, max_position_embeddings=8192, tie_word_embeddings=True,
        )
    ),
    "0.5b": lambda: Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=151_936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
            num_key_value_heads=2, max_position_embeddings=8192, tie_word_embeddings=True,
        )
    ),
    "tiny": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=1000, hidden_size=96, intermediate_size=192, num_hidden_layers=4, num_attention_heads=3,
            num_key_value_heads=1, max_position_embeddings=8192, tie_word_embeddings=True,
        )
    ),
}  # fmt: skip
Dialogue = tuple[int, list[int], list[int]]
"""Tokens of the prompt, of each message, and of what each search finds."""


def dialogues(count: int, scale: float) -> list[Dialogue]:
    """The same dialogues at each call."""
    draw = random.Random(1)

    def message() -> int:
        return max(4, int(scale * min(256, max(8, draw.lognormvariate(4.4, 0.6)))))

    return [
        (
            int(scale * draw.randint(300, 360)),
            [message() for _ in range(5)],
            [int(scale * draw.randint(250, 550)) for _ in range(4)],
        )
        for _ in range(count)
    ]


async def play(policy: TorchPolicy, all_: list[Dialogue], vocabulary: int) -> int:
    """Number of tokens sampled while all dialogues are played at once."""

    async def one(at: int, dialogue: Dialogue) -> int:
        draw = random.Random(at)
        prompt, messages, found = dialogue
        ids = [draw.randrange(10, vocabulary) for _ in range(prompt)]
        for turn, most in enumerate(messages):
            params = {"max_tokens": most, "temperature": 1.0, "seed": 10 * at + turn}
            ids += (await policy.generate(str(at), prompt_ids=ids, sampling_params=params)).token_ids
            if turn < len(found):
                await asyncio.sleep(draw.uniform(0.005, 0.04))
                ids = [*ids, *(draw.randrange(10, vocabulary) for _ in range(found[turn]))]
        return sum(messages)

    before = policy.sampled
    await asyncio.gather(*(one(at, dialogue) for at, dialogue in enumerate(all_)))
    return policy.sampled - before


def main() -> None:
    """Measure, and write the JSON."""
    options = parser(__doc__)
    options.add_argument("--shape", choices=SHAPES, default="135m")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--dialogues", type=int, default=64)
    options.add_argument("--scale", type=float, default=1.0, help="factor on all lengths")
    options.add_argument("--updates", type=int, default=3)
    options.add_argument("--micro-tokens", type=int, default=16_384, help="tokens per pass")
    options.add_argument("--out", type=Path, required=True, help="file for the results")
    asked = options.parse_args()
    half = asked.device != "cpu"
    name = torch.cuda.get_device_name() if half else "cpu"
    told: dict[str, object] = {**heading(), "shape": asked.shape, "device": name, "torch": torch.__version__}
    told["threads"] = torch.get_num_threads()
    told["arguments"] = {key: str(value) for key, value in vars(asked).items() if key != "out"}
    torch.manual_seed(0)
    model = SHAPES[asked.shape]().to(asked.device).eval()
    start = Pretrained(asked.shape, model, toy_tokenizer(f"w{at}" for at in range(900)))
    start.model.config.eos_token_id = None
    codec = start.codec
    weights = sum(weight.numel() for weight in model.parameters())
    told["weights"] = weights
    sampler = SHAPES[asked.shape]().to(asked.device, torch.bfloat16 if half else torch.float32).eval()
    all_ = dialogues(asked.dialogues, asked.scale)
    ways = {
        "continuous": lambda: TorchPolicy(sampler, codec, rows=64, graphs=False),
    }
    if half:
        ways["continuous, graphs"] = lambda: TorchPolicy(sampler, codec, rows=64)
        ways["continuous, graphs, 256 rows"] = lambda: TorchPolicy(sampler, codec, rows=256)
    sampling: dict[str, object] = {}
    told["sampling"] = sampling
    for way, make in ways.items():
        try:
            policy = make()
            policy._end = -1  # only the limit ends a message: the weights are random
            if half:
                asyncio.run(play(policy, all_[:8], model.config.vocab_size))  # warm
            _wait(half)
            started = time.perf_counter()
            sampled = asyncio.run(play(policy, all_, model.config.vocab_size))
            _wait(half)
            seconds = time.perf_counter() - started
            sampling[way] = {"tokens": sampled, "seconds": seconds, "tokens_per_s": sampled / seconds}
            sampling[way] |= {"steps": policy.steps, "read": policy.read, "graphs": len(policy._graphs)}
        except Exception as error:  # each way is measured by itself
            sampling[way] = {"error": f"{type(error).__name__}: {error}"[:400]}
        sys.stderr.write(f"{way}: {sampling[way]}\n")
        del policy
        gc.collect()
        write("speed", told, asked.out)
    told["update"] = updates(start, asked, half, weights)
    write("speed", told, asked.out)


def updates(start: Pretrained, asked: argparse.Namespace, half: bool, weights: int) -> dict[str, object]:
    """GRPO with a reference in the loss: one pass of the reference, one forward and one backward pass."""
    draw = random.Random(2)
    samples: list[Sample] = []
    for at, (prompt, messages, found) in enumerate(dialogues(asked.dialogues, asked.scale)):
        mask = [1] * messages[0]
        for one, other in zip(found, messages[1:], strict=True):
            mask += [0] * one + [1] * other
        ids = tuple(draw.randrange(10, 900) for _ in range(prompt + len(mask)))
        view = TokenView(ids[:prompt], ids[prompt:], tuple(mask), (-7.0,) * len(mask))
        samples.append(Sample(view, float(at % 2), f"q{at // 4}"))
    found_: dict[str, object] = {}
    for name, lora, more in (
        ("all weights", None, {}),
        ("all weights, checkpointing", None, {"checkpointing": True}),
        ("all weights, adamw8bit", None, {"optimizer": "adamw8bit"}),
        ("lora 16", Lora(16, 32), {}),
    ):
        try:
            torch.manual_seed(0)
            fresh = Pretrained(start.name, SHAPES[asked.shape]().to(asked.device), start.tokenizer)
            update = Update(micro_tokens=asked.micro_tokens, kl_in="loss", sampler_ratio_cap=None, **more)
            trainer = Trainer(fresh, {Role.SOLVER: GRPO()}, update, lora=lora)
            if half:
                trainer.update(samples)
                torch.cuda.reset_peak_memory_stats()
            rows = [trainer.update(samples) for _ in range(asked.updates)]
            seconds = min(row["update_s"] for row in rows)
            tokens = rows[-1]["update_tokens_per_s"] * rows[-1]["update_s"]
            found_[name] = {
                "tokens": tokens,
                "seconds": seconds,
                "tokens_per_s": tokens / seconds,
                "share_of_peak": 8 * weights * tokens / seconds / PEAK if half and lora is None else None,
                "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if half else None,
            }
            del trainer, fresh
        except Exception as error:  # each way is measured by itself
            found_[name] = {"error": f"{type(error).__name__}: {error}"[:400]}
        gc.collect()
        if half:
            torch.cuda.empty_cache()
        sys.stderr.write(f"update, {name}: {found_[name]}\n")
    return found_


def _wait(half: bool) -> None:
    if half:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
