from cqox.analysis.workers.environment import template_environment, worker_environment
from tests.analysis.workers.test_confinement import SECRETS


def test_the_environment_keeps_what_numerics_and_the_interpreter_need() -> None:
    kept = {"PATH": "/bin", "PYTHONPATH": "/code", "OPENBLAS_CORETYPE": "Haswell", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    made = worker_environment({**kept, **SECRETS, "OMP_NUM_THREADS": "8", "OTEL_EXPORTER": "x"}, threads=3)
    fixed = {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "3",
        "PYTHONUNBUFFERED": "1",
        "_RJEM_MALLOC_CONF": "retain:false",
    }
    assert made == {**kept, **fixed}


def test_a_variable_is_kept_by_its_whole_name_or_its_prefix_and_no_other() -> None:
    assert worker_environment({"HOME": "/h", "LC_TIME": "C"}, threads=1).keys() >= {"HOME", "LC_TIME"}
    made = worker_environment({"HOME_TOKEN": "x", "MY_PATH": "x", "path": "x", "LANGUAGES": "x"}, threads=1)
    assert made == worker_environment({}, threads=1)


def test_what_is_forked_has_the_environment_of_a_worker_and_an_allocator_without_threads() -> None:
    plain = worker_environment({"PATH": "/bin"}, threads=2)
    forked = template_environment({"PATH": "/bin"}, threads=2)
    assert forked["_RJEM_MALLOC_CONF"] == "oversize_threshold:1048576,retain:false,background_thread:false"
    assert {**forked, "_RJEM_MALLOC_CONF": ""} == {**plain, "_RJEM_MALLOC_CONF": ""}
