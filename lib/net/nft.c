/* nftables by libnftables: the text of a script, one transaction. */
#include "internal.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"

static void context_free(void *nft)
{
	nft_ctx_free(nft);
}

/* To be called in the namespace: the context opens its socket when it is made. */
static int context_make(struct net *net, struct err *err)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!nft)
		return err_errno(err, -ENOMEM, "nftables context");
	if (nft_ctx_buffer_error(nft) || nft_ctx_buffer_output(nft)) {
		nft_ctx_free(nft);
		return err_errno(err, -ENOMEM, "nftables context");
	}
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_TERSE);
	net->nft = nft;
	net->nft_free = context_free;
	return 0;
}

/* The first line of its report tells what, the second quotes the line of the script. */
static int nft_error(const char *report, struct err *err)
{
	size_t what = strcspn(report, "\n");
	const char *line = report + what + strspn(report + what, "\n \t");

	return err_set(err, -EINVAL, "nftables: %.*s: %.*s", (int)what, report,
		       (int)strcspn(line, "\n"), line);
}

/* Runs a script in the namespace; its output stays in the context's buffer. */
static int nft_run(struct net *net, const char *text, struct err *err)
{
	auto_netns int saved = -1;
	int r = netns_enter(net->netns, &saved, err); /* `iif NAME` is looked up when it runs */

	if (r == 0 && !net->nft)
		r = context_make(net, err);
	if (r < 0)
		return r;
	if (nft_run_cmd_from_buffer(net->nft, text) != 0)
		return nft_error(nft_ctx_get_error_buffer(net->nft), err);
	return 0;
}

int net_nft(struct net *net, const char *text, struct err *err)
{
	int r = nft_run(net, text, err);

	if (net->nft)
		nft_ctx_get_output_buffer(net->nft); /* empties it */
	return r;
}

int net_nft_list(struct net *net, const char *table, struct strbuf *ret, struct err *err)
{
	auto_free char *command = xasprintf("list table %s", table);
	int r = nft_run(net, command, err);

	if (net->nft)
		strbuf_add(ret, "%s", nft_ctx_get_output_buffer(net->nft));
	return r < 0 ? err_set(err, -ENOENT, "nftables table %s is missing", table) : 0;
}
