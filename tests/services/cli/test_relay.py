import threading

from rich.text import Text

from services.cli.relay import Relay


def test_lines_are_printed_in_order():
    printed: list[str] = []
    relay = Relay(lambda line: printed.append(line.plain))
    for number in range(100):
        relay.put(Text(str(number)))
    assert relay.flush(60)
    assert printed == [str(number) for number in range(100)]


def test_while_nobody_reads_nobody_waits_and_afterwards_it_is_said_how_many_lines_are_missing():
    printed: list[str] = []
    readable = threading.Event()

    def tell(line: Text) -> None:
        assert readable.wait(60)
        printed.append(line.plain)

    relay = Relay(tell)
    for number in range(12_000):
        relay.put(Text(str(number)))
    assert not relay.flush(0.01)
    readable.set()
    assert relay.flush(60)
    relay.put(Text("later"))
    assert relay.flush(60)
    kept = [line for line in printed if line.isdecimal()]
    assert kept == [str(number) for number in range(len(kept))]
    assert printed[-2:] == [f"{12_000 - len(kept)} lines were left out here: nobody read what was printed.", "later"]
