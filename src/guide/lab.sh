#!/bin/sh
# A path of your own, for a user without privileges: client, router and server in namespaces. They go when the
# program that is started in the client's ends.
#
#     src/guide/lab.sh [RULES [PROGRAM [WORD]...]]
#
# RULES are shell lines that the router obeys: 'ip link set east mtu 1280', say. PROGRAM is your shell where none is
# named. The router's links are west (to the client) and east; the server is 10.78.0.2 and fd78::2, and
# `nsenter -t $far -n` begins what is to run there.
set -e
if [ -z "$LAB" ]; then
    LAB=1 exec unshare -Urnmpf --mount-proc --kill-child sh "$0" "$@"
fi

one_more() {
    unshare -n sleep 100000 < /dev/null > /dev/null 2>&1 & made=$!
    own=$(readlink /proc/self/ns/net)
    until [ "$(readlink /proc/$made/ns/net)" != "$own" ]; do sleep 0.02; done
}
one_more; router=$made
one_more; far=$made
export router far

ip link set lo up
ip link add near type veth peer name west netns /proc/$router/ns/net
ip link set near up
ip address add 10.77.0.2/24 dev near
ip address add fd77::2/64 dev near nodad

# Without limits the router says at once, and always, what it cannot pass on.
nsenter -t "$router" -n sh -e -c "
    ip link set lo up
    ip link set west up
    ip address add 10.77.0.1/24 dev west
    ip address add fd77::1/64 dev west nodad
    ip link add east type veth peer name home netns /proc/$far/ns/net
    ip link set east up
    ip address add 10.78.0.1/24 dev east
    ip address add fd78::1/64 dev east nodad
    for way in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/\$way; done
    for limit in ipv4/icmp_ratelimit ipv6/icmp/ratelimit; do echo 0 > /proc/sys/net/\$limit; done
    $1"

nsenter -t "$far" -n sh -e -c "
    ip link set lo up
    ip link set home up
    ip address add 10.78.0.2/24 dev home
    ip address add fd78::2/64 dev home nodad
    ip route add default via 10.78.0.1
    ip -6 route add default via fd78::1"

ip route add default via 10.77.0.1
ip -6 route add default via fd77::1

[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- "${SHELL:-sh}"
exec "$@"
