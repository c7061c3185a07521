/* Sends from its first instruction: the program that a pod starts in the test of a pod's start. It
 * sends a UDP datagram and asks for a TCP connection to a public address, over and over, and does
 * nothing before it: static, no libraries to load. What does not reach the network is counted.
 *
 *   first ADDRESS [SECONDS]	prints "sent N refused M" at the end, or when told to end (SIGTERM)
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

/* One datagram and one SYN; 1 where the kernel took the datagram. */
static int send_once(int udp, const struct sockaddr_in *to)
{
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ssize_t sent = sendto(udp, "first", 5, 0, (const struct sockaddr *)to, sizeof(*to));

	if (tcp >= 0) {
		(void)!connect(tcp, (const struct sockaddr *)to, sizeof(*to));
		close(tcp);
	}
	return sent == 5;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	const struct timespec pause = {.tv_nsec = 2000000};
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned long sent = 0, refused = 0;
	time_t deadline = argc > 2 ? time(NULL) + atol(argv[2]) : 0;

	if (argc < 2 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: first ADDRESS [SECONDS]\n");
		return 2;
	}
	signal(SIGTERM, end);
	while (!ended && (!deadline || time(NULL) < deadline)) {
		if (send_once(udp, &to))
			sent++;
		else
			refused++;
		nanosleep(&pause, NULL);
	}
	printf("sent %lu refused %lu\n", sent, refused);
	return 0;
}
