import hashlib
import re

import pytest

from questwell.text.scripts import CJK, COUNTED_AS_WORDS, IN_BIGRAMS, WORD_PER_CHARACTER

EVERY = "".join(map(chr, range(0x110000)))


@pytest.mark.parametrize(
    ("ranges", "digest"),
    [
        (IN_BIGRAMS, "9815519e752e4d32"),  # another set is another `ANALYSIS`: raise it
        (COUNTED_AS_WORDS, "711c104309916c38"),  # another set gives the same document other passages
        (WORD_PER_CHARACTER, "2df70389bca80c9d"),  # another set judges and deduplicates answers otherwise
        (CJK, "38dccc744a9fbebb"),  # another set does not find words in search indexes that are there already
    ],
)
def test_the_sets_stay_as_the_files_that_users_keep_were_made_with(ranges: str, digest: str) -> None:
    found = "".join(re.findall(f"[{ranges}]", EVERY))
    assert hashlib.sha256(found.encode("utf-8", "surrogatepass")).hexdigest()[:16] == digest
