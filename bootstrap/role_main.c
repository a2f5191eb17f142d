/* role_main.c - moodlectl-role ROLE: everything that may block or crash, each role a child of PID 1 and a program of its own. The one
 * file where bootstrap/ and coord/ meet, by name only. */
#include "base/err.h"
#include "base/secret.h"
#include "bootstrap/ecs_protect.h"
#include "bootstrap/roles.h"
#include "bootstrap/rotate.h"
#include "bootstrap/wiped_libraries.h"
#include "coord/roles.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name, *help;
    int (*main)(int argc, char **argv);
} role_row_t;

/* bootstrap/ knows no database: it is handed how to log in. */
static int secrets_main(int argc, char **argv)
{
    static const rotate_login_t login = {.database = coord_login_database, .redis = coord_login_redis};
    return rotate_main(argc, argv, &login);
}

static const role_row_t ROLES[] = {
    {"prepare", "settings, secrets, checks, rendered files", prepare_main},
    {"secrets", "follows values that change while the site serves", secrets_main},
    {"protect", "asks ECS not to scale this task in while it works", ecs_protect_main},
    {"lead", "install or upgrade under the cluster's lock, then watch versions", coord_lead_main},
    {"cron", "one cron in the cluster", coord_cron_main},
    {"adhoc", "a runner of ad-hoc tasks, on a member without cron", coord_adhoc_main},
    {"plan", "what an upgrade would do", coord_plan_main},
    {"cron-status", "who runs cron", coord_cron_status_main},
    {"maintenance", "on, off, status", coord_maintenance_main},
    {"probe", "one login at the database and at Redis", coord_probe_main},
};
enum { ROLE_COUNT = sizeof ROLES / sizeof *ROLES };

static int usage(FILE *to)
{
    fprintf(
        to,
        "moodlectl-role ROLE [...]: a part of moodlectl; started by moodlectl run and its subcommands.\n");
    for (size_t i = 0; i < ROLE_COUNT; i++) fprintf(to, "  %-12s %s\n", ROLES[i].name, ROLES[i].help);
    return to == stdout ? EXIT_OK : EXIT_USAGE_;
}

int main(int argc, char **argv)
{
    secret_forbid_core(); /* roles hold secrets */
    secret_hide();
    wiped_libraries_init();
    if (argc < 2) return usage(stderr);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) return usage(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        printf("moodlectl-role %s\n", MOODLECTL_VERSION);
        return EXIT_OK;
    }
    for (size_t i = 0; i < ROLE_COUNT; i++)
        if (strcmp(argv[1], ROLES[i].name) == 0) return ROLES[i].main(argc - 1, argv + 1);
    fprintf(stderr, "moodlectl-role: there is no role \"%s\"\n", argv[1]);
    return usage(stderr);
}
