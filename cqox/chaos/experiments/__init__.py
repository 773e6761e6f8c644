"""Experiments on real processes: a file for each, its data, the load, and what must hold."""

from cqox.chaos.experiments.experiment import (
    After,
    Experiment,
    Fault,
    Load,
    Needs,
    Probe,
    SteadyState,
    Target,
    Text,
)
from cqox.chaos.experiments.kinds import FAULTS, MIX, PARTS, PROBES
from cqox.chaos.experiments.reading import ExperimentInvalid, read_experiment, read_experiments

__all__ = [
    "FAULTS",
    "MIX",
    "PARTS",
    "PROBES",
    "After",
    "Experiment",
    "ExperimentInvalid",
    "Fault",
    "Load",
    "Needs",
    "Probe",
    "SteadyState",
    "Target",
    "Text",
    "read_experiment",
    "read_experiments",
]
