import asyncio
from dataclasses import dataclass, field

import pytest

from questwell.llm.client import Message, Request, Tool, ToolCall
from questwell.llm.kept_prompts import KeptPrompts, prompt_of

EXAMPLES = "Answer from the passages. " * 40
OTHER = "List the facts of the passage. " * 40


@dataclass
class Server:
    """A server of a token per character that tells what each call had to read."""

    slots: dict[int, str] = field(default_factory=dict[int, str])
    files: dict[str, str] = field(default_factory=dict[str, str])
    saves: bool = True

    async def save(self, slot: int, file: str) -> tuple[int, int]:
        await asyncio.sleep(0)
        if not self.saves:
            return 0, 0
        self.files[file] = self.slots.get(slot, "")
        return len(self.files[file]), len(self.files[file]) << 10

    async def restore(self, slot: int, file: str) -> None:
        await asyncio.sleep(0)
        self.slots[slot] = self.files.get(file, "")

    async def delete(self, file: str) -> None:
        self.files.pop(file, None)

    async def read(self, kept: KeptPrompts, prompt: str) -> int:
        """Make a call, and return how many tokens of the prompt were read."""
        async with kept.slot_for(Request(prompt=prompt)) as lent:
            held = self.slots.get(lent.number, "")
            known = next((n for n, (a, b) in enumerate(zip(held, prompt, strict=False)) if a != b), len(held))
            self.slots[lent.number] = prompt
            await asyncio.sleep(0)
            lent.tokens = len(prompt)
            return len(prompt) - known


def prompts(number: int, examples: str = EXAMPLES) -> list[str]:
    return [f"{examples}{chr(97 + i) * 1000}" for i in range(number)]


async def test_examples_are_read_once_and_a_prompt_that_comes_again_is_not_read() -> None:
    server = Server()
    kept = KeptPrompts(8, 1, 512, server)
    first, second, third = prompts(3)
    assert await server.read(kept, first) == len(first)
    assert await server.read(kept, second) == 1000
    assert await server.read(kept, third) == 1000
    assert [await server.read(kept, one) for one in (first, second, third)] == [0, 0, 0]


async def test_examples_are_kept_when_every_slot_has_another_prompt() -> None:
    server = Server()
    kept = KeptPrompts(2, 1, 512, server)
    first, second = prompts(2)
    for one in (first, second, *prompts(4, OTHER)):
        await server.read(kept, one)
    assert await server.read(kept, f"{EXAMPLES}{'z' * 1000}") == 1000


async def test_a_prompt_that_is_mostly_known_takes_the_slot_that_knows_it() -> None:
    server = Server()
    kept = KeptPrompts(4, 1, 512, server)
    whole = f"{EXAMPLES}{'a' * 1000}"
    await server.read(kept, whole)
    await server.read(kept, f"{whole}{'b' * 300}")
    assert len(server.slots) == 1
    assert server.files == {}


@pytest.mark.parametrize(("shared", "copied"), [(199, False), (200, True)])
async def test_a_copy_must_save_enough(shared: int, copied: bool) -> None:
    server = Server()
    kept = KeptPrompts(4, 1, 512, server)
    await server.read(kept, "s" * shared + "a" * 1000)
    await server.read(kept, "s" * shared + "b" * 1000)
    assert bool(server.files) == copied


async def test_copies_have_a_limit_and_the_least_recently_used_goes() -> None:
    server = Server()
    kept = KeptPrompts(2, 1, 5, server)  # a copy has 2 MiB
    one, two, three = ("x" * 1040, "y" * 1040, "z" * 1040)
    for examples in (one, two):
        for prompt in prompts(2, examples):
            await server.read(kept, prompt)
    assert len(server.files) == 2
    await server.read(kept, f"{one}{'q' * 1000}")  # uses the older copy
    for prompt in prompts(2, three):
        await server.read(kept, prompt)
    assert {text[0] for text in server.files.values()} == {"x", "z"}


async def test_a_copy_larger_than_the_limit_is_not_kept() -> None:
    server = Server()
    kept = KeptPrompts(2, 1, 1, server)
    for prompt in prompts(2):
        await server.read(kept, prompt)
    assert server.files == {}


async def test_a_slot_that_the_server_has_cleared_is_not_copied() -> None:
    server = Server()
    kept = KeptPrompts(4, 1, 512, server)
    first, second, third = prompts(3)
    await server.read(kept, first)
    server.slots.clear()
    assert await server.read(kept, second) == len(second)
    assert server.files == {}
    assert await server.read(kept, third) == 1000  # from the second


async def test_a_server_that_cannot_save_only_reads_more() -> None:
    server = Server(saves=False)
    kept = KeptPrompts(4, 1, 512, server)
    assert [await server.read(kept, one) for one in prompts(3)] == [len(EXAMPLES) + 1000] * 3


async def test_a_slot_whose_copy_was_cancelled_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    kept = KeptPrompts(2, 1, 512, server)
    first, second = prompts(2)
    await server.read(kept, first)
    await server.read(kept, f"{OTHER}{'b' * 1000}")
    restore = server.restore

    async def cancelled(slot: int, file: str) -> None:
        await restore(slot, file)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(server, "restore", cancelled)
        with pytest.raises(asyncio.CancelledError):
            await server.read(kept, f"{OTHER}{'c' * 1000}")
    await server.read(kept, second)
    assert {copy.file: copy.prompt for copy in kept._copies} == server.files


async def test_what_a_failed_call_left_is_not_relied_on() -> None:
    server = Server()
    kept = KeptPrompts(2, 1, 512, server)
    first, second = prompts(2)
    await server.read(kept, first)
    with pytest.raises(RuntimeError):
        async with kept.slot_for(Request(prompt=first)) as lent:
            server.slots[lent.number] = OTHER * 4
            raise RuntimeError
    await server.read(kept, second)
    assert server.files == {}


async def test_calls_at_the_same_time_have_slots_of_their_own() -> None:
    server = Server()
    kept = KeptPrompts(6, 3, 512, server)
    running = set[int]()
    most = 0

    async def call(prompt: str) -> None:
        nonlocal most
        async with kept.slot_for(Request(prompt=prompt)) as lent:
            assert lent.number not in running
            running.add(lent.number)
            most = max(most, len(running))
            for _ in range(3):
                await asyncio.sleep(0)
            running.remove(lent.number)
            lent.tokens = len(prompt)

    await asyncio.gather(*map(call, prompts(12) + prompts(12)))
    assert most == 3


def test_too_few_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="need 4 slots, not 3"):
        KeptPrompts(3, 2, 512, Server())


def test_requests_that_begin_alike_have_texts_that_begin_alike() -> None:
    def asked(*said: str, tools: tuple[Tool, ...] = ()) -> str:
        return prompt_of(Request((Message("system", "S"), *(Message("user", one) for one in said)), tools=tools))

    assert asked("one").startswith(asked("one")[:-2])
    assert asked("one", "don't").startswith(asked("one"))
    assert asked("it's one")[:20] == asked("it's two")[:20]
    assert asked("one") != asked("one", tools=(Tool("search", "", "{}"),))
    called = Message("assistant", "", (ToolCall("1", "search", "{}"),))
    assert prompt_of(Request((called,))) != prompt_of(Request((Message("assistant", ""),)))
    assert prompt_of(Request(prompt="plain")) == "plain"
