#!/usr/bin/env python3
"""Turns SQL files named NNNN_name.*.sql into a C header: embed.py OUTPUT INPUT...

For each file a char array, and one table `embedded_files` of number, name and text in the order
of the numbers. Bytes are written as numbers: C limits the length of string literals.
"""
import os
import re
import sys


def array(symbol, data):
    rows = [data[i:i + 20] for i in range(0, len(data), 20)]
    body = ",\n    ".join(", ".join(str(byte) for byte in row) for row in rows)
    return f"static const char {symbol}[] = {{\n    {body},\n    0}};\n"


def main(output, inputs):
    parts, table = [], []
    for path in sorted(inputs, key=os.path.basename):
        number, name = re.match(r"(\d{4})_(\w+)\.", os.path.basename(path)).groups()
        with open(path, "rb") as file:
            data = file.read()
        if any(byte == 0 or byte > 126 for byte in data):
            sys.exit(f"{path}: only ASCII, please")
        symbol = f"embedded_{number}_{name}"
        parts.append(array(symbol, data))
        table.append(f'    {{{int(number)}, "{name}", {symbol}}},\n')
        if int(number) != len(table):
            sys.exit(f"{path}: numbers must run 1, 2, 3, ...")
    with open(output, "w", encoding="ascii") as file:
        file.write("/* Made by scripts/embed.py from the files beside it; do not edit. */\n")
        file.write("\n".join(parts))
        file.write("\nstatic const struct embedded_file {\n    int number;\n    const char *name;\n"
                   "    const char *text;\n} embedded_files[] = {\n" + "".join(table) + "};\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
