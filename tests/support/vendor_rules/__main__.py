"""Print the table: `python -m tests.support.vendor_rules`."""

from __future__ import annotations

from tests.support.vendor_rules import RULES, table_of

for api, rules in RULES.items():
    print(f"## {api}\n\n{table_of(rules)}\n")
