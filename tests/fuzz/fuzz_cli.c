/* fuzz_cli - any words as a command line: finding, proposing and parsing never crash; words stay what they were. */
#include "supervisor/cli.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* NUL ends a word. */
static int split(char *text, size_t len, char **argv)
{
    int argc = 0;
    for (size_t at = 0; at < len && argc < WORDS; at += strlen(text + at) + 1) argv[argc++] = text + at;
    return argc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1), *argv[WORDS + 1] = {0}, *words[WORDS + 1];
    if (!text) return 0;
    memcpy(text, data, size);
    int argc = split(text, size, argv), used = 0;
    cli_args_t args;
    err_t err = {0};
    const cli_cmd_t *cmd = cli_find(argc, argv, &used);
    if (argc > 0) (void)cli_is_noun(argv[0]);
    (void)cli_nearest(argc, argv);
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++)
        if (cli_parse(c, argc, argv, words, &args, &err) == 0 &&
            (args.count < c->least || args.count > c->most))
            __builtin_trap();
    if (cmd && (used < 1 || used > argc)) __builtin_trap();
    free(text);
    return 0;
}
