#!/usr/bin/env bash
# Runs the model and compares its table with the one in README.md. --write: puts it there. BUILD: the build directory.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 70
model=${BUILD:-../../build/release}/tests/model
table=$("$model") || exit 1
mutants=$("$model" --mutants) || { printf '%s\n' "$mutants" && exit 1; }
python3 - "${1:-}" "$table"$'\n\n'"$mutants" <<'PY' || { echo 'tests/model/README.md is stale; run tests/model/run.sh --write' && exit 1; }
import re, sys
old = open('README.md').read()
new = re.sub(r'<!-- table -->\n.*?<!-- end -->', lambda m: f'<!-- table -->\n{sys.argv[2]}\n<!-- end -->', old, flags=re.S)
if new != old and sys.argv[1] == '--write':
    open('README.md', 'w').write(new)
sys.exit(0 if new == old or sys.argv[1] == '--write' else 1)
PY
