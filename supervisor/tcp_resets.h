/* tcp_resets.h - how many TCP connections this network name space has reset so far: what a balancer that still sends gets when nobody
 * listens any more. All containers of a task share one name space. Reads /proc; does not block. */
#ifndef MOODLECTL_SUPERVISOR_TCP_RESETS_H
#define MOODLECTL_SUPERVISOR_TCP_RESETS_H

#include <stdint.h>

uint64_t tcp_resets(void); /* 0 when it cannot be read */
uint64_t tcp_resets_parse(
    const char *text); /* Tcp's OutRsts in the text of /proc/net/snmp (RFC 4022: tcpOutRsts). Pure. */

#endif
