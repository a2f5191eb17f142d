/* fuzz_settings - an environment of any bytes: loads, never crashes, and a value without an issue obeys its row. */
#include "base/settings.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One input is a list of variables, a NUL after each; "#7=x" stands for setting number 7, so that names are found fast. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 32, LONGEST = 512 };
    static char text[MOST][LONGEST];
    char *envp[MOST + 1] = {NULL};
    size_t n = 0, at = 0;
    while (at < size && n < MOST) {
        const char *piece = (const char *)data + at;
        size_t len = strnlen(piece, size - at);
        if (len > 2 && piece[0] == '#') {
            const set_row_t *row = &SETTINGS[(unsigned char)piece[1] % SET_COUNT_];
            snprintf(text[n], LONGEST, "%s=%.*s", row->name, (int)(len - 2), piece + 2);
        } else {
            snprintf(text[n], LONGEST, "%.*s", (int)len, piece);
        }
        if (!strstr(text[n], "_FILE=")) n++; /* the fuzzer shall not read files */
        at += len + 1;
    }
    for (size_t i = 0; i < n; i++) envp[i] = text[i];
    settings_t *s = settings_load(envp);
    settings_check(s);
    for (int i = 0; i < SET_COUNT_; i++) {
        set_id_t id = (set_id_t)i;
        if (SETTINGS[i].type == ST_PATH && *settings_str(s, id) && settings_str(s, id)[0] != '/')
            __builtin_trap();
        if (SETTINGS[i].type == ST_ENUM && *settings_str(s, id) &&
            !strstr(SETTINGS[i].hint, settings_str(s, id)))
            __builtin_trap();
    }
    if (settings_int(s, SET_stop_timeout) < 2000 || settings_int(s, SET_stop_timeout) > 600000)
        __builtin_trap();
    settings_free(&s);
    return 0;
}
