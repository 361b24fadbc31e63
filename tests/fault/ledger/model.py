"""The independent model: which campaigns an event matches, by the words of docs/patterns.md.

Naive on parsed JSON: a pattern becomes its $or-free alternatives, an event a table of leaves, and
one leaf is chosen for each field. Numbers are decimals, never floats. It knows exact values,
numeric, prefix, suffix, exists, anything-but (values and prefix, suffix), $or and arrays: what the
ledger's own campaigns use. Anything else is refused, never guessed.
"""
import json
import re
from decimal import Decimal

LOOKS_LIKE_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}\Z|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\Z")
SIGNS = {"=": lambda a, b: a == b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
         ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}
ANYWHERE = ()


class Unsupported(Exception):
    """A pattern beyond this model."""


class Wide:
    """A number that a double does not hold without loss: equal to its own text only."""

    def __init__(self, text):
        self.text = text

    def __eq__(self, other):
        return isinstance(other, Wide) and self.text == other.text

    def __hash__(self):
        return hash(self.text)


def read_number(text):
    """A decimal; a Wide where the shortest decimal form of its double is another number."""
    value = Decimal(text)
    if len(text) > 15 or "e" in text or "E" in text:
        nearest = float(text)
        if nearest in (float("inf"), float("-inf")) or Decimal(repr(nearest)) != value:
            return Wide(text)
    return value


read_json = json.JSONDecoder(parse_float=read_number, parse_int=read_number).decode


# ---- events --------------------------------------------------------------------------------------

def leaves_of(event):
    """{path: [(value, place), …]}: every plain value. place says which element of which array it
    was found in, as {array number: index}; arrays have no place in the path, and plain values in an
    array choose no element."""
    leaves, arrays = {}, [0]
    for name, value in event.items():
        collect(leaves, name, value, ANYWHERE, arrays)
    return leaves


def collect(leaves, path, value, place, arrays):
    if type(value) is dict:
        for name, below in value.items():
            collect(leaves, f"{path}.{name}", below, place, arrays)
    elif type(value) is list:
        arrays[0] += 1
        number = arrays[0]
        for index, element in enumerate(value):
            is_plain = type(element) is not dict and type(element) is not list
            there = place if is_plain else (*place, (number, index))
            collect(leaves, path, element, there, arrays)
    elif path in leaves:
        leaves[path].append((value, place))
    else:
        leaves[path] = [(value, place)]


def are_together(place, others):
    """Whether a leaf may stand beside those already chosen: no two elements of one array."""
    for number, index in place:
        for other in others:
            if any(number == n and index != i for n, i in other):
                return False
    return True


# ---- patterns ------------------------------------------------------------------------------------

def expand(fields, prefix, alternatives):
    """Multiplies out $or: a list of {path: values}. A later field replaces an earlier one."""
    for name, value in fields.items():
        path = name if prefix is None else f"{prefix}.{name}"
        if name == "$or" and isinstance(value, list):
            alternatives = [dict(made) for so_far in alternatives for branch in value
                            for made in expand(branch, prefix, [dict(so_far)])]
        elif isinstance(value, dict):
            alternatives = expand(value, path, alternatives)
        elif isinstance(value, list) and value:
            alternatives = [{**so_far, path: value} for so_far in alternatives]
        else:
            raise Unsupported(f"{path}: {value!r}")
    return alternatives


def is_number(value):
    return isinstance(value, Decimal)


def test_of(alternative):
    """A function leaf value -> bool for one operator."""
    (operator, argument), *more = alternative.items()
    if more or operator not in OPERATORS:
        raise Unsupported(f"operator {operator}")
    return OPERATORS[operator](argument)


def one_of(values):
    """A function leaf value -> bool for all alternatives of a field."""
    exact, tests = {}, []
    for value in values:
        if isinstance(value, dict):
            tests.append(test_of(value))
        elif isinstance(value, list) or (type(value) is str and LOOKS_LIKE_ADDRESS.match(value)):
            raise Unsupported(f"{value!r} as a value")
        else:
            exact.setdefault(type(value), set()).add(value)
    if len(tests) == 1 and not exact:
        return tests[0]
    if not tests and set(exact) == {str}:
        return frozenset(exact[str]).__contains__  # text equals nothing but text
    none = frozenset()
    return lambda value: (value in exact.get(type(value), none) or
                          any(test(value) for test in tests))


