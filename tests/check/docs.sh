#!/usr/bin/env bash
# The generated parts of the documents say what the program says. Between "<!-- generated: TOPIC -->" and
# "<!-- end -->" stands the output of "moodlectl doc TOPIC"; the topic "replica" is coord's, which moodlectl does not link, so the
# model of the coordination prints it; "scenarios" is the table of tests/scenarios. With --write: puts it there.
. "$(dirname "$0")/lib.sh"
program=$BUILD/moodlectl
model=$BUILD/tests/model
for one in "$program" "$model"; do [ -x "$one" ] || { skip "$one is not built"; finish; }; done
while read -r f; do
    python3 - "$program" "$model" "$f" "${1:-}" <<'EOF' || wrong "$f is stale; run tests/check/docs.sh --write"
import re, subprocess, sys
program, model, name, write = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == '--write'
old = open(name).read()
def fresh(m):
    others = {'replica': [model, '--diagram'], 'scenarios': ['tests/scenarios/run.py', '--list']}
    command = others.get(m.group(1), [program, 'doc', m.group(1)])
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit(f'{name}: {made.stderr}')
    return f'<!-- generated: {m.group(1)} -->\n{made.stdout}<!-- end -->'
new = re.sub(r'<!-- generated: ([a-z-]+) -->\n.*?<!-- end -->', fresh, old, flags=re.S)
if new != old and write:
    open(name, 'w').write(new)
sys.exit(0 if new == old or write else 1)
EOF
done < <(project_files '*.md' | xargs -r grep -lE '^<!-- generated: ' /dev/null)
finish
