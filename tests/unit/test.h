/* test.h - cmocka with what it needs before it. */
#ifndef MOODLECTL_TESTS_TEST_H
#define MOODLECTL_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
