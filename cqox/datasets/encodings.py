"""The encoding of a text file, decided by strict decoding of all of it, and the same text as UTF-8.

The order: the client's choice; a byte order mark; UTF-16 and UTF-32 without one (text has zero bytes in no other
encoding); ISO-2022-JP (by its escape sequences); UTF-8; cp932; EUC-JP. Nothing is ever decoded with replacement: an
encoding that cannot decode every byte is not the encoding.

EUC-JP text often decodes as cp932 too, as runs of half-width katakana. Where both decode, EUC-JP is right if four
fifths of its characters are common ones (`cqox.datasets.kanji`), for random pairs of katakana read as rare kanji more
often than not; else cp932 if there are few runs and they are spelt like words (`_plausible_katakana`), and EUC-JP
otherwise. The choice is reported.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.kanji import is_common
from cqox.datasets.signatures import TRIED
from cqox.datasets.temp_files import Scratch, Source
from cqox.errors import UnreadableFile

__all__ = ["TextEncoding", "as_utf8", "find_encoding"]

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_CHARACTERS = 1_000_000
# Control characters that text does not hold; tab, line ends, form feed and the escape of ISO-2022 it does.
_CONTROL = re.compile("[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_MAX_CONTROL_SHARE = 0.01
_DOS_END = b"\x1a"
# Python decodes five bytes that cp932 does not assign (0x80, 0xA0, 0xFD to 0xFF) to these characters.
_CP932_STRAY = re.compile("[\x80\uf8f0-\uf8f3]")
_USER_DEFINED = re.compile("[\ue000-\uf8ff]")
_HALF_WIDTH_RUN = re.compile("[\uff61-\uff9f]+")
# No word starts with punctuation, a small letter, the long mark or a voicing mark; a voicing mark needs a letter that
# can be voiced; lists of words hold no comma, and not every other character of a word is a middle dot.
_MISSPELT = re.compile(
    "^[\uff61-\uff70\uff9d-\uff9f]|[\uff62\uff65]$|\uff64|\uff65.\uff65|"
    "[^\uff73\uff76-\uff84\uff8a-\uff8e]\uff9e|[^\uff8a-\uff8e]\uff9f"
)
_FEW_RUNS = 5
_COMMON_SHARE = 0.8
_WIDE_SHARE = 100
_LATIN_WORD = re.compile("[A-Za-z][\u0080-\uffff]{1,2}[a-z]|[a-z][\u0080-\uffff]{1,2}(?![\u0080-\uffff])")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoding:
    """The encoding of a file, and what was found while decoding it.

    Attributes:
        name: as reported; Python knows the encoding by it.
        mark_bytes: length of the byte order mark to skip.
        notes: what was decided between, where it was not plain.
    """

    name: str
    mark_bytes: int = 0
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class _Failure:
    encoding: str
    offset: int

    def described(self) -> Message:
        return Message("datasets.fails-at-byte", encoding=self.encoding, offset=self.offset)


def find_encoding(source: Source, asked: str | None = None) -> TextEncoding:
    """The encoding of a text file.

    Args:
        source: the bytes.
        asked: the client's choice, which is then the only one tried.

    Raises:
        UnreadableFile: no encoding decodes every byte (each tried one is named, with the offset where it failed), or
            what it decodes to is not text.
    """
    head = source.head()
    found = _asked(source, head, asked) if asked is not None else _found(source, head)
    _refuse_binary(source, head, found)
    return found


def as_utf8(source: Source, encoding: TextEncoding, scratch: Scratch) -> Source:
    """The same text in UTF-8 without a byte order mark; the source itself where it is that already."""
    # In UTF-16 and UTF-32 the byte may be a part of a character.
    ends = not encoding.name.startswith(("utf-16", "utf-32")) and _ends_as_dos_does(source)
    if encoding.name == "utf-8" and not encoding.mark_bytes and not ends:
        return source
    file = scratch.open()
    for text in _texts(source, encoding.name, skip=encoding.mark_bytes):
        file.write(text.encode())
    if ends:
        file.seek(-len(_DOS_END), 1)
        file.truncate()
    return scratch.source(file)


def _ends_as_dos_does(source: Source) -> bool:
    with open(source.path, "rb") as file:
        file.seek(max(source.size - 1, 0))
        return file.read() == _DOS_END


def _asked(source: Source, head: bytes, asked: str) -> TextEncoding:
    name = codecs.lookup(asked).name
    # Files called Shift_JIS are Microsoft's superset of it wherever Windows wrote them.
    name = {"shift_jis": "cp932", "utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(name, name)
    mark = 0
    for bytes_, encoding in _MARKS:
        if head.startswith(bytes_) and name[:6] == encoding[:6]:
            name, mark = encoding, len(bytes_)
            break
    failure = _failure(source, name, skip=mark)
    if failure is not None:
        raise UnreadableFile(
            Message("datasets.undecodable-as-asked", encoding=asked, where=_excerpt(source, failure)),
            field="encoding",
        )
    return TextEncoding(name=name, mark_bytes=mark)


def _found(source: Source, head: bytes) -> TextEncoding:
    for mark, name in _MARKS:
        if head.startswith(mark):
            failure = _failure(source, name, skip=len(mark))
            if failure is not None:
                raise _undecodable(source, [failure], mark=name)
            return TextEncoding(name=name, mark_bytes=len(mark))
    # Text in UTF-16 has a zero byte in every comma, digit and line end; a stray one in other text is no sign of it.
    if head.count(0) * _WIDE_SHARE >= len(head):
        return _wide(source, head)
    failures: list[_Failure] = []
    if b"\x1b$" in head:
        failure = _failure(source, "iso2022_jp")
        if failure is None:
            return TextEncoding(name="iso2022_jp")
        failures.append(failure)
    for name in ("utf-8", "cp932", "euc_jp"):
        failure = _failure(source, name)
        if failure is None:
            return _cp932_or_euc(source) if name == "cp932" else TextEncoding(name=name)
        failures.append(failure)
    raise _undecodable(source, failures)


def _wide(source: Source, head: bytes) -> TextEncoding:
    zeros = head.count(0)
    # ASCII in UTF-16 has its zero byte second (LE) or first (BE); line ends and commas are ASCII in any language.
    little, big = head[1::2].count(0), head[0::2].count(0)
    candidates = ["utf-16-le" if little >= big else "utf-16-be"]
    if zeros * 5 >= 2 * len(head):
        # UTF-16 is no valid UTF-32: two of its units make a number above the largest character.
        candidates = ["utf-32-le", "utf-32-be", *candidates]
    for name in candidates:
        narrow = name.startswith("utf-16") and min(little, big) * 10 > max(little, big)
        if not narrow and _failure(source, name) is None and (zeros * 5 >= len(head) or _reads_well(source, name)):
            return TextEncoding(name=name, notes=(Message("datasets.no-byte-order-mark", encoding=name),))
    raise UnreadableFile(Message("datasets.binary-by-zero-bytes", offset=head.index(0), tried=TRIED))


def _reads_well(source: Source, encoding: str) -> bool:
    """Return whether the text beyond ASCII is Japanese as people write it."""
    foreign = [character for character in _sample(source, encoding) if character > "\x7f"]
    return sum(map(is_common, foreign)) >= _COMMON_SHARE * len(foreign)


def _cp932_or_euc(source: Source) -> TextEncoding:
    text = _sample(source, "cp932")
    runs = _HALF_WIDTH_RUN.findall(text)
    if runs and _failure(source, "euc_jp") is None:
        plausible = not _reads_well(source, "euc_jp") and _plausible_katakana(runs) and not _USER_DEFINED.search(text)
        chosen, other = ("cp932", "euc_jp") if plausible else ("euc_jp", "cp932")
        note = Message("datasets.cp932-or-euc-jp", encoding=chosen, other=other)
        return TextEncoding(name=chosen, notes=(note,))
    foreign = sum(1 for character in text if character > "\x7f")
    if foreign and 3 * len(_LATIN_WORD.findall(text)) > 2 * foreign:
        return TextEncoding(name="cp932", notes=(Message("datasets.cp932-inside-latin-words"),))
    return TextEncoding(name="cp932")


def _plausible_katakana(runs: list[str]) -> bool:
    """Return whether runs of half-width katakana are what somebody wrote, given that they decode as EUC-JP as well.

    EUC-JP pairs bytes, so all the runs have an even length: of six different words that is one chance in sixty-four.
    EUC-JP's kana, and many of its kanji, also make runs that break the rules of spelling.
    """
    return len(set(runs)) <= _FEW_RUNS and not any(_MISSPELT.search(run) for run in runs)


def _sample(source: Source, encoding: str) -> str:
    parts: list[str] = []
    size = 0
    for text in _texts(source, encoding):
        # Only lines with something beyond ASCII distinguish encodings.
        part = text if len(text) < 10_000 else "\n".join(line for line in text.splitlines() if not line.isascii())
        parts.append(part)
        size += len(part)
        if size > _SAMPLE_CHARACTERS:
            break
    return "".join(parts)


def _texts(source: Source, encoding: str, *, skip: int = 0) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    for block in source.blocks(skip=skip):
        yield decoder.decode(block)
    yield decoder.decode(b"", True)


def _failure(source: Source, encoding: str, *, skip: int = 0) -> _Failure | None:
    if encoding == "utf-8" and _is_utf8(source, skip):
        return None
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    stateless = encoding in ("utf-8", "cp932", "euc_jp")
    narrow = not encoding.startswith(("utf-16", "utf-32"))
    position = skip
    pending = 0
    try:
        for block in source.blocks(skip=skip):
            if narrow and b"\x00" in block:
                raise UnreadableFile(Message("datasets.zero-byte", offset=position + block.index(0)))
            if not (stateless and not pending and block.isascii()):
                text = decoder.decode(block)
                stray = _CP932_STRAY.search(text) if encoding == "cp932" else None
                if stray is not None:
                    return _Failure(encoding, position - pending + len(text[: stray.start()].encode(encoding)))
                pending = len(decoder.getstate()[0])
            position += len(block)
        decoder.decode(b"", True)
    except UnicodeError as error:
        # The decoder puts the bytes that it kept from the block before in front of this one.
        return _Failure(encoding, position - pending + getattr(error, "start", 0))
    return None


def _is_utf8(source: Source, skip: int) -> bool:
    """Return whether a text is UTF-8 without zero bytes.

    Python's decoder, which makes characters of the bytes and says where it fails, takes several times as long.
    """
    rest = b""
    for block in source.blocks(skip=skip):
        if b"\x00" in block:
            return False
        if not rest and block.isascii():
            continue
        whole = rest + block
        cut = _end_of_characters(whole)
        try:
            pl.Series([whole[:cut]], dtype=pl.Binary).cast(pl.String)
        except pl.exceptions.PolarsError:
            return False
        rest = whole[cut:]
    return not rest


def _end_of_characters(text: bytes) -> int:
    """Return where the last character begins if it may be cut, else the end."""
    for place in range(len(text) - 1, max(len(text) - 4, -1), -1):
        if text[place] < 0x80:
            break
        if text[place] >= 0xC0:
            return place
    return len(text)


def _undecodable(source: Source, failures: list[_Failure], *, mark: str = "") -> UnreadableFile:
    furthest = _excerpt(source, max(failures, key=lambda failure: failure.offset))
    tried = [failure.described() for failure in failures]
    detail = (
        Message("datasets.undecodable-with-mark", furthest=furthest, mark=mark, tried=tried)
        if mark
        else Message("datasets.undecodable", furthest=furthest, tried=tried)
    )
    return UnreadableFile(detail, field="encoding")


def _excerpt(source: Source, failure: _Failure) -> Message:
    with open(source.path, "rb") as file:
        file.seek(failure.offset)
        bad = file.read(4)
    shown = " ".join(f"0x{byte:02X}" for byte in bad)
    if not shown:
        return Message("datasets.stops-at-end", encoding=failure.encoding, offset=failure.offset)
    return Message("datasets.stops-at", encoding=failure.encoding, found=shown, offset=failure.offset)


def _refuse_binary(source: Source, head: bytes, encoding: TextEncoding) -> None:
    text = codecs.getincrementaldecoder(encoding.name)("strict").decode(head[encoding.mark_bytes :])
    control = _CONTROL.findall(text.removesuffix(_DOS_END.decode()))
    if len(control) > _MAX_CONTROL_SHARE * len(text):
        raise UnreadableFile(Message("datasets.binary-by-control-characters", character=ord(control[0]), tried=TRIED))
