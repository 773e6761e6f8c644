"""A candidate is written as the contract has it."""

from cqox.contract import RoleCandidate as RoleCandidateModel
from cqox.contract.messages import Message
from cqox.datasets import RoleCandidate


def test_a_candidate_fits_the_contract() -> None:
    candidate = RoleCandidate(column="w", confidence=0.7, reasons=(Message("datasets.has-two-levels"),))
    assert candidate.to_json() == {"column": "w", "confidence": 0.7, "reasons": ["The column has two levels."]}
    RoleCandidateModel.model_validate(candidate.to_json())
