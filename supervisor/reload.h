/* reload.h - files rendered anew while the member serves, and nginx and PHP-FPM following without a lost request. Role prepare tests the
 * new files before it puts them in place; when it fails, the old ones stay and everything runs on. Never blocks. */
#ifndef MOODLECTL_SUPERVISOR_RELOAD_H
#define MOODLECTL_SUPERVISOR_RELOAD_H

#include "supervisor/member.h"

void reload_init(member_t *m);
void reload_close(member_t *m); /* after EXIT: lets go of its handle */
/* nginx, php: these follow also when no file of theirs has changed. false: not in this phase, or one is under way. */
bool reload_start(member_t *m, bool nginx, bool php);
void reload_changed(member_t *m, bool nginx, bool php); /* prepare says whose files have changed */
void reload_rendered(member_t *m);        /* prepare has ended well; nothing when no reload is under way */
bool reload_failed(member_t *m);          /* prepare has failed; false: that was no reload */
bool reload_is_polite(const member_t *m); /* shall answers close their connections? */
json_t *reload_json(const member_t *m);   /* {"running":..., "id":..., "msg":...} */

#endif
