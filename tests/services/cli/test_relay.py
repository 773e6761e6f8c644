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


def test_an_unread_output_never_blocks_and_later_reports_the_number_of_dropped_lines():
    printed: list[str] = []
    readable = threading.Event()

    def output(line: Text) -> None:
        assert readable.wait(60)
        printed.append(line.plain)

    relay = Relay(output)
    for number in range(12_000):
        relay.put(Text(str(number)))
    assert not relay.flush(0.01)
    readable.set()
    assert relay.flush(60)
    relay.put(Text("later"))
    assert relay.flush(60)
    kept = [line for line in printed if line.isdecimal()]
    assert kept == [str(number) for number in range(len(kept))]
    assert printed[-2:] == [f"{12_000 - len(kept)} lines were dropped here: the output was not read.", "later"]
