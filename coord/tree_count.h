/* tree_count.h - what a Moodle tree will install, for the progress shown. Reads the tree: blocks as its file system does. */
#ifndef MOODLECTL_COORD_TREE_COUNT_H
#define MOODLECTL_COORD_TREE_COUNT_H

long tree_count_plugins(const char *code_dir); /* their version.php files */
long tree_count_tables(const char *code_dir);  /* core's, in lib/db/install.xml; 0: it cannot be read */

#endif
