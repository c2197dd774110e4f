"""A model in this process under verl's transformers, which is older than the local trainer's."""

from pathlib import Path

import torch
import toy_run

from questwell.llm.pretrained import Pretrained, load, size_of
from questwell.llm.torch_policy import TorchPolicy
from questwell.toy.model import toy_model, toy_tokenizer


async def test_a_folder_loads_and_samples(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    tokenizer = toy_tokenizer(toy_run.WORLD.words)
    start = Pretrained("tiny", toy_model(tokenizer, width=16, layers=1), tokenizer)
    start.save(tmp_path)
    assert size_of(str(tmp_path)).inner == 32
    outputs = [
        await TorchPolicy(one.model, one.codec).generate(
            "r", prompt_ids=[5, 6], sampling_params={"max_tokens": 4, "seed": 1}
        )
        for one in (start, load(str(tmp_path)))
    ]
    assert outputs[0].token_ids == outputs[1].token_ids
