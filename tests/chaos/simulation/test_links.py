from random import Random

from cqox.chaos.simulation.links import Link, Links


def test_a_link_is_made_once_for_each_direction() -> None:
    links = Links()
    assert links.of("a", "b") is links.of("a", "b")
    assert links.of("a", "b") is not links.of("b", "a")


def test_a_packet_takes_the_latency_at_least() -> None:
    draw = Random(1)
    delays = [Link(latency=0.1, jitter=0.01).delay(draw) for _ in range(1000)]
    assert min(delays) >= 0.1
    assert 0.108 < sum(delays) / 1000 < 0.112
    assert Link(latency=0.1, jitter=0.0).delay(draw) == 0.1
