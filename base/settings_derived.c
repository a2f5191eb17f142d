#include "base/settings.h"
#include <dirent.h>
#include <string.h>
#include <unistd.h>

const char *set_type_name(set_type_t type)
{
    static const char *const names[] = {
        [ST_STRING] = "text", [ST_PATH] = "path",      [ST_URL] = "address",     [ST_HOST] = "host",
        [ST_INT] = "number",  [ST_BOOL] = "truth",     [ST_MILLIS] = "duration", [ST_SIZE] = "size",
        [ST_ENUM] = "choice", [ST_ADDR] = "host:port", [ST_LIST] = "list",
    };
    return names[type];
}

int settings_db_port(const settings_t *s)
{
    int64_t port = settings_int(s, SET_db_port);
    if (port) return (int)port;
    return strcmp(settings_str(s, SET_db_type), "pgsql") == 0 ? 5432 : 3306;
}

void settings_member(const settings_t *s, char *buf, size_t size)
{
    snprintf(buf, size, "%s", settings_str(s, SET_member));
    if (*buf) return;
    if (gethostname(buf, size) < 0) snprintf(buf, size, "unnamed");
    buf[size - 1] = '\0';
}

/* The newest php-fpm* of one directory into *best ("8.2" of php-fpm8.2; no version counts as oldest). */
static void newest_fpm(const char *dir, char *best_version, size_t version_size, char *buf, size_t size)
{
    DIR *d = opendir(dir);
    if (!d) return;
    for (const struct dirent *e; (e = readdir(d));) {
        if (strncmp(e->d_name, "php-fpm", 7) != 0) continue;
        const char *version = e->d_name + 7;
        if (version[strspn(version, "0123456789.")]) continue; /* php-fpm.conf, an editor's left-over */
        if (*buf && strverscmp(version, best_version) <= 0) continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (access(path, X_OK) < 0) continue;
        snprintf(best_version, version_size, "%s", version);
        snprintf(buf, size, "%s", path);
    }
    closedir(d);
}

void settings_program(const settings_t *s, set_id_t id, char *buf, size_t size)
{
    static const char *const php[] = {"/usr/bin/php", "/usr/local/bin/php"};
    char version[256] = "";
    snprintf(buf, size, "%s", settings_str(s, id));
    if (*buf) return;
    if (id == SET_php_fpm) {
        newest_fpm("/usr/sbin", version, sizeof version, buf, size);
        newest_fpm("/usr/local/sbin", version, sizeof version, buf, size);
    }
    for (size_t i = 0; id == SET_php && !*buf && i < sizeof php / sizeof *php; i++)
        if (access(php[i], X_OK) == 0) snprintf(buf, size, "%s", php[i]);
}
