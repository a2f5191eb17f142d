#include "coord/oom.h"
#include "base/buf.h"
#include "base/fd.h"
#include <stdlib.h>
#include <string.h>

uint64_t oom_kills_here(void)
{
    uint64_t n = oom_kills("/sys/fs/cgroup/memory.events");
    return n ? n : oom_kills("/sys/fs/cgroup/memory/memory.oom_control");
}

uint64_t oom_kills(const char *path)
{
    enum { FILE_MAX_BYTES = 4096 };
    cleanup_buf buf_t b = BUF_INIT;
    if (fd_read_file(path, FILE_MAX_BYTES, &b, NULL) < 0) return 0;
    const char *at = strstr(buf_cstr(&b), "\noom_kill ");
    return at ? strtoull(at + strlen("\noom_kill "), NULL, 10) : 0;
}
