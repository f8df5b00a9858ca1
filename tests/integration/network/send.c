/* Copyright (c) The virtfleet.compute authors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 * Send raw frames, a line of hexadecimal digits each, out of a link. It is run inside a guest, which has no Python. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int link = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), sent = 0;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
    char line[4096];
    while (argc == 2 && fgets(line, sizeof line, stdin)) {
        unsigned char frame[2048];
        unsigned int octet;
        size_t length = 0;
        while (sscanf(line + 2 * length, "%2x", &octet) == 1) frame[length++] = (unsigned char)octet;
        sent += sendto(link, frame, length, 0, (struct sockaddr *)&to, sizeof to) == (ssize_t)length;
        usleep(20000);
    }
    printf("%d\n", sent);
    return 0;
}
