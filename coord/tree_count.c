#include "coord/tree_count.h"
#include "base/buf.h"
#include "base/fd.h"
#include <ftw.h>
#include <stdio.h>
#include <string.h>

enum { PLUGIN_DEPTH = 6 };
static long plugins;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    const char *base = path + f->base;
    if (type == FTW_F && strcmp(base, "version.php") == 0) plugins++;
    if (type != FTW_D) return FTW_CONTINUE;
    bool skip = f->level >= PLUGIN_DEPTH || base[0] == '.' || strcmp(base, "node_modules") == 0 ||
                strcmp(base, "amd") == 0 || strcmp(base, "lang") == 0 || strcmp(base, "classes") == 0 ||
                strcmp(base, "tests") == 0 || strcmp(base, "pix") == 0;
    return skip && f->level > 0 ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
}

long tree_count_plugins(const char *code_dir)
{
    plugins = 0;
    nftw(code_dir, count_one, 32, FTW_PHYS | FTW_ACTIONRETVAL);
    return plugins;
}

long tree_count_tables(const char *code_dir)
{
    enum { XML_MAX = 8 << 20 };
    char path[4096];
    cleanup_buf buf_t xml = BUF_INIT;
    long n = 0;
    snprintf(path, sizeof path, "%s/lib/db/install.xml", code_dir);
    if (fd_read_file(path, XML_MAX, &xml, NULL) < 0) return 0;
    for (const char *s = buf_cstr(&xml); (s = strstr(s, "<TABLE ")); s++) n++;
    return n;
}
