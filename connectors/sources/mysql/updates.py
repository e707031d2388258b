"""The two images of an UPDATE to a change, or to two where the row moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.rules import TableRules

__all__ = ["Change", "Updates"]

Image = tuple[str, ...]
"""The JSON texts of the columns that are sent, then of those that are looked at."""


class Change(NamedTuple):
    """A changed row, its parts as JSON text.

    Attributes:
        row: The row after the change; of a DELETE, before it.
        key: Its key's columns, or None where the table or the image has no key.
        variant: What the type codes depend on: a mask of the columns with an unusual one (an unsigned value above the
            signed maximum, and with Canal's quirks NULL of SET and JSON); above it, with Canal's quirks, a mask of the
            columns that the row lacks.
        type: INSERT, UPDATE or DELETE.
        old: Of an UPDATE, the former values of the columns that changed.
        partition: Where it goes; None: the key decides.
    """

    row: str
    key: str | None
    variant: int
    type: str
    old: str | None = None
    partition: int | None = None


class Updates:
    """Makes changes of the images of one table layout.

    Args:
        table: The layout.
        rules: What is done with its rows.
        names: `"name":` of each column.
    """

    def __init__(self, table: Table, rules: TableRules, names: Sequence[str]) -> None:
        self._rules = rules
        self._names_by_index = names
        self._sent = [n for n in range(len(names)) if n not in rules.dropped]
        self._names = [names[n] for n in self._sent]
        self._count = len(self._sent)
        looked_at = rules.looked_at
        # A column of the key that is not sent is among those that are looked at.
        where = {n: at for at, n in enumerate(self._sent)} | {
            n: self._count + at for at, n in enumerate(looked_at) if n in rules.dropped
        }
        self._key = [(names[n], where[n]) for n in rules.key]
        self._filter_at = [looked_at.index(n) for n in rules.predicate.columns] if rules.predicate else []
        self._partition_at = [looked_at.index(n) for n in rules.partitioner.columns] if rules.partitioner else []
        self._plain = not (looked_at or rules.exact or rules.skip_unchanged or rules.partitioner)
        self._moves = not rules.exact and rules.partitioner is not None

    def wants(self, seen: Sequence[str]) -> bool:
        """Tell by the columns that are looked at whether a row is sent."""
        predicate = self._rules.predicate
        return predicate is None or predicate.holds([seen[at] for at in self._filter_at])

    def partition_of(self, seen: Sequence[str]) -> int | None:
        """Tell by the columns that are looked at where a row goes."""
        partitioner = self._rules.partitioner
        return None if partitioner is None else partitioner.of([seen[at] for at in self._partition_at])

    def start(self, changes: list[Change]) -> Callable[[Image, Image, int, int], None]:
        """Return what adds the change of a row of one event, given its images and their variants."""
        if self._plain:
            return self._plain_adder(changes)
        updated: set[int] = set()  # Canal forgets these only at the end of an event

        def add(before: Image, after: Image, before_variant: int, variant: int) -> None:
            self._add(changes, updated, before, after, before_variant, variant)

        return add

    def _plain_adder(self, changes: list[Change]) -> Callable[[Image, Image, int, int], None]:
        names, key_of, append, moves = self._names, self._key_of, changes.append, self._rules.key_changes

        def add(before: Image, after: Image, before_variant: int, variant: int) -> None:
            row = f"{{{','.join([n + v for n, v in zip(names, after, strict=True)])}}}"
            key = key_of(after)
            if moves and key is not None and (old_key := key_of(before)) != key:
                old_row = f"{{{','.join([n + v for n, v in zip(names, before, strict=True)])}}}"
                append(Change(old_row, old_key, before_variant, "DELETE"))
                append(Change(row, key, variant, "INSERT"))
                return
            old = ",".join([n + v for n, v, w in zip(names, before, after, strict=True) if v != w])
            append(Change(row, key, variant, "UPDATE", f"{{{old}}}"))

        return add

    def _key_of(self, image: Image) -> str | None:
        return f"{{{','.join([name + image[at] for name, at in self._key])}}}" if self._key else None

    def _row(self, image: Image) -> str:
        # The texts of the columns that are looked at stand behind those of the names.
        return f"{{{','.join([n + v for n, v in zip(self._names, image, strict=False)])}}}"

    def _add(
        self,
        changes: list[Change],
        updated: set[int],
        before: Image,
        after: Image,
        before_variant: int,
        variant: int,
    ) -> None:
        seen_before, seen = before[self._count :], after[self._count :]
        was, now = self.wants(seen_before), self.wants(seen)
        if not (was or now):
            return
        if not self._rules.exact:
            updated.clear()
        updated.update(n for n in range(self._count) if before[n] != after[n])
        if self._rules.skip_unchanged and was and now and not updated:
            return
        old_key, key = self._key_of(before), self._key_of(after)
        old_partition, partition = self.partition_of(seen_before), self.partition_of(seen)
        moved = (self._rules.key_changes and key != old_key) or (self._moves and partition != old_partition)
        if was and now and not moved:
            old = ",".join([self._names[n] + before[n] for n in sorted(updated)])
            changes.append(Change(self._row(after), key, variant, "UPDATE", f"{{{old}}}", partition))
            return
        # A row that leaves or enters what the filter lets through is a DELETE or an INSERT to those who see no more.
        if was:
            changes.append(Change(self._row(before), old_key, before_variant, "DELETE", None, old_partition))
        if now:
            changes.append(Change(self._row(after), key, variant, "INSERT", None, partition))

    def partial(
        self,
        changes: list[Change],
        before: tuple[Sequence[int], Image],
        after: tuple[Sequence[int], Image],
        variant: int,
        absent: int,
    ) -> None:
        """Add the change of images that lack columns (MINIMAL, NOBLOB).

        The row is what both together know; with Canal's quirks, what the image after the change holds.

        Args:
            changes: Where to add it.
            before: Columns of the image before the change, and their texts.
            after: The same after the change.
            variant: Unusual type codes of both.
            absent: What the variant tells of absent columns.
        """
        old_texts = dict(zip(before[0], before[1], strict=False))
        new_texts = dict(zip(after[0], after[1], strict=False))
        seen_before, new_seen = before[1][len(before[0]) :], after[1][len(after[0]) :]
        # What one image lacks is taken from the other; what both lack is not known, and then the row is sent.
        seen = [new or old for new, old in zip(new_seen, seen_before, strict=True)]
        was, now = self.wants(seen_before), self.wants(seen)
        if not (was or now):
            return
        partition = self.partition_of(seen)
        old_partition = self.partition_of([old or new for new, old in zip(new_seen, seen_before, strict=True)])
        whole = {n: new_texts.get(n, old_texts.get(n, "")) for n in sorted(old_texts.keys() | new_texts.keys())}
        key, old_key = self._partial_key(whole), self._partial_key({**whole, **old_texts})
        exact = self._rules.exact
        moved = not exact and (
            (self._rules.key_changes and key is not None and old_key != key) or partition != old_partition
        )
        if was and now and not moved:
            old = {n: text for n, text in old_texts.items() if new_texts.get(n, text) != text}
            if exact or old or new_texts.keys() - old_texts.keys() or not self._rules.skip_unchanged:
                row, mask = (new_texts, variant | absent) if exact else (whole, variant)
                changes.append(Change(self._some(row), key, mask, "UPDATE", self._some(old), partition))
            return
        if was:
            changes.append(Change(self._some(old_texts), old_key, variant, "DELETE", None, old_partition))
        if now:
            changes.append(Change(self._some(whole), key, variant, "INSERT", None, partition))

    def _partial_key(self, texts: dict[int, str]) -> str | None:
        names = self._names_by_index
        if not self._key or any(n not in texts for n in self._rules.key):
            return None  # an image without the key's columns
        return f"{{{','.join([names[n] + texts[n] for n in self._rules.key])}}}"

    def _some(self, texts: dict[int, str]) -> str:
        return f"{{{','.join([self._names_by_index[n] + text for n, text in texts.items()])}}}"
