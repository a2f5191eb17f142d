/* roles.h - the command of moodlectl-role that lives in bootstrap/. It logs its own errors; its value is the exit status. */
#ifndef MOODLECTL_BOOTSTRAP_ROLES_H
#define MOODLECTL_BOOTSTRAP_ROLES_H

/* [--check | --diff [--quiet] | --out DIR | --code-info]. Blocks on the network when a setting is an ARN. */
int prepare_main(int argc, char **argv);

#endif
