"""Reads klagg's Parquet with pandas, polars and duckdb and compares it with what was stored.

Usage: readers.py KIND FILE EXPECTED, where KIND is `doubles` or `decimals` and EXPECTED a file of
one JSON object a row, its numbers as exact texts. No reader is given a hint of any kind.
"""

import json
import sys
from decimal import Decimal

import duckdb
import pandas
import polars

PRICES = ["open", "high", "low", "close"]
BASES = ["volume", "taker_buy_volume"]
QUOTES = ["quote_volume", "taker_buy_quote_volume"]
NUMBERS = PRICES + BASES + QUOTES
TIMES = ["open_time", "close_time"]
TEXTS = ["symbol", "period", "status"]


def scale(name):
    """Precision and decimals of an exact column."""
    return (19, 8) if name in PRICES else (38, 8) if name in BASES else (38, 16)


def same(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, but {wanted!r} was stored")


def check_rows(reader, rows, expected, number):
    same(f"{reader}: rows", len(rows), len(expected))
    for at, (row, wanted) in enumerate(zip(rows, expected)):
        for name in TEXTS + TIMES + ["count"]:
            same(f"{reader}: row {at}, {name}", row[name], wanted[name])
        for name in NUMBERS:
            same(f"{reader}: row {at}, {name}", row[name], number(wanted[name]))
            same(f"{reader}: type of {name}", type(row[name]), number)


def with_pandas(path, kind):
    frame = pandas.read_parquet(path)
    for name in TIMES:
        dtype = frame[name].dtype
        same(f"pandas: zone of {name}", str(getattr(dtype, "tz", None)), "UTC")
        frame[name] = frame[name].dt.as_unit("ms").astype("int64")
    for name in NUMBERS:
        wanted = "float64" if kind == "doubles" else "object"
        same(f"pandas: type of {name}", str(frame[name].dtype), wanted)
    same("pandas: type of count", str(frame["count"].dtype), "int64")
    return frame.to_dict("records")


def with_polars(path, kind):
    frame = polars.read_parquet(path)
    for name in TIMES:
        same(f"polars: type of {name}", frame.schema[name], polars.Datetime("ms", "UTC"))
    for name in NUMBERS:
        wanted = polars.Float64 if kind == "doubles" else polars.Decimal(*scale(name))
        same(f"polars: type of {name}", frame.schema[name], wanted)
    same("polars: type of count", frame.schema["count"], polars.Int64)
    return frame.with_columns(polars.col(TIMES).dt.epoch("ms")).to_dicts()


def with_duckdb(path, kind):
    types = dict(duckdb.sql(f"select column_name, column_type from (describe from '{path}')").fetchall())
    for name in TIMES:
        same(f"duckdb: type of {name}", types[name], "TIMESTAMP WITH TIME ZONE")
    for name in NUMBERS:
        wanted = "DOUBLE" if kind == "doubles" else "DECIMAL({},{})".format(*scale(name))
        same(f"duckdb: type of {name}", types[name], wanted)
    same("duckdb: type of count", types["count"], "BIGINT")
    times = ", ".join(f"epoch_ms({name}) as {name}" for name in TIMES)
    found = duckdb.sql(f"select * replace ({times}) from '{path}'")
    return [dict(zip(found.columns, row)) for row in found.fetchall()]


def main():
    kind, path, expected = sys.argv[1:]
    with open(expected, encoding="utf-8") as lines:
        expected = [json.loads(line) for line in lines]
    number = float if kind == "doubles" else Decimal
    for reader in (with_pandas, with_polars, with_duckdb):
        check_rows(reader.__name__, reader(path, kind), expected, number)


main()
