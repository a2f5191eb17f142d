#include "supervisor/tcp_resets.h"
#include "base/fd.h"
#include <stdlib.h>
#include <string.h>

/* Two lines that begin with "Tcp:", names above values (proc(5)). */
uint64_t tcp_resets_parse(const char *text)
{
    const char *names = strstr(text, "Tcp: "), *values = names ? strstr(names + 5, "\nTcp: ") : NULL;
    if (!values) return 0;
    for (values++; *names != '\n' && *values != '\n' && *values;) {
        if (strncmp(names, "OutRsts", 7) == 0 && strchr(" \n", names[7])) return strtoull(values, NULL, 10);
        names += strcspn(names, " \n");
        values += strcspn(values, " \n");
        names += *names == ' ';
        values += *values == ' ';
    }
    return 0;
}

uint64_t tcp_resets(void)
{
    cleanup_buf buf_t text = BUF_INIT;
    if (fd_read_file("/proc/self/net/snmp", 16384, &text, NULL) < 0) return 0;
    return tcp_resets_parse(buf_cstr(&text));
}
