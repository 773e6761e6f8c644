"""The errors of the library, without those of the services that `cqox.errors` has as well.

ResilienceError             a policy ended the call; says nothing about the callee
├── Rejected                the callee was not called; has .policy and .retry_after
│   ├── CircuitOpen
│   ├── BulkheadFull
│   ├── RateLimited
│   ├── LoadShed            `cqox.errors.Shed`
│   └── Draining
├── AttemptTimeout          also a TimeoutError: one attempt exceeded its timeout
└── DeadlineExceeded        also a TimeoutError: the whole call exceeded its deadline
PolicyFileInvalid           a file of policies is wrong
PolicyNotLoaded             a function names a policy that no file has brought
"""

from cqox.errors import (
    AttemptTimeout,
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    Draining,
    RateLimited,
    Rejected,
    ResilienceError,
)
from cqox.errors import Shed as LoadShed
from cqox.resilience.configuration.problems import PolicyFileInvalid, PolicyNotLoaded

__all__ = [
    "AttemptTimeout",
    "BulkheadFull",
    "CircuitOpen",
    "DeadlineExceeded",
    "Draining",
    "LoadShed",
    "PolicyFileInvalid",
    "PolicyNotLoaded",
    "RateLimited",
    "Rejected",
    "ResilienceError",
]
