"""Citations name a gate or an assumption that exists, with a DOI where the paper has one."""

import re

from cqox.diagnostics import definitions
from cqox.diagnostics.sources import OF_ASSUMPTIONS, OF_GATES, Source

DOI = re.compile(r"doi 10\.\d{4,9}/\S+|arXiv \d{4}\.\d{5}")


def test_sources_belong_to_a_gate_or_an_assumption() -> None:
    for kind, cited in (("gate", OF_GATES), ("assumption", OF_ASSUMPTIONS)):
        assert cited.keys() <= {each.name for each in definitions() if each.kind == kind}


def test_identifiers_are_well_formed() -> None:
    for source in (source for cited in (OF_GATES, OF_ASSUMPTIONS) for each in cited.values() for source in each):
        assert source.identifier is None or DOI.fullmatch(source.identifier), source


def test_a_source_reads_as_a_citation() -> None:
    assert str(Source("Kish", 1965)) == "Kish 1965"
    assert str(Source("Lee", 2009, "doi 10.1/x")) == "Lee 2009, doi 10.1/x"
