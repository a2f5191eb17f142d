/* wiped_libraries.h - jansson, libcurl and OpenSSL wipe every byte that they give back: answers of AWS, tokens, TLS records. */
#ifndef MOODLECTL_BOOTSTRAP_WIPED_LIBRARIES_H
#define MOODLECTL_BOOTSTRAP_WIPED_LIBRARIES_H

/* Call once, before any of them is used: OpenSSL takes no other memory later. */
void wiped_libraries_init(void);

#endif
