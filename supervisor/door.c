#include "supervisor/door.h"
#include "base/fd.h"
#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    FDS_MAX = 64,
    FLAGS_AT = 13,
    SYN = 0x02,
    SYN_ACK = 0x12
}; /* RFC 9293, 3.1: the flags are byte 13 of the header */

static int option(int fd, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

static bool listens(int fd)
{
    int domain = option(fd, SO_DOMAIN);
    return (domain == AF_INET || domain == AF_INET6) && option(fd, SO_ACCEPTCONN) == 1;
}

/* Drops what would begin a connection, and lets pass what completes one: socket(7), SO_ATTACH_FILTER. */
static bool drop_beginnings(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),   BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

bool door_shut(pid_t pid)
{
    bool shut = false;
    cleanup_fd int process = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    for (int n = 0; process >= 0 && n < FDS_MAX; n++) {
        cleanup_fd int fd = (int)syscall(SYS_pidfd_getfd, process, n, 0);
        if (fd >= 0 && listens(fd) && drop_beginnings(fd)) shut = true;
    }
    return shut;
}
