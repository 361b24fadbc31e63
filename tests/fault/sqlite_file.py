"""Where the bytes of each row lie in an SQLite file that is at rest: enough of its format
(https://sqlite.org/fileformat) to damage exactly one value of one column."""
import sqlite3

FIXED_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
LEAF_TABLE, INNER_TABLE, LEAF_INDEX, INNER_INDEX = 0x0D, 0x05, 0x0A, 0x02


def varint(data, at):
    """The number and the place behind it."""
    value = 0
    for i in range(8):
        value = value << 7 | data[at + i] & 0x7F
        if data[at + i] < 0x80:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9


def cut(parts, first, size):
    """The places of a range of bytes of a record that lies in these parts."""
    for start, length in parts:
        low, high = max(first, 0), min(first + size, length)
        if low < high:
            yield start + low, high - low
        first -= length


def values(record):
    """(first byte, size) of each value in a record."""
    head_size, i = varint(record, 0)
    at = head_size
    while i < head_size:
        kind, i = varint(record, i)
        size = FIXED_SIZES[kind] if kind < 12 else (kind - 12) // 2
        yield at, size
        at += size


class SqliteFile:
    """cells(table) gives, for each row, {column: [(first byte, size), ...]}: a large value goes on
    in other pages. The key of a table with a rowid is there, too."""

    def __init__(self, path):
        self.data = path.read_bytes()
        self.page_size = int.from_bytes(self.data[16:18], "big")
        db = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
        self.tables = {name: (root, "WITHOUT ROWID" in sql, self.columns(db, name))
                       for name, root, sql in db.execute(
                           "SELECT name, rootpage, sql FROM sqlite_schema WHERE type = 'table' "
                           "AND name NOT LIKE 'sqlite_%'")}
        db.close()

    @staticmethod
    def columns(db, table):
        """(name, number in the primary key) in the order of the declaration."""
        return [(row[1], row[5]) for row in db.execute(f"PRAGMA table_info({table})")]

    def stored_columns(self, table):
        """A table without rowid is an index: its key comes first."""
        _, is_index, columns = self.tables[table]
        if is_index:
            columns = sorted((c for c in columns if c[1]), key=lambda c: c[1]) + \
                      [c for c in columns if not c[1]]
        return [name for name, _ in columns]

    def cells(self, table):
        root, is_index, columns = self.tables[table]
        key = next((name for name, number in columns if number), None)
        names = self.stored_columns(table)
        for at in self.leaf_cells(root):
            size, at = varint(self.data, at)
            places = {}
            if not is_index:
                start = at
                _, at = varint(self.data, at)
                places[key] = [(start, at - start)]
            parts = list(self.parts(at, size, is_index))
            record = b"".join(self.data[first:first + length] for first, length in parts)
            places.update((name, list(cut(parts, *value)))
                          for name, value in zip(names, values(record)) if value[1] > 0)
            yield places

    def parts(self, at, size, is_index):
        """Where a record of that size lies: in the cell, and what has no room there in a chain of
        pages of its own."""
        usable = self.page_size - self.data[20]
        least = (usable - 12) * 32 // 255 - 23
        most = (usable - 12) * 64 // 255 - 23 if is_index else usable - 35
        here = size if size <= most else least + (size - least) % (usable - 4)
        here = here if here <= most else least
        link = at + here
        yield at, here
        while size > here:
            size -= here
            page = (int.from_bytes(self.data[link:link + 4], "big") - 1) * self.page_size
            link, here = page, min(size, usable - 4)
            yield page + 4, here

    def leaf_cells(self, number):
        """Where the cells of all pages below this one begin, but for the inner ones."""
        page = (number - 1) * self.page_size
        head = page + (100 if number == 1 else 0)
        kind = self.data[head]
        is_inner = kind in (INNER_TABLE, INNER_INDEX)
        assert is_inner or kind in (LEAF_TABLE, LEAF_INDEX), f"page {number} is of kind {kind}"
        pointers = head + (12 if is_inner else 8)
        for i in range(int.from_bytes(self.data[head + 3:head + 5], "big")):
            cell = page + int.from_bytes(self.data[pointers + 2 * i:pointers + 2 * i + 2], "big")
            if is_inner:
                yield from self.leaf_cells(int.from_bytes(self.data[cell:cell + 4], "big"))
            else:
                yield cell
        if is_inner:
            yield from self.leaf_cells(int.from_bytes(self.data[head + 8:head + 12], "big"))
