"""What the judgement of an event depends on, and nothing else: which conditions its values satisfy,
and where in arrays they stand. Events of one shape with the same rows are judged once (scan.py)."""
import json

from .model import leaves_of, read_number

LIMIT = 200000  # remembered values of one field

# Numbers stay as they are spelled, as bytes: these equal no other value, whatever its type.
SPELLED = json.JSONDecoder(parse_float=str.encode, parse_int=str.encode)


def read_spelled(text, scan_once=SPELLED.scan_once):
    """JSON with spelled numbers. The whole text is one object nearly always."""
    if text[:1] == "{":
        try:
            value, end = scan_once(text, 0)
            if end == len(text):
                return value
        except StopIteration:
            pass
    return SPELLED.decode(text)


class Field(dict):
    """Of one path: {value: bits of the conditions it satisfies}, filled when asked."""

    def __init__(self, first_bit):
        super().__init__()
        self.is_there, self.tests = 1 << first_bit, []

    def __missing__(self, value):
        read = read_number(value.decode()) if type(value) is bytes else value
        bits = self.is_there
        for bit, test in self.tests:
            if test(read):
                bits |= bit
        if len(self) >= LIMIT:
            self.clear()
        self[value] = bits
        return bits


class Shapes:
    """The shapes as some patterns see them."""

    def __init__(self, patterns):
        self.fields, self.bits = {}, 0
        self.alternatives = []  # (number of the pattern, bits it needs, bits it must not see)
        self.known = {}         # {shape: what fits}
        for number, pattern in enumerate(patterns):
            for wanted, absent in pattern.alternatives:
                needed = sum(self.condition(path, accepts) for path, accepts in wanted)
                never = 0
                for path in absent:
                    never |= self.field(path).is_there
                self.alternatives.append((number, needed, never))

    def field(self, path):
        found = self.fields.get(path)
        if found is None:
            found = self.fields[path] = Field(self.bits)
            self.bits += 1
        return found

    def condition(self, path, accepts):
        bit = 1 << self.bits
        self.bits += 1
        self.field(path).tests.append((bit, accepts))
        return bit

    def fits(self, event):
        """What decides which patterns fit an event with spelled numbers: the numbers of those that
        do, and the places of all values of the others, where these matter."""
        shape = self.of(event)
        found = self.known.get(shape)
        if found is None:
            if len(self.known) >= LIMIT:
                self.known.clear()
            found = self.known[shape] = self.judge(*shape)
        sure, unsure = found
        return (sure, self.details(event, unsure)) if unsure else sure

    def judge(self, bits, placed):
        """(numbers of the patterns that fit, bits of what may fit by its places)."""
        found, unsure = set(), 0
        for number, needed, never in self.alternatives:
            if bits & needed != needed:
                continue
            if placed & never or (needed & placed).bit_count() > 1:
                unsure |= needed | never
            elif not bits & never:
                found.add(number)
        return frozenset(found), unsure

    def details(self, event, mask):
        """The values that satisfy something of mask, with their places."""
        leaves = leaves_of(event)
        return tuple([(place, field[value] & mask) for path, field in self.fields.items()
                      if path in leaves for value, place in leaves[path] if field[value] & mask])

    def of(self, event):
        """(bits of all values, bits of those in some element of an array). Arrays of plain values
        choose no element."""
        look_up, bits, todo = self.fields.get, 0, [("", event)]
        for prefix, here in todo:  # grows on the way
            for name, value in here.items():
                kind = type(value)
                if kind is dict:
                    todo.append((prefix + name + ".", value))
                elif kind is not list:
                    field = look_up(prefix + name)
                    if field is not None:
                        bits |= field[value]
                elif value:
                    field = look_up(prefix + name)
                    for element in value:
                        if type(element) is dict or type(element) is list:
                            return self.with_places(event)
                        if field is not None:
                            bits |= field[element]
        return bits, 0

    def with_places(self, event):
        bits = placed = 0
        for path, here in leaves_of(event).items():
            field = self.fields.get(path)
            if field is not None:
                for value, place in here:
                    bits |= field[value]
                    if place:
                        placed |= field[value]
        return bits, placed