def affix(method):
    def make(text):
        if not isinstance(text, str):
            raise Unsupported("ignoring case")
        return lambda value: isinstance(value, str) and getattr(value, method)(text)
    return make


def numeric(terms):
    if not all(is_number(bound) for bound in terms[1::2]):
        raise Unsupported("a bound that is no exact number")
    first, low = SIGNS[terms[0]], terms[1]
    if len(terms) == 2:
        return lambda value: type(value) is Decimal and first(value, low)
    second, high = SIGNS[terms[2]], terms[3]
    return lambda value: type(value) is Decimal and first(value, low) and second(value, high)


def anything_but(excluded):
    """True for a leaf that none of the excluded tests is true of; other types always pass."""
    if isinstance(excluded, dict):
        (operator, argument), *more = excluded.items()
        if more or operator not in ("prefix", "suffix"):
            raise Unsupported(f"anything-but {operator}")
        texts = argument if isinstance(argument, list) else [argument]
        tests = [OPERATORS[operator](text) for text in texts]
    else:
        values = excluded if isinstance(excluded, list) else [excluded]
        tests = [(lambda value, wanted=v: type(value) is type(wanted) and value == wanted)
                 for v in values]
    return lambda value: not any(test(value) for test in tests)


def present(wanted):
    if wanted is not True:
        raise Unsupported("exists: false beside other alternatives")
    return lambda value: True


OPERATORS = {"numeric": numeric, "prefix": affix("startswith"), "suffix": affix("endswith"),
             "anything-but": anything_but, "exists": present}


class Pattern:
    """The rules of one campaign version."""

    def __init__(self, rules):
        self.alternatives = []
        self.types = set()  # no other event_type can match; None: any may
        for fields in expand(rules, None, [{}]):
            absent = [p for p, values in fields.items() if values == [{"exists": False}]]
            wanted = [(p, one_of(values)) for p, values in fields.items() if p not in absent]
            wanted.sort(key=lambda field: field[0] != "event_type")  # decides most, soonest
            self.alternatives.append((wanted, absent))
            types = fields.get("event_type", [{}])
            if self.types is not None and all(isinstance(value, str) for value in types):
                self.types.update(types)
            else:
                self.types = None

    def matches(self, leaves):
        for wanted, absent in self.alternatives:
            if holds(wanted, absent, leaves):
                return True
        return False


def holds(wanted, absent, leaves):
    """Whether all fields of one alternative hold."""
    found = []
    for path, accepts in wanted:
        here = leaves.get(path)
        if here is None:
            return False
        if len(here) == 1:  # the common case, without a list
            value, place = here[0]
            if not accepts(value):
                return False
            if place:
                found.append(here[0][1:])
            continue
        places = [place for value, place in here if accepts(value)]
        if not places:
            return False
        if ANYWHERE not in places:  # else that leaf goes with everything
            found.append(places)
    for path in absent:
        if path in leaves:
            if any(place for _, place in leaves[path]):
                raise Unsupported(f"{path}: exists: false inside an array")
            return False
    return len(found) < 2 or choose(found, [])


def choose(found, chosen):
    """Whether one place of each field can be chosen so that all are together."""
    if len(chosen) == len(found):
        return True
    return any(are_together(place, chosen) and choose(found, [*chosen, place])
               for place in found[len(chosen)])


# ---- campaigns -----------------------------------------------------------------------------------

class Model:
    """All versions of all campaigns: {(id, version): document}, as JSON text or parsed."""

    def __init__(self, documents):
        self.patterns, self.rewards, self.unsupported = {}, {}, {}
        for key, document in documents.items():
            text = document if isinstance(document, str) else json.dumps(document)
            parsed = read_json(text)
            self.rewards[key] = parsed.get("then", [])
            try:
                is_active = parsed.get("status", "active") == "active"
                self.patterns[key] = Pattern(parsed["rules"]) if is_active else None
            except Unsupported as error:
                self.unsupported[key] = str(error)

    def matches(self, body, key):
        """Whether that version matches the event with that body."""
        pattern = self.patterns[key]
        return pattern is not None and pattern.matches(leaves_of(read_json(body)))
