"""Reads Parquet files with a reader that is not ours, and prints JSON: the types of the columns, then every row as texts.

    python read_parquet.py pyarrow|duckdb FILE...
"""

import datetime
import json
import sys


def text(value):
    """A value as Postgres prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.time):
        printed = value.isoformat()
        return printed.rstrip("0").rstrip(".") if "." in printed else printed
    return None if value is None else str(value)


def with_pyarrow(files):
    from pyarrow import parquet

    table = parquet.read_table(files)
    types = {field.name: str(field.type) for field in table.schema}
    return types, zip(*(column.to_pylist() for column in table.columns))


def with_duckdb(files):
    import duckdb

    relation = duckdb.connect().read_parquet(files)
    return dict(zip(relation.columns, map(str, relation.types))), relation.fetchall()


types, rows = {"pyarrow": with_pyarrow, "duckdb": with_duckdb}[sys.argv[1]](sys.argv[2:])
print(json.dumps({"types": types, "rows": [[text(value) for value in row] for row in rows]}))
