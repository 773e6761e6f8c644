"""The page of tasks side by side, from runs that are made up."""

from benchmarks.side_by_side.measured import Measured, code
from benchmarks.side_by_side.page import Pair, page
from benchmarks.side_by_side.tasks import TASKS


def test_the_page_has_a_line_and_a_section_for_each_task_with_code_and_output_of_both() -> None:
    own = Measured(lines=4, seconds=1.26, cpu=2.0, printed="  GO  \nx\n\n")
    peer = Measured(lines=9, seconds=30.0, cpu=41.3, printed="1794")
    written = page([Pair(task=task, own=own, peer=peer) for task in TASKS], runs=3, processors=2)
    for task in TASKS:
        assert f"| {task.title} | 4 | 1.3 | 2.0 | {task.peer} | 9 | 30.0 | 41.3 |\n" in written
        assert f"\n## {task.title}\n\n{task.question}\n" in written
        for script, fence in ((f"{task.name}_cqox", "python"), (f"{task.name}_{task.peer.lower()}", "py")):
            assert f"```{fence}\n{code(script)}```" in written
        assert f"### What each says about trust\n\n{task.reading}\n" in written
    assert "```text\nGO\nx\n```" in written
    assert "median of 3 runs, 2 CPUs for both sides" in written
