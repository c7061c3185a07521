/* bywayctl: asks the daemons' control sockets.
 *
 * A pod or host runs one or several of Byway's daemons; without --socket every socket below
 * /run/byway answers.
 */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "daemon.h"
#include "err.h"
#include "strbuf.h"
#include "table.h"
#include "version.h"

#define ANSWER_MAX (16UL << 20)
#define SOCKETS	   "/run/byway/*.sock"

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
	struct strbuf *b = user;

	if (b->len + size * n > ANSWER_MAX)
		return 0;
	strbuf_add(b, "%.*s", (int)(size * n), data);
	return size * n;
}

/* GET `path` from the daemon at `socket`. */
static int ask(const char *socket, const char *path, struct strbuf *answer, struct err *err)
{
	CURL *curl = curl_easy_init();
	char url[256];
	long code = 0;
	CURLcode c;

	if (!curl)
		abort();
	snprintf(url, sizeof(url), "http://byway%s", path);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 5L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	c = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	curl_easy_cleanup(curl);
	if (c != CURLE_OK)
		return err_set(err, -EIO, "%s: %s", socket, curl_easy_strerror(c));
	if (code != 200)
		return err_set(err, -EPROTO, "%s: %s answered %ld", socket, path, code);
	return 0;
}

static int status_of(const char *socket, bool json, struct err *err)
{
	auto_strbuf struct strbuf answer = {0};
	json_error_t e;
	json_t *doc;
	int r = ask(socket, "/status", &answer, err);

	if (r < 0)
		return r;
	if (json) {
		puts(strbuf_text(&answer));
		return 0;
	}
	doc = json_loads(strbuf_text(&answer), 0, &e);
	if (!doc)
		return err_set(err, -EPROTO, "%s: not JSON: %s", socket, e.text);
	table_print(doc, stdout);
	json_decref(doc);
	return 0;
}

/* Exit status: 0 all answered, 1 one did not or there is none. */
static int status(const char *socket, bool json)
{
	int exit_status = EXIT_OK;
	glob_t found = {0};

	if (glob(socket ? socket : SOCKETS, socket ? GLOB_NOCHECK : 0, NULL, &found) != 0) {
		fprintf(stderr, "bywayctl: no daemon here: nothing matches %s\n", SOCKETS);
		return EXIT_RUNTIME;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct err err = {0};

		if (status_of(found.gl_pathv[i], json, &err) < 0) {
			fprintf(stderr, "bywayctl: %s\n", err.text);
			exit_status = EXIT_RUNTIME;
		}
	}
	globfree(&found);
	return exit_status;
}

static void usage(FILE *f)
{
	fputs("bywayctl: asks Byway's daemons\n\n"
	      "usage: bywayctl [--socket PATH] [--json] status\n\n"
	      "  status         what the daemon carries and how it fares\n\n"
	      "  --socket PATH  the daemon's control socket (default: each of " SOCKETS ")\n"
	      "  --json         as the daemon gave it\n"
	      "  --version, --help\n\n"
	      "exit status: 0 answered, 1 not reached, 2 wrong command line\n",
	      f);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *socket = NULL;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "s:jh", options, NULL)) != -1) {
		switch (c) {
		case 's':
			socket = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'v':
			puts("bywayctl " BYWAY_VERSION);
			return EXIT_OK;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		default:
			return EXIT_CONFIG;
		}
	}
	if (argc - optind == 1 && !strcmp(argv[optind], "status"))
		return status(socket, json);
	if (optind == argc)
		usage(stderr);
	else
		fprintf(stderr, "bywayctl: unknown command \"%s\"; see bywayctl --help\n",
			argv[optind]);
	return EXIT_CONFIG;
}
