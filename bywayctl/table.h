#pragma once
/* JSON documents of the daemons as text for people. */

#include <jansson.h>
#include <stdio.h>

/* Prints an object: scalars as "key  value" lines, a list of objects as a table with a heading. */
void table_print(const json_t *doc, FILE *f);
