#include "table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "strbuf.h"

#define COLUMNS_MAX 16

/* A value in one cell; "-" for null and what has no short form. */
static char *cell(const json_t *value)
{
	struct strbuf b = {0};

	if (json_is_string(value))
		strbuf_add(&b, "%s", json_string_value(value));
	else if (json_is_integer(value))
		strbuf_add(&b, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		strbuf_add(&b, "%g", json_real_value(value));
	else if (json_is_boolean(value))
		strbuf_add(&b, "%s", json_is_true(value) ? "yes" : "no");
	else
		strbuf_add(&b, "-");
	return strbuf_steal(&b);
}

static void print_upper(const char *s, size_t width, FILE *f)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		fputc(toupper((unsigned char)s[i]), f);
	fprintf(f, "%*s", (int)(width > n ? width - n : 0) + 2, "");
}

/* The keys of the first row are the columns. */
static void print_rows(const char *title, const json_t *rows, FILE *f)
{
	const char *columns[COLUMNS_MAX];
	size_t width[COLUMNS_MAX], n = 0, i;
	const char *key;
	json_t *row, *value;

	fprintf(f, "\n%s\n", title);
	json_object_foreach (json_array_get(rows, 0), key, value) {
		if (n == COLUMNS_MAX)
			break;
		columns[n] = key;
		width[n++] = strlen(key);
	}
	json_array_foreach (rows, i, row) {
		for (size_t c = 0; c < n; c++) {
			auto_free char *s = cell(json_object_get(row, columns[c]));

			if (strlen(s) > width[c])
				width[c] = strlen(s);
		}
	}
	for (size_t c = 0; c < n; c++)
		print_upper(columns[c], width[c], f);
	fputc('\n', f);
	json_array_foreach (rows, i, row) {
		for (size_t c = 0; c < n; c++) {
			auto_free char *s = cell(json_object_get(row, columns[c]));

			fprintf(f, "%-*s  ", (int)width[c], s);
		}
		fputc('\n', f);
	}
}

void table_print(const json_t *doc, FILE *f)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)doc, key, value) {
		if (!json_is_array(value) && !json_is_object(value)) {
			auto_free char *s = cell(value);

			fprintf(f, "%-18s %s\n", key, s);
		}
	}
	json_object_foreach ((json_t *)doc, key, value) {
		if (json_is_object(json_array_get(value, 0)))
			print_rows(key, value, f);
	}
	fputc('\n', f);
}
