/* fuzz_cmd_status - any JSON as an answer to `status`: no crash, and no byte that steers a terminal. */
#include "supervisor/cmd_status.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *o = json_loadb((const char *)data, size, 0, NULL);
    buf_t out = BUF_INIT;
    cmd_status_text(o, false, &out);
    for (size_t i = 0; i < out.len; i++)
        if ((unsigned char)out.data[i] < 0x20 && out.data[i] != '\n') __builtin_trap();
    buf_free(&out);
    json_decref(o);
    return 0;
}
