/* fuzz_control - any bytes as a request on the control socket: one answer, a JSON object with "ok", in one line. The member has
 * ended, so that no command starts anything. */
#include "base/environment.h"
#include "supervisor/control.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static member_t *ended_member(void)
{
    static uv_loop_t loop;
    static member_t m;
    static const child_hooks_t no_hooks = {0};
    static char *no_environment[] = {NULL};
    err_t err = {0};
    if (m.loop) return &m;
    uv_loop_init(&loop);
    m.loop = &loop;
    m.set = settings_load(no_environment);
    m.services = services_new(m.set, environment_pack(no_environment, &err));
    m.phase = LP_EXIT;
    for (int id = 0; id < SV_COUNT_; id++) child_init(&m.children[id], &loop, &SERVICES[id], &no_hooks, id);
    return &m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    member_t *m = ended_member();
    char *bytes = malloc(size ? size : 1); /* of its own, so that a byte too far is seen */
    if (size) memcpy(bytes, data, size);
    char *text = control_reply(m, bytes, size);
    json_t *answer = text ? json_loads(text, 0, NULL) : NULL;
    if (!json_is_boolean(json_object_get(answer, "ok")) || strchr(text, '\n')) __builtin_trap();
    json_decref(answer);
    free(text);
    free(bytes);
    return 0;
}
