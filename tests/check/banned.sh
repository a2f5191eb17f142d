#!/usr/bin/env bash
# Functions that nobody needs here, and what to use instead.
. "$(dirname "$0")/lib.sh"
mapfile -t own < <(own_c)
mapfile -t others < <(project_files 'tests/unit/*.c' 'tests/helpers/*.c' 'tests/fuzz/*.c' 'bench/*.c')
files=("${own[@]}" "${others[@]}")

# ban REGEX INSTEAD
ban() {
    while read -r line; do [ -z "$line" ] || wrong "$2: $line"; done < <(code_grep "$1" "${files[@]}")
}
ban '\b(strcpy|strcat|stpcpy|strncat|sprintf|vsprintf|gets)\s*\(' 'use buf_t or snprintf'
ban '\b(atoi|atol|atoll|atof)\s*\(' 'use strtoll and look at its end and errno'
ban '\bstrtok\s*\(' 'use strtok_r or strcspn'
ban '\b(system|popen|wordexp)\s*\(' 'no shell is ever needed'
ban '\b(tmpnam|tempnam|mktemp)\s*\(' 'use mkstemp or fd_replace_file'
ban '\b(alloca|setjmp|longjmp|sigsetjmp|siglongjmp)\s*\(' 'not in this house'
ban '\b(asctime|ctime|localtime|gmtime|strerror_l|readdir_r|inet_ntoa|usleep)\s*\(' 'use the re-entrant or newer form'
files=("${own[@]}") # tests may want numbers that come again, and small programs
ban '\b(rand|srand|drand48|random)\s*\(' 'use getrandom'
ban '\bsignal\s*\(\s*SIG[A-Z]+\s*,\s*[a-z]' 'a handler is installed with sigaction'
ban '\b(pthread_create|thrd_create)\s*\(' 'no threads'
finish
